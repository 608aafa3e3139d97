//! The contract suite over the real Terraform, offline: the resource is `terraform_data`, which is built in, and the
//! state is a file, or behind a server of the test's own on loopback. `make test-terraform` runs them.

mod server;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use super::super::contract::{Bench, infra_contract};
use super::*;
use crate::infra::inventory::{Expected, InventoryError, read};

/// A configuration in a directory of its own.
struct Place {
    terraform: Terraform,
    directory: PathBuf,
    /// Beside the configuration, so that its hash does not move: the pipe that a slow resource waits at, and the
    /// mark that it has begun.
    aside: PathBuf,
    somebody: Mutex<Option<Child>>,
    backend: String,
    _kept: tempfile::TempDir,
}

/// The environment of the test, without anything that leads to a machine or an account.
fn around() -> BTreeMap<OsString, OsString> {
    let kept = ["PATH", "HOME", "TMPDIR"];
    std::env::vars_os().filter(|(name, _)| kept.iter().any(|one| name == one)).collect()
}

impl Place {
    fn new(backend: &str) -> Self {
        let kept = tempfile::tempdir().unwrap();
        let (directory, aside) = (kept.path().join("live"), kept.path().join("aside"));
        fs::create_dir(&directory).unwrap();
        fs::create_dir(&aside).unwrap();
        mknodat(CWD, aside.join("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let root = Root {
            directory: directory.clone(),
            shown: "infra/live".into(),
            workspace: None,
            var_files: Vec::new(),
        };
        let terraform = Terraform::new(root, &around());
        let somebody = Mutex::new(None);
        Self { terraform, directory, aside, somebody, backend: backend.to_owned(), _kept: kept }
    }

    fn write(&self, resources: &[&str], more: &str) {
        let mut text = format!("terraform {{\n  required_version = \">= 1.11\"\n{}\n}}\n", self.backend);
        for name in resources {
            text.push_str(&format!("resource \"terraform_data\" \"{name}\" {{\n  input = \"{name}\"\n}}\n"));
        }
        let names: Vec<String> = resources.iter().map(|name| format!("\"{name}\"")).collect();
        text.push_str(&format!("output \"names\" {{\n  value = [{}]\n}}\n{more}\n", names.join(", ")));
        fs::write(self.directory.join("main.tf"), text).unwrap();
    }

    fn mark(&self) -> PathBuf {
        self.aside.join("begun")
    }

    /// Terraform as somebody else would run it.
    fn by_hand(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("terraform");
        command.arg(format!("-chdir={}", self.directory.display())).args(arguments);
        command.env_clear().envs(&self.terraform.inner.environment);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        command
    }
}

/// A resource whose making runs this in a shell.
fn making(name: &str, shell: &str) -> String {
    format!(
        "resource \"terraform_data\" \"{name}\" {{\n  provisioner \"local-exec\" {{\n    command = \"{shell}\"\n  }}\n}}"
    )
}

async fn there(path: &Path) {
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[async_trait::async_trait]
impl Bench for Place {
    fn infra(&self) -> &dyn Infrastructure {
        &self.terraform
    }

    fn want(&self, resources: &[&str]) {
        self.write(resources, "");
    }

    fn want_broken(&self, resources: &[&str]) {
        self.write(resources, &making("broken", "echo it cannot be made; exit 1"));
    }

    fn want_slow(&self, resources: &[&str]) {
        let (mark, pipe) = (self.mark(), self.aside.join("pipe"));
        let shell = format!("touch {}; exec cat {}", mark.display(), pipe.display());
        self.write(resources, &making("slow", &shell));
    }

    async fn begun(&self) {
        there(&self.mark()).await;
    }

    async fn lose(&self, resource: &str) {
        let address = format!("terraform_data.{resource}");
        assert!(self.by_hand(&["state", "rm", &address]).status().await.unwrap().success());
    }

    async fn somebody_applies(&self) {
        let is_slow = fs::read_to_string(self.directory.join("main.tf")).unwrap().contains("\"slow\"");
        let mut child = self.by_hand(&["apply", "-input=false", "-auto-approve"]).spawn().unwrap();
        if is_slow {
            self.begun().await;
            *self.somebody.lock().await = Some(child);
        } else {
            assert!(child.wait().await.unwrap().success());
        }
    }

    async fn let_go(&self) {
        let mut child = self.somebody.lock().await.take().unwrap();
        fs::write(self.aside.join("pipe"), "on\n").unwrap();
        assert!(child.wait().await.unwrap().success());
    }
}

fn local() -> Place {
    Place::new("")
}

mod with_a_state_file {
    super::infra_contract!(super::local(); ignore = "needs terraform: make test-terraform");
}

#[tokio::test]
#[ignore = "needs terraform: make test-terraform"]
async fn hosts_come_out_of_the_outputs_as_terraform_writes_them() {
    let place = local();
    let host = "{ name = \"web-1\", address = \"127.0.0.1\", port = 22, user = \"admin\", host_keys = [], \
        ssm_id = null, bastion = null }";
    place.write(&["a"], &format!("output \"relman_hosts\" {{\n  value = [{host}]\n}}\n"));
    let (service, environment) = ("web".parse().unwrap(), "production".parse().unwrap());
    let expected = Expected { service: &service, environment: &environment, private: true };
    let before = place.terraform.outputs().await.unwrap();
    assert_eq!(read(&before, &expected), Err(InventoryError::NeverApplied));
    let never = Interrupt::default();
    place.terraform.plan(Locking::Wait(Duration::ZERO), &never).await.unwrap().apply(&never).await.unwrap();
    let found = read(&place.terraform.outputs().await.unwrap(), &expected).unwrap();
    assert_eq!(found.listing.hosts[0].name.as_str(), "web-1");
}

#[tokio::test]
#[ignore = "needs terraform: make test-terraform"]
async fn a_killed_terraform_leaves_its_lock_and_relman_leaves_it_too() {
    let server = server::State::serve().await;
    let address = server.address;
    let backend = format!(
        "  backend \"http\" {{\n    address = \"http://{address}/state\"\n    lock_address = \
         \"http://{address}/state\"\n    unlock_address = \"http://{address}/state\"\n    retry_max = 0\n  }}"
    );
    let place = Place::new(&backend);
    place.want_slow(&["a"]);
    // Nobody has run `terraform init` here: it says so, and relman does.
    let plan = place.terraform.plan(Locking::Wait(Duration::ZERO), &Interrupt::default()).await.unwrap();
    let never = Interrupt::default();
    assert!(plan.changes().applicable);
    let mut killed = place.by_hand(&["apply", "-input=false", "-auto-approve"]).spawn().unwrap();
    place.begun().await;
    killed.start_kill().unwrap();
    killed.wait().await.unwrap();

    let held = server.lock().unwrap();
    let error = place.terraform.plan(Locking::Wait(Duration::ZERO), &never).await.map(|_| ()).unwrap_err();
    let InfraError::Locked { directory, lock, .. } = &error else { panic!("{error:?}") };
    assert_eq!(directory, "infra/live");
    assert!(held.contains(&lock.id) && !lock.id.is_empty(), "{held} {lock:?}");
    assert_eq!(server.lock().unwrap(), held, "nobody but a human takes it away");
    // The command that the hint names does.
    assert!(place.by_hand(&["force-unlock", "-force", &lock.id]).status().await.unwrap().success());
    place.terraform.plan(Locking::Wait(Duration::ZERO), &never).await.unwrap();
}

#[tokio::test]
#[ignore = "needs terraform: make test-terraform"]
async fn what_cannot_be_planned_says_what_to_do() {
    let place = local();
    let error = place
        .terraform
        .plan(Locking::Wait(Duration::ZERO), &Interrupt::default())
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, InfraError::NoConfiguration { .. }), "{error:?}");
    fs::write(place.directory.join("main.tf"), "terraform {\n  required_version = \">= 99\"\n}\n").unwrap();
    let error = place
        .terraform
        .plan(Locking::Wait(Duration::ZERO), &Interrupt::default())
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(error.to_string().contains("nsupported Terraform Core version"), "{error}");
    let missing = Root { directory: "/nowhere/at/all".into(), ..place.terraform.inner.root.clone() };
    let error = Terraform::new(missing, &around()).outputs().await.unwrap_err();
    assert!(matches!(error, InfraError::NoConfiguration { .. }), "{error:?}");
    let nowhere = [("PATH".into(), "/nowhere".into())].into();
    let error = Terraform::new(place.terraform.inner.root.clone(), &nowhere).version().await.unwrap_err();
    assert!(matches!(error, InfraError::Missing { .. }), "{error:?}");
}

