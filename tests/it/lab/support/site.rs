//! A repository with the service, its relman.toml and a ledger, for the hosts of the lab. The suite shares one: hosts
//! obey one ledger, and a deploy to a host that is configured already takes seconds.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::lab::{Lab, relman, root};
use super::process::{Done, Running};
use super::{host, random};

/// Longest time that one command may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);
const MARK: &str = "GREETING = \"";

/// The repository and whatever belongs to it.
pub(crate) struct Site {
    pub(crate) lab: Lab,
    /// Repository, remote and state lie below it.
    pub(crate) root: PathBuf,
    /// The value of the service's secret.
    pub(crate) canary: String,
    /// What relman finds in its environment besides.
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Site {
    /// The suite's own, on host1 by Ansible. It lives and ends with the lab.
    pub(crate) fn shared() -> Self {
        let lab = Lab::up();
        let root = lab.state.join("suite");
        // Outside of what is searched for it.
        let canary = lab.state.join("canary");
        if !root.join("complete").exists() {
            let _ = std::fs::remove_dir_all(&root);
            std::fs::write(&canary, format!("canary-{}", random())).expect("the lab's state can be written");
            Self { lab: Lab::up(), root: root.clone(), canary: String::new(), environment: Vec::new() }
                .create(&configuration(&lab));
        }
        let canary = std::fs::read_to_string(canary).expect("it was written above");
        Self { lab, root, canary, environment: Vec::new() }
    }

    /// Another one, with its own configuration and ledger.
    pub(crate) fn separate(name: &str, configuration: impl Fn(&Lab) -> String) -> Self {
        let lab = Lab::up();
        let root = lab.state.join(name);
        let _ = std::fs::remove_dir_all(&root);
        let text = configuration(&lab);
        let site = Self { lab, root, canary: format!("canary-{}", random()), environment: Vec::new() };
        site.create(&text);
        site
    }

    fn create(&self, configuration: &str) {
        let (repository, remote) = (self.repository(), self.root.join("origin.git"));
        std::fs::create_dir_all(&repository).expect("the lab's state can be written");
        let copied = Command::new("cp")
            .args(["-R", "Dockerfile", ".dockerignore", "requirements.txt", "web"])
            .arg(&repository)
            .current_dir(root().join("app"))
            .status();
        assert!(copied.expect("cp is there").success());
        std::fs::write(repository.join("relman.toml"), configuration).expect("it can be written");
        std::fs::write(repository.join(".gitignore"), "__pycache__/\n").expect("it can be written");
        let remote = remote.to_str().expect("the path is text");
        self.git(&["init", "--quiet", "--bare", "--initial-branch", "main", remote]);
        self.git(&["init", "--quiet", "--initial-branch", "main", "."]);
        for (key, value) in [
            ("user.name", "Lab"),
            ("user.email", "lab@example.com"),
            ("commit.gpgsign", "false"),
            ("tag.gpgsign", "false"),
            ("core.hooksPath", "/dev/null"),
        ] {
            self.git(&["config", key, value]);
        }
        self.git(&["remote", "add", "origin", remote]);
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "feat: the service"]);
        std::fs::write(self.root.join("complete"), "").expect("it can be written");
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.root.join("repo")
    }

    /// `git ARGUMENTS…` in the repository; what it prints.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(self.repository())
            .output()
            .expect("git is there");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Changes a file by replacing a text that must be there, and commits.
    pub(crate) fn change(&self, message: &str, file: &str, from: &str, to: &str) {
        let path = self.repository().join(file);
        let text = std::fs::read_to_string(&path).expect("the file is in the repository");
        assert!(text.contains(from), "{file} has no {from:?}");
        std::fs::write(&path, text.replacen(from, to, 1)).expect("it can be written");
        self.git(&["commit", "--quiet", "--all", "--message", message]);
    }

    /// A commit that changes what the service says, and nothing else.
    pub(crate) fn change_harmless(&self, message: &str) {
        self.change(message, "web/app.py", MARK, &format!("{MARK}{} ", &random()[..6]));
    }

    /// `relman ARGUMENTS…` as a command to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(relman());
        command
            .args(arguments)
            .current_dir(self.repository())
            // The suite's own variables are no keys of the configuration, which relman would refuse.
            .env_remove("RELMAN_BIN")
            .env_remove("RELMAN_LAB")
            .env("XDG_STATE_HOME", self.state())
            .env("LAB_CANARY", &self.canary)
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn relman(&self, arguments: &[&str]) -> Done {
        self.start(arguments).end(LIMIT)
    }

    /// Starts it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments))
    }

    /// The version that the ledger says is serving.
    #[track_caller]
    pub(crate) fn serving(&self) -> String {
        let history = self.history();
        history["serving"].as_str().unwrap_or_else(|| panic!("nothing serves: {history:#}")).to_owned()
    }

    #[track_caller]
    pub(crate) fn history(&self) -> Value {
        self.relman(&["history", "--all", "-o", "json"]).expect(0).json()
    }

    /// A new commit is deployed and serves; its version. The state that scenarios begin with.
    #[track_caller]
    pub(crate) fn deploy_new(&self) -> String {
        self.change_harmless("fix: something small");
        let override_hold =
            ["deploy", "--lock-wait", "2m", "--override-hold", "--reason", "the suite goes on"];
        self.relman(&override_hold).expect(0);
        let version = self.serving();
        assert_eq!(host::answering(&self.lab, 1).as_deref(), Some(version.as_str()));
        version
    }

    /// Ledger, host and front door agree on one release, and nothing is left over.
    #[track_caller]
    pub(crate) fn is_settled(&self) {
        let serving = self.serving();
        assert_eq!(host::answering(&self.lab, 1), Some(serving), "who answers is who the ledger says");
        self.relman(&["verify"]).expect(0);
        self.relman(&["status", "--exit-code"]).expect(0);
        let history = self.history();
        let open: Vec<_> = history["deployments"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|deployment| deployment["outcome"].is_null())
            .collect();
        assert!(open.is_empty(), "deployments without an outcome: {open:#?}");
        host::is_clean(&self.lab, 1);
    }
}

