//! Infrastructure in memory, stricter than the real one: a plan on a state that moved is refused, and nothing happens
//! without the lock.

pub mod groups;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::json;
use tokio::sync::Notify;

use super::contract::Bench;
use super::{Change, Changes, InfraError, Infrastructure, Lock, Locking, Outputs, SavedPlan};
use crate::domain::id::Digest;
use crate::domain::infra::StateId;
use crate::interrupt::Interrupt;

const BROKEN: &str = "broken";
const SLOW: &str = "slow";

/// The fake.
#[derive(Clone, Default)]
pub struct FakeInfra(Arc<Shared>);

#[derive(Default)]
struct Shared {
    world: Mutex<World>,
    begun: Notify,
}

/// What there is.
#[derive(Default)]
pub struct World {
    /// Resources that the configuration wants.
    pub wanted: Vec<String>,
    /// Outputs that the configuration has beside `names`.
    pub outputs: Outputs,
    /// Resources that there are.
    pub real: Vec<String>,
    /// Whether nothing can be asked at all.
    pub down: bool,
    /// Who holds the lock.
    pub lock: Option<Lock>,
    /// How often it was planned.
    pub plans: u32,
    /// How often something was applied.
    pub applies: u32,
    /// How often outputs were read.
    pub reads: u32,
    serial: u64,
    written: Outputs,
}

struct FakePlan {
    infra: FakeInfra,
    changes: Changes,
    wanted: Vec<String>,
    serial: u64,
}

impl World {
    fn state(&self) -> Option<StateId> {
        (self.serial > 0).then(|| StateId { lineage: "fake".into(), serial: self.serial })
    }

    fn outputs_of(&self, resources: &[String]) -> Outputs {
        let mut outputs = self.outputs.clone();
        outputs.insert("names".into(), json!(resources));
        outputs
    }

    fn take_lock(&mut self, operation: &str) -> Result<(), InfraError> {
        if let Some(lock) = &self.lock {
            return Err(InfraError::Locked {
                directory: "infra".into(),
                workspace: None,
                lock: Box::new(lock.clone()),
            });
        }
        self.lock = Some(Lock {
            id: format!("lock-{}", self.serial),
            who: "ada@laptop".into(),
            operation: operation.into(),
            created: "2026-01-02 03:04:05 +0000 UTC".into(),
            path: "fake".into(),
        });
        Ok(())
    }

    fn write(&mut self, resources: Vec<String>) {
        self.serial += 1;
        self.written = self.outputs_of(&resources);
        self.real = resources;
    }

    fn changes(&self) -> Changes {
        let change = |name: &String, action: &str| Change {
            address: format!("fake.{name}"),
            actions: vec![action.to_owned()],
        };
        let made =
            self.wanted.iter().filter(|name| !self.real.contains(name)).map(|one| change(one, "create"));
        let gone =
            self.real.iter().filter(|name| !self.wanted.contains(name)).map(|one| change(one, "delete"));
        let resources: Vec<Change> = made.chain(gone).collect();
        let outputs: BTreeMap<_, _> = self.outputs_of(&self.wanted).into_iter().collect();
        let outputs: Vec<Change> = outputs
            .iter()
            .filter(|(name, value)| self.written.get(*name) != Some(value))
            .map(|(name, _)| Change { address: name.clone(), actions: vec!["update".into()] })
            .collect();
        Changes {
            applicable: !resources.is_empty() || !outputs.is_empty(),
            resources,
            outputs,
            drifted: vec![],
        }
    }
}

impl FakeInfra {
    /// What there is, to look at and to change.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap()
    }

    fn asked(&self) -> Result<MutexGuard<'_, World>, InfraError> {
        let world = self.world();
        if world.down {
            let said = "no credentials".to_owned();
            return Err(InfraError::Failed { what: "terraform in infra".into(), log: said.clone(), said });
        }
        Ok(world)
    }
}

#[async_trait::async_trait]
impl SavedPlan for FakePlan {
    fn changes(&self) -> &Changes {
        &self.changes
    }

