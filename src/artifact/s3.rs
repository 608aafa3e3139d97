//! Artifacts in a bucket: `s3://BUCKET/PREFIX/sha256/AB/CDEF…`, each put once and never changed.
//!
//! S3 checks the bytes against their SHA-256 when they come in, and relman again when it reads them.

use super::{ArtifactError, Artifacts};
use crate::aws::{Bucket, Fault, Put};
use crate::domain::id::Digest;

/// Versions of one artifact that are read to find the right one.
const LOOKED_AT: usize = 16;

/// A place in a bucket.
#[derive(Debug)]
pub struct S3Artifacts {
    bucket: Bucket,
}

impl S3Artifacts {
    /// In this place.
    pub fn new(bucket: Bucket) -> Self {
        Self { bucket }
    }

    fn unavailable(&self, fault: Fault) -> ArtifactError {
        ArtifactError::Unavailable {
            location: self.location(),
            transient: fault.is_transient(),
            source: fault.into(),
        }
    }

    async fn read(&self, digest: &Digest, version: Option<&str>) -> Result<Vec<u8>, ArtifactError> {
        let read = self.bucket.get(&key(digest), version).await.map_err(|fault| self.unavailable(fault))?;
        let (digest, location) = (digest.clone(), self.location());
        let Some(bytes) = read else { return Err(ArtifactError::Missing { digest, location }) };
        let found = Digest::of(&bytes);
        if found == digest { Ok(bytes) } else { Err(ArtifactError::Corrupt { digest, location, found }) }
    }

    /// What was put, if it lies below what somebody put over it or deleted: nobody can take a version away that the
    /// bucket retains. None too where versions may not be read, as a host may not.
    async fn below(&self, digest: &Digest) -> Option<Vec<u8>> {
        let key = key(digest);
        let versions = self.bucket.versions(&key).await.ok()?;
        let found = versions.iter().find(|versions| versions.key == key)?;
        for id in found.ids.iter().rev().take(LOOKED_AT) {
            if let Ok(bytes) = self.read(digest, Some(id)).await {
                return Some(bytes);
            }
        }
        None
    }
}

fn key(digest: &Digest) -> String {
    let (folder, name) = digest.hex().split_at(2);
    format!("sha256/{folder}/{name}")
}

#[async_trait::async_trait]
impl Artifacts for S3Artifacts {
    fn location(&self) -> String {
        self.bucket.location()
    }

    async fn put(&self, bytes: &[u8]) -> Result<Digest, ArtifactError> {
        let digest = Digest::of(bytes);
        let key = key(&digest);
        let put = self.bucket.put(&key, bytes).await.map_err(|fault| self.unavailable(fault))?;
        if put == Put::New {
            return Ok(digest);
        }
        match self.read(&digest, None).await {
            Ok(_) => {}
            // What lies there is not what was put: a version over it mends that, and it stays for who looks into it.
            Err(ArtifactError::Corrupt { .. }) => {
                self.bucket.replace(&key, bytes).await.map_err(|fault| self.unavailable(fault))?;
            }
            // What could not be read may be in order: it is left as it is.
            Err(error) => return Err(error),
        }
        Ok(digest)
    }

    async fn get(&self, digest: &Digest) -> Result<Vec<u8>, ArtifactError> {
        match self.read(digest, None).await {
            Err(error @ (ArtifactError::Corrupt { .. } | ArtifactError::Missing { .. })) => {
                self.below(digest).await.ok_or(error)
            }
            read => read,
        }
    }

    async fn exists(&self, digest: &Digest) -> Result<bool, ArtifactError> {
        self.bucket.exists(&key(digest)).await.map_err(|fault| self.unavailable(fault))
    }
}

#[cfg(test)]
mod tests;
