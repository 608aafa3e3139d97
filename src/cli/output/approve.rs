//! `relman approve` and `reject` for people.

use super::{Style, Tone};
use crate::commands::approve::Report;

/// How it stands now.
pub fn show(report: &Report, style: &Style) -> String {
    let (id, tag) = (&report.id, report.version.tag());
    if report.rejected {
        let words = format!("{id} ({tag}) is rejected; no host was touched");
        return format!("{}\n", style.paint(Tone::Warn, &words));
    }
    let words = format!(
        "{id} ({tag}): {} of {} approvals, this one by {}",
        report.given, report.needed, report.actor
    );
    match report.approved {
        true => format!("{}\nNow: relman resume '{id}'\n", style.paint(Tone::Good, &words)),
        false => format!("{words}\n"),
    }
}
