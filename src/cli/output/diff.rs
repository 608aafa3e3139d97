//! `relman diff` for people.

use serde_json::Value;

use crate::commands::diff::{Report, RunSource, Side};
use crate::git::CommitInfo;

use super::{Style, Tone, printable};

/// The report for people.
pub fn show(report: &Report, style: &Style) -> String {
    let mut text =
        format!("{}: {} → {}\n", report.environment, name(report.from.as_ref()), name(Some(&report.to)));
    if let Some(added) = &report.added {
        section(&mut text, style, "Commits that come in", added);
    }
    if let Some(removed) = report.removed.as_ref().filter(|list| !list.is_empty()) {
        section(&mut text, style, "Commits that go out", removed);
    }
    if report.truncated {
        text.push_str("  … and more\n");
    }
    text.push_str("\nImage\n");
    let from = report.from.as_ref().and_then(|side| side.digest.as_ref());
    match (from, &report.to.digest) {
        (Some(from), Some(to)) if from == to => text.push_str(&format!("  {to}, the same\n")),
        (from, to) => {
            for (sign, digest) in [("-", from), ("+", to.as_ref())] {
                text.push_str(&format!("  {sign} {}\n", digest.map_or("none", |digest| digest.as_str())));
            }
        }
    }
    if let Some(run) = &report.run {
        let sides = format!("{} → {}", source(report.from.as_ref()), source(Some(&report.to)));
        text.push_str(&format!("\nRun configuration ({sides})\n"));
        if run.is_empty() {
            text.push_str("  the same\n");
        }
        for change in run {
            for (sign, value, tone) in [("-", &change.from, Tone::Bad), ("+", &change.to, Tone::Good)] {
                if let Some(value) = value {
                    text.push_str(&style.paint(tone, &format!("  {sign} {} = {}", change.key, plain(value))));
                    text.push('\n');
                }
            }
        }
    }
    for note in &report.notes {
        text.push_str(&style.paint(Tone::Warn, &format!("\nNot shown: {note}")));
    }
    if !report.notes.is_empty() {
        text.push('\n');
    }
    text
}

fn name(side: Option<&Side>) -> String {
    match side {
        Some(side) if side.version.is_some() => format!("{} ({})", side.name, side.commit.short()),
        Some(side) => format!("{}, not released", side.name),
        None => "nothing".to_owned(),
    }
}

fn source(side: Option<&Side>) -> String {
    match side.and_then(|side| side.run_from.as_ref()) {
        Some(RunSource::Deployment(id)) => format!("of {id}"),
        Some(RunSource::Now) => "of relman.toml now".to_owned(),
        None => "none".to_owned(),
    }
}

fn section(text: &mut String, style: &Style, title: &str, commits: &[CommitInfo]) {
    text.push_str(&format!("\n{title}: {}\n", commits.len()));
    let rows: Vec<Vec<String>> = commits
        .iter()
        .map(|commit| {
            vec![
                format!("  {}", commit.commit.short()),
                commit.author.clone(),
                style.ago(commit.at),
                commit.summary.clone(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        text.push_str(&style.table(&["  COMMIT", "AUTHOR", "WHEN", "SUBJECT"], rows));
    }
}

fn plain(value: &Value) -> String {
    printable(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}
