//! The lab that is up, as `tests/lab/lab env` tells it.

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What the environment says about the lab.
pub(crate) struct Lab {
    pub(crate) state: PathBuf,
    pub(crate) registry: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) ssh_port: String,
    pub(crate) http_port: String,
    pub(crate) https_port: String,
    pub(crate) user: String,
    pub(crate) key: PathBuf,
    pub(crate) base_image: String,
    pub(crate) ssh_config: PathBuf,
}

impl Lab {
    /// The lab; without one the test fails.
    pub(crate) fn up() -> Self {
        assert_eq!(
            env::var("RELMAN_LAB").as_deref(),
            Ok("1"),
            "this test needs a lab: run `make test-lab`, or bring one up (tests/lab/lab up --hosts 2), load \
             `tests/lab/lab env` and set RELMAN_LAB=1"
        );
        let lab = Self {
            state: variable("LAB_STATE").into(),
            registry: variable("LAB_REGISTRY"),
            hosts: variable("LAB_HOSTS").split(' ').map(str::to_owned).collect(),
            ssh_port: variable("LAB_SSH_PORT"),
            http_port: variable("LAB_HTTP_PORT"),
            https_port: variable("LAB_HTTPS_PORT"),
            user: variable("LAB_SSH_USER"),
            key: variable("LAB_SSH_KEY").into(),
            base_image: variable("BASE_IMAGE"),
            ssh_config: variable("LAB_SSH_CONFIG").into(),
        };
        assert!(lab.hosts.len() >= 2, "the suite needs two hosts: tests/lab/lab up --hosts 2");
        assert!(lab.ssh_config.is_file(), "the lab of {} is not up", lab.state.display());
        lab
    }

    /// The public half of a host's key, as `ssh-ed25519 AAAA…`.
    pub(crate) fn host_key(&self, number: usize) -> String {
        let path = self.state.join(format!("hosts/host{number}/ssh_host_ed25519_key.pub"));
        let line = std::fs::read_to_string(&path).expect("the lab keeps the hosts' keys");
        line.split(' ').take(2).collect::<Vec<_>>().join(" ").trim_end().to_owned()
    }

    /// Where a host serves.
    pub(crate) fn url(&self, number: usize) -> String {
        format!("http://{}:{}", self.hosts[number - 1], self.http_port)
    }

    /// Runs a shell script on a host as root; its output, which must be a success.
    pub(crate) fn on_host(&self, number: usize, script: &str) -> String {
        let output = self.try_on_host(number, script);
        assert!(
            output.status.success(),
            "on host{number}: {script}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The same, whatever comes of it.
    pub(crate) fn try_on_host(&self, number: usize, script: &str) -> Output {
        Command::new("ssh")
            .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-F"])
            .arg(&self.ssh_config)
            .arg(format!("host{number}"))
            .arg(format!("sudo sh -c {}", quoted(script)))
            .output()
            .expect("ssh runs")
    }

    /// Copies what is in a directory into one of a host, as root's.
    pub(crate) fn put_on_host(&self, number: usize, from: &Path, to: &str) {
        let packed = Command::new("tar").arg("-C").arg(from).args(["-c", "."]).output().expect("tar runs");
        assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
        let script = format!("mkdir -p {to}; tar --no-same-owner --no-overwrite-dir -x -C {to}");
        let mut ssh = Command::new("ssh")
            .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-F"])
            .arg(&self.ssh_config)
            .arg(format!("host{number}"))
            .arg(format!("sudo sh -c {}", quoted(&script)))
            .stdin(Stdio::piped())
            .spawn()
            .expect("ssh runs");
        let mut input = ssh.stdin.take().expect("it is piped");
        input.write_all(&packed.stdout).expect("ssh takes it");
        drop(input);
        assert!(ssh.wait().expect("ssh ends").success(), "{to} on host{number}");
    }

    /// `tests/lab/lab ARGUMENTS…` on this lab.
    pub(crate) fn script(&self, arguments: &[&str]) {
        let output = Command::new(root().join("tests/lab/lab"))
            .args(arguments)
            .env("LAB_STATE", &self.state)
            .output()
            .expect("the lab's script runs");
        assert!(output.status.success(), "lab {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// `docker ARGUMENTS…` on the lab's engine; what it prints.
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        let output = Command::new("docker").args(arguments).output().expect("docker runs");
        assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The container of this lab's registry.
    pub(crate) fn registry_container(&self) -> String {
        let name = format!("name=^relman-lab-{}-[0-9a-f]+-registry$", variable("LAB_NAME"));
        self.docker(&["ps", "--all", "--quiet", "--filter", &name])
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: eval \"$(tests/lab/lab env)\""))
}

/// The root of this repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The built binaries: where `make build` put them.
pub(crate) fn relman() -> PathBuf {
    let directory = env::var_os("RELMAN_BIN").map_or_else(|| root().join("target/bin/dev"), PathBuf::from);
    let path = directory.join("relman");
    assert!(path.is_file(), "{} is not there: make build PROFILE=dev", path.display());
    path
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
