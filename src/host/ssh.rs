//! Fleet by SSH: each host is asked directly, on one connection that all steps share.
//!
//! Invariants: a request, with its secrets, goes to the standard input of `relman-host` and nowhere else; a host
//! whose key is not the right one is told nothing; what failed before the command was asked for never ran, and after
//! that nobody knows. Hosts are brought into shape by Ansible's roles, as with every other way.

mod ask;
mod config;
mod keys;
mod link;
mod pattern;
mod pool;
mod target;
mod trust;

use std::path::PathBuf;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;

use self::config::SshConfig;
use self::link::Timing;
use self::pool::Pool;
use self::target::Target;
use super::play::Tool;
use super::play::inventory::{Login, Way, addresses};
use super::roles::{self, Roles};
use super::wire::redact::Redactor;
use super::wire::{HostAddress, HostError, HostErrorCode};
use super::{Fleet, HostResult, Identity, Replies, Reply, Task};
use crate::domain::id::{Digest, HostName};

/// Hosts that are asked at once.
const AT_ONCE: usize = 32;

/// How to log in, and what of this machine matters for it.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// What the configuration says.
    pub login: Login,
    /// Who runs relman: the user to log in as where nothing names one.
    pub user: Option<String>,
    /// The home directory, with `.ssh` in it.
    pub home: Option<PathBuf>,
    /// The socket of the SSH agent.
    pub agent: Option<PathBuf>,
}

/// The fleet.
pub struct Ssh {
    identity: Identity,
    tool: Tool,
    hosts: Vec<HostAddress>,
    access: Access,
    /// None: hosts are taken as they are.
    roles: Option<Roles>,
    timing: Timing,
    pool: Pool,
}

impl Ssh {
    /// A fleet of these hosts. Without roles it never configures one.
    pub fn new(
        identity: Identity,
        tool: Tool,
        hosts: Vec<HostAddress>,
        access: Access,
        roles: Option<Roles>,
    ) -> Self {
        Self { identity, tool, hosts, access, roles, timing: Timing::default(), pool: Pool::default() }
    }

    /// The user's `~/.ssh/config`.
    fn config(&self) -> Result<SshConfig, HostError> {
        let Some(home) = &self.access.home else { return Ok(SshConfig::default()) };
        SshConfig::read(&home.join(".ssh/config"), Some(home)).map_err(unreachable)
    }

    async fn ask(
        &self,
        host: &HostAddress,
        config: &Result<SshConfig, HostError>,
        request: &[u8],
    ) -> HostResult {
        let config = config.as_ref().map_err(Clone::clone)?;
        let target = Target::of(host, &self.access, config).map_err(unreachable)?;
        let (link, is_old) = self.pool.link(&target, self.timing).await.map_err(unreachable)?;
        let channel = match link.channel(self.timing).await {
            Ok(channel) => channel,
            // It may have ended since the last request, and nothing was run on it: once more on a new one.
            Err(_) if is_old => {
                self.pool.forget(&target).await;
                let (link, _) = self.pool.link(&target, self.timing).await.map_err(unreachable)?;
                link.channel(self.timing).await.map_err(unreachable)?
            }
            Err(error) => return Err(unreachable(error)),
        };
        ask::ask(channel, request, self.timing).await.map_err(|error| self.with_hint(error))
    }

    async fn reply(
        &self,
        host: &HostAddress,
        config: &Result<SshConfig, HostError>,
        request: &[u8],
        turns: &Semaphore,
    ) -> Reply {
        // It is never closed.
        let _turn = turns.acquire().await;
        Reply { host: host.name.clone(), result: self.ask(host, config, request).await }
    }

    /// What to do about a host that was never configured, where the fleet does not configure it.
    fn with_hint(&self, error: HostError) -> HostError {
        if error.code != HostErrorCode::NotInstalled || self.roles.is_some() {
            return error;
        }
        let message = format!("{}; `relman deploy` installs it, by Ansible", error.message);
        HostError { message, ..error }
    }
}

fn unreachable(error: impl std::fmt::Display) -> HostError {
    HostError::new(HostErrorCode::Unreachable, error.to_string())
}

#[async_trait::async_trait]
impl Fleet for Ssh {
    fn way(&self) -> &'static str {
        "ssh"
    }

    fn sees(&self) -> bool {
        true
    }

    fn hosts(&self) -> Vec<HostName> {
        self.hosts.iter().map(|host| host.name.clone()).collect()
    }

    fn configuration(&self) -> Option<Digest> {
        self.roles.as_ref().map(|roles| roles.configuration(&self.identity))
    }

    async fn configure(&self, hosts: &[HostName]) -> Replies {
        let (addresses, unknown) = addresses(&self.hosts, hosts);
        let way = Way::Ssh(self.access.login.clone());
        let mut replies = match &self.roles {
            Some(roles) if !addresses.is_empty() => {
                roles.configure(&self.identity, &self.tool, &way, &addresses).await
            }
            Some(_) => Replies::default(),
            None => roles::all(
                &addresses,
                &HostError::new(HostErrorCode::NotInstalled, "`relman deploy` configures it, by Ansible"),
            ),
        };
        replies.replies.extend(unknown);
        replies
    }

    async fn perform(&self, hosts: &[HostName], task: &Task) -> Replies {
        let (addresses, unknown) = addresses(&self.hosts, hosts);
        // A request is made of maps with text keys: it always has a form in JSON.
        let request = serde_json::to_vec(&self.identity.request(&task.command)).unwrap_or_default();
        let config = self.config();
        let turns = Semaphore::new(AT_ONCE);
        let asking: FuturesUnordered<_> = FuturesUnordered::new();
        for host in addresses {
            asking.push(self.reply(host, &config, &request, &turns));
        }
        let mut replies: Vec<Reply> = asking.collect().await;
        replies.extend(unknown);
        let redactor = Redactor::of(&task.command).and("request", &String::from_utf8_lossy(&request));
        Replies { replies, log: None }.without(&redactor)
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
