//! What a host does without relman, and what relman does without the registry.

use std::time::Duration;

use super::support::eventually;
use super::support::host::answering;
use super::support::lab::Lab;
use super::support::site::Site;

#[test]
#[ignore = "needs the lab: make test-lab"]
fn a_host_that_restarts_serves_the_committed_release_again() {
    let site = Site::shared();
    let secrets = "[run.secrets]\nCANARY = \"env:LAB_CANARY\"\n";
    site.change("fix: no secrets", "relman.toml", secrets, "# without secrets\n");
    let version = site.deploy_new();
    site.lab.script(&["reboot", "host1"]);
    eventually("the release of before answers", Duration::from_secs(90), || {
        answering(&site.lab, 1).as_deref() == Some(version.as_str())
    });
    site.is_settled();
    site.change("fix: with secrets", "relman.toml", "# without secrets\n", secrets);
}

/// Secrets are in memory alone, so a restart takes them away: the host says so, and one deploy brings them back.
#[test]
#[ignore = "needs the lab: make test-lab"]
fn a_host_that_restarts_without_its_secrets_says_so_and_the_next_deploy_brings_it_back() {
    let site = Site::shared();
    site.deploy_new();
    site.lab.script(&["reboot", "host1"]);
    site.relman(&["status", "--exit-code"]).expect(8);
    let said = site.lab.on_host(1, "journalctl --no-pager --boot --unit relman-boot.service");
    assert!(said.contains("relman deploy"), "what to do is in the journal: {said}");
    site.relman(&["deploy", "--reason", "the host restarted"]).expect(0);
    site.lab.on_host(1, "systemctl reset-failed relman-boot.service");
    site.is_settled();
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn rollback_needs_no_registry_when_the_image_is_on_the_host() {
    let site = Site::shared();
    let older = site.deploy_new();
    site.deploy_new();
    let registry = Stopped::new(&site.lab);
    let back = site.relman(&["rollback", "--to", &older, "--no-hold", "--reason", "the registry is down"]);
    drop(registry);
    back.expect(0);
    assert_eq!(answering(&site.lab, 1).as_ref(), Some(&older));
    site.is_settled();
}

/// The registry, stopped until this is dropped.
struct Stopped<'a> {
    lab: &'a Lab,
    container: String,
}

impl<'a> Stopped<'a> {
    fn new(lab: &'a Lab) -> Self {
        let container = lab.registry_container();
        lab.docker(&["stop", "--time", "5", &container]);
        Self { lab, container }
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.lab.docker(&["start", &self.container]);
        eventually("the registry answers", Duration::from_secs(30), || {
            let url = format!("http://{}/v2/", self.lab.registry);
            let output = std::process::Command::new("curl").args(["-fsS", "--max-time", "5", &url]).output();
            output.is_ok_and(|output| output.status.success())
        });
    }
}
