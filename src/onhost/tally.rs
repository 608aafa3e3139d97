//! What became of the candidates of a host, counted for monitoring. Nothing is decided by it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::id::DeploymentNumber;

/// What became of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ending {
    /// It is what serves.
    Committed,
    /// It had taken traffic and was taken back.
    Reverted,
    /// It was given up before it took any.
    Discarded,
}

impl Ending {
    /// Each, with its name as a label.
    pub(super) const ALL: [(Self, &str); 3] =
        [(Self::Committed, "committed"), (Self::Reverted, "reverted"), (Self::Discarded, "discarded")];
}

/// Why traffic went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reason {
    /// By a deployment that is a rollback.
    Requested,
    /// The holder of the lease took a trial back.
    Reverted,
    /// The host restarted with a trial open.
    Restart,
    /// The proxy did not follow, or another image ran than was asked for.
    SwitchFailed,
    /// Without the ledger.
    Offline,
}

impl Reason {
    /// Each, with its name as a label.
    pub(super) const ALL: [(Self, &str); 5] = [
        (Self::Requested, "requested"),
        (Self::Reverted, "reverted"),
        (Self::Restart, "restart"),
        (Self::SwitchFailed, "switch_failed"),
        (Self::Offline, "offline"),
    ];
}

/// Counts since the host first saw the service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tally {
    #[serde(default)]
    endings: BTreeMap<Ending, u64>,
    #[serde(default)]
    returns: BTreeMap<Reason, u64>,
    /// The deployment that was counted last: one that went back and is then removed ended once.
    #[serde(default)]
    last: DeploymentNumber,
    /// The newest deployment that was ever committed here.
    #[serde(default)]
    newest: DeploymentNumber,
}

impl Tally {
    /// Nothing was counted.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How many candidates ended so.
    pub(super) fn ended(&self, ending: Ending) -> u64 {
        self.endings.get(&ending).copied().unwrap_or_default()
    }

    /// How often traffic went back for this reason.
    pub(super) fn went_back(&self, reason: Reason) -> u64 {
        self.returns.get(&reason).copied().unwrap_or_default()
    }

    /// The newest deployment that was ever committed here; 0 when none was.
    pub(super) fn newest(&self) -> DeploymentNumber {
        self.newest
    }

    fn count(&mut self, deployment: DeploymentNumber, ending: Ending) {
        *self.endings.entry(ending).or_default() += 1;
        self.last = deployment;
    }

    /// The trial of this deployment became final.
    pub(super) fn committed(&mut self, deployment: DeploymentNumber) {
        self.count(deployment, Ending::Committed);
        self.proven(deployment);
    }

    /// This deployment serves.
    pub(super) fn proven(&mut self, deployment: DeploymentNumber) {
        self.newest = self.newest.max(deployment);
    }

    /// Traffic went back; from the trial of this deployment, if it was one.
    pub(super) fn returned(&mut self, reason: Reason, trial: Option<DeploymentNumber>) {
        *self.returns.entry(reason).or_default() += 1;
        if let Some(deployment) = trial {
            self.count(deployment, Ending::Reverted);
        }
    }

    /// The candidate of this deployment was removed.
    pub(super) fn discarded(&mut self, deployment: DeploymentNumber) {
        if self.last != deployment {
            self.count(deployment, Ending::Discarded);
        }
    }
}
