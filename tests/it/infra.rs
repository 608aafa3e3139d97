//! `relman infra` as scripts see it, over the real Terraform, offline: `make test-terraform` runs it.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy takes for no tests")]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

const CONFIG: &str = r#"
[service]
name = "web"
[image]
repository = "registry.example/web"
[ledger]
url = "sqlite:ledger.db"
[run]
port = 8000
[environments.production]
via = "playbook"
playbook = "own.yml"
terraform = { directory = "infra", address_source = "private" }
"#;

const OUTPUT: &str =
    "output \"relman_hosts\" {\n  value = [{ name = \"web-1\", address = \"127.0.0.1\" }]\n}\n";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(place.path().join("infra")).unwrap();
        std::fs::write(place.path().join("relman.toml"), CONFIG).unwrap();
        std::fs::write(place.path().join("own.yml"), "- hosts: all\n").unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, resources: &str) {
        std::fs::write(self.path().join("infra/main.tf"), format!("{resources}\n{OUTPUT}")).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relman"));
        command.args(arguments).current_dir(self.path()).env_clear().env("HOME", self.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// An apply that has begun to make something and does not come to its end.
    fn apply_without_end(&self) -> Child {
        let (begun, pipe) = (self.path().join("begun"), self.path().join("pipe"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let shell = format!("touch {}; exec cat {}", begun.display(), pipe.display());
        self.write(&format!(
            "resource \"terraform_data\" \"slow\" {{\n  provisioner \"local-exec\" {{\n    command = \"{shell}\"\n  }}\n}}"
        ));
        let mut applying = self.command(&["infra", "apply"]).spawn().unwrap();
        while !begun.exists() {
            assert_eq!(applying.try_wait().unwrap(), None, "it ended before it began");
            std::thread::sleep(Duration::from_millis(20));
        }
        applying
    }

    fn run(&self, arguments: &[&str], code: i32) -> (String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert_eq!(status.code(), Some(code), "{arguments:?}: {stdout}{stderr}");
        (stdout, stderr)
    }
}

#[test]
#[ignore = "needs terraform: make test-terraform"]
fn it_is_planned_applied_recorded_and_compared() {
    let place = Place::new();
    place.write("resource \"terraform_data\" \"vm\" {}");
    let (_, before) = place.run(&["status"], 1);
    assert!(before.contains("relman infra apply"), "{before}");
    let (planned, _) = place.run(&["infra", "plan"], 0);
    assert!(planned.contains("create terraform_data.vm"), "{planned}");
    place.run(&["infra", "drift"], 0);
    place.run(&["infra", "drift", "--exit-code"], 8);
    let (applied, shown) = place.run(&["infra", "apply", "-o", "json"], 0);
    let applied: serde_json::Value = serde_json::from_str(&applied).unwrap();
    assert_eq!((&applied["result"], &applied["state"]["serial"]), (&"applied".into(), &1.into()));
    assert!(shown.contains("create terraform_data.vm"), "the plan is shown before it is applied: {shown}");
    place.run(&["infra", "drift", "--exit-code"], 0);
    let (status, _) = place.run(&["status"], 0);
    assert!(status.contains("web-1"), "{status}");

    place.write("");
    let (_, refused) = place.run(&["infra", "apply"], 6);
    assert!(refused.contains("delete terraform_data.vm"), "{refused}");
    place.run(&["infra", "apply", "--yes"], 0);
    place.run(&["verify"], 0);
}

#[test]
#[ignore = "needs terraform: make test-terraform"]
fn a_lock_is_explained_and_an_interrupt_frees_it() {
    let place = Place::new();
    let mut applying = place.apply_without_end();
    let (_, locked) = place.run(&["infra", "plan"], 1);
    let lock = locked.lines().find_map(|line| line.trim().strip_prefix("Lock: ")).unwrap();
    assert!(locked.contains(&format!("Hint: terraform -chdir=infra force-unlock {lock}")), "{locked}");
    let (_, held) = place.run(&["infra", "apply"], 5);
    assert!(held.contains("infra apply"), "{held}");
    kill_process(Pid::from_child(&applying), Signal::INT).unwrap();
    assert_eq!(applying.wait().unwrap().code(), Some(130));
    assert!(!place.path().join("infra/.terraform.tfstate.lock.info").exists());
    place.run(&["infra", "plan"], 0);
    place.run(&["verify"], 0);
}

/// A relman that is gone must leave neither the lock nor something made that the state does not know.
#[test]
#[ignore = "needs terraform: make test-terraform"]
fn a_killed_relman_lets_terraform_end_in_order() {
    let place = Place::new();
    let mut applying = place.apply_without_end();
    applying.kill().unwrap();
    applying.wait().unwrap();
    let lock = place.path().join("infra/.terraform.tfstate.lock.info");
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while lock.exists() {
        assert!(std::time::Instant::now() < end, "terraform did not let go of its lock");
        std::thread::sleep(Duration::from_millis(50));
    }
    let state = std::fs::read_to_string(place.path().join("infra/terraform.tfstate")).unwrap();
    assert!(state.contains("\"slow\""), "what was being made is in the state: {state}");
    place.write("");
    place.run(&["infra", "apply", "--yes"], 0);
}