/// The shared site's relman.toml: short waits, since a lab is near, and one secret.
fn configuration(lab: &Lab) -> String {
    let hosts = host_line(lab, 1);
    format!(
        "{}\n[run.secrets]\nCANARY = \"env:LAB_CANARY\"\n\n[environments.production]\nvia = \"ansible\"\n\
         drain_seconds = 3\n{}\nhosts = [{hosts}]\n",
        head(lab, "web"),
        access(lab)
    )
}

/// The sections that every site of the suite has. `[run.health]` is last.
pub(crate) fn head(lab: &Lab, repository: &str) -> String {
    let ansible = root().join("ansible");
    format!(
        r#"[service]
name = "web"

[image]
repository = "{}/{repository}"
build_args = {{ BASE_IMAGE = "{}" }}

[ledger]
id = "{}"

[lease]
seconds = 10

[ansible]
directory = "{}"

[run]
port = 8000
memory_mib = 128

[run.health]
interval_ms = 200
good_probes = 2
start_period_seconds = 15
"#,
        lab.registry,
        lab.base_image,
        random(),
        shown(&ansible)
    )
}

pub(crate) fn access(lab: &Lab) -> String {
    format!("access = {{ user = \"{}\", key = \"{}\" }}", lab.user, shown(&lab.key))
}

pub(crate) fn host_line(lab: &Lab, number: usize) -> String {
    format!(
        r#"{{ name = "host{number}", address = "{}", port = {}, host_keys = ["{}"] }}"#,
        lab.hosts[number - 1],
        lab.ssh_port,
        lab.host_key(number)
    )
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
