//! One host: two slots, a fence, the committed slot and the open trial.

use std::collections::BTreeMap;

use crate::domain::deployment::Kind;
use crate::domain::id::{Digest, Fence};
use crate::host::wire::offline::{FallBack, Mark, Placed};
use crate::host::wire::{
    Authority, Command, Evidence, HostError, HostErrorCode, Observation, Secret, Slot, SlotView, TrialView,
};

/// The state of a host; tests may change it to make drift.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// Whether relman-host is there.
    pub installed: bool,
    /// The configuration that it was given.
    pub configured: Option<String>,
    /// The highest fence seen.
    pub fence: Option<Fence>,
    /// What the slots hold; weights are worked out when it is observed.
    pub slots: Vec<SlotView>,
    /// What serves when nothing is on trial.
    pub committed: Option<Slot>,
    /// An open shift.
    pub trial: Option<TrialView>,
    /// What the last prepare brought.
    pub secrets: BTreeMap<String, Secret>,
    /// It went back without the ledger, which does not know yet.
    pub offline: Option<Mark>,
}

fn error(code: HostErrorCode, message: &str) -> HostError {
    HostError::new(code, message)
}

impl Machine {
    /// What it says of itself.
    pub fn observation(&self) -> Observation {
        let mut observation = Observation {
            agent: "fake".to_owned(),
            configured: self.configured.clone(),
            fence: self.fence.clone(),
            slots: self.slots.clone(),
            committed: self.committed,
            trial: self.trial.clone(),
            offline: self.offline.clone(),
        };
        let serving = observation.serving().map(|view| view.slot);
        for view in &mut observation.slots {
            view.weight = if Some(view.slot) == serving { 100 } else { 0 };
        }
        observation
    }

    /// A restart: what was not committed is taken back.
    pub fn reboot(&mut self) {
        self.trial = None;
    }

    /// Refuses a host that was never configured and an older fence; raises the fence otherwise.
    pub(super) fn admit(&mut self, command: &Command) -> Result<(), HostError> {
        if !self.installed {
            return Err(error(HostErrorCode::NotInstalled, "relman-host is not installed"));
        }
        if let Some(authority) = command.authority() {
            if let (Some(mark), false) = (&self.offline, matches!(command, Command::Reopen { .. })) {
                return Err(error(HostErrorCode::Ahead, &mark.told()));
            }
            if self.fence.as_ref().is_some_and(|fence| !fence.admits(&authority.fence)) {
                return Err(error(HostErrorCode::Fenced, "an older fence than this host has seen"));
            }
            self.fence = Some(authority.fence.clone());
        }
        Ok(())
    }

    pub(super) fn perform(
        &mut self,
        command: &Command,
        becomes_healthy: impl FnOnce(&Digest) -> bool,
    ) -> Result<Observation, HostError> {
        self.admit(command)?;
        match command {
            Command::Observe {} | Command::Claim { .. } => {}
            Command::Prepare { authority, release, run, secrets } => {
                if let Some(name) = run.secrets.keys().find(|name| !secrets.contains_key(*name)) {
                    return Err(error(HostErrorCode::Refused, &format!("no value for secret {name}")));
                }
                self.secrets.clone_from(secrets);
                self.prepare(authority, release, becomes_healthy)?;
            }
            Command::Discard { authority } => self.discard(authority)?,
            Command::Shift { authority, kind, weight } => self.shift(authority, *kind, *weight)?,
            Command::Commit { authority } => self.commit(authority)?,
            Command::Revert { .. } => self.trial = None,
            Command::Retire { .. } => self.retire()?,
            Command::FallBack(order) => self.fall_back(order, becomes_healthy)?,
            Command::Reopen { nonce, .. } => {
                if let Some(mark) = self.offline.take_if(|mark| mark.offline.nonce != *nonce) {
                    let told = mark.told();
                    self.offline = Some(mark);
                    return Err(error(HostErrorCode::Ahead, &told));
                }
                self.offline = None;
            }
        }
        Ok(self.observation())
    }

    fn fall_back(
        &mut self,
        order: &FallBack,
        becomes_healthy: impl FnOnce(&Digest) -> bool,
    ) -> Result<(), HostError> {
        let placed = |view: &SlotView| Placed { release: view.release.clone(), deployment: view.deployment };
        let Some(from) = self.observation().serving().map(placed) else {
            return Err(error(HostErrorCode::Refused, "nothing takes traffic here"));
        };
        let Some(view) = self.slots.iter_mut().find(|view| view.release.digest == order.to) else {
            return Err(error(HostErrorCode::Gone, "no slot holds that"));
        };
        if self.trial.as_ref().is_some_and(|trial| trial.slot == view.slot) {
            return Err(error(HostErrorCode::Refused, "it is on trial"));
        }
        if self.trial.is_none() && !view.running {
            if !becomes_healthy(&order.to) {
                return Err(error(HostErrorCode::Unhealthy, "it did not become healthy"));
            }
            (view.running, view.healthy) = (true, true);
            view.running_digest = Some(order.to.clone());
        }
        let (slot, to) = (view.slot, placed(view));
        let from = self.offline.take().map_or(from, |mark| mark.from);
        self.offline = Some(Mark { offline: order.offline.clone(), from, to });
        (self.trial, self.committed) = (None, Some(slot));
        Ok(())
    }

