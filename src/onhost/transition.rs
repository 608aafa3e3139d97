//! What each verb may do, given what a host remembers. Pure: no IO, no clock. Each verb done twice is done once.

use super::state::{Record, Stage, State};
use super::tally::Reason;
use crate::domain::deployment::{Kind, Offline};
use crate::domain::id::{DeploymentNumber, Digest, EnvironmentName, Fence, Token};
use crate::host::wire::offline::{Mark, Placed};
use crate::host::wire::{HostError, HostErrorCode, Slot, TrialView};

/// What `prepare` has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preparation {
    /// This deployment's container is there and was healthy: look whether it still is.
    Ready(Slot),
    /// It takes traffic already: leave it alone.
    Serving(Slot),
    /// Make the container of this slot anew.
    Start(Slot),
}

/// What a host has to do to be back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FallingBack {
    /// This slot takes the traffic already.
    Serves(Slot),
    /// The committed slot takes the traffic of the trial.
    Revert,
    /// This slot has to run and be healthy, and then takes the traffic.
    Start(Slot),
}

fn refused(message: impl Into<String>) -> HostError {
    HostError::new(HostErrorCode::Refused, message)
}

fn gone(message: impl Into<String>) -> HostError {
    HostError::new(HostErrorCode::Gone, message)
}

impl State {
    /// Whether the host belongs to this ledger and serves the service for this environment.
    pub(super) fn belongs(&self, ledger: &Token, environment: &EnvironmentName) -> Result<(), HostError> {
        if self.ledger != *ledger {
            return Err(HostError::new(
                HostErrorCode::Fenced,
                format!(
                    "this host belongs to another ledger ({}…, the request is of {}…): two ledgers must never \
                     deploy {} to one host",
                    &self.ledger.as_str()[..8],
                    &ledger.as_str()[..8],
                    self.service
                ),
            ));
        }
        if self.environment != *environment {
            return Err(refused(format!(
                "this host serves {} for environment {}, not {environment}",
                self.service, self.environment
            )));
        }
        Ok(())
    }

    /// Refused while the ledger does not know what was done here without it.
    pub(super) fn open(&self) -> Result<(), HostError> {
        match &self.offline {
            None => Ok(()),
            Some(mark) => Err(HostError::new(HostErrorCode::Ahead, mark.told())),
        }
    }

    /// Goes back to a release that a slot holds, without a lease: the host is closed to every lease from here on,
    /// and what is left to do is told.
    pub(super) fn fall_back(&mut self, offline: &Offline, to: &Digest) -> Result<FallingBack, HostError> {
        let taking = self.route().slot().and_then(|slot| Some((slot, self.slots.get(&slot)?)));
        let Some((taking, from)) = taking else {
            return Err(refused("nothing takes traffic here: there is nothing to go back from"));
        };
        let from = Placed { release: from.release.clone(), deployment: from.deployment };
        let there = |slot: &Slot| self.slots.get(slot).is_some_and(|record| record.release.digest == *to);
        // What is committed comes first, should both slots hold the same.
        let slots = [self.committed, Some(Slot::Blue), Some(Slot::Green)];
        let Some(slot) = slots.into_iter().flatten().find(there) else {
            return Err(gone(format!("no slot of this host holds {to}")));
        };
        if self.trial.as_ref().is_some_and(|trial| trial.slot == slot) {
            return Err(refused(format!(
                "v{} is on trial here: it is what is gone back from",
                from.release.version
            )));
        }
        let from = self.offline.take().map_or(from, |mark| mark.from);
        if let Some(record) = self.slots.get(&slot) {
            let to = Placed { release: record.release.clone(), deployment: record.deployment };
            self.offline = Some(Mark { offline: offline.clone(), from, to });
        }
        Ok(match (&self.trial, self.committed == Some(slot)) {
            (Some(_), _) => FallingBack::Revert,
            (None, true) => FallingBack::Serves(taking),
            (None, false) => FallingBack::Start(slot),
        })
    }

    /// The slot that a fall back brought up takes the traffic for good.
    pub(super) fn fell_back(&mut self, slot: Slot, to: &Digest, nonce: &Token) -> Result<(), HostError> {
        let ours = self.offline.as_ref().is_some_and(|mark| mark.offline.nonce == *nonce);
        let newest = self.newest();
        match self.slots.get_mut(&slot) {
            Some(record) if ours && self.trial.is_none() && record.release.digest == *to => {
                record.stage = Stage::Ready;
                if self.committed != Some(slot) {
                    self.tally.proven(newest);
                    self.tally.returned(Reason::Offline, None);
                }
                self.committed = Some(slot);
                Ok(())
            }
            _ => Err(gone("what was to be gone back to was taken away while it started")),
        }
    }

