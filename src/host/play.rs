//! One run of `ansible-playbook`: its arguments and environment as values, its process group, what came of each host.
//!
//! Variables may hold secrets. They go through a named pipe, so that they are in no argument list and never on a
//! disk; standard input will not do, since ansible-core 2.19 resolves `/dev/stdin` to a name that cannot be opened.
//! What else it needs as files (inventory, pinned host keys, results) holds no secret. All of it lies in a directory
//! that only this user may read, and goes away with it.

pub mod inventory;
pub mod outcome;
mod pipe;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::child::folder::{Folder, VARIABLES};
use crate::child::{self, Program};
use crate::domain::id::HostName;
use crate::host::wire::HostAddress;
use inventory::{AddressError, Files, Way};
use outcome::Outcome;

/// The callback plugin, for playbooks that have it nowhere near.
const CALLBACK: &str = include_str!("../../ansible/callback_plugins/relman.py");

const INVENTORY: &str = "inventory.json";

/// How `ansible-playbook` is found and what it is given of this process's environment.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The command, a name on `PATH` or a path.
    pub command: String,
    /// The environment that it inherits from, as the command line found it.
    pub environment: BTreeMap<OsString, OsString>,
}

impl Tool {
    /// What `--version` says. The command gets the same environment as for a playbook of relman's own.
    ///
    /// # Errors
    /// When it is not there, cannot be run, or fails.
    pub async fn version(&self) -> Result<String, PlayError> {
        let nowhere = Path::new("/");
        let mut command = tokio::process::Command::new(&self.command);
        let mut given = environment(&self.environment, Owner::Relman, nowhere, nowhere);
        given.retain(|name, _| !name.to_string_lossy().starts_with("ANSIBLE_"));
        command.arg("--version").env_clear().envs(given);
        let what = || format!("{} --version", self.command);
        let printed = child::run(command, &[]).await.map_err(|source| failed(what())(source))?;
        if printed.rc != 0 {
            let said = printed.stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
            let source = io::Error::other(said.to_owned());
            return Err(failed(format!("{} (exit code {}: {said})", what(), printed.rc))(source));
        }
        Ok(printed.stdout)
    }
}

/// Whose playbook it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// relman's own: a clean environment and the settings of the directory's `ansible.cfg`.
    Relman,
    /// The team's: it may count on the caller's environment and on its own settings.
    Team,
}