    /// The slot that holds no committed release.
    fn idle(&self) -> Slot {
        self.committed.map_or(Slot::Blue, Slot::other)
    }

    fn view(&self, slot: Slot) -> Option<&SlotView> {
        self.slots.iter().find(|view| view.slot == slot)
    }

    fn is_own_trial(&self, authority: &Authority) -> bool {
        self.trial.as_ref().is_some_and(|trial| trial.deployment == authority.deployment)
    }

    fn is_committed_by(&self, authority: &Authority) -> bool {
        let committed = self.committed.and_then(|slot| self.view(slot));
        self.trial.is_none() && committed.is_some_and(|view| view.deployment == authority.deployment)
    }

    fn prepare(
        &mut self,
        authority: &Authority,
        release: &crate::domain::release::ReleaseRef,
        becomes_healthy: impl FnOnce(&Digest) -> bool,
    ) -> Result<(), HostError> {
        let is_done = |view: &&SlotView| {
            view.deployment == authority.deployment
                && view.release == *release
                && view.running
                && view.healthy
        };
        if self.slots.iter().any(|view| is_done(&view)) {
            return Ok(());
        }
        if self.is_committed_by(authority)
            && let Some(slot) = self.committed
            && let Some(view) = self.slots.iter_mut().find(|view| view.slot == slot && !view.running)
            && view.release == *release
        {
            (view.running, view.healthy) = (true, becomes_healthy(&release.digest));
            return match view.healthy {
                true => Ok(()),
                false => Err(error(HostErrorCode::Unhealthy, "what is committed did not come up again")),
            };
        }
        if self.trial.is_some() || self.is_committed_by(authority) {
            return Err(error(HostErrorCode::Refused, "the idle slot takes traffic: revert first"));
        }
        let slot = self.idle();
        self.slots.retain(|view| view.slot != slot);
        if !becomes_healthy(&release.digest) {
            let evidence = Evidence {
                probes: vec!["GET /healthz: 500".to_owned()],
                state: "running".to_owned(),
                log: vec!["it does not work".to_owned()],
                ..Evidence::default()
            };
            let message = format!("v{} did not become healthy: GET /healthz: 500", release.version);
            let evidence = Some(Box::new(evidence));
            return Err(HostError { code: HostErrorCode::Unhealthy, message, evidence });
        }
        self.slots.push(SlotView {
            slot,
            release: release.clone(),
            deployment: authority.deployment,
            running_digest: Some(release.digest.clone()),
            running: true,
            healthy: true,
            restarts: 0,
            weight: 0,
            since: None,
        });
        self.slots.sort_by_key(|view| view.slot);
        Ok(())
    }

    fn discard(&mut self, authority: &Authority) -> Result<(), HostError> {
        if self.is_own_trial(authority) || self.is_committed_by(authority) {
            return Err(error(HostErrorCode::Refused, "the candidate takes traffic: revert first"));
        }
        let idle = self.idle();
        self.slots.retain(|view| view.slot != idle || view.deployment != authority.deployment);
        Ok(())
    }

    fn shift(&mut self, authority: &Authority, kind: Kind, weight: u8) -> Result<(), HostError> {
        if weight != 100 {
            return Err(error(HostErrorCode::Refused, "only a weight of 100 is supported"));
        }
        if self.is_committed_by(authority) || (self.is_own_trial(authority) && kind != Kind::Rollback) {
            return Ok(());
        }
        if self.trial.is_some() {
            return Err(error(HostErrorCode::Refused, "another shift is open: revert first"));
        }
        let slot = self.idle();
        let candidate = self.view(slot).filter(|view| view.deployment == authority.deployment);
        if !candidate.is_some_and(|view| view.running && view.healthy) {
            return Err(error(HostErrorCode::Gone, "there is no healthy candidate of this deployment"));
        }
        match kind {
            Kind::Rollback => self.committed = Some(slot),
            Kind::Deploy | Kind::Redeploy => {
                self.trial = Some(TrialView { slot, deployment: authority.deployment });
            }
        }
        Ok(())
    }

    fn commit(&mut self, authority: &Authority) -> Result<(), HostError> {
        if self.is_own_trial(authority) {
            self.committed = self.trial.take().map(|trial| trial.slot);
        } else if !self.is_committed_by(authority) {
            return Err(error(HostErrorCode::Gone, "the shift is not open: the host has gone back"));
        }
        Ok(())
    }

    fn retire(&mut self) -> Result<(), HostError> {
        if self.trial.is_some() {
            return Err(error(HostErrorCode::Refused, "a shift is open: its return point is not retired"));
        }
        let committed = self.committed;
        for view in self.slots.iter_mut().filter(|view| Some(view.slot) != committed) {
            view.running = false;
            view.healthy = false;
        }
        Ok(())
    }
}
