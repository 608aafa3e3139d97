//! The demo's story under load: deploy, a release that comes back by itself, rollback, refusal.

use super::support::host::{self, answering};
use super::support::load::Load;
use super::support::site::Site;

#[test]
#[ignore = "needs the lab: make test-lab"]
fn invariant_7_deploy_return_and_rollback_lose_no_request() {
    let site = Site::shared();
    let good = site.deploy_new();
    let load = Load::on(&site.lab.url(1), &site.root);

    site.change_harmless("feat: a warmer greeting");
    let deployed = site.relman(&["deploy", "-o", "json"]).expect(0);
    assert_eq!(deployed.json()["schema"], 1);
    let newer = site.serving();
    assert_ne!(newer, good);
    assert_eq!(answering(&site.lab, 1).as_ref(), Some(&newer));

    site.change("feat: totals", "web/health.py", "return []", "return [\"no column total\"]");
    site.relman(&["deploy"]).expect(3);
    assert_eq!(site.serving(), newer);
    let history = site.history();
    let latest = &history["deployments"][0];
    let broken = latest["version"].as_str().expect("a deployment has a version").to_owned();
    assert_eq!((&latest["verdict"], &latest["kind"]), (&"faulty".into(), &"deploy".into()), "{latest:#}");

    site.relman(&["rollback", "--to", &format!("v{good}"), "--reason", "the greeting shocks"]).expect(0);
    assert_eq!(site.serving(), good);

    site.change("fix: no totals", "web/health.py", "return [\"no column total\"]", "return []");
    site.relman(&["deploy"]).expect(6);
    assert_eq!(answering(&site.lab, 1).as_ref(), Some(&good));

    let load = load.end_without_a_failure();
    let answered = load["versions"].as_object().expect("versions by name");
    assert!(answered.contains_key(&good) && answered.contains_key(&newer), "{load:#}");
    assert!(!answered.contains_key(&broken), "a release that was never healthy answered: {load:#}");

    site.relman(&["unhold", "--reason", "the story is over"]).expect(0);
    site.is_settled();
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn the_same_release_again_is_nothing_to_do() {
    let site = Site::shared();
    // With secrets it is not: their values may be others by now, so the containers are made anew.
    let secrets = "[run.secrets]\nCANARY = \"env:LAB_CANARY\"\n";
    site.change("fix: nothing secret", "relman.toml", secrets, "# without secrets\n");
    let version = site.deploy_new();
    let before = host::containers(&site.lab, 1);
    site.relman(&["deploy"]).expect(0);
    site.relman(&["release"]).expect(0);
    assert_eq!(site.serving(), version);
    assert_eq!(host::containers(&site.lab, 1), before);
    site.change("fix: with its secrets", "relman.toml", "# without secrets\n", secrets);
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn a_dry_run_changes_nothing() {
    let site = Site::shared();
    let version = site.deploy_new();
    let containers = host::containers(&site.lab, 1);
    let history = site.history();
    site.change_harmless("feat: not yet");
    site.relman(&["deploy", "--dry-run"]).expect(0);
    assert_eq!(site.history(), history);
    assert_eq!(host::containers(&site.lab, 1), containers);
    assert_eq!(answering(&site.lab, 1).as_ref(), Some(&version));
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn rollback_without_a_target_never_returns_to_the_bad_one() {
    let site = Site::shared();
    let first = site.deploy_new();
    let second = site.deploy_new();
    site.relman(&["rollback", "--reason", "errors at checkout"]).expect(0);
    assert_eq!(site.serving(), first, "invariant 5: the newest proven release that does not serve");
    site.relman(&["rollback", "--reason", "still errors"]).expect(0);
    let third = site.serving();
    assert!(third != second && third != first, "two in a row go further back: {third}");
    site.relman(&["unhold", "--reason", "the test is over"]).expect(0);
    site.is_settled();
}
