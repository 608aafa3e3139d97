//! How a release is run: the run configuration that is snapshotted with each deployment and comes back with a
//! rollback. It holds references to secrets, never a secret.

mod check;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::check::{RunFault, RunProblem, SECRETS_DIRECTORY, Volume, is_variable};

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

/// Where a secret comes from. `env:NAME` and `file:PATH`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretRef {
    /// A variable in the environment of relman.
    Env(String),
    /// A file that relman can read.
    File(String),
}

/// Why a secret reference cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "secret reference {0:?} is neither env:NAME nor file:PATH; a secret is never written into a configuration"
)]
pub struct SecretRefError(String);

impl TryFrom<String> for SecretRef {
    type Error = SecretRefError;
    fn try_from(text: String) -> Result<Self, SecretRefError> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.to_owned())),
            // Whatever it is, it may be the secret itself: only its scheme is repeated.
            Some((scheme, _)) if scheme.len() <= 10 => Err(SecretRefError(format!("{scheme}:…"))),
            _ => Err(SecretRefError("…".to_owned())),
        }
    }
}

impl From<SecretRef> for String {
    fn from(secret: SecretRef) -> String {
        match secret {
            SecretRef::Env(name) => format!("env:{name}"),
            SecretRef::File(path) => format!("file:{path}"),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_10_a_bad_reference_is_not_repeated_in_the_error() {
        for text in ["hunter2", "postgres://user:hunter2@db", "vault:hunter2", "env:", "file:"] {
            let error = SecretRef::try_from(text.to_owned()).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn references_read_back() {
        for text in ["env:TOKEN", "file:/etc/token"] {
            assert_eq!(String::from(SecretRef::try_from(text.to_owned()).unwrap()), text);
        }
    }
}
