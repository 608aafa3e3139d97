//! The artifact port: large values by content (run configurations, plans, manifests, logs). An entry keeps the
//! digest. What is put is never a secret.

#[cfg(test)]
pub(crate) mod contract;
pub mod file;
pub mod memory;
#[cfg(feature = "cli")]
pub mod s3;

use crate::domain::id::Digest;

/// A cause from below.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What an artifact call can end with.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The store could not be reached or written.
    #[error("artifact store {location} is not available")]
    Unavailable {
        /// Which store.
        location: String,
        /// Whether trying again may help.
        transient: bool,
        /// What happened.
        #[source]
        source: Cause,
    },
    /// It is not there.
    #[error("artifact {digest} is not in {location}")]
    Missing {
        /// Which artifact.
        digest: Digest,
        /// Which store.
        location: String,
    },
    /// What lies there is not what was put.
    #[error("artifact {digest} in {location} has other content: {found}")]
    Corrupt {
        /// Which artifact.
        digest: Digest,
        /// Which store.
        location: String,
        /// The digest of what lies there.
        found: Digest,
    },
}

impl ArtifactError {
    /// Whether the same call may succeed if it is repeated.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { transient: true, .. })
    }
}

/// The port.
#[async_trait::async_trait]
pub trait Artifacts: Send + Sync {
    /// Where it is, for messages.
    fn location(&self) -> String;

    /// Stores bytes under their own digest; storing them again is nothing. Durable when it returns.
    async fn put(&self, bytes: &[u8]) -> Result<Digest, ArtifactError>;

    /// The bytes, checked against the digest.
    async fn get(&self, digest: &Digest) -> Result<Vec<u8>, ArtifactError>;

    /// Whether it is there.
    async fn exists(&self, digest: &Digest) -> Result<bool, ArtifactError>;
}
