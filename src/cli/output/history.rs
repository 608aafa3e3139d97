//! `relman history` for people.

use super::{Cell, Style, Tone, duration};
use crate::commands::history::{Report, Row};
use crate::domain::deployment::{Outcome, Verdict};

/// The table, with the serving deployment marked.
pub fn show(report: &Report, style: &Style) -> String {
    let place = format!("{} in {}", report.service, report.environment);
    let closed = report.moved_to.as_ref().map_or_else(String::new, |to| format!("{}\n", style.closed(to)));
    if report.deployments.is_empty() {
        return format!("{place}: no deployment to show\n{closed}");
    }
    let serving = report
        .serving
        .as_ref()
        .map_or_else(|| "nothing serves".to_owned(), |v| format!("{} serves", v.tag()));
    let headers = ["", "ID", "VERSION", "KIND", "OUTCOME", "VERDICT", "BEGAN", "TOOK", "BY", "REASON"];
    let rows = report.deployments.iter().map(|row| cells(row, style)).collect();
    let mut text = format!("{place}: {serving}\n{closed}\n{}", style.list(&headers, rows));
    if let Some(next) = &report.next {
        text.push_str(&format!("\nMore: --cursor {next}\n"));
    }
    text
}

fn cells(row: &Row, style: &Style) -> Vec<Cell> {
    let strong = if row.serving { Tone::Strong } else { Tone::Plain };
    vec![
        Cell::new(if row.serving { "*" } else { "" }, Tone::Good),
        Cell::new(format!("#{}", row.id.number), strong),
        Cell::new(row.version.tag(), strong),
        kind(row).into(),
        outcome(row),
        verdict(row.verdict),
        style.ago(row.started_at).into(),
        row.duration_seconds.map(|seconds| duration(seconds.unsigned_abs())).into(),
        row.actor.name.clone().into(),
        row.reason.clone().or_else(|| row.message.clone()).unwrap_or_default().into(),
    ]
}

fn kind(row: &Row) -> String {
    match row.offline {
        Some(_) => format!("{} (offline)", row.kind),
        None => row.kind.to_string(),
    }
}

/// How it ended, or where it is.
pub(super) fn outcome(row: &Row) -> Cell {
    match row.outcome {
        Some(outcome) => {
            let tone = match outcome {
                Outcome::Succeeded => Tone::Good,
                Outcome::Failed | Outcome::RollbackFailed => Tone::Bad,
                Outcome::RolledBack | Outcome::Cancelled | Outcome::Rejected | Outcome::Superseded => {
                    Tone::Warn
                }
            };
            Cell::new(outcome.to_string(), tone)
        }
        None if row.interrupted => Cell::new("interrupted", Tone::Bad),
        None => Cell::new(row.phase.to_string(), Tone::Strong),
    }
}

pub(super) fn verdict(verdict: Option<Verdict>) -> Cell {
    match verdict {
        None => None.into(),
        Some(Verdict::Proven) => Cell::new("proven", Tone::Good),
        Some(verdict) => Cell::new(verdict.to_string(), Tone::Bad),
    }
}
