//! `relman rollback --offline` for people.

use super::{Style, Tone, printable};
use crate::commands::rollback::offline::Report;

/// What serves, and what has to be done about it later.
pub fn show(report: &Report, style: &Style) -> String {
    let (tag, place) = (report.version.tag(), &report.environment);
    let words = match report.planned {
        true => format!("{place} would go back to {tag}, without the ledger; nothing was changed"),
        false => format!("{tag} serves {place}; the ledger does not know yet"),
    };
    let mut text =
        format!("{}\n", style.paint(if report.planned { Tone::Plain } else { Tone::Good }, &words));
    for host in &report.hosts {
        let from = host.from_version.as_ref().map_or_else(|| "nothing".to_owned(), |version| version.tag());
        text.push_str(&format!("  {:<11} {}\n", host.name.as_str(), printable(&format!("before: {from}"))));
    }
    for note in &report.notes {
        text.push_str(&format!("{}\n", style.paint(Tone::Warn, note)));
    }
    text
}
