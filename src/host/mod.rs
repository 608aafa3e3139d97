//! The fleet port: performs a request on hosts and brings back each host's own answer.
//!
//! It takes many hosts at once because the ways differ there: Ansible runs one playbook for all of them, SSH opens
//! a connection each. A failure of one host is that host's result and never the others'.

#[cfg(feature = "cli")]
pub mod ansible;
#[cfg(test)]
pub mod contract;
#[cfg(test)]
pub mod fake;
#[cfg(feature = "cli")]
pub mod local;
#[cfg(feature = "cli")]
pub mod play;
#[cfg(feature = "cli")]
pub mod playbook;
#[cfg(feature = "cli")]
pub mod roles;
#[cfg(feature = "cli")]
pub mod ssh;
#[cfg(feature = "cli")]
pub mod ssm;
pub mod wire;

use crate::domain::id::{Digest, EnvironmentName, HostName, ServiceName, Token};
use crate::domain::release::ReleaseRef;
use wire::redact::Redactor;
use wire::{Command, HostError, Observation, PROTOCOL, Request};

/// In whose name hosts are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The ledger that the hosts belong to.
    pub ledger: Token,
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
}

impl Identity {
    /// A command as a request.
    pub fn request(&self, command: &Command) -> Request {
        Request {
            protocol: PROTOCOL,
            ledger: self.ledger.clone(),
            service: self.service.clone(),
            environment: self.environment.clone(),
            command: command.clone(),
        }
    }
}

/// What is asked of hosts.
#[derive(Debug, Clone)]
pub struct Task {
    /// What `relman-host` is told.
    pub command: Command,
    /// What will serve, for a way that has no `relman-host` on the other side.
    pub candidate: Option<ReleaseRef>,
    /// What served before, for the same.
    pub return_point: Option<ReleaseRef>,
}

impl Task {
    /// A command that is about no release.
    pub fn bare(command: Command) -> Self {
        Self { command, candidate: None, return_point: None }
    }
}

/// What one host says.
pub type HostResult = Result<Observation, HostError>;

/// What one host answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The host.
    pub host: HostName,
    /// What it says.
    pub result: HostResult,
}

/// Replies of all hosts, with the log of whatever carried the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replies {
    /// One for each host that was asked, in no order.
    pub replies: Vec<Reply>,
    /// What the carrier printed (a playbook's output), redacted; kept as an artifact of the step.
    pub log: Option<String>,
}

/// Most characters of a message.
const MESSAGE: usize = 600;

impl Replies {
    /// The replies without these secrets, and then with messages of a bearable length.
    #[must_use]
    pub fn without(self, redactor: &Redactor) -> Self {
        let clean = |reply: Reply| Reply {
            host: reply.host,
            result: reply.result.map_err(|error| {
                let error = redactor.error(error);
                HostError { message: error.message.chars().take(MESSAGE).collect(), ..error }
            }),
        };
        Self {
            replies: self.replies.into_iter().map(clean).collect(),
            log: self.log.map(|log| redactor.text(&log)),
        }
    }
}

/// The port.
#[async_trait::async_trait]
pub trait Fleet: Send + Sync {
    /// The way it takes, for messages: `ansible`, `local`.
    fn way(&self) -> &'static str;

    /// Whether it can tell what runs on a host. Where it cannot, an [`Observation`] repeats what was asked for, and
    /// nobody may take it for the truth.
    fn sees(&self) -> bool;

    /// Every host of the environment.
    fn hosts(&self) -> Vec<HostName>;

    /// Hash of what [`Fleet::configure`] would apply; none where hosts are not configured by relman. A host whose
    /// [`Observation::configured`] is the same needs no configuring.
    fn configuration(&self) -> Option<Digest>;

    /// Brings hosts into shape: engine, proxy, relman-host. Idempotent.
    async fn configure(&self, hosts: &[HostName]) -> Replies;

    /// Performs a task on each of these hosts. Always one reply for each.
    async fn perform(&self, hosts: &[HostName], task: &Task) -> Replies;
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::HostErrorCode;

    #[test]
    fn invariant_10_replies_are_freed_of_secrets_before_they_are_cut() {
        let message = format!("{}hunter22", "x".repeat(MESSAGE - 4));
        let error = HostError::new(HostErrorCode::NoAnswer, message);
        let reply = Reply { host: "host1".parse().unwrap(), result: Err(error) };
        let replies = Replies { replies: vec![reply], log: Some("fatal: hunter22".to_owned()) };
        let shown = replies.without(&Redactor::default().and("key", "hunter22"));
        assert_eq!(shown.log.unwrap(), "fatal: [secret key]");
        let message = &shown.replies[0].result.as_ref().unwrap_err().message;
        assert!(!message.contains("hunt") && message.chars().count() <= MESSAGE, "{message}");
    }
}
