//! `relman catch-up` as text.

use crate::commands::catch_up::{CatchUpResult, Report};

use super::Style;

/// The report for people.
pub fn show(report: &Report, _: &Style) -> String {
    let (Some(version), Some(id)) = (&report.version, &report.deployment) else {
        return format!("{} has no release yet: nothing to serve", report.environment);
    };
    let word = match report.result {
        CatchUpResult::CaughtUp => "serves",
        CatchUpResult::Settled | CatchUpResult::NothingRecorded => "serves already",
    };
    let mut lines = vec![format!("This host {word} {} of {id}", version.tag())];
    lines.extend(report.notes.iter().cloned());
    lines.join("\n")
}
