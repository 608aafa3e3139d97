//! Fleet by SSM: each host is asked with one command of the Systems Manager, by one document.
//!
//! A host needs no address and no open port, only its agent. What it costs: the parameters of a command stay in the
//! account's history for 30 days, for everybody who may read it. So no request with a secret is sent this way.
//!
//! Invariants: a request with secrets is refused before anything is sent; a command is sent once, never again after
//! an answer that was lost, since a late second one could act after a revert; a command that was given up is
//! cancelled; what was never delivered never ran, and of everything else nobody knows until a whole answer is there.

mod api;
mod status;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;

use self::api::Api;
use self::status::State;
use super::play::inventory::addresses;
use super::roles;
use super::wire::redact::Redactor;
use super::wire::{Command, HostAddress, HostError, HostErrorCode};
use super::{Fleet, HostResult, Identity, Replies, Reply, Task};
use crate::aws::Chain;
use crate::clock::Clock;
use crate::domain::id::{Digest, HostName};

/// Hosts that are asked at once. SSM takes few calls a second from one account.
const AT_ONCE: usize = 10;

/// Longest request: the parameters of a command have a limit, and a request without secrets is far below it.
const LONGEST: usize = 32 * 1024;

/// How long a command may take, with the pull of an image.
const LIMIT: Duration = Duration::from_secs(900);

/// Between two looks at a command, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(3));

/// The fleet.
pub struct Ssm {
    identity: Identity,
    hosts: Vec<HostAddress>,
    api: Api,
    clock: Arc<dyn Clock>,
}

impl Ssm {
    /// A fleet of these hosts, whose addresses are the ids of instances.
    pub fn new(
        identity: Identity,
        hosts: Vec<HostAddress>,
        document: String,
        chain: Arc<Chain>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { identity, hosts, api: Api::new(document, chain), clock }
    }

    async fn reply(&self, host: &HostAddress, request: &str, turns: &Semaphore) -> Reply {
        // It is never closed.
        let _turn = turns.acquire().await;
        Reply { host: host.name.clone(), result: self.ask(&host.address, request).await }
    }

    async fn ask(&self, instance: &str, request: &str) -> HostResult {
        let command = self.api.send(instance, request, &*self.clock).await?;
        let mut pause = PAUSES.0;
        // By the clock and not by the pauses: a look that hangs takes time too.
        let start = self.clock.elapsed();
        while self.clock.elapsed().saturating_sub(start) < LIMIT {
            self.clock.sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSES.1);
            match self.api.look(instance, &command).await? {
                State::Open => {}
                State::Ended(result) => return *result,
            }
        }
        let cancelled = match self.api.cancel(instance, &command).await {
            Ok(()) => "was asked to stop".to_owned(),
            Err(fault) => format!("could not be cancelled and may still run ({fault})"),
        };
        let message = format!(
            "no answer within {} s; the command {command} {cancelled}, and whether the host acted is not known",
            LIMIT.as_secs()
        );
        Err(HostError::new(HostErrorCode::NoAnswer, message))
    }
}

/// Why a task cannot go this way.
fn refusal(command: &Command, request: &str) -> Option<HostError> {
    if let Command::Prepare { secrets, .. } = command
        && !secrets.is_empty()
    {
        let message = "the release has secrets, and via = \"ssm\" carries none: SSM keeps what it carries in the \
                       account's history; reach the hosts by ssh or ansible through a bastion instead";
        return Some(HostError::new(HostErrorCode::Refused, message));
    }
    (request.len() > LONGEST).then(|| {
        let message =
            format!("the request has {} bytes, and SSM takes {LONGEST}: shorten run.env", request.len());
        HostError::new(HostErrorCode::Refused, message)
    })
}

#[async_trait::async_trait]
impl Fleet for Ssm {
    fn way(&self) -> &'static str {
        "ssm"
    }

    fn sees(&self) -> bool {
        true
    }

    fn hosts(&self) -> Vec<HostName> {
        self.hosts.iter().map(|host| host.name.clone()).collect()
    }

    fn configuration(&self) -> Option<Digest> {
        None
    }

    async fn configure(&self, hosts: &[HostName]) -> Replies {
        let (addresses, unknown) = addresses(&self.hosts, hosts);
        let message =
            "via = \"ssm\" configures no host: put relman-host into its image, or run the roles by Ansible";
        let mut replies = roles::all(&addresses, &HostError::new(HostErrorCode::NotInstalled, message));
        replies.replies.extend(unknown);
        replies
    }

    async fn perform(&self, hosts: &[HostName], task: &Task) -> Replies {
        let (addresses, unknown) = addresses(&self.hosts, hosts);
        // A request is made of maps with text keys: it always has a form in JSON. In base64 nothing in it can mean
        // anything to the shell of the document, which takes no other letters.
        let request = serde_json::to_vec(&self.identity.request(&task.command)).unwrap_or_default();
        let request = aws_smithy_types::base64::encode(request);
        let mut replies = match refusal(&task.command, &request) {
            Some(error) => roles::all(&addresses, &error),
            None => {
                let turns = Semaphore::new(AT_ONCE);
                let asking: FuturesUnordered<_> = FuturesUnordered::new();
                for host in addresses {
                    asking.push(self.reply(host, &request, &turns));
                }
                Replies { replies: asking.collect().await, log: None }
            }
        };
        replies.replies.extend(unknown);
        replies.without(&Redactor::of(&task.command).and("request", &request))
    }
}

#[cfg(test)]
mod tests;
