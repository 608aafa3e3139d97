//! relman: release and rollback manager with a versioned image ledger. The code map is in `ARCHITECTURE.md`.

pub mod domain;
pub mod saga;

pub mod anchor;
pub mod artifact;
#[cfg(feature = "cli")]
pub mod aws;
#[cfg(feature = "cli")]
pub mod git;
pub mod host;
#[cfg(feature = "cli")]
pub mod image;
#[cfg(feature = "cli")]
pub mod infra;
pub mod ledger;
#[cfg(feature = "cli")]
pub mod oidc;
#[cfg(feature = "cli")]
pub mod registry;

#[cfg(feature = "cli")]
mod child;
pub mod clock;
#[cfg(feature = "cli")]
pub mod config;
mod engine;
pub mod interrupt;
pub mod progress;
pub mod secrets;
#[cfg(feature = "cli")]
mod tls;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod commands;
pub mod onhost;
