//! `relman ledger migrate` for people.

use super::{Cell, Style, Tone, printable};
use crate::commands::migrate::Report;

/// What is where now, and what is left to do.
pub fn show(report: &Report, style: &Style) -> String {
    let (from, to) = (printable(&report.from), printable(&report.to));
    let mut lines =
        vec![style.paint(Tone::Strong, &format!("The ledger is at {to}; {from} is closed")), String::new()];
    let rows = report.streams.iter().map(|moved| {
        vec![
            Cell::from(moved.stream.to_string()),
            Cell::from(moved.entries.to_string()),
            Cell::from(moved.hash.to_string()),
        ]
    });
    lines.push(style.table(&["STREAM", "ENTRIES", "SAME UP TO"], rows.collect()).trim_end().to_owned());
    lines.push(String::new());
    lines.push(format!("{} artifacts copied to {}", report.artifacts_copied, printable(&report.artifacts)));
    for digest in &report.artifacts_missing {
        lines.push(style.paint(Tone::Warn, &format!("  {digest} was lost before: no store has it")));
    }
    lines.push(String::new());
    lines.push("Next, in relman.toml:".to_owned());
    lines.push(format!("  [ledger]\n  url = \"{to}\""));
    lines.push(format!("  [artifacts]\n  url = \"{}\"", printable(&report.artifacts)));
    lines.join("\n") + "\n"
}
