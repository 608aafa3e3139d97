//! A deployment from plan to outcome. [`state::next`] decides, [`run`] drives.

pub mod claim;
pub mod lease;
pub mod perform;
pub mod plan;
pub mod run;
pub mod state;

use std::collections::BTreeSet;

use crate::domain::id::HostName;

/// Who can tell a host that is out of reach from one that is there no more.
#[async_trait::async_trait]
pub trait Roll: Send + Sync {
    /// Those of these hosts that have left for good. Where that cannot be told, none.
    async fn departed(&self, hosts: &[HostName]) -> BTreeSet<HostName>;
}
