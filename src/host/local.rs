//! Fleet of one: this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::play::Tool;
use super::play::inventory::Way;
use super::play::outcome;
use super::roles::{self, Roles};
use super::wire::redact::Redactor;
use super::wire::{HostAddress, HostError, HostErrorCode};
use super::{Fleet, HostResult, Identity, Replies, Reply, Task};
use crate::child;
use crate::domain::id::{Digest, HostName};

/// Where the roles install it.
pub const INSTALLED: &str = "/usr/local/bin/relman-host";

/// The fleet.
#[derive(Debug)]
pub struct Local {
    identity: Identity,
    tool: Tool,
    host: HostAddress,
    roles: Roles,
    installed: PathBuf,
}

/// The arguments that run relman-host: root needs no sudo, and may have none.
pub fn argv(installed: &Path, is_root: bool) -> Vec<OsString> {
    let mut argv: Vec<OsString> = if is_root { Vec::new() } else { vec!["sudo".into(), "-n".into()] };
    argv.extend([installed.into(), "perform".into()]);
    argv
}

impl Local {
    /// This machine under a name.
    pub fn new(identity: Identity, tool: Tool, name: HostName, roles: Roles) -> Self {
        let host = HostAddress {
            name,
            address: "localhost".to_owned(),
            port: 22,
            user: None,
            host_keys: Vec::new(),
        };
        Self { identity, tool, host, roles, installed: INSTALLED.into() }
    }

    async fn ask(&self, task: &Task) -> HostResult {
        if !self.installed.is_file() {
            let message = format!("{} is not there", self.installed.display());
            return Err(HostError::new(HostErrorCode::NotInstalled, message));
        }
        let argv = argv(&self.installed, rustix::process::geteuid().is_root());
        let (program, arguments) =
            argv.split_first().ok_or_else(|| no_answer("nothing to run".to_owned()))?;
        let mut command = tokio::process::Command::new(program);
        // It acts as root: nothing of the caller's environment may reach it.
        command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        // A request is made of maps with text keys: it always has a form in JSON.
        let request = serde_json::to_vec(&self.identity.request(&task.command)).unwrap_or_default();
        match child::run(command, &request).await {
            Ok(printed) => outcome::answer(printed.rc, &printed.stdout, &printed.stderr),
            Err(error) => Err(no_answer(format!("relman-host cannot be run: {error}"))),
        }
    }

    /// The replies for hosts of which only one can be this machine.
    fn others(&self, hosts: &[HostName]) -> Vec<Reply> {
        let others = hosts.iter().filter(|host| **host != self.host.name);
        let error = HostError::new(HostErrorCode::Unreachable, "it is not this machine");
        others.map(|host| Reply { host: host.clone(), result: Err(error.clone()) }).collect()
    }
}

fn no_answer(message: String) -> HostError {
    HostError::new(HostErrorCode::NoAnswer, message)
}

#[async_trait::async_trait]
impl Fleet for Local {
    fn way(&self) -> &'static str {
        "local"
    }

    fn sees(&self) -> bool {
        true
    }

    fn hosts(&self) -> Vec<HostName> {
        vec![self.host.name.clone()]
    }

    fn configuration(&self) -> Option<Digest> {
        Some(self.roles.configuration(&self.identity))
    }

    async fn configure(&self, hosts: &[HostName]) -> Replies {
        let mut replies = Replies::default();
        if hosts.contains(&self.host.name) {
            replies = self.roles.configure(&self.identity, &self.tool, &Way::Local, &[&self.host]).await;
        }
        replies.replies.extend(self.others(hosts));
        replies
    }

    async fn perform(&self, hosts: &[HostName], task: &Task) -> Replies {
        let mut replies = Replies { replies: self.others(hosts), log: None };
        if hosts.contains(&self.host.name) {
            replies.replies.push(Reply { host: self.host.name.clone(), result: self.ask(task).await });
        }
        let request = roles::encoded(&self.identity, &task.command);
        replies.without(&Redactor::of(&task.command).and("request", &request))
    }
}