    async fn apply(self: Box<Self>, stop: &Interrupt) -> Result<String, InfraError> {
        {
            let mut world = self.infra.asked()?;
            world.take_lock("OperationTypeApply")?;
            world.applies += 1;
            if world.serial != self.serial {
                world.lock = None;
                return Err(InfraError::Stale { directory: "infra".into() });
            }
        }
        if self.wanted.iter().any(|name| name == SLOW) {
            self.infra.0.begun.notify_one();
            stop.raised().await;
        }
        let mut world = self.infra.world();
        world.lock = None;
        let special = |name: &&String| [SLOW, BROKEN].contains(&name.as_str());
        let done: Vec<String> = self.wanted.iter().filter(|name| !special(name)).cloned().collect();
        world.write(done);
        match self.wanted.iter().find(special).map(String::as_str) {
            None => Ok("Apply complete!".into()),
            Some(SLOW) => Err(InfraError::Stopped { what: "terraform apply in infra".into() }),
            Some(_) => {
                let said = "fake.broken cannot be made".to_owned();
                Err(InfraError::Failed { what: "terraform apply in infra".into(), log: said.clone(), said })
            }
        }
    }
}

#[async_trait::async_trait]
impl Infrastructure for FakeInfra {
    fn location(&self) -> String {
        "infra".into()
    }

    async fn version(&self) -> Result<String, InfraError> {
        Ok("1.11.4".into())
    }

    async fn validate(&self) -> Result<(), InfraError> {
        self.asked().map(|_| ())
    }

    async fn configuration(&self) -> Result<Option<Digest>, InfraError> {
        let world = self.world();
        Ok(Some(Digest::of(json!([world.wanted, world.outputs]).to_string().as_bytes())))
    }

    async fn state(&self) -> Result<Option<StateId>, InfraError> {
        Ok(self.asked()?.state())
    }

    async fn outputs(&self) -> Result<Outputs, InfraError> {
        let mut world = self.asked()?;
        world.reads += 1;
        Ok(world.written.clone())
    }

    async fn plan(&self, lock: Locking, _: &Interrupt) -> Result<Box<dyn SavedPlan>, InfraError> {
        let mut world = self.asked()?;
        if matches!(lock, Locking::Wait(_)) {
            world.take_lock("OperationTypePlan")?;
            world.lock = None;
        }
        world.plans += 1;
        Ok(Box::new(FakePlan {
            infra: self.clone(),
            changes: world.changes(),
            wanted: world.wanted.clone(),
            serial: world.serial,
        }))
    }
}

fn with(resources: &[&str], more: Option<&str>) -> Vec<String> {
    resources.iter().copied().chain(more).map(str::to_owned).collect()
}

#[async_trait::async_trait]
impl Bench for FakeInfra {
    fn infra(&self) -> &dyn Infrastructure {
        self
    }

    fn want(&self, resources: &[&str]) {
        self.world().wanted = with(resources, None);
    }

    fn want_broken(&self, resources: &[&str]) {
        self.world().wanted = with(resources, Some(BROKEN));
    }

    fn want_slow(&self, resources: &[&str]) {
        self.world().wanted = with(resources, Some(SLOW));
    }

    async fn begun(&self) {
        self.0.begun.notified().await;
    }

    async fn lose(&self, resource: &str) {
        let mut world = self.world();
        world.serial += 1;
        world.real.retain(|name| name != resource);
    }

    async fn somebody_applies(&self) {
        let mut world = self.world();
        world.take_lock("OperationTypeApply").unwrap();
        if !world.wanted.iter().any(|name| name == SLOW) {
            let wanted = world.wanted.clone();
            world.write(wanted);
            world.lock = None;
        }
    }

    async fn let_go(&self) {
        let mut world = self.world();
        let wanted = world.wanted.clone();
        world.write(wanted);
        world.lock = None;
    }
}

super::contract::infra_contract!(FakeInfra::default());
