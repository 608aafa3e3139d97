//! `relman releases` for people.

use super::{Cell, Style, Tone};
use crate::commands::releases::{Report, Row};
use crate::domain::id::EnvironmentName;

/// The table.
pub fn show(report: &Report, style: &Style) -> String {
    if report.releases.is_empty() {
        return format!("{}: no release yet\n", report.service);
    }
    let headers = ["VERSION", "COMMIT", "DIGEST", "BOUND", "BY", "ENVIRONMENTS", "DEPLOYABLE"];
    let rows = report.releases.iter().map(|row| cells(row, style)).collect();
    let mut text = style.table(&headers, rows);
    for row in report.releases.iter().filter(|row| !row.conflicts.is_empty()) {
        let note = format!("{}: these tags point elsewhere: {}", row.version.tag(), row.conflicts.join(", "));
        text.push_str(&format!("\n{}\n", style.paint(Tone::Warn, &note)));
    }
    if let Some(next) = &report.next {
        text.push_str(&format!("\nMore: --cursor {next}\n"));
    }
    text
}

fn cells(row: &Row, style: &Style) -> Vec<Cell> {
    let facts = [
        ("serves in", &row.serving),
        ("proven in", &row.proven),
        ("faulty in", &row.faulty),
        ("withdrawn in", &row.withdrawn),
    ];
    let words: Vec<String> = facts
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(word, names)| format!("{word} {}", list(names)))
        .collect();
    let tone = match (row.serving.is_empty(), row.faulty.len() + row.withdrawn.len()) {
        (false, 0) => Tone::Strong,
        (_, 0) => Tone::Plain,
        _ => Tone::Warn,
    };
    let asked = |word: &str| match row.checked_at {
        Some(at) => format!("{word}, {}", style.ago(at)),
        None => word.to_owned(),
    };
    let deployable = match row.deployable {
        Some(true) => Cell::new(asked("yes"), Tone::Good),
        Some(false) => Cell::new(asked("image is gone"), Tone::Bad),
        None => Cell::new("not known", Tone::Warn),
    };
    vec![
        Cell::new(row.version.tag(), if row.serving.is_empty() { Tone::Plain } else { Tone::Strong }),
        row.commit.short().into(),
        row.digest.short().into(),
        style.ago(row.created_at).into(),
        row.actor.name.clone().into(),
        Cell::new(words.join("; "), tone),
        deployable,
    ]
}

fn list(names: &[EnvironmentName]) -> String {
    names.iter().map(EnvironmentName::as_str).collect::<Vec<_>>().join(", ")
}
