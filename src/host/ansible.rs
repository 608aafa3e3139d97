//! Fleet by Ansible: one `ansible-playbook` for all hosts, requests through a named pipe.
//!
//! Invariants: a secret leaves this process by that pipe alone, and is taken out of what comes back; each host
//! that was asked gets exactly one reply; a host that was reached but gave no answer is not said to be unreachable,
//! since it may have acted.

use super::play::inventory::{Login, Way, addresses};
use super::play::outcome::Outcome;
use super::play::{Owner, Play, Tool};
use super::roles::{self, Roles};
use super::wire::HostAddress;
use super::wire::redact::Redactor;
use super::{Fleet, Identity, Replies, Reply, Task};
use crate::domain::id::{Digest, HostName};

/// The fleet.
#[derive(Debug)]
pub struct Ansible {
    way: Way,
    identity: Identity,
    tool: Tool,
    hosts: Vec<HostAddress>,
    roles: Roles,
}

impl Ansible {
    /// A fleet of these hosts.
    pub fn new(identity: Identity, tool: Tool, hosts: Vec<HostAddress>, login: Login, roles: Roles) -> Self {
        Self { way: Way::Ssh(login), identity, tool, hosts, roles }
    }

    fn addresses(&self, hosts: &[HostName]) -> (Vec<&HostAddress>, Vec<Reply>) {
        addresses(&self.hosts, hosts)
    }
}

#[async_trait::async_trait]
impl Fleet for Ansible {
    fn way(&self) -> &'static str {
        "ansible"
    }

    fn sees(&self) -> bool {
        true
    }

    fn hosts(&self) -> Vec<HostName> {
        self.hosts.iter().map(|host| host.name.clone()).collect()
    }

    fn configuration(&self) -> Option<Digest> {
        Some(self.roles.configuration(&self.identity))
    }

    async fn configure(&self, hosts: &[HostName]) -> Replies {
        let (addresses, unknown) = self.addresses(hosts);
        let mut replies = if addresses.is_empty() {
            Replies::default()
        } else {
            self.roles.configure(&self.identity, &self.tool, &self.way, &addresses).await
        };
        replies.replies.extend(unknown);
        replies
    }

    async fn perform(&self, hosts: &[HostName], task: &Task) -> Replies {
        let (addresses, unknown) = self.addresses(hosts);
        if addresses.is_empty() {
            return Replies { replies: unknown, log: None };
        }
        let request = roles::encoded(&self.identity, &task.command);
        let redactor = Redactor::of(&task.command).and("request", &request);
        let play = Play {
            tool: &self.tool,
            owner: Owner::Relman,
            playbook: &self.roles.directory.join("perform.yml"),
            hosts: &addresses,
            way: &self.way,
            variables: [(roles::REQUEST.to_owned(), request.into())].into_iter().collect(),
        };
        let mut replies = roles::replies(&addresses, play.run().await, Outcome::observation);
        replies.replies.extend(unknown);
        replies.without(&redactor)
    }
}
