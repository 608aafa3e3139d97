//! The registry port: names to digests, manifests by digest, tags. Blobs are the engine's business.

mod challenge;
#[cfg(test)]
pub(crate) mod contract;
pub mod credentials;
pub mod fake;
pub mod name;
pub mod oci;
mod token;
#[cfg(test)]
mod wire_tests;

use crate::domain::id::Digest;

/// A manifest as the registry keeps it: the bytes are the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Digest of `bytes`, computed here.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A cause from below.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What a registry call can end with.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It could not be reached, or is overloaded.
    #[error("registry {registry} is not available")]
    Unavailable {
        /// Which.
        registry: String,
        /// What happened.
        #[source]
        source: Cause,
    },
    /// It refused who we are.
    #[error("registry {registry} refused access to {repository}")]
    Denied {
        /// Which.
        registry: String,
        /// What was asked for.
        repository: String,
    },
    /// It answered with something that is not an answer.
    #[error("registry {registry} answered {status} to {request}: {detail}")]
    Answer {
        /// Which.
        registry: String,
        /// What was asked.
        request: String,
        /// HTTP status.
        status: u16,
        /// First words of the answer.
        detail: String,
    },
    /// It returned other bytes than the digest says.
    #[error("registry {registry} returned {found} for {asked}")]
    WrongDigest {
        /// Which.
        registry: String,
        /// What was asked for.
        asked: String,
        /// What came.
        found: Digest,
    },
    /// The name is no repository.
    #[error("{0:?} is not a repository: REGISTRY[:PORT]/NAME without tag or digest")]
    Repository(String),
}

/// The port. `reference` is a tag or a digest.
#[async_trait::async_trait]
pub trait Registry: Send + Sync {
    /// The digest that a tag points to; none when there is no such tag. One request.
    async fn resolve(&self, repository: &str, reference: &str) -> Result<Option<Digest>, RegistryError>;

    /// A manifest, checked; none when it is not there.
    async fn manifest(&self, repository: &str, reference: &str) -> Result<Option<Manifest>, RegistryError>;

    /// A blob, checked against its digest; small ones only (an image's configuration).
    async fn blob(&self, repository: &str, digest: &Digest) -> Result<Option<Vec<u8>>, RegistryError>;

    /// Puts the bytes of a manifest under a tag; the answered digest is compared. One request.
    async fn put_manifest(
        &self,
        repository: &str,
        tag: &str,
        manifest: &Manifest,
    ) -> Result<(), RegistryError>;
}
