//! Snapshots with clock, ids and width pinned.

use std::collections::BTreeMap;

use super::*;
use crate::commands::{history, hold, lock, mark, releases};
use crate::domain::actor::{Actor, ActorSource};
use crate::domain::deployment::{Hold, Kind, Outcome, Phase, Verdict};
use crate::domain::id::Digest;

fn style(width: u16) -> Style {
    Style { color: false, width, now: at("2026-03-01T12:00:00Z") }
}

fn at(text: &str) -> Timestamp {
    Timestamp::try_from(text.to_owned()).unwrap()
}

fn actor() -> Actor {
    Actor { name: "ada".into(), source: ActorSource::Ci, run_url: Some("https://ci.example/7".into()) }
}

fn row(number: u64, version: &str, kind: Kind, outcome: Option<Outcome>) -> history::Row {
    history::Row {
        id: format!("production#{number}").parse().unwrap(),
        kind,
        version: version.parse().unwrap(),
        commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        digest: Digest::of(version.as_bytes()),
        phase: if outcome.is_some() { Phase::Ended } else { Phase::RollingOut },
        interrupted: outcome.is_none(),
        outcome,
        message: (outcome == Some(Outcome::RolledBack)).then(|| "web-1 did not get healthy".into()),
        verdict: match outcome {
            Some(Outcome::Succeeded) => Some(Verdict::Proven),
            Some(_) => Some(Verdict::Faulty),
            None => None,
        },
        serving: number == 3,
        actor: actor(),
        reason: (number == 3).then(|| "errors at \x1b[31mcheckout".into()),
        started_at: at("2026-03-01T10:00:00Z"),
        finished_at: outcome.map(|_| at("2026-03-01T10:01:20Z")),
        duration_seconds: outcome.map(|_| 80),
        from_version: Some("0.1.0".parse().unwrap()),
        rollback_of: (number == 3).then(|| "production#2".parse().unwrap()),
        offline: None,
        hosts: vec!["web-1".parse().unwrap()],
    }
}

fn history() -> history::Report {
    history::Report {
        moved_to: None,
        schema: 1,
        service: "web".parse().unwrap(),
        environment: "production".parse().unwrap(),
        serving: Some("0.1.0".parse().unwrap()),
        deployments: vec![
            row(4, "0.3.0", Kind::Deploy, None),
            row(3, "0.1.0", Kind::Rollback, Some(Outcome::Succeeded)),
            row(2, "0.2.0", Kind::Deploy, Some(Outcome::RolledBack)),
        ],
        next: Some("d2".into()),
    }
}

#[test]
fn history_as_a_table_wide_and_narrow() {
    insta::assert_snapshot!("history_wide", super::history::show(&history(), &style(140)));
    let narrow = super::history::show(&history(), &style(72));
    assert!(narrow.lines().all(|line| line.chars().count() <= 72), "{narrow}");
}

#[test]
fn history_as_json_is_the_contract() {
    insta::assert_snapshot!("history_json", json(&history()).unwrap());
}

#[test]
fn releases_as_a_table() {
    let release = |version: &str, deployable| releases::Row {
        version: version.parse().unwrap(),
        commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        digest: Digest::of(version.as_bytes()),
        image: "registry.example/web@sha256:…".into(),
        tags: vec![format!("v{version}")],
        conflicts: if version == "0.2.0" { vec!["latest".into()] } else { Vec::new() },
        created_at: at("2026-02-28T12:00:00Z"),
        actor: actor(),
        serving: if version == "0.1.0" { vec!["production".parse().unwrap()] } else { Vec::new() },
        proven: if version == "0.1.0" { vec!["production".parse().unwrap()] } else { Vec::new() },
        faulty: if version == "0.2.0" { vec!["production".parse().unwrap()] } else { Vec::new() },
        withdrawn: Vec::new(),
        blocked: false,
        pinned: false,
        deployable,
        checked_at: Some(at("2026-03-01T11:59:00Z")),
    };
    let report = releases::Report {
        schema: 1,
        service: "web".parse().unwrap(),
        releases: vec![release("0.2.0", Some(false)), release("0.1.0", Some(true))],
        next: None,
    };
    insta::assert_snapshot!("releases", super::releases::show(&report, &style(140)));
}