    /// The ledger knows.
    pub(super) fn reopen(&mut self, nonce: &Token) -> Result<(), HostError> {
        match &self.offline {
            Some(mark) if mark.offline.nonce != *nonce => {
                Err(HostError::new(HostErrorCode::Ahead, mark.told()))
            }
            _ => {
                self.offline = None;
                Ok(())
            }
        }
    }

    /// Takes a fence that is as new as the newest seen; an older one, or another holder's, is refused.
    pub(super) fn admit(&mut self, fence: &Fence) -> Result<(), HostError> {
        match &self.fence {
            Some(seen) if !seen.admits(fence) => Err(HostError::new(
                HostErrorCode::Fenced,
                if seen.number > fence.number {
                    format!("lease {} is older than {}, which this host has seen", fence.number, seen.number)
                } else {
                    format!("lease {} belongs to somebody else on this host", fence.number)
                },
            )),
            _ => {
                self.fence = Some(fence.clone());
                Ok(())
            }
        }
    }

    /// Finds the slot for this candidate and writes it down there, as not ready.
    ///
    /// `wanted` has no port yet: `port` tells that of a slot.
    pub(super) fn begin_prepare(
        &mut self,
        wanted: &Record,
        port: impl Fn(Slot) -> u16,
    ) -> Result<Preparation, HostError> {
        for (slot, found) in &self.slots {
            let same = found.same_candidate(&Record { port: port(*slot), ..wanted.clone() });
            if same && found.stage == Stage::Ready {
                let serves = self.holds(*slot);
                return Ok(if serves { Preparation::Serving(*slot) } else { Preparation::Ready(*slot) });
            }
        }
        if let Some(trial) = &self.trial {
            return Err(refused(format!(
                "deployment {} has a shift open here: both slots are needed until it is committed or reverted",
                trial.deployment
            )));
        }
        if let Some(slot) = self.committed.filter(|slot| self.slot_of(wanted.deployment) == Some(*slot)) {
            return Err(refused(format!(
                "deployment {} is committed in slot {slot} with another release or configuration",
                wanted.deployment
            )));
        }
        // A serving slot is never touched, whatever is asked for.
        let idle = match self.committed {
            Some(slot) => slot.other(),
            None => self.slot_of(wanted.deployment).unwrap_or(Slot::Blue),
        };
        self.slots.insert(idle, Record { stage: Stage::Preparing, port: port(idle), ..wanted.clone() });
        Ok(Preparation::Start(idle))
    }

    /// The candidate in this slot is not healthy any more: it has to be made anew.
    pub(super) fn prepare_again(&mut self, slot: Slot) {
        if !self.holds(slot)
            && let Some(record) = self.slots.get_mut(&slot)
        {
            record.stage = Stage::Preparing;
        }
    }

    /// The candidate is healthy. Gone when somebody took it away meanwhile.
    pub(super) fn end_prepare(&mut self, slot: Slot, deployment: DeploymentNumber) -> Result<(), HostError> {
        match self.slots.get_mut(&slot) {
            Some(record) if record.deployment == deployment => {
                record.stage = Stage::Ready;
                Ok(())
            }
            _ => {
                Err(gone(format!("the candidate of deployment {deployment} was taken away while it started")))
            }
        }
    }

    /// Forgets the candidate of this deployment; the slot whose container has to go. None there: nothing.
    pub(super) fn discard(&mut self, deployment: DeploymentNumber) -> Result<Option<Slot>, HostError> {
        let Some(slot) = self.slot_of(deployment) else { return Ok(None) };
        if self.trial.as_ref().is_some_and(|trial| trial.slot == slot) {
            return Err(refused(format!(
                "the candidate of deployment {deployment} takes traffic: revert it first"
            )));
        }
        if self.committed == Some(slot) {
            return Err(refused(format!("deployment {deployment} is committed: it is what serves")));
        }
        self.slots.remove(&slot);
        self.given_up(deployment);
        Ok(Some(slot))
    }

