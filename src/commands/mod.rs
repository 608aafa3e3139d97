//! One verb a file: typed arguments in, a `Serialize` report out. Nothing here prints, reads the environment or
//! exits; implementations of the ports come in through [`Context`].

pub mod abort;
pub mod deploy;
pub mod diff;
pub mod doctor;
pub mod error;
pub mod history;
pub mod hold;
pub mod init;
pub mod lock;
pub mod mark;
pub mod release;
pub mod releases;
pub mod resume;
pub mod rollback;
pub mod show;
pub mod status;
pub mod target;
pub mod verify;

use std::sync::Arc;

use crate::artifact::Artifacts;
use crate::clock::Clock;
use crate::domain::actor::Actor;
use crate::domain::entry::Draft;
use crate::domain::event::Event;
use crate::domain::id::ServiceName;
use crate::ledger::Ledger;
use crate::progress::Progress;

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
}

impl Context {
    /// A draft of an event, now, by this actor.
    pub fn draft(&self, event: Event) -> Draft {
        Draft { eid: self.clock.token(), at: self.clock.now(), actor: self.actor.clone(), event }
    }
}
