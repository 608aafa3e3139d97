//! `relman deploy`, `rollback`, `resume` and `abort` for people.

use super::{Style, Tone, duration, printable};
use crate::commands::deploy::{Report, ReportResult};

/// The result first, then what a reader should know.
pub fn show(report: &Report, style: &Style) -> String {
    let tag = report.version.as_ref().map_or_else(|| "nothing".to_owned(), |version| version.tag());
    let place = &report.environment;
    let (tone, words) = match report.result {
        ReportResult::Deployed => (Tone::Good, format!("{tag} serves {place}")),
        ReportResult::NothingToDo if report.version.is_none() => {
            (Tone::Good, format!("nothing to do in {place}"))
        }
        ReportResult::NothingToDo => (Tone::Good, format!("{tag} serves {place} already: nothing to do")),
        ReportResult::Superseded => {
            (Tone::Warn, format!("what serves {place} is newer: nothing was changed"))
        }
        ReportResult::Planned if report.version.is_none() => {
            let commit = report.commit.as_ref().map(|commit| format!(" (commit {})", commit.short()));
            let head = format!("HEAD{}", commit.unwrap_or_default());
            (Tone::Plain, format!("{head} would be released and deployed to {place}; nothing was changed"))
        }
        ReportResult::Planned => {
            (Tone::Plain, format!("{tag} would be deployed to {place}; nothing was changed"))
        }
        ReportResult::Listed => (Tone::Plain, format!("where {place} could go back to, newest first")),
        ReportResult::Aborted => (Tone::Warn, format!("{tag} was stopped; {place} is as it was before")),
    };
    let mut text = format!("{}\n", style.paint(tone, &words));
    let mut line =
        |name: &str, value: String| text.push_str(&format!("  {name:<11} {}\n", printable(&value)));
    if let Some(id) = &report.id {
        let took =
            report.duration_seconds.map(|s| format!(", {}", duration(s.unsigned_abs()))).unwrap_or_default();
        line("deployment", format!("{id}{took}"));
    }
    if let Some(from) = &report.from_version {
        line("before", from.tag());
    }
    if let (Some(commit), Some(digest)) = (&report.commit, &report.digest) {
        line("image", format!("{} of commit {}", digest.short(), commit.short()));
    }
    if !report.hosts.is_empty() {
        line("hosts", report.hosts.iter().map(|host| host.as_str()).collect::<Vec<_>>().join(", "));
    }
    for (host, why) in &report.laggards {
        line("behind", format!("{host}: {why}"));
    }
    for (n, stage) in report.stages.iter().enumerate() {
        line(&format!("stage {}", n + 1), stage.join(", "));
    }
    if !report.candidates.is_empty() {
        let rows = report
            .candidates
            .iter()
            .map(|one| {
                let why = one.skipped.clone().unwrap_or_else(|| "yes".to_owned());
                vec![one.version.tag(), one.id.to_string(), why]
            })
            .collect();
        text.push_str(&format!("\n{}", style.table(&["VERSION", "DEPLOYMENT", "GO BACK?"], rows)));
    }
    if !report.laggards.is_empty() {
        let hint = format!(
            "relman deploy --env {}: catches up the hosts that stayed behind, once they are repaired",
            report.environment
        );
        text.push_str(&format!("{}\n", style.paint(Tone::Warn, &hint)));
    }
    for note in &report.notes {
        text.push_str(&format!("{}\n", style.paint(Tone::Dim, note)));
    }
    text
}