    /// Sends traffic to the candidate of this deployment.
    pub(super) fn shift(&mut self, deployment: DeploymentNumber, kind: Kind) -> Result<Slot, HostError> {
        if let Some(trial) = &self.trial
            && trial.deployment != deployment
        {
            return Err(refused(format!(
                "deployment {} has a shift open here: revert it first",
                trial.deployment
            )));
        }
        let slot = self.slot_of(deployment).ok_or_else(|| {
            gone(format!("there is no candidate of deployment {deployment} on this host: prepare it"))
        })?;
        if self.slots.get(&slot).is_none_or(|record| record.stage != Stage::Ready) {
            return Err(gone(format!(
                "the candidate of deployment {deployment} in slot {slot} is not ready: prepare it"
            )));
        }
        match kind {
            _ if self.committed == Some(slot) => {}
            // Nothing may bring the bad release back because relman died.
            Kind::Rollback => {
                // A host that served nothing does not go back.
                if self.committed.is_some() {
                    self.tally.returned(Reason::Requested, None);
                }
                self.tally.proven(deployment);
                self.committed = Some(slot);
                self.trial = None;
            }
            Kind::Deploy | Kind::Redeploy => self.trial = Some(TrialView { slot, deployment }),
        }
        Ok(slot)
    }

    /// Makes the open shift of this deployment final.
    pub(super) fn commit(&mut self, deployment: DeploymentNumber) -> Result<Slot, HostError> {
        if let Some(trial) = self.trial.take_if(|trial| trial.deployment == deployment) {
            self.committed = Some(trial.slot);
            self.tally.committed(deployment);
            return Ok(trial.slot);
        }
        let serving = self.committed.filter(|slot| self.slot_of(deployment) == Some(*slot));
        match (serving, &self.trial) {
            (Some(slot), None) => Ok(slot),
            (_, Some(trial)) => {
                Err(gone(format!("the open shift is of deployment {}, not {deployment}", trial.deployment)))
            }
            (None, None) => Err(gone(format!(
                "the shift of deployment {deployment} is not open any more: the host has gone back"
            ))),
        }
    }

    /// A candidate did not become healthy, or was taken away: it is forgotten, unless the slot is another's by now.
    pub(super) fn forget(&mut self, slot: Slot, deployment: DeploymentNumber) {
        if !self.holds(slot) && self.slots.get(&slot).is_some_and(|record| record.deployment == deployment) {
            self.slots.remove(&slot);
            self.given_up(deployment);
        }
    }

    fn given_up(&mut self, deployment: DeploymentNumber) {
        if deployment > self.newest() {
            self.tally.discarded(deployment);
        }
    }

    /// After a reboot: what was committed serves, everything else is stopped. The slots to stop.
    pub(super) fn boot(&mut self) -> Vec<Slot> {
        self.take_back(Reason::Restart);
        let idle = Slot::ALL.into_iter().filter(|slot| self.committed != Some(*slot));
        let idle: Vec<Slot> = idle.collect();
        for slot in &idle {
            if let Some(record) = self.slots.get_mut(slot) {
                record.stage = Stage::Stopped;
            }
        }
        idle
    }

    /// All traffic back to the committed slot.
    pub(super) fn revert(&mut self) {
        self.take_back(Reason::Reverted);
    }

    /// The slot to stop: the one that does not serve. Refused while both are needed. With `serving_healthy` false
    /// nothing is stopped: the old release is what is left.
    pub(super) fn retire(&mut self, serving_healthy: bool) -> Result<Option<Slot>, HostError> {
        if let Some(trial) = &self.trial {
            return Err(refused(format!(
                "deployment {} has a shift open: the other slot is what a revert goes back to",
                trial.deployment
            )));
        }
        let Some(serving) = self.committed else { return Ok(None) };
        let idle = serving.other();
        let Some(record) = self.slots.get_mut(&idle) else { return Ok(None) };
        if record.stage == Stage::Stopped {
            return Ok(Some(idle));
        }
        if !serving_healthy {
            return Err(HostError::new(
                HostErrorCode::Unhealthy,
                format!("slot {serving} serves and is not healthy: slot {idle} is kept running"),
            ));
        }
        record.stage = Stage::Stopped;
        Ok(Some(idle))
    }
}

impl Record {
    /// Whether nothing needs to be made anew to have what `other` asks for.
    fn same_candidate(&self, other: &Record) -> bool {
        self.deployment == other.deployment
            && self.release.digest == other.release.digest
            && self.release.repository == other.release.repository
            && self.run == other.run
            && self.port == other.port
    }
}
