//! Fleet by the team's own playbook, which takes the image reference and replaces a container.
//!
//! The playbook is all there is: only `shift` and `revert` run it, the first with the candidate, the second with the
//! return point. Everything else is answered with what was asked for, which nobody may take for the truth
//! ([`Fleet::sees`] is false). `docs/own-playbook.md` says what that cannot give.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::play::inventory::{Login, Way, addresses};
use super::play::outcome::Outcome;
use super::play::{Owner, Play, Tool};
use super::roles;
use super::wire::redact::Redactor;
use super::wire::{Authority, Command, HostAddress, HostError, HostErrorCode, Observation, Slot, SlotView};
use super::{Fleet, HostResult, Identity, Replies, Reply, Task};
use crate::domain::id::{Digest, HostName};
use crate::domain::release::ReleaseRef;

/// The fleet.
#[derive(Debug)]
pub struct OwnPlaybook {
    way: Way,
    identity: Identity,
    tool: Tool,
    hosts: Vec<HostAddress>,
    playbook: PathBuf,
}

impl OwnPlaybook {
    /// A fleet of these hosts, changed by this playbook.
    pub fn new(
        identity: Identity,
        tool: Tool,
        hosts: Vec<HostAddress>,
        login: Login,
        playbook: PathBuf,
    ) -> Self {
        Self { way: Way::Ssh(login), identity, tool, hosts, playbook }
    }

    /// What the playbook is told.
    fn variables(
        &self,
        authority: &Authority,
        to: &ReleaseRef,
        from: Option<&ReleaseRef>,
    ) -> Map<String, Value> {
        let previous = from.map(ReleaseRef::image).unwrap_or_default();
        let variables: [(&str, Value); 7] = [
            ("relman_image", to.image().into()),
            ("relman_version", to.version.to_string().into()),
            ("relman_commit", to.commit.as_str().into()),
            ("relman_service", self.identity.service.as_str().into()),
            ("relman_environment", self.identity.environment.as_str().into()),
            ("relman_deployment", authority.deployment.into()),
            ("relman_previous_image", previous.into()),
        ];
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    async fn run(
        &self,
        hosts: &[HostName],
        authority: &Authority,
        to: &ReleaseRef,
        from: Option<&ReleaseRef>,
    ) -> Replies {
        let (addresses, unknown) = addresses(&self.hosts, hosts);
        if to.image().contains(['{', '}']) {
            let error = HostError::new(HostErrorCode::Refused, "the repository's name is not valid");
            return roles::all(&addresses, &error);
        }
        let play = Play {
            tool: &self.tool,
            owner: Owner::Team,
            playbook: &self.playbook,
            hosts: &addresses,
            way: &self.way,
            variables: self.variables(authority, to, from),
        };
        let now = assumed(Some((authority, to)));
        let read = |outcome: &Outcome| match outcome {
            Outcome::Done => Ok(now.clone()),
            // Whatever it is that answers there, it is not relman-host.
            Outcome::Answer { .. } => {
                Err(HostError::new(HostErrorCode::Playbook, "the playbook did not end"))
            }
            Outcome::Failed { .. } | Outcome::Unreachable { .. } => outcome.observation(),
        };
        let mut replies = roles::replies(&addresses, play.run().await, read);
        replies.replies.extend(unknown);
        replies.without(&Redactor::default())
    }
}

/// What is said to be so: this release serves.
fn assumed(serving: Option<(&Authority, &ReleaseRef)>) -> Observation {
    let view = serving.map(|(authority, release)| SlotView {
        slot: Slot::Blue,
        release: release.clone(),
        deployment: authority.deployment,
        running_digest: None,
        running: true,
        healthy: true,
        restarts: 0,
        weight: 100,
        since: None,
    });
    Observation {
        agent: "playbook".to_owned(),
        configured: None,
        fence: serving.map(|(authority, _)| authority.fence.clone()),
        committed: view.as_ref().map(|view| view.slot),
        slots: view.into_iter().collect(),
        trial: None,
        offline: None,
    }
}

fn each(hosts: &[HostName], result: &HostResult) -> Replies {
    let reply = |host: &HostName| Reply { host: host.clone(), result: result.clone() };
    Replies { replies: hosts.iter().map(reply).collect(), log: None }
}

#[async_trait::async_trait]
impl Fleet for OwnPlaybook {
    fn way(&self) -> &'static str {
        "playbook"
    }

    fn sees(&self) -> bool {
        false
    }

    fn hosts(&self) -> Vec<HostName> {
        self.hosts.iter().map(|host| host.name.clone()).collect()
    }

    fn configuration(&self) -> Option<Digest> {
        None
    }

    async fn configure(&self, hosts: &[HostName]) -> Replies {
        each(hosts, &Ok(assumed(None)))
    }

    async fn perform(&self, hosts: &[HostName], task: &Task) -> Replies {
        let (candidate, back) = (task.candidate.as_ref(), task.return_point.as_ref());
        match &task.command {
            Command::Shift { authority, .. } => match candidate {
                Some(to) => self.run(hosts, authority, to, back).await,
                None => each(hosts, &Err(HostError::new(HostErrorCode::Refused, "no release to shift to"))),
            },
            Command::Revert { authority } => match back {
                Some(to) => self.run(hosts, authority, to, candidate).await,
                // Nothing served before: there is nothing to run, and the container stays.
                None => each(hosts, &Ok(assumed(None))),
            },
            Command::Commit { authority } | Command::Retire { authority, .. } => {
                each(hosts, &Ok(assumed(candidate.map(|release| (authority, release)))))
            }
            Command::Claim { authority }
            | Command::Prepare { authority, .. }
            | Command::Discard { authority } => {
                each(hosts, &Ok(assumed(back.map(|release| (authority, release)))))
            }
            Command::Observe {} => each(hosts, &Ok(assumed(None))),
            Command::FallBack(_) | Command::Reopen { .. } => {
                let text = "a playbook of your own keeps no earlier release on its hosts: run it by hand with the digest to serve";
                each(hosts, &Err(HostError::new(HostErrorCode::Refused, text)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
