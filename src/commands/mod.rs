//! One verb a file: typed arguments in, a `Serialize` report out. Nothing here prints, reads the environment or
//! exits; implementations of the ports come in through [`Context`].

pub mod abort;
pub mod anchor;
pub mod approve;
pub mod attempt;
pub mod catch_up;
pub mod deploy;
pub mod diff;
pub mod doctor;
pub mod error;
pub mod freeze;
pub mod history;
pub mod hold;
pub mod infra;
pub mod init;
mod label;
pub mod lock;
pub mod mark;
pub mod migrate;
pub mod outcome;
pub mod provision;
pub mod read;
pub mod release;
pub mod releases;
pub mod resume;
pub mod rollback;
pub mod secrets;
pub mod show;
pub mod status;
pub mod target;
#[cfg(test)]
mod testing;
pub mod verify;

use std::sync::Arc;

use std::time::Duration;

pub use error::CommandError;

use crate::artifact::Artifacts;
use crate::clock::Clock;
use crate::config;
use crate::domain::actor::Actor;
use crate::domain::entry::Draft;
use crate::domain::event::Event;
use crate::domain::id::{EnvironmentName, ServiceName, Stream};
use crate::domain::run::RunConfig;
use crate::git::Repository;
use crate::host::Fleet;
use crate::image::Builder;
use crate::infra::Infrastructure;
use crate::infra::inventory::InventoryHost;
use crate::infra::members::Groups;
use crate::interrupt::Interrupt;
use crate::ledger::Ledger;
use crate::progress::Progress;
use crate::registry::Registry;
use crate::secrets::Secrets;

/// What every command works with.
#[derive(Clone)]
pub struct Context {
    /// The service of `relman.toml`.
    pub service: ServiceName,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The artifact store.
    pub artifacts: Arc<dyn Artifacts>,
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
    /// Who runs the command.
    pub actor: Actor,
    /// On what machine.
    pub machine: String,
    /// Who listens.
    pub progress: Arc<dyn Progress>,
    /// Whether to stop.
    pub interrupt: Interrupt,
}

/// One environment and the way to its hosts.
#[derive(Clone)]
pub struct Site {
    /// Its name.
    pub name: EnvironmentName,
    /// Its section of the configuration.
    pub settings: config::Environment,
    /// The run configuration of now, the environment's own variables in it.
    pub run: RunConfig,
    /// The way to its hosts.
    pub fleet: Arc<dyn Fleet>,
    /// Where references to secrets lead.
    pub secrets: Arc<Secrets>,
    /// How long a lease lasts without a renewal.
    pub lease: Duration,
    /// What its machines are made from, where relman knows.
    pub infra: Option<Infra>,
    /// Which hosts there are, where what they are made from tells.
    pub roster: Option<provision::Roster>,
}

/// Makes the way to these hosts.
pub type FleetOf = Arc<dyn Fn(&[InventoryHost]) -> Result<Arc<dyn Fleet>, CommandError> + Send + Sync>;

/// What an environment's machines are made from.
#[derive(Clone)]
pub struct Infra {
    /// The tool that makes them.
    pub port: Arc<dyn Infrastructure>,
    /// What a deploy does about them.
    pub provision: config::Provision,
    /// Whether no host may have a public address.
    pub private: bool,
    /// The way to hosts that are new.
    pub fleet: FleetOf,
    /// Who is in a group that scales by itself.
    pub groups: Arc<dyn Groups>,
}

/// Where releases come from.
#[derive(Clone)]
pub struct Supply {
    /// The section of the configuration.
    pub image: config::Image,
    /// How versions are given.
    pub version: config::VersionSettings,
    /// The clone that relman runs in, if it runs in one.
    pub repository: Option<Repository>,
    /// The registry of the image's repository.
    pub registry: Arc<dyn Registry>,
    /// What builds and pushes.
    pub builder: Arc<dyn Builder>,
}

impl Context {
    /// The stream of an environment's deployments.
    pub fn stream(&self, environment: &EnvironmentName) -> Stream {
        Stream::deployments(&self.service, environment)
    }

    /// A draft of an event, now, by this actor.
    pub fn draft(&self, event: Event) -> Draft {
        Draft { eid: self.clock.token(), at: self.clock.now(), actor: self.actor.clone(), event }
    }
}