#[tokio::test]
#[ignore = "needs terraform: make test-terraform"]
async fn invariant_10_neither_outputs_nor_what_a_program_prints_get_into_the_log() {
    let place = local();
    let secret = "output \"token\" {\n  value = \"hunter2-output\"\n}\n";
    place.write(&["a"], &(making("talks", "echo hunter2-printed") + "\n" + secret));
    let never = Interrupt::default();
    let plan = place.terraform.plan(Locking::Wait(Duration::ZERO), &never).await.unwrap();
    let log = plan.apply(&never).await.unwrap();
    assert!(log.contains("create terraform_data.talks: done"), "{log}");
    assert!(log.contains("2 made, 0 changed, 0 removed"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
    place.write(&["a"], &making("fails", "echo hunter2-printed; exit 3"));
    let plan = place.terraform.plan(Locking::Wait(Duration::ZERO), &never).await.unwrap();
    let error = plan.apply(&never).await.unwrap_err();
    let InfraError::Failed { said, log, .. } = &error else { panic!("{error:?}") };
    assert!(said.starts_with("local-exec provisioner error with terraform_data.fails"), "{said}");
    assert!(log.contains("create terraform_data.fails: failed"), "{log}");
    assert!(!said.contains("hunter2") && !log.contains("hunter2"), "{said}{log}");
}

/// A Terraform that is a script.
fn stand_in(script: &str) -> (tempfile::TempDir, Terraform) {
    use std::os::unix::fs::PermissionsExt as _;
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("terraform");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let root = Root {
        directory: place.path().to_owned(),
        shown: "infra/live".into(),
        workspace: None,
        var_files: Vec::new(),
    };
    let path = format!("{}:{}", place.path().display(), std::env::var("PATH").unwrap());
    let terraform = Terraform::new(root, &[("PATH".into(), path.into())].into());
    (place, terraform)
}

#[tokio::test]
async fn half_of_what_it_says_is_never_read() {
    // Its first part alone would be a list of outputs without the hosts.
    let script =
        "case $2 in output) printf '{}'; head -c 68000000 /dev/zero | tr '\\0' ' '; printf x ;; esac";
    let (_place, terraform) = stand_in(script);
    let error = terraform.outputs().await.unwrap_err();
    assert!(matches!(error, InfraError::TooMuch { .. }), "{error:?}");
    assert_eq!(error.to_string(), "terraform output said more than 64 MiB");
}

#[tokio::test]
async fn an_init_that_fails_tells_its_lines_and_one_that_says_nothing_its_status() {
    let script = "case $2 in init) echo 'Initializing the backend...'; printf 'Error: first\\n\\nwhy\\n\\nError: second\\n' >&2; exit 7 ;; esac";
    let (_place, terraform) = stand_in(script);
    let error = terraform.outputs().await.unwrap_err();
    assert_eq!(error.to_string(), "terraform init in infra/live failed: first why");
    let log = error.log().unwrap();
    assert!(log.contains("Initializing the backend") && log.contains("Error: second"), "{log}");
    let (_place, terraform) = stand_in("exit 7");
    let error = terraform.outputs().await.unwrap_err();
    let text = "terraform init in infra/live failed: it ended with exit status 7 and said nothing";
    assert_eq!(error.to_string(), text);
}
