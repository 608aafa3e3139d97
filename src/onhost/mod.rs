//! What `relman-host` does on a host: slots, proxy, containers, health, fence.
//!
//! Invariants: traffic is always on the committed slot or on the one on trial; the slot that serves is never
//! replaced or stopped; the way back is one file and one word to the proxy, and waits for nobody. What a verb may
//! do is decided in [`transition`], without IO; what is durable comes before what is visible.

mod adopt;
pub mod boot;
mod checks;
mod container;
mod credentials;
mod engine;
mod evidence;
mod fall_back;
mod metrics;
mod observe;
pub mod paths;
mod perform;
mod policy;
mod prepare;
mod probe;
mod proxy;
mod retire;
mod secrets;
mod shift;
mod stat;
mod state;
mod store;
mod tally;
mod transition;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod properties;

pub use perform::perform;

use crate::clock::Clock;
use paths::Paths;

/// Version of relman-host, as observations tell it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A host: where its files are, and its clock.
pub struct Host<'a> {
    /// Where everything lies.
    pub paths: &'a Paths,
    /// Time.
    pub clock: &'a dyn Clock,
}
