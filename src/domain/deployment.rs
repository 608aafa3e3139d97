//! A deployment: one attempt to make an environment run a release. Where it is, how it ended and what was thought
//! of it later are three facts.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::id::{DeploymentNumber, Digest, HostName, Token};
use super::release::ReleaseRef;
use super::time::Timestamp;
use super::version::Version;

/// Why a deployment exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Another release.
    Deploy,
    /// Back to an earlier one.
    Rollback,
    /// The release that serves, again: its configuration or its hosts moved.
    Redeploy,
}

/// Where an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Recorded, not planned yet.
    Pending,
    /// Planned; people have to approve before a host is touched.
    Waiting,
    /// Hosts are configured, images pulled, the new slot probed. No traffic.
    Preparing,
    /// Traffic moves.
    RollingOut,
    /// All traffic is on the new release, which is watched.
    Baking,
    /// Beyond the pivot: hosts confirm and retire the old slot.
    Finishing,
    /// On the way back to the return point.
    RollingBack,
    /// There is an outcome.
    Ended,
}

/// How an attempt ended; written once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every host serves the release and confirmed it.
    Succeeded,
    /// It ended before any traffic reached the release.
    Failed,
    /// Traffic reached the release, and every host is back at the return point.
    RolledBack,
    /// Some host is not back: a human is needed.
    RollbackFailed,
    /// Somebody aborted it before any traffic reached the release.
    Cancelled,
    /// An approval was refused.
    Rejected,
    /// A newer deployment took its place.
    Superseded,
}

/// What is thought of a release in an environment, after the fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It succeeded here and nothing was said against it since.
    Proven,
    /// It failed here on its own, or somebody said so.
    Faulty,
    /// A rollback took it back.
    Withdrawn,
}

/// The name of an enum as JSON and people know it.
macro_rules! shown_as_in_json {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.serialize(f)
            }
        }
    )+};
}

shown_as_in_json!(Kind, Phase, Outcome, Verdict);

/// The release that a deployment goes back to, with the run configuration that it had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnPoint {
    /// The deployment that made it serve.
    pub number: DeploymentNumber,
    /// The release.
    pub release: ReleaseRef,
    /// Its run configuration, an artifact.
    pub run: Digest,
}

/// Everything that `history` and `show` need of one deployment; the projection of its entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Its number in the environment.
    pub number: DeploymentNumber,
    /// Why it exists.
    pub kind: Kind,
    /// What it makes serve.
    pub release: ReleaseRef,
    /// Where it is.
    pub phase: Phase,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// One line: why it ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Who started it.
    pub actor: Actor,
    /// Why, in the user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What served before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_point: Option<ReturnPoint>,
    /// For a rollback: the deployment that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<DeploymentNumber>,
    /// For a rollback: the releases that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawn>,
    /// For a rollback: whether its success sets a hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sets_hold: bool,
    /// Whether a rollback's hold stays in force when it succeeds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_hold: bool,
    /// For a rollback that was done without the ledger and recorded afterwards: how that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<Offline>,
    /// What it waits for, or waited for, before a step began; none: nobody has to approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// The hosts that it is about.
    pub hosts: Vec<HostName>,
    /// Policies that were overridden, by the name of the flag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
    /// The plan, an artifact; absent until it was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Digest>,
    /// The run configuration, an artifact.
    pub run: Digest,
    /// The versions of secrets that its containers get, by name: of those that are in a store with versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Whether a request may have reached the release.
    pub exposed: bool,
    /// Whether the pivot was passed.
    pub committed: bool,
    /// Entry that began it.
    pub first_seq: u64,
    /// The entry that changed this record last: of one that has an outcome, the last entry about it.
    pub last_seq: u64,
}

/// What people are asked for before a deployment may touch a host, as it was when the deployment was planned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRule {
    /// How many have to approve.
    pub needed: u32,
    /// Whether whoever started it does not count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub four_eyes: bool,
    /// Who may approve, as [`Actor::identity`] names them; empty: everybody who can prove who they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
}

/// Somebody approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Who.
    pub actor: Actor,
    /// When.
    pub at: Timestamp,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What is asked for, and what came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// What is asked for.
    pub rule: ApprovalRule,
    /// What came, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Given>,
}

/// Why an approval does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoApproval {
    /// A name that anybody can give.
    #[error("a name is no identity: only one that a cloud or a CI system signed for counts")]
    NotProven,
    /// Not on the list.
    #[error("this identity is not among those who may approve")]
    NotAsked,
    /// Of the same person.
    #[error("this identity has approved already")]
    Twice,
    /// Of whoever asked for it.
    #[error("whoever started it does not count as the second pair of eyes")]
    Own,
    /// Of another kind than whoever started it, or approved before.
    #[error(
        "this identity is of another kind than that of whoever started or approved it before, and nobody can tell whether two of different kinds are one person"
    )]
    OtherKind,
    /// Nobody can tell whether two pairs of eyes saw it.
    #[error("who started it is not proven, so nobody can tell whether this is a second pair of eyes")]
    StarterNotProven,
}

impl Approval {
    /// Whether enough people approved.
    pub fn is_given(&self) -> bool {
        self.given.len() >= self.rule.needed as usize
    }

    /// Whether an approval counts.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, starter: &Actor, actor: &Actor) -> Result<(), NoApproval> {
        let asked = &self.rule.approvers;
        match () {
            () if !actor.is_proven() => Err(NoApproval::NotProven),
            () if !asked.is_empty() && !asked.iter().any(|one| actor.is(one)) => Err(NoApproval::NotAsked),
            () if self.given.iter().any(|given| actor.is(&given.actor.identity())) => Err(NoApproval::Twice),
            () if self.given.iter().any(|given| given.actor.source != actor.source) => {
                Err(NoApproval::OtherKind)
            }
            () if !self.rule.four_eyes => Ok(()),
            () if !starter.is_proven() => Err(NoApproval::StarterNotProven),
            () if actor.is(&starter.identity()) => Err(NoApproval::Own),
            () if starter.source != actor.source => Err(NoApproval::OtherKind),
            () => Ok(()),
        }
    }
}

/// A stop after a rollback, or one that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Why.
    pub reason: String,
    /// Who set it.
    pub actor: Actor,
    /// When.
    pub since: Timestamp,
    /// The rollback that set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentNumber>,
    /// After a rollback: which commits must not come back. None: no deploy at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawn>,
}

/// The commits that a rollback took back: those of `bad` that are not in `good`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawn {
    /// The release that served and was taken back.
    pub bad: ReleaseRef,
    /// The release that the rollback went to.
    pub good: ReleaseRef,
    /// Every recorded release that holds withdrawn commits, `bad` among them.
    pub versions: Vec<Version>,
}

/// A rollback of hosts while the ledger could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offline {
    /// Tells it from others; hosts that went back together have the same.
    pub nonce: Token,
    /// When, by the clock of whoever did it.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// From what machine.
    pub machine: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Who holds an environment's lease: what a contender is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// Tells one process from another.
    pub nonce: Token,
    /// Who.
    pub actor: Actor,
    /// On what machine.
    pub machine: String,
    /// Its process id there.
    pub pid: u32,
    /// Doing what: `deploy v1.4.2`.
    pub purpose: String,
    /// Since when.
    pub since: Timestamp,
}
