//! `relman infra` for people.

use super::{Style, Tone, printable};
use crate::commands::infra::{Report, ReportResult};
use crate::infra::Change;

/// The result first, then each change.
pub fn show(report: &Report, style: &Style) -> String {
    let place = printable(&report.location);
    let counts =
        format!("{} created, {} changed, {} deleted", report.created, report.updated, report.deleted);
    let (tone, words) = match report.result {
        ReportResult::Applied => (Tone::Good, format!("{place} is applied: {counts}")),
        ReportResult::NothingToDo if !report.differs => {
            (Tone::Good, format!("{} is as {place} says: nothing to do", report.environment))
        }
        ReportResult::NothingToDo => (
            Tone::Warn,
            format!("{} was changed beside {place}; nothing is to be applied", report.environment),
        ),
        ReportResult::Planned => {
            (Tone::Warn, format!("{} is not as {place} says: {counts}, if applied", report.environment))
        }
    };
    let mut text = format!("{}\n", style.paint(tone, &words));
    let mut lines = |what: &str, changes: &[Change]| {
        for change in changes {
            text.push_str(&format!("  {what}{}\n", printable(&change.to_string())));
        }
    };
    lines("changed beside the configuration: ", &report.drifted);
    lines("", &report.changes);
    lines("output: ", &report.outputs);
    if let Some(state) = &report.state {
        let words = format!("state {}, serial {}", printable(&state.lineage), state.serial);
        text.push_str(&format!("{}\n", style.paint(Tone::Dim, &words)));
    }
    if report.result == ReportResult::Planned {
        text.push_str(&format!("Next: relman infra apply --env {}\n", report.environment));
    }
    text
}
