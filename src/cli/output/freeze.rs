//! `relman freeze` for people.

use super::{Cell, Style, Tone, printable};
use crate::commands::freeze::{Report, Row};

/// What was done, and those that there are.
pub fn show(report: &Report, style: &Style) -> String {
    let place = format!("{} in {}", report.service, report.environment);
    let mut text = match (report.added, report.removed) {
        (Some(id), _) => format!(
            "{}\n\n",
            style.paint(Tone::Warn, &format!("freeze {id}: no deploy of {place} passes in these times"))
        ),
        (None, Some(id)) => format!("{}\n\n", style.paint(Tone::Good, &format!("freeze {id} is removed"))),
        (None, None) => String::new(),
    };
    if report.freezes.is_empty() {
        return text + &format!("{place}: no freeze\n");
    }
    let headers = ["ID", "FROM", "UNTIL", "ZONE", "NOW", "BY", "REASON"];
    text.push_str(&style.table(&headers, report.freezes.iter().map(|row| cells(row, style)).collect()));
    text
}

fn cells(row: &Row, style: &Style) -> Vec<Cell> {
    let by = match (&row.by, row.since) {
        (Some(by), Some(since)) => format!("{}, {}", printable(by), style.ago(since)),
        _ => "relman.toml".to_owned(),
    };
    let now = match row.in_force_until {
        Some(until) => Cell::new(format!("until {until}"), Tone::Warn),
        None => "no".into(),
    };
    vec![
        row.id.map_or_else(|| "-".to_owned(), |id| id.to_string()).into(),
        printable(&row.times.from).into(),
        printable(&row.times.until).into(),
        printable(&row.times.zone).into(),
        now,
        by.into(),
        printable(&row.times.reason).into(),
    ]
}
