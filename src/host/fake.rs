//! Hosts in memory, as strict as `relman-host` or stricter: for tests of whoever drives a fleet.
//!
//! Failures are asked for per host and verb, before the effect or after it (the answer that is lost on its way).

mod machine;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use machine::Machine;

use super::wire::{Command, HostError, HostErrorCode};
use super::{Fleet, HostResult, Replies, Reply, Task};
use crate::domain::id::{DeploymentNumber, Digest, HostName};
use crate::domain::release::ReleaseRef;

/// Whether a failing call had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The host never acted.
    None,
    /// The host acted, and the answer was lost.
    Done,
}

/// One call that reached a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The host.
    pub host: HostName,
    /// `configure` or the verb of a command.
    pub verb: &'static str,
    /// The deployment that asked, where one did.
    pub deployment: Option<DeploymentNumber>,
}

#[derive(Debug)]
struct Fault {
    host: HostName,
    verb: &'static str,
    effect: Effect,
    error: HostError,
    /// How often it still happens.
    left: usize,
}

#[derive(Debug, Default)]
struct World {
    machines: BTreeMap<HostName, Machine>,
    faults: Vec<Fault>,
    calls: Vec<Call>,
    unreachable: BTreeSet<HostName>,
    unhealthy: BTreeSet<Digest>,
    missing: BTreeSet<Digest>,
    configuration: Option<Digest>,
}

/// The fleet.
#[derive(Debug)]
pub struct FakeFleet(Mutex<World>);

impl FakeFleet {
    /// Hosts that were never configured: every command but `configure` is answered with `NotInstalled`.
    pub fn bare(hosts: &[&str]) -> Self {
        let machines = hosts.iter().map(|name| (name.parse().unwrap(), Machine::default())).collect();
        let configuration = Some(Digest::of(b"configuration"));
        Self(Mutex::new(World { machines, configuration, ..World::default() }))
    }

    /// Hosts that are configured as [`Fleet::configuration`] says, and empty.
    pub fn ready(hosts: &[&str]) -> Self {
        let fleet = Self::bare(hosts);
        let mut world = fleet.world();
        let configured = world.configuration.clone().map(String::from);
        for machine in world.machines.values_mut() {
            machine.installed = true;
            machine.configured.clone_from(&configured);
        }
        drop(world);
        fleet
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what [`Fleet::configure`] would apply: hosts that were configured before are not any more.
    pub fn set_configuration(&self, configuration: Option<Digest>) {
        self.world().configuration = configuration;
    }

    /// A digest whose containers never become healthy: `prepare` fails with evidence.
    pub fn set_unhealthy(&self, digest: &Digest) {
        self.world().unhealthy.insert(digest.clone());
    }

    /// A digest that cannot be pulled.
    pub fn set_missing(&self, digest: &Digest) {
        self.world().missing.insert(digest.clone());
    }

    /// Cuts the way to a host, or restores it.
    pub fn set_reachable(&self, host: &str, reachable: bool) {
        let host = host.parse().unwrap();
        let mut world = self.world();
        if reachable {
            world.unreachable.remove(&host)
        } else {
            world.unreachable.insert(host)
        };
    }

    /// The next `times` calls of this verb on this host fail with this code, before or after their effect.
    pub fn fail(&self, host: &str, verb: &'static str, times: usize, effect: Effect, code: HostErrorCode) {
        let error = HostError::new(code, format!("injected: {verb} on {host}"));
        let host = host.parse().unwrap();
        self.world().faults.push(Fault { host, verb, effect, error, left: times });
    }

    /// Forgets every failure that was asked for, and makes all hosts reachable.
    pub fn heal(&self) {
        let mut world = self.world();
        world.faults.clear();
        world.unreachable.clear();
    }

    /// The machine as it is now; change it to make drift.
    pub fn edit<T>(&self, host: &str, change: impl FnOnce(&mut Machine) -> T) -> T {
        change(self.world().machines.get_mut(&host.parse().unwrap()).unwrap())
    }

    /// What takes traffic on a host.
    pub fn serving(&self, host: &str) -> Option<ReleaseRef> {
        self.edit(host, |machine| machine.observation().serving().map(|view| view.release.clone()))
    }

    /// Every call since the last time this was asked, in order, failed ones too.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.world().calls)
    }

    /// The same as `HOST VERB`, without reading calls, to compare with a list in a test.
    pub fn take_changes(&self) -> Vec<String> {
        let calls = self.take_calls().into_iter().filter(|call| call.verb != "observe");
        calls.map(|call| format!("{} {}", call.host, call.verb)).collect()
    }

    fn each(&self, hosts: &[HostName], call: impl Fn(&mut World, &HostName) -> HostResult) -> Replies {
        let mut world = self.world();
        let replies = hosts.iter().map(|host| Reply { host: host.clone(), result: call(&mut world, host) });
        Replies { replies: replies.collect(), log: None }
    }
}

impl World {
    fn call(
        &mut self,
        host: &HostName,
        verb: &'static str,
        deployment: Option<DeploymentNumber>,
        act: impl FnOnce(&mut Self) -> HostResult,
    ) -> HostResult {
        self.calls.push(Call { host: host.clone(), verb, deployment });
        if self.unreachable.contains(host) {
            return Err(HostError::new(HostErrorCode::Unreachable, format!("{host} cannot be reached")));
        }
        if !self.machines.contains_key(host) {
            return Err(HostError::new(HostErrorCode::Unreachable, format!("{host} is not a host")));
        }
        let due = |fault: &&mut Fault| fault.host == *host && fault.verb == verb && fault.left > 0;
        let fault = self.faults.iter_mut().find(due).map(|fault| {
            fault.left -= 1;
            (fault.effect, fault.error.clone())
        });
        match fault {
            None => act(self),
            Some((Effect::None, error)) => Err(error),
            // Its own refusal is lost as well as its success.
            Some((Effect::Done, error)) => act(self).and(Err(error.clone())).or(Err(error)),
        }
    }

