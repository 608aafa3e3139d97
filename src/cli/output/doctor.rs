//! `relman doctor` for people.

use crate::commands::doctor::{Check, Report, State};

use super::{Cell, Style, Tone};

/// The report for people.
pub fn show(report: &Report, style: &Style) -> String {
    let rows = report.checks.iter().map(row).collect();
    let mut text = style.table(&["CHECK", "STATE", "FOUND"], rows);
    let fixes: Vec<&Check> = report.checks.iter().filter(|check| check.fix.is_some()).collect();
    if !fixes.is_empty() {
        text.push_str("\nWhat to do:\n");
    }
    for check in fixes {
        let fix = check.fix.as_deref().unwrap_or_default();
        text.push_str(&style.paint(Tone::Plain, &format!("  {}: {fix}", check.name)));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&if report.healthy {
        style.paint(Tone::Good, "A deployment has what it needs.")
    } else {
        let failed = report.checks.iter().filter(|check| check.state == State::Failed).count();
        style.paint(Tone::Bad, &format!("{failed} of {} checks failed.", report.checks.len()))
    });
    text.push('\n');
    text
}

fn row(check: &Check) -> Vec<Cell> {
    let (state, tone) = match check.state {
        State::Ok => ("ok", Tone::Good),
        State::Warning => ("warning", Tone::Warn),
        State::Failed => ("failed", Tone::Bad),
        State::NotChecked => ("not checked", Tone::Dim),
    };
    vec![check.name.as_str().into(), Cell::new(state, tone), check.detail.as_str().into()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn each_failure_has_its_fix_below_the_table() {
        let check = Check {
            name: "engine".to_owned(),
            state: State::Failed,
            detail: "no container engine answers".to_owned(),
            fix: Some("start Docker".to_owned()),
        };
        let report = Report { schema: 1, checks: vec![check], healthy: false };
        let now = Timestamp::from_millis(0).unwrap();
        let text = show(&report, &Style { color: false, width: 100, now });
        assert!(text.contains("  engine: start Docker\n"), "{text}");
        assert!(text.ends_with("1 of 1 checks failed.\n"), "{text}");
    }
}
