//! `relman show` for people.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::progress::words;
use super::{Style, Tone, duration, printable};
use crate::commands::show::{Attached, Report};
use crate::domain::deployment::{Approval, Offline};

/// Lines of a log that are shown; JSON has all of it.
const TAIL: usize = 30;

fn offline(offline: &Offline) -> String {
    format!("done without the ledger by {} on {}, {}", offline.actor.name, offline.machine, offline.at)
}

/// How many are asked, of whom, and who approved.
fn approvals(approval: &Approval) -> String {
    let rule = &approval.rule;
    let mut text = format!("{} of {}", approval.given.len(), rule.needed);
    if !rule.approvers.is_empty() {
        let _ = write!(text, ", of {}", rule.approvers.join(", "));
    }
    if rule.four_eyes {
        text.push_str(", not of whoever started it");
    }
    for given in &approval.given {
        let reason = given.reason.as_ref().map(|reason| format!(", {reason}")).unwrap_or_default();
        let _ = write!(text, "; {} at {}{reason}", given.actor.identity(), given.at);
    }
    text
}

/// Head, plan, entries, and why it failed.
pub fn show(report: &Report, style: &Style) -> String {
    let row = &report.deployment;
    let mut text = String::new();
    let head = format!("{} {} {}", row.id, row.kind, row.version.tag());
    let _ = writeln!(text, "{}", style.paint(Tone::Strong, &head));
    let ended = match row.outcome {
        Some(outcome) => outcome.to_string(),
        None if row.interrupted => "interrupted: relman resume, or relman abort".to_owned(),
        None => row.phase.to_string(),
    };
    let took =
        row.duration_seconds.map(|s| format!(" after {}", duration(s.unsigned_abs()))).unwrap_or_default();
    let message = row.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    let facts = [
        ("Outcome", format!("{ended}{took}{message}")),
        ("Verdict", row.verdict.map(|verdict| verdict.to_string()).unwrap_or_default()),
        ("Began", format!("{} ({})", row.started_at, style.ago(row.started_at))),
        // Where approvals count identities, two people may have one name.
        ("By", report.approval.as_ref().map_or_else(|| row.actor.name.clone(), |_| row.actor.identity())),
        ("Run", row.actor.run_url.clone().unwrap_or_default()),
        ("Reason", row.reason.clone().unwrap_or_default()),
        ("From", row.from_version.as_ref().map(|version| version.tag()).unwrap_or_default()),
        ("Offline", row.offline.as_ref().map(offline).unwrap_or_default()),
        ("Rolls back", row.rollback_of.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("Commit", row.commit.to_string()),
        ("Digest", row.digest.to_string()),
        ("Hosts", row.hosts.iter().map(|host| host.as_str()).collect::<Vec<_>>().join(", ")),
        ("Secrets", crate::secrets::listed(&report.secrets)),
        ("Overrides", report.overrides.join(", ")),
        ("Approvals", report.approval.as_ref().map(approvals).unwrap_or_default()),
    ];
    for (name, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "{name:<11}{}", printable(&value));
    }
    if let Some(plan) = &report.plan {
        let _ = writeln!(text, "\n{}", style.paint(Tone::Strong, "Plan"));
        for (n, stage) in plan.stages.iter().enumerate() {
            let steps: Vec<String> = stage.steps.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "  {}. {}", n + 1, steps.join(", "));
        }
    }
    if let Some(run) = &report.run
        && let Ok(run) = toml::to_string(run)
    {
        let _ = writeln!(text, "\n{}", style.paint(Tone::Strong, "Run configuration"));
        indent(&mut text, &run);
    }
    let _ = writeln!(text, "\n{}", style.paint(Tone::Strong, "Entries"));
    for line in &report.entries {
        let words = words::of(&line.event, true).map(|said| said.text(style.color)).unwrap_or_default();
        let _ = writeln!(text, "  {:>6}  {}  {words}", line.seq, line.at.utc().format("%H:%M:%S"));
    }
    attached(&mut text, style, "Why", &report.evidence);
    attached(&mut text, style, "Log", &report.logs);
    if !report.missing.is_empty() {
        let words = format!("{} artifact(s) of this deployment are gone", report.missing.len());
        let _ = writeln!(text, "\n{}", style.paint(Tone::Warn, &words));
    }
    text
}

fn attached(text: &mut String, style: &Style, title: &str, list: &[Attached]) {
    for one in list {
        let host = one.step.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
        let title = format!("{title}: {}{host} (entry {})", one.step.name, one.seq);
        let _ = writeln!(text, "\n{}", style.paint(Tone::Strong, &title));
        let content = match &one.content {
            Value::String(log) => log.clone(),
            Value::Object(facts) => facts.iter().map(|(name, value)| fact(name, value)).collect(),
            other => other.to_string(),
        };
        let lines: Vec<&str> = content.lines().collect();
        let skipped = lines.len().saturating_sub(TAIL);
        if skipped > 0 {
            let _ = writeln!(text, "  … {skipped} lines before; -o json has them");
        }
        indent(text, &lines[skipped..].join("\n"));
    }
}

fn fact(name: &str, value: &Value) -> String {
    match value {
        Value::Array(lines) => lines.iter().fold(format!("{name}:\n"), |text, line| {
            format!("{text}  {}\n", line.as_str().map_or_else(|| line.to_string(), str::to_owned))
        }),
        Value::String(value) => format!("{name}: {value}\n"),
        value => format!("{name}: {value}\n"),
    }
}

fn indent(text: &mut String, block: &str) {
    for line in printable(block).lines() {
        let _ = writeln!(text, "  {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::actor::{Actor, ActorSource};
    use crate::domain::deployment::{ApprovalRule, Given};

    #[test]
    fn who_is_asked_and_who_approved_is_told_by_identity() {
        let approvers = vec!["oidc:ada/1".to_owned(), "oidc:bob/2".to_owned()];
        let mut approval =
            Approval { rule: ApprovalRule { needed: 1, four_eyes: true, approvers }, given: Vec::new() };
        let asked = "of 1, of oidc:ada/1, oidc:bob/2, not of whoever started it";
        assert_eq!(approvals(&approval), format!("0 {asked}"));
        let actor = Actor { name: "robert/2".to_owned(), source: ActorSource::Oidc, run_url: None };
        let at = crate::domain::time::Timestamp::from_millis(1_800_000_000_000).unwrap();
        approval.given.push(Given { actor, at, reason: Some("looked".to_owned()) });
        assert_eq!(
            approvals(&approval),
            format!("1 {asked}; oidc:robert/2 at 2027-01-15T08:00:00.000Z, looked")
        );
    }
}
