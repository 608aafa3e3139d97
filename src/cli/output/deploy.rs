//! `relman deploy`, `rollback`, `resume` and `abort` for people.

use super::{Style, Tone, duration};
use crate::commands::deploy::{Report, ReportResult};

/// The report as text.
pub fn show(report: &Report, style: &Style) -> String {
    let mut out = headline(report, style);
    out.push('\n');
    if report.result == ReportResult::Listed {
        let rows = report.candidates.iter().map(|candidate| {
            let (mark, why) = match &candidate.skipped {
                None => ("→", "can be rolled back to"),
                Some(why) => ("", why.as_str()),
            };
            vec![mark.to_owned(), candidate.version.tag(), candidate.id.to_string(), why.to_owned()]
        });
        out.push_str(&style.table(&["", "VERSION", "DEPLOYMENT", ""], rows.collect::<Vec<_>>()));
    }
    for (number, stage) in report.stages.iter().enumerate() {
        out.push_str(&format!("  {}. {}\n", number + 1, stage.join(", ")));
    }
    for note in &report.notes {
        out.push_str(&style.paint(Tone::Dim, &format!("  {note}")));
        out.push('\n');
    }
    out
}

fn headline(report: &Report, style: &Style) -> String {
    let environment = &report.environment;
    let version = report.version.as_ref().map(|version| version.tag());
    let version = version.as_deref().unwrap_or("HEAD");
    let before = match &report.from_version {
        Some(before) => format!(", before it {}", before.tag()),
        None => String::new(),
    };
    let id = report.id.as_ref().map(ToString::to_string).unwrap_or_default();
    match report.result {
        ReportResult::Deployed => {
            let hosts = match report.hosts.len() {
                1 => "1 host".to_owned(),
                n => format!("{n} hosts"),
            };
            let took = match report.duration_seconds {
                Some(seconds) => format!(" after {}", duration(seconds.unsigned_abs())),
                None => String::new(),
            };
            style.paint(
                Tone::Good,
                &format!("{version} serves in {environment} on {hosts}{took} ({id}{before})"),
            )
        }
        ReportResult::NothingToDo => style.paint(Tone::Good, "nothing to do"),
        ReportResult::Superseded => style
            .paint(Tone::Warn, &format!("{version} was not deployed to {environment}: what serves is newer")),
        ReportResult::Planned => format!("{version} would be deployed to {environment} as {id}{before}:"),
        ReportResult::Listed => format!(
            "{environment} serves {}; it can go back to:",
            match &report.from_version {
                Some(serving) => serving.tag(),
                None => "nothing".to_owned(),
            }
        ),
        ReportResult::Aborted => {
            style.paint(Tone::Warn, &format!("{id} is stopped; {environment} is as it was before"))
        }
    }
}
