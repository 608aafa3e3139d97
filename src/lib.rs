//! relman: release and rollback manager with a versioned image ledger. The code map is in `ARCHITECTURE.md`.

pub mod artifact;
pub mod clock;
#[cfg(feature = "cli")]
pub mod commands;
pub mod domain;
pub mod host;
pub mod ledger;
pub mod progress;
#[cfg(feature = "cli")]
pub mod registry;
pub mod saga;