#[test]
fn hold_mark_and_lock_in_words() {
    let hold = hold::Report {
        schema: 1,
        service: "web".parse().unwrap(),
        environment: "production".parse().unwrap(),
        hold: Some(Hold {
            reason: "freeze for the fair".into(),
            actor: actor(),
            since: at("2026-03-01T11:00:00Z"),
            deployment: None,
            withdrawn: None,
        }),
        before: None,
    };
    insta::assert_snapshot!("hold", super::hold::show(&hold, &style(100)));
    let mark = mark::Report {
        schema: 1,
        service: "web".parse().unwrap(),
        environment: "production".parse().unwrap(),
        version: "0.2.0".parse().unwrap(),
        before: Some(Verdict::Proven),
        verdict: Verdict::Faulty,
        reason: "loses orders".into(),
        serves: true,
    };
    insta::assert_snapshot!("mark", super::mark::show(&mark, &style(100)));
    let lock = lock::Report {
        schema: 1,
        service: "web".parse().unwrap(),
        environment: "production".parse().unwrap(),
        lease: None,
        taken_from: Some(lock::HeldBy {
            actor: "bob".into(),
            machine: "runner-3".into(),
            pid: 42,
            purpose: "deploy v0.3.0".into(),
            since: at("2026-03-01T09:00:00Z"),
            run_url: Some("https://ci.example/9".into()),
            fence: 12,
        }),
        held_seconds: None,
        in_flight: Some("production#4".parse().unwrap()),
    };
    insta::assert_snapshot!("unlock", super::lock::show(&lock, &style(100)));
}

fn second(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000).unwrap()
}

#[test]
fn times_are_short_and_say_their_direction() {
    let style = Style { color: false, width: 80, now: second(1_000_000) };
    for (seconds, text) in [
        (1_000_000, "just now"),
        (999_958, "42s ago"),
        (999_800, "3m 20s ago"),
        (992_500, "2h 5m ago"),
        (1_000_000 - 4 * 86_400, "4d ago"),
        (1_000_060, "in 1m"),
    ] {
        assert_eq!(style.ago(second(seconds)), text);
    }
}

#[test]
fn foreign_text_cannot_drive_the_terminal() {
    let style = Style { color: true, width: 80, now: second(0) };
    assert_eq!(style.paint(Tone::Plain, "a\x1b[2Jb\rc"), "a[2Jbc");
    assert_eq!(style.paint(Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
    let table = style.table(&["A"], vec![vec!["x\x1b]0;title\x07"]]);
    assert!(!table.contains("\x1b]"), "{table:?}");
}

#[test]
fn a_deployment_without_a_version_is_told_as_it_is() {
    use crate::commands::deploy::{Report, ReportResult};

    let mut report = Report {
        laggards: BTreeMap::new(),
        schema: 1,
        result: ReportResult::NothingToDo,
        environment: "production".into(),
        id: None,
        kind: None,
        version: None,
        commit: None,
        digest: None,
        from_version: None,
        outcome: None,
        hosts: Vec::new(),
        duration_seconds: None,
        stages: Vec::new(),
        candidates: Vec::new(),
        notes: Vec::new(),
    };
    assert_eq!(super::deploy::show(&report, &style(80)).lines().next(), Some("nothing to do in production"));
    report.result = ReportResult::Planned;
    report.commit = Some("abc1234def0123456789abcdef0123456789abcd".parse().unwrap());
    let text = super::deploy::show(&report, &style(100));
    let head = "HEAD (commit abc1234) would be released and deployed to production; nothing was changed";
    assert!(text.starts_with(head), "{text}");
}

#[test]
fn infrastructure_planned_applied_and_as_it_should_be() {
    use crate::commands::infra::{Report, ReportResult};
    let change = |address: &str, actions: &[&str]| crate::infra::Change {
        address: address.into(),
        actions: actions.iter().map(|&action| action.into()).collect(),
    };
    let planned = Report {
        schema: 1,
        service: "web".parse().unwrap(),
        environment: "production".parse().unwrap(),
        location: "infra/live/single".into(),
        result: ReportResult::Planned,
        differs: true,
        created: 2,
        updated: 0,
        deleted: 1,
        changes: vec![
            change("aws_eip.web", &["create"]),
            change("aws_instance.web[\"web-1\"]", &["delete", "create"]),
        ],
        outputs: vec![change("relman_hosts", &["update"])],
        drifted: vec![change("aws_security_group.web\x1b[2J", &["update"])],
        state: Some(crate::domain::infra::StateId { lineage: "b365a6bc".into(), serial: 17 }),
    };
    insta::assert_snapshot!("infra_planned", super::infra::show(&planned, &style(100)));
    insta::assert_snapshot!("infra_json", json(&planned).unwrap());
    let applied = Report { result: ReportResult::Applied, drifted: Vec::new(), ..planned.clone() };
    insta::assert_snapshot!("infra_applied", super::infra::show(&applied, &style(100)));
    let same = Report {
        result: ReportResult::NothingToDo,
        differs: false,
        changes: Vec::new(),
        outputs: Vec::new(),
        ..applied
    };
    insta::assert_snapshot!("infra_same", super::infra::show(&same, &style(100)));
}