    fn configure(&mut self, host: &HostName) -> HostResult {
        let configured = self.configuration.clone().map(String::from);
        let machine = self.machine(host)?;
        machine.installed = true;
        machine.configured = configured;
        Ok(machine.observation())
    }

    fn perform(&mut self, host: &HostName, command: &Command) -> HostResult {
        if let Command::Prepare { release, .. } = command
            && self.missing.contains(&release.digest)
        {
            // The fence comes first on a real host too.
            self.machine(host)?.admit(command)?;
            return Err(HostError::new(HostErrorCode::Image, format!("{} is not there", release.image())));
        }
        let unhealthy = self.unhealthy.clone();
        self.machine(host)?.perform(command, |digest| !unhealthy.contains(digest))
    }

    fn machine(&mut self, host: &HostName) -> Result<&mut Machine, HostError> {
        let missing = || HostError::new(HostErrorCode::Unreachable, format!("{host} is not a host"));
        self.machines.get_mut(host).ok_or_else(missing)
    }
}

#[async_trait::async_trait]
impl Fleet for FakeFleet {
    fn way(&self) -> &'static str {
        "fake"
    }

    fn sees(&self) -> bool {
        true
    }

    fn hosts(&self) -> Vec<HostName> {
        self.world().machines.keys().cloned().collect()
    }

    fn configuration(&self) -> Option<Digest> {
        self.world().configuration.clone()
    }

    async fn configure(&self, hosts: &[HostName]) -> Replies {
        self.each(hosts, |world, host| world.call(host, "configure", None, |world| world.configure(host)))
    }

    async fn perform(&self, hosts: &[HostName], task: &Task) -> Replies {
        let command = &task.command;
        let deployment = command.authority().map(|authority| authority.deployment);
        self.each(hosts, |world, host| {
            world.call(host, command.verb(), deployment, |world| world.perform(host, command))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::deployment::Kind;
    use crate::host::contract;

    fn host() -> HostName {
        "host1".parse().unwrap()
    }

    #[tokio::test]
    async fn it_passes_the_suite() {
        let (one, two) = (contract::release("1.0.0"), contract::release("2.0.0"));
        contract::suite(&FakeFleet::ready(&["host1"]), &host(), &one, &two).await;
    }

    #[tokio::test]
    async fn a_bare_host_is_told_from_a_dead_one() {
        let fleet = FakeFleet::bare(&["host1"]);
        let observe = || contract::ask(&fleet, fleet_host(), Command::Observe {});
        assert_eq!(observe().await, Err(HostErrorCode::NotInstalled));
        assert!(fleet.configure(&[host()]).await.replies[0].result.is_ok());
        assert!(observe().await.is_ok());
        fleet.set_reachable("host1", false);
        assert_eq!(observe().await, Err(HostErrorCode::Unreachable));
    }

    fn fleet_host() -> &'static HostName {
        static HOST: std::sync::LazyLock<HostName> = std::sync::LazyLock::new(host);
        &HOST
    }

    #[tokio::test]
    async fn a_failure_is_before_or_after_the_effect() {
        let fleet = FakeFleet::ready(&["host1"]);
        let (who, release) = (contract::authority(1, 1), contract::release("1.0.0"));
        fleet.fail("host1", "prepare", 1, Effect::None, HostErrorCode::NoAnswer);
        let prepare = || contract::ask(&fleet, fleet_host(), contract::prepare(&who, &release));
        assert_eq!(prepare().await, Err(HostErrorCode::NoAnswer));
        assert!(fleet.edit("host1", |machine| machine.slots.is_empty()));
        fleet.fail("host1", "prepare", 1, Effect::Done, HostErrorCode::NoAnswer);
        assert_eq!(prepare().await, Err(HostErrorCode::NoAnswer));
        assert_eq!(fleet.edit("host1", |machine| machine.slots.len()), 1);
        assert!(prepare().await.is_ok());
        assert_eq!(fleet.take_changes(), ["host1 prepare", "host1 prepare", "host1 prepare"]);
    }

    #[tokio::test]
    async fn an_unhealthy_candidate_leaves_evidence_and_nothing_else() {
        let fleet = FakeFleet::ready(&["host1"]);
        let release = contract::release("1.0.0");
        fleet.set_unhealthy(&release.digest);
        let task = Task::bare(contract::prepare(&contract::authority(1, 1), &release));
        let error = fleet.perform(&[host()], &task).await.replies[0].result.clone().unwrap_err();
        assert_eq!(error.code, HostErrorCode::Unhealthy);
        assert!(error.evidence.is_some());
        assert!(fleet.edit("host1", |machine| machine.slots.is_empty()));
    }

    #[tokio::test]
    async fn a_reboot_takes_back_what_was_not_committed() {
        let fleet = FakeFleet::ready(&["host1"]);
        let (who, release) = (contract::authority(1, 1), contract::release("1.0.0"));
        contract::ask(&fleet, &host(), contract::prepare(&who, &release)).await.unwrap();
        contract::ask(&fleet, &host(), contract::shift(&who, Kind::Deploy)).await.unwrap();
        assert_eq!(fleet.serving("host1"), Some(release));
        fleet.edit("host1", Machine::reboot);
        assert_eq!(fleet.serving("host1"), None);
        let late = contract::ask(&fleet, &host(), Command::Commit { authority: who }).await;
        assert_eq!(late, Err(HostErrorCode::Gone));
    }
}
