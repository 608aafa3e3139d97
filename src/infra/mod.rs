//! The infrastructure port: what the machines are made from. It plans, applies a plan that it has shown, and tells
//! what came of it.
//!
//! Invariants: only a saved plan can be applied, so what is done is what was shown; a lock is never broken; values
//! of resources never leave it, only their addresses and what happens to them.

pub mod autoscaling;
#[cfg(test)]
pub mod contract;
#[cfg(test)]
pub mod fake;
pub mod inventory;
pub mod members;
pub mod terraform;

use std::fmt;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::id::Digest;
use crate::domain::infra::StateId;
use crate::interrupt::Interrupt;

/// Outputs by name.
pub type Outputs = Map<String, Value>;

/// What happens to a resource or an output, in Terraform's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Address of the resource, or name of the output.
    pub address: String,
    /// `create`, `update`, `delete`; a replacement is two of them.
    pub actions: Vec<String>,
}

/// A plan without values: what is shown, and kept as an artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Whether there is anything to apply.
    pub applicable: bool,
    /// Resources that change.
    pub resources: Vec<Change>,
    /// Outputs that change.
    pub outputs: Vec<Change>,
    /// Resources that somebody changed beside the configuration.
    pub drifted: Vec<Change>,
}

impl Change {
    fn has(&self, action: &str) -> bool {
        self.actions.iter().any(|one| one == action)
    }

    /// Whether something that exists goes away, be it for a successor.
    pub fn destroys(&self) -> bool {
        self.has("delete")
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.has("create"), self.has("delete")) {
            (true, true) => "replace".to_owned(),
            _ => self.actions.join(", "),
        };
        write!(f, "{what} {}", self.address)
    }
}

impl Changes {
    fn count(&self, action: &str) -> u32 {
        u32::try_from(self.resources.iter().filter(|one| one.has(action)).count()).unwrap_or(u32::MAX)
    }

    /// Resources that are made.
    pub fn created(&self) -> u32 {
        self.count("create")
    }

    /// Resources that are changed in place.
    pub fn updated(&self) -> u32 {
        self.count("update")
    }

    /// Resources that go away.
    pub fn deleted(&self) -> u32 {
        self.count("delete")
    }

    /// Whether machines and what is around them are not as the configuration says. Outputs alone are not meant: those of a
    /// group that scales by itself name other hosts after each scaling.
    pub fn has_moved(&self) -> bool {
        !self.resources.is_empty() || !self.drifted.is_empty()
    }

    /// Whether there is anything to apply, or was changed beside the configuration.
    pub fn differs(&self) -> bool {
        self.applicable || !self.drifted.is_empty()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to create, {} to change, {} to delete", self.created(), self.updated(), self.deleted())
    }
}

/// Who holds the lock of a state, as Terraform tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// What `force-unlock` wants to hear.
    pub id: String,
    /// `ada@laptop`.
    pub who: String,
    /// `OperationTypeApply`.
    pub operation: String,
    /// Since when.
    pub created: String,
    /// Which state.
    pub path: String,
}

/// What a plan does about the state's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locking {
    /// Takes it; somebody else may hold it for so long.
    Wait(Duration),
    /// Leaves it alone: a look with rights to read and none to lock. Somebody may be writing meanwhile.
    Leave,
}

/// A plan that was made and can be applied as it is.
#[async_trait::async_trait]
pub trait SavedPlan: Send {
    /// What it would do.
    fn changes(&self) -> &Changes;

    /// Does it, and gives the log. When `stop` is raised it stops between two resources, writes its state and frees
    /// its lock.
    ///
    /// # Errors
    /// When not all of it was done. What was done is in the state.
    async fn apply(self: Box<Self>, stop: &Interrupt) -> Result<String, InfraError>;
}

/// The port.
#[async_trait::async_trait]
pub trait Infrastructure: Send + Sync {
    /// Where it is, for messages and the ledger: the directory, and the workspace where it is not the default one.
    fn location(&self) -> String;

    /// The version of the tool.
    ///
    /// # Errors
    /// When it is not there, or too old.
    async fn version(&self) -> Result<String, InfraError>;

    /// Whether it could be planned: initialised, and the configuration valid. Changes nothing.
    ///
    /// # Errors
    /// Why not.
    async fn validate(&self) -> Result<(), InfraError>;

