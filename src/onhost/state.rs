//! What a host remembers of a service. It holds references to secrets, never a secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tally::{Reason, Tally};
use crate::domain::id::{DeploymentNumber, EnvironmentName, Fence, ServiceName, Token};
use crate::domain::release::ReleaseRef;
use crate::domain::run::RunConfig;
use crate::host::wire::offline::Mark;
use crate::host::wire::{Slot, TrialView};

/// Version of the file.
pub(super) const SCHEMA: u32 = 1;

/// How far a slot's container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// Being made; nobody may send traffic there.
    Preparing,
    /// It was healthy: traffic may go there.
    Ready,
    /// Stopped on purpose.
    Stopped,
}

/// What a slot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) release: ReleaseRef,
    pub(super) deployment: DeploymentNumber,
    pub(super) run: RunConfig,
    /// The loopback port on which the slot is published.
    pub(super) port: u16,
    pub(super) stage: Stage,
}

/// The state of a service on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub(super) schema: u32,
    /// The ledger that the host belongs to.
    pub(super) ledger: Token,
    pub(super) service: ServiceName,
    pub(super) environment: EnvironmentName,
    /// The highest fence seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fence: Option<Fence>,
    /// What serves when nothing is on trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) committed: Option<Slot>,
    /// Traffic is on a slot that is not committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trial: Option<TrialView>,
    pub(super) slots: BTreeMap<Slot, Record>,
    /// It went back without the ledger, which does not know yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) offline: Option<Mark>,
    /// What monitoring counts.
    #[serde(default, skip_serializing_if = "Tally::is_empty")]
    pub(super) tally: Tally,
}

/// Where requests go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Nowhere: 503.
    None,
    /// To that slot alone.
    Committed(Slot),
    /// To that slot, with a breaker and the other as its backup.
    Trial(Slot),
}

impl Route {
    /// The word in the proxy's map.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Committed(Slot::Blue) => "blue",
            Self::Committed(Slot::Green) => "green",
            Self::Trial(Slot::Blue) => "trial-blue",
            Self::Trial(Slot::Green) => "trial-green",
        }
    }

    /// What a word in the proxy's map means.
    pub(super) fn of(word: &str) -> Option<Self> {
        let all = [
            Self::None,
            Self::Committed(Slot::Blue),
            Self::Committed(Slot::Green),
            Self::Trial(Slot::Blue),
            Self::Trial(Slot::Green),
        ];
        all.into_iter().find(|route| route.word() == word)
    }

    /// The slot that takes the requests.
    pub(super) fn slot(self) -> Option<Slot> {
        match self {
            Self::None => None,
            Self::Committed(slot) | Self::Trial(slot) => Some(slot),
        }
    }
}

impl State {
    /// A service that this host has not seen before.
    pub(super) fn new(ledger: Token, service: ServiceName, environment: EnvironmentName) -> Self {
        Self {
            schema: SCHEMA,
            ledger,
            service,
            environment,
            fence: None,
            committed: None,
            trial: None,
            slots: BTreeMap::new(),
            offline: None,
            tally: Tally::default(),
        }
    }

    /// Where requests have to go.
    pub(super) fn route(&self) -> Route {
        match (&self.trial, self.committed) {
            (Some(trial), _) => Route::Trial(trial.slot),
            (None, Some(slot)) => Route::Committed(slot),
            (None, None) => Route::None,
        }
    }

    /// Whether the slot takes traffic or is what a revert goes back to.
    pub(super) fn holds(&self, slot: Slot) -> bool {
        self.committed == Some(slot) || self.trial.as_ref().is_some_and(|trial| trial.slot == slot)
    }

    /// The newest deployment that was ever committed here; 0 when none was.
    pub(super) fn newest(&self) -> DeploymentNumber {
        let committed = self.committed.and_then(|slot| self.slots.get(&slot));
        self.tally.newest().max(committed.map_or(0, |record| record.deployment))
    }

    /// Traffic goes back from an open trial, if there is one.
    pub(super) fn take_back(&mut self, reason: Reason) {
        if let Some(trial) = self.trial.take() {
            self.tally.returned(reason, Some(trial.deployment));
        }
    }

    /// The slot that this deployment filled.
    pub(super) fn slot_of(&self, deployment: DeploymentNumber) -> Option<Slot> {
        self.slots.iter().find(|(_, record)| record.deployment == deployment).map(|(slot, _)| *slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_has_its_own_word() {
        for word in ["none", "blue", "green", "trial-blue", "trial-green"] {
            assert_eq!(Route::of(word).unwrap().word(), word);
        }
        assert_eq!(Route::of("canary"), None);
    }
}
