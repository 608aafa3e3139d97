//! How a release is run: the run configuration that is snapshotted with each deployment and comes back with a
//! rollback. It holds references to secrets, never a secret.

mod check;
mod reference;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::check::{RunFault, RunProblem, SECRETS_DIRECTORY, Volume, is_variable};
pub use self::reference::{SecretRef, SecretRefError, Stored};

/// The run configuration of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The port on which the container listens.
    pub port: u16,
    /// Plain environment variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Secrets by name; the value is resolved on the machine that runs relman, just before it is needed. In the
    /// container each is the file `/run/secrets/NAME`, and `NAME_FILE` says so.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretRef>,
    /// Bind mounts, `/host/path:/container/path[:ro]`, within the host's own policy.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// Memory limit in MiB.
    #[serde(default = "default_memory")]
    pub memory_mib: u64,
    /// Limit of processes and threads.
    #[serde(default = "default_pids")]
    pub pids: u32,
    /// Seconds between SIGTERM and SIGKILL when a container is stopped.
    #[serde(default = "default_stop_timeout")]
    pub stop_timeout_seconds: u32,
    /// When a container counts as healthy.
    #[serde(default)]
    pub health: HealthCheck,
}

fn default_memory() -> u64 {
    512
}

fn default_pids() -> u32 {
    512
}

fn default_stop_timeout() -> u32 {
    30
}

impl RunConfig {
    /// The references to secrets, each that is in a store bound to the version that is named for it.
    pub fn secrets_at(&self, versions: &BTreeMap<String, String>) -> BTreeMap<String, SecretRef> {
        let at = |(name, reference): (&String, &SecretRef)| {
            let version = versions.get(name);
            (name.clone(), version.map_or_else(|| reference.clone(), |version| reference.at(version)))
        };
        self.secrets.iter().map(at).collect()
    }
}

/// An HTTP health check: a run of good answers makes a container healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthCheck {
    /// Path that must answer 2xx or 3xx.
    pub path: String,
    /// Milliseconds between two probes.
    pub interval_ms: u64,
    /// Milliseconds that one probe may take.
    pub timeout_ms: u64,
    /// Seconds within which the container must have become healthy.
    pub start_period_seconds: u64,
    /// Good answers in a row that are asked for.
    pub good_probes: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            path: "/healthz".to_owned(),
            interval_ms: 500,
            timeout_ms: 2_000,
            start_period_seconds: 60,
            good_probes: 3,
        }
    }
}
