//! The words of the contract as types: pure data and pure rules, no IO, no async, no clock.
//!
//! Everything that the rest of the crate decides is decided here or in [`crate::saga`]. An invalid name,
//! digest, commit or version cannot be constructed, so no other module checks one again.

pub mod actor;
pub mod deployment;
pub mod drift;
pub mod entry;
pub mod event;
#[cfg(feature = "cli")]
pub mod freeze;
pub mod id;
pub mod infra;
pub mod plan;
pub mod policy;
pub mod project;
pub mod record;
pub mod release;
pub mod run;
pub mod step;
pub mod target;
pub mod time;
pub mod version;
pub mod wave;
