//! Two deploys at once: one works, the other is told who is at it.

use std::time::Duration;

use serde_json::Value;

use super::support::process::is;
use super::support::site::{LIMIT, Site};

#[test]
#[ignore = "needs the lab: make test-lab"]
fn invariant_3_the_second_of_two_deploys_is_told_who_works() {
    let site = Site::shared();
    site.deploy_new();
    site.change_harmless("feat: wanted twice");
    site.relman(&["release"]).expect(0);

    let first = site.start(&["deploy", "--progress", "json"]);
    let acquired =
        first.wait_for("the lease", Duration::from_secs(60), |entry| is(entry, "lease.acquired", None));
    let second = site.relman(&["deploy", "-o", "json", "--quiet"]).expect(5);
    let third = site.relman(&["deploy"]).expect(5);
    first.end(LIMIT).expect(0);

    let error: Value = serde_json::from_str(second.stderr.trim()).expect("one JSON object");
    assert_eq!((&error["error"]["kind"], &error["error"]["code"]), (&"held".into(), &5.into()));
    let holder = &acquired["data"]["holder"];
    let machine = holder["machine"].as_str().expect("the holder's machine");
    let who = holder["actor"]["name"].as_str().expect("the holder's name");
    for screen in [&third.stderr, &error.to_string()] {
        assert!(screen.contains(machine), "on what machine ({machine}): {screen}");
        assert!(screen.contains(who), "who ({who}): {screen}");
    }
    let since = holder["since"].as_str().expect("since when");
    for screen in [&third.stderr, &error.to_string()] {
        assert!(screen.contains(since), "since when ({since}): {screen}");
    }
    site.is_settled();
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn the_second_of_two_deploys_can_wait() {
    let site = Site::shared();
    site.deploy_new();
    site.change_harmless("feat: wanted twice, with patience");
    site.relman(&["release"]).expect(0);
    let first = site.start(&["deploy", "--progress", "json"]);
    first.wait_for("the lease", Duration::from_secs(60), |entry| is(entry, "lease.acquired", None));
    site.relman(&["deploy", "--lock-wait", "3m"]).expect(0);
    first.end(LIMIT).expect(0);
    site.is_settled();
}
