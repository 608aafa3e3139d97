//! `relman mark` for people.

use super::{Style, Tone};
use crate::commands::mark::Report;
use crate::domain::deployment::Verdict;

/// What is thought of the release now.
pub fn show(report: &Report, style: &Style) -> String {
    let before = report.before.map(|before| format!(" (before: {before})")).unwrap_or_default();
    let words = format!("{} is {} in {}{before}", report.version.tag(), report.verdict, report.environment);
    let tone = if report.verdict == Verdict::Proven { Tone::Good } else { Tone::Warn };
    let mut text = format!("{}\n", style.paint(tone, &words));
    if report.serves && report.verdict == Verdict::Faulty {
        text.push_str(&format!(
            "It serves now. To take it back: relman rollback --env {}\n",
            report.environment
        ));
    }
    text
}