/// One run.
#[derive(Debug)]
pub struct Play<'a> {
    /// The command.
    pub tool: &'a Tool,
    /// Whose it is.
    pub owner: Owner,
    /// The playbook; it is run in its directory.
    pub playbook: &'a Path,
    /// The hosts, as they are reached.
    pub hosts: &'a [&'a HostAddress],
    /// How.
    pub way: &'a Way,
    /// Extra variables. May hold secrets.
    pub variables: Map<String, Value>,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Played {
    /// Of each host that said something.
    pub outcomes: BTreeMap<HostName, Outcome>,
    /// What was printed, standard output first. Not redacted.
    pub log: String,
}

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// Ansible is not there.
    #[error(
        "{command} is not installed; install it with `python3 -m venv .venv && .venv/bin/pip install -r {requirements}` and put .venv/bin on PATH"
    )]
    NoAnsible {
        /// The command.
        command: String,
        /// Where it is pinned.
        requirements: PathBuf,
    },
    /// The playbook is not there.
    #[error("there is no playbook {0}; `relman init` writes relman's own")]
    NoPlaybook(PathBuf),
    /// A host cannot be written into an inventory.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The operating system did not let it run.
    #[error("{what} failed: {kind}")]
    Io {
        /// What was tried.
        what: String,
        /// What kind of failure.
        kind: io::ErrorKind,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> PlayError {
    let what = what.into();
    move |source| PlayError::Io { what, kind: source.kind(), source }
}

/// The arguments: files and constants, nothing that a request holds.
pub fn argv(playbook: &Path, files: &Path) -> Vec<OsString> {
    let mut variables = OsString::from("@");
    variables.push(files.join(VARIABLES));
    ["-i".into(), files.join(INVENTORY).into(), "-e".into(), variables, playbook.into()].into()
}

/// Variables of the caller that relman's own playbooks get to see. No others: they may be secrets.
const INHERITED: [&str; 15] = [
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LOGNAME",
    "PATH",
    "SSH_AGENT_PID",
    "SSH_AUTH_SOCK",
    "TEMP",
    "TERM",
    "TMP",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_RUNTIME_DIR",
];

/// The environment of a run.
pub fn environment(
    inherited: &BTreeMap<OsString, OsString>,
    owner: Owner,
    playbook: &Path,
    files: &Path,
) -> BTreeMap<OsString, OsString> {
    let mut environment = inherited.clone();
    if owner == Owner::Relman {
        environment.retain(|name, _| INHERITED.iter().any(|known| name == known));
        let settings = playbook.with_file_name("ansible.cfg");
        environment.insert("ANSIBLE_CONFIG".into(), settings.into());
        environment.insert("ANSIBLE_INVENTORY_ENABLED".into(), "yaml".into());
    }
    let text = |name: &str| environment.get(&OsString::from(name)).and_then(|value| value.to_str());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(text).find(|value| !value.is_empty());
    let is_utf8 = locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.ends_with("utf-8") || locale.ends_with("utf8")
    });
    if !is_utf8 {
        // Ansible refuses to start in another locale.
        environment.insert("LC_ALL".into(), "C.UTF-8".into());
    }
    let settings: [(&str, OsString); 10] = [
        ("ANSIBLE_CALLBACK_PLUGINS", files.into()),
        ("ANSIBLE_CALLBACKS_ENABLED", "relman".into()),
        ("ANSIBLE_NOCOLOR", "1".into()),
        ("ANSIBLE_FORCE_COLOR", "0".into()),
        ("ANSIBLE_HOST_KEY_CHECKING", "1".into()),
        ("ANSIBLE_INVENTORY_UNPARSED_FAILED", "1".into()),
        ("ANSIBLE_PIPELINING", "1".into()),
        ("ANSIBLE_RETRY_FILES_ENABLED", "0".into()),
        ("PYTHONUNBUFFERED", "1".into()),
        ("RELMAN_RESULTS", files.join("results").into()),
    ];
    environment.extend(settings.map(|(name, value)| (name.into(), value)));
    environment
}

impl Play<'_> {
    /// Runs it to its end. Dropping the future ends the process and what it started.
    ///
    /// # Errors
    /// Where it could not be run at all; what failed on a host is that host's outcome.
    pub async fn run(self) -> Result<Played, PlayError> {
        if !self.playbook.is_file() {
            return Err(PlayError::NoPlaybook(self.playbook.to_owned()));
        }
        let directory = Folder::make().map_err(failed("making a temporary directory"))?;
        let files = Files::of(self.hosts, self.way, directory.path())?;
        let write = |path: &Path, text: &str| {
            std::fs::write(path, text).map_err(failed(format!("writing {}", path.display())))
        };
        write(&directory.path().join(INVENTORY), &files.inventory)?;
        write(&directory.path().join("known_hosts"), &files.known_hosts)?;
        write(&directory.path().join("relman.py"), CALLBACK)?;

        let playbook = self.playbook.canonicalize().map_err(failed(self.playbook.display().to_string()))?;
        // A relman that is killed takes the playbook with it: it would wait for its variables for ever.
        let mut program = Program::new(&self.tool.command);
        program
            .command
            .args(argv(&playbook, directory.path()))
            .env_clear()
            .envs(environment(&self.tool.environment, self.owner, &playbook, directory.path()))
            .current_dir(playbook.parent().unwrap_or(Path::new("/")));
        let variables = Value::Object(self.variables).to_string().into_bytes();
        let variables = pipe::offer(directory.path().join(VARIABLES), variables)
            .map_err(failed("making a named pipe"))?;
        let no_ansible = || PlayError::NoAnsible {
            command: self.tool.command.clone(),
            requirements: playbook.with_file_name("requirements.txt"),
        };
        let printed = program.run(std::future::pending()).await.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => no_ansible(),
            _ => failed(format!("running {}", self.tool.command))(source),
        })?;
        drop(variables);
        let results = std::fs::read_to_string(directory.path().join("results")).unwrap_or_default();
        Ok(Played { outcomes: outcome::read(&results), log: printed.stdout + &printed.stderr })
    }
}

#[cfg(test)]
mod tests;
