//! Artifacts in memory: the fake of unit tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{ArtifactError, Artifacts};
use crate::domain::id::Digest;

/// A store that lives as long as the value.
#[derive(Debug, Default)]
pub struct MemoryArtifacts {
    stored: Mutex<BTreeMap<Digest, Vec<u8>>>,
}

impl MemoryArtifacts {
    fn stored(&self) -> MutexGuard<'_, BTreeMap<Digest, Vec<u8>>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses an artifact, as a folder that somebody tidied.
    pub fn lose(&self, digest: &Digest) {
        self.stored().remove(digest);
    }
}

#[async_trait::async_trait]
impl Artifacts for MemoryArtifacts {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    async fn put(&self, bytes: &[u8]) -> Result<Digest, ArtifactError> {
        let digest = Digest::of(bytes);
        self.stored().insert(digest.clone(), bytes.to_owned());
        Ok(digest)
    }

    async fn get(&self, digest: &Digest) -> Result<Vec<u8>, ArtifactError> {
        let missing = || ArtifactError::Missing { digest: digest.clone(), location: self.location() };
        self.stored().get(digest).cloned().ok_or_else(missing)
    }

    async fn exists(&self, digest: &Digest) -> Result<bool, ArtifactError> {
        Ok(self.stored().contains_key(digest))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::artifact::contract::artifact_contract;

    fn make() -> (Arc<dyn Artifacts>, ()) {
        (Arc::new(MemoryArtifacts::default()), ())
    }

    artifact_contract!(make());
}
