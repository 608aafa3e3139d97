//! `kill -9` of relman at three points of a deploy, and both ways on: `resume`, and simply the next deploy. A playbook
//! that the killed process had started goes on, as it would.

use std::time::Duration;

use serde_json::Value;

use super::support::host;
use super::support::load::Load;
use super::support::process::is;
use super::support::site::Site;

const SOON: Duration = Duration::from_secs(120);

/// Where the process dies: when the ledger has this entry.
#[derive(Clone, Copy)]
struct Point {
    what: &'static str,
    kind: &'static str,
    step: Option<&'static str>,
}

const WHILE_IT_PREPARES: Point =
    Point { what: "the intent to prepare", kind: "step.started", step: Some("prepare") };
const AFTER_THE_SHIFT: Point = Point { what: "the shift", kind: "step.succeeded", step: Some("shift") };
const AFTER_THE_PIVOT: Point = Point { what: "the pivot", kind: "deployment.committed", step: None };

/// How it goes on.
#[derive(Clone, Copy)]
enum Then {
    Resume,
    NextDeploy,
}

fn scenario(point: Point, then: Then) {
    let site = Site::shared();
    let before = site.deploy_new();
    let load = Load::on(&site.lab.url(1), &site.root);
    site.change_harmless("feat: what is interrupted");
    let running = site.start(&["deploy", "--progress", "json"]);
    let seen = running.wait_for(point.what, SOON, |entry| is(entry, point.kind, point.step));
    running.kill();
    let number = seen["data"]["deployment"].as_u64().expect("the entry is about a deployment");

    let serving = match then {
        Then::Resume => {
            let resumed = site.relman(&["resume", "--lock-wait", "2m"]);
            assert!(matches!(resumed.code, Some(0 | 3)), "one or the other release serves: {resumed:#?}");
            site.serving()
        }
        Then::NextDeploy => {
            site.change_harmless("feat: what came next");
            site.relman(&["deploy", "--lock-wait", "2m"]).expect(0);
            let serving = site.serving();
            assert_ne!(serving, before);
            serving
        }
    };

    let history = site.history();
    let interrupted = find(&history, number);
    let version = interrupted["version"].as_str().expect("a deployment has a version");
    assert!(!interrupted["outcome"].is_null(), "it has an end: {interrupted:#}");
    if matches!(then, Then::Resume) {
        assert!(serving == before || serving == version, "{serving} serves, neither {before} nor {version}");
        let succeeded = interrupted["outcome"] == "succeeded";
        assert_eq!(serving == version, succeeded, "outcome and what serves agree: {interrupted:#}");
    }
    if point.kind == AFTER_THE_PIVOT.kind {
        assert_eq!(interrupted["outcome"], "succeeded", "after the pivot it only goes forward");
    }
    load.end_without_a_failure();
    site.is_settled();
    host::is_clean(&site.lab, 1);
}

fn find(history: &Value, number: u64) -> &Value {
    let id = format!("production#{number}");
    history["deployments"]
        .as_array()
        .and_then(|all| all.iter().find(|deployment| deployment["id"] == id.as_str()))
        .unwrap_or_else(|| panic!("{id} is not in the history: {history:#}"))
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn invariant_6_killed_while_it_prepares_then_resumed() {
    scenario(WHILE_IT_PREPARES, Then::Resume);
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn invariant_6_killed_while_it_prepares_then_the_next_deploy() {
    scenario(WHILE_IT_PREPARES, Then::NextDeploy);
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn invariant_6_killed_after_the_shift_then_resumed() {
    scenario(AFTER_THE_SHIFT, Then::Resume);
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn invariant_6_killed_after_the_shift_then_the_next_deploy() {
    scenario(AFTER_THE_SHIFT, Then::NextDeploy);
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn invariant_6_killed_after_the_pivot_then_resumed() {
    scenario(AFTER_THE_PIVOT, Then::Resume);
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn invariant_6_killed_after_the_pivot_then_the_next_deploy() {
    scenario(AFTER_THE_PIVOT, Then::NextDeploy);
}
