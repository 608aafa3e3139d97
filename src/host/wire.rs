//! The requests that `relman-host` understands and what it answers: JSON on stdin, one JSON answer on stdout, the
//! verdict as exit code. Whoever carries it (Ansible, a local process, later SSH and SSM) never looks inside.

pub mod address;
pub mod offline;
pub mod redact;

pub use address::{Bastion, HostAddress};

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::deployment::Kind;
use crate::domain::id::{DeploymentNumber, Digest, EnvironmentName, Fence, ServiceName, Token};
use crate::domain::release::ReleaseRef;
use crate::domain::run::RunConfig;
use crate::domain::time::Timestamp;
use offline::{FallBack, Mark};

/// Raised when a request or an answer changes its meaning. Both sides refuse another one.
pub const PROTOCOL: u32 = 1;

/// A value that is never shown, logged or compared.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value, for the one place that writes it into its file.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The ledger that the host belongs to; a host refuses another one.
    pub ledger: Token,
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// What to do.
    pub command: Command,
}

/// Who asks: each command that changes something carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// The lease; an older one than the host has seen is refused.
    pub fence: Fence,
    /// The deployment.
    pub deployment: DeploymentNumber,
}

/// What to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Tell what is so. Changes nothing and needs no fence.
    Observe {},
    /// Raise the fence, then tell what is so.
    Claim {
        /// Who asks. The deployment may be 0 when there is none yet.
        authority: Authority,
    },
    /// Pull by digest, start in the idle slot, probe until healthy. No traffic. Done already: nothing.
    Prepare {
        /// Who asks.
        authority: Authority,
        /// What to run.
        release: ReleaseRef,
        /// How to run it.
        run: Box<RunConfig>,
        /// The secrets that `run` refers to, by name.
        secrets: BTreeMap<String, Secret>,
    },
    /// Remove the candidate that this deployment prepared and that takes no traffic. None there: nothing.
    Discard {
        /// Who asks.
        authority: Authority,
    },
    /// Send traffic to the prepared candidate. A deploy opens a trial; a rollback commits at once.
    Shift {
        /// Who asks.
        authority: Authority,
        /// Why the deployment exists.
        kind: Kind,
        /// Percent of requests; only 100 is supported so far, others are refused.
        weight: u8,
    },
    /// Make the open shift of this deployment final. Refused when the host has gone back.
    Commit {
        /// Who asks.
        authority: Authority,
    },
    /// Send all traffic back to the committed slot. No shift open: nothing.
    Revert {
        /// Who asks.
        authority: Authority,
    },
    /// Let the slot that does not serve finish its requests, then stop it.
    Retire {
        /// Who asks.
        authority: Authority,
        /// Seconds that requests may take before they are cut.
        drain_seconds: u64,
    },
    /// Go back without any ledger, and close the host to every lease until the ledger knows. Done already: nothing.
    FallBack(Box<FallBack>),
    /// The ledger knows: open the host to this lease and to those after it. Open already: nothing.
    Reopen {
        /// Who asks.
        authority: Authority,
        /// Which [`FallBack`] was recorded.
        nonce: Token,
    },
}

impl Command {
    /// Its name.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Observe {} => "observe",
            Self::Claim { .. } => "claim",
            Self::Prepare { .. } => "prepare",
            Self::Discard { .. } => "discard",
            Self::Shift { .. } => "shift",
            Self::Commit { .. } => "commit",
            Self::Revert { .. } => "revert",
            Self::Retire { .. } => "retire",
            Self::FallBack(_) => "fall_back",
            Self::Reopen { .. } => "reopen",
        }
    }

    /// Who asks, for all but `observe`, and `fall_back`, which has no lease.
    pub fn authority(&self) -> Option<&Authority> {
        match self {
            Self::Observe {} | Self::FallBack(_) => None,
            Self::Claim { authority }
            | Self::Prepare { authority, .. }
            | Self::Discard { authority }
            | Self::Shift { authority, .. }
            | Self::Commit { authority }
            | Self::Revert { authority }
            | Self::Reopen { authority, .. }
            | Self::Retire { authority, .. } => Some(authority),
        }
    }
}

