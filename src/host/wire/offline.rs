//! Going back without the ledger: what a host is told, and what it remembers until the ledger knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Secret;
use crate::domain::deployment::Offline;
use crate::domain::id::{DeploymentNumber, Digest};
use crate::domain::release::ReleaseRef;

/// Go back to a release that one of the host's slots holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FallBack {
    /// Who says so, and why.
    pub offline: Offline,
    /// The digest of that release.
    pub to: Digest,
    /// Secrets by name, should its container have to be made anew; those that it does not refer to are left out.
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
}

/// A release, and the deployment that put it on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placed {
    /// The release.
    pub release: ReleaseRef,
    /// The deployment.
    pub deployment: DeploymentNumber,
}

/// What a host remembers of a [`FallBack`]. While it does, it obeys no lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Who said so, and why.
    pub offline: Offline,
    /// What took the traffic before; of several in a row, before the first.
    pub from: Placed,
    /// What takes it since.
    pub to: Placed,
}

impl Mark {
    /// In words: what was done, by whom and when.
    pub fn told(&self) -> String {
        let Offline { at, actor, machine, .. } = &self.offline;
        format!(
            "it went back to {} without the ledger ({} on {machine}, {at})",
            self.to.release.version.tag(),
            actor.name
        )
    }
}