    /// Hash of everything that the configuration consists of; none where that cannot be told.
    ///
    /// # Errors
    /// When it cannot be read.
    async fn configuration(&self) -> Result<Option<Digest>, InfraError>;

    /// Which state it is, and how often it was written; none before the first apply.
    ///
    /// # Errors
    /// When it cannot be read.
    async fn state(&self) -> Result<Option<StateId>, InfraError>;

    /// The values of the outputs, as the state has them. May hold secrets.
    ///
    /// # Errors
    /// When they cannot be read.
    async fn outputs(&self) -> Result<Outputs, InfraError>;

    /// Compares configuration, state and reality. Also what was planned without the lock is applied with it.
    ///
    /// # Errors
    /// When it cannot be planned, or somebody holds the lock that is to be taken.
    async fn plan(&self, lock: Locking, stop: &Interrupt) -> Result<Box<dyn SavedPlan>, InfraError>;
}

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
pub enum InfraError {
    /// The tool is not there.
    #[error("{command} is not installed")]
    Missing {
        /// The command.
        command: String,
    },
    /// The tool is there and cannot be used.
    #[error("{command} {found} is older than {wanted}")]
    TooOld {
        /// The command.
        command: String,
        /// Its version.
        found: String,
        /// The oldest one that will do.
        wanted: &'static str,
    },
    /// No such directory, or nothing in it.
    #[error("there is no Terraform configuration in {directory}")]
    NoConfiguration {
        /// The directory.
        directory: String,
    },
    /// It was never initialised.
    #[error("{directory} is not initialised: {said}")]
    NotInitialised {
        /// The directory.
        directory: String,
        /// What Terraform said.
        said: String,
        /// All that it said, redacted.
        log: String,
    },
    /// Somebody holds the state's lock, or died with it.
    #[error("the state of {directory} is locked by {} since {}", .lock.who, .lock.created)]
    Locked {
        /// The directory, as the command to unlock takes it.
        directory: String,
        /// The workspace, if it is not the default one.
        workspace: Option<String>,
        /// Who.
        lock: Box<Lock>,
    },
    /// The state moved after the plan was made.
    #[error("the state of {directory} moved after it was planned; nothing was applied")]
    Stale {
        /// The directory.
        directory: String,
    },
    /// It was asked to stop.
    #[error("{what} was stopped")]
    Stopped {
        /// What.
        what: String,
    },
    /// It failed, and said why.
    #[error("{what} failed: {said}")]
    Failed {
        /// What.
        what: String,
        /// What it said first, redacted.
        said: String,
        /// All that it said, redacted.
        log: String,
    },
    /// It succeeded, and what it said does not read.
    #[error("{what} said something that cannot be read")]
    Unreadable {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It said more than is kept, and half of it would be read as something else.
    #[error("{what} said more than {limit} MiB")]
    TooMuch {
        /// What.
        what: String,
        /// What is kept.
        limit: u64,
    },
    /// The operating system did not let it.
    #[error("{what} cannot be done")]
    Io {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl InfraError {
    /// A word for programs, for the ledger.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::TooOld { .. } => "no_terraform",
            Self::NoConfiguration { .. } | Self::NotInitialised { .. } => "not_initialised",
            Self::Locked { .. } => "locked",
            Self::Stale { .. } => "stale",
            Self::Stopped { .. } => "interrupted",
            Self::Failed { .. } => "failed",
            Self::Unreadable { .. } | Self::TooMuch { .. } => "unreadable",
            Self::Io { .. } => "io",
        }
    }

    /// All that was said, where there is more than the message.
    pub fn log(&self) -> Option<&str> {
        match self {
            Self::Failed { log, .. } | Self::NotInitialised { log, .. } => Some(log),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_counts_as_made_and_gone() {
        let change = |address: &str, actions: &[&str]| Change {
            address: address.into(),
            actions: actions.iter().map(|&action| action.into()).collect(),
        };
        let changes = Changes {
            applicable: true,
            resources: vec![
                change("a", &["create"]),
                change("b", &["update"]),
                change("c", &["delete", "create"]),
            ],
            ..Changes::default()
        };
        assert_eq!(changes.to_string(), "2 to create, 1 to change, 1 to delete");
        let shown: Vec<String> = changes.resources.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["create a", "update b", "replace c"]);
        assert!(changes.resources[2].destroys() && !changes.resources[1].destroys());
    }
}