/// A place on a host where a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// One.
    Blue,
    /// The other.
    Green,
}

impl Slot {
    /// Both.
    pub const ALL: [Slot; 2] = [Slot::Blue, Slot::Green];

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotView {
    /// Which.
    pub slot: Slot,
    /// The release, by the container's labels.
    pub release: ReleaseRef,
    /// The deployment that put it there.
    pub deployment: DeploymentNumber,
    /// The digest that the engine says it runs: compared, never taken from a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_digest: Option<Digest>,
    /// Whether the container runs.
    pub running: bool,
    /// Whether it answers its health check now.
    pub healthy: bool,
    /// Restarts since it was made.
    pub restarts: u64,
    /// Percent of the host's requests that it takes.
    pub weight: u8,
    /// Since when the container runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// An open shift: traffic is on a slot that is not committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialView {
    /// The slot on trial.
    pub slot: Slot,
    /// The deployment that opened it.
    pub deployment: DeploymentNumber,
}

/// What is so on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Version of relman-host.
    pub agent: String,
    /// Hash of the roles and variables that configured the host, as they left it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured: Option<String>,
    /// The highest fence seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<Fence>,
    /// The slots that hold something.
    pub slots: Vec<SlotView>,
    /// The committed slot: what serves when nothing is on trial, and what a revert goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<Slot>,
    /// An open shift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<TrialView>,
    /// It went back without the ledger, which does not know yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<Mark>,
}

impl Observation {
    /// The slot that takes traffic: the one on trial, or else the committed one.
    pub fn serving(&self) -> Option<&SlotView> {
        let slot = self.trial.as_ref().map(|trial| trial.slot).or(self.committed)?;
        self.slots.iter().find(|view| view.slot == slot)
    }
}

/// Why a container was not healthy, on one screen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Last answers to the probes, newest last.
    pub probes: Vec<String>,
    /// State of the container as the engine tells it: `running`, `exited`.
    pub state: String,
    /// Exit code, if it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// Whether the kernel killed it for memory.
    pub oom_killed: bool,
    /// Restarts.
    pub restarts: u64,
    /// Last lines of its log.
    pub log: Vec<String>,
}

/// A word for programs about what went wrong on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostErrorCode {
    /// relman-host is not there: the host was never configured.
    NotInstalled,
    /// It could not be reached.
    Unreachable,
    /// Reached, and what came back is no answer. Whether it acted is not known.
    NoAnswer,
    /// The other side speaks another protocol.
    Protocol,
    /// The request is not valid or against the host's policy.
    Refused,
    /// An older fence than the host has seen, or another ledger's.
    Fenced,
    /// It went back without the ledger, which has to know first.
    Ahead,
    /// The image could not be pulled, or is not what the digest says.
    Image,
    /// The candidate did not become healthy.
    Unhealthy,
    /// The proxy did not do what it was told.
    Proxy,
    /// The container engine failed.
    Engine,
    /// There is no candidate, or the shift is not open any more.
    Gone,
    /// Files on the host could not be read or written.
    State,
    /// A playbook failed.
    Playbook,
}

impl fmt::Display for HostErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// What went wrong on a host, redacted where it arises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    /// A word for programs.
    pub code: HostErrorCode,
    /// One line for people.
    pub message: String,
    /// Why a container was not healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<Evidence>>,
}

impl HostError {
    /// An error without evidence.
    pub fn new(code: HostErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), evidence: None }
    }
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// What came of it.
    pub result: AnswerResult,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerResult {
    /// Done; this is how things are now.
    Done(Box<Observation>),
    /// Not done.
    Failed(HostError),
}
