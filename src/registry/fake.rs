//! A registry in memory for tests: it keeps what it is given, counts requests, and fails where it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::name::{Name, is_tag};
use super::{Manifest, Registry, RegistryError};
use crate::domain::id::Digest;

/// A registry in memory.
#[derive(Debug, Default)]
pub struct FakeRegistry(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    manifests: BTreeMap<(String, Digest), Manifest>,
    tags: BTreeMap<(String, String), Digest>,
    blobs: BTreeMap<(String, Digest), Vec<u8>>,
    requests: Vec<String>,
    failing: BTreeSet<String>,
}

impl FakeRegistry {
    /// Takes an image as an engine pushes it: configuration and manifest under a tag. Gives the digest.
    pub fn push(&self, repository: &str, tag: &str, config: &[u8]) -> Digest {
        let bytes = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": config.len(),
                "digest": Digest::of(config),
            },
            "layers": [],
        })
        .to_string()
        .into_bytes();
        let digest = Digest::of(&bytes);
        let media_type = "application/vnd.docker.distribution.manifest.v2+json".to_owned();
        let manifest = Manifest { digest: digest.clone(), media_type, bytes };
        self.with(|state| {
            state.blobs.insert((repository.to_owned(), Digest::of(config)), config.to_vec());
            state.manifests.insert((repository.to_owned(), digest.clone()), manifest);
            state.tags.insert((repository.to_owned(), tag.to_owned()), digest.clone());
        });
        digest
    }

    /// Takes any manifest, such as an index.
    pub fn put(&self, repository: &str, tag: &str, manifest: &Manifest) {
        self.with(|state| {
            state.manifests.insert((repository.to_owned(), manifest.digest.clone()), manifest.clone());
            state.tags.insert((repository.to_owned(), tag.to_owned()), manifest.digest.clone());
        });
    }

    /// Loses everything of a digest, as a garbage collection does.
    pub fn lose(&self, digest: &Digest) {
        self.with(|state| {
            state.manifests.retain(|(_, kept), _| kept != digest);
            state.tags.retain(|_, kept| kept != digest);
        });
    }

    /// Loses a tag.
    pub fn untag(&self, repository: &str, tag: &str) {
        self.with(|state| state.tags.remove(&(repository.to_owned(), tag.to_owned())));
    }

    /// What a tag points to.
    pub fn tag(&self, repository: &str, tag: &str) -> Option<Digest> {
        self.with(|state| state.tags.get(&(repository.to_owned(), tag.to_owned())).cloned())
    }

    /// The next PUT of this tag fails.
    pub fn fail(&self, tag: &str) {
        self.with(|state| state.failing.insert(tag.to_owned()));
    }

    /// The requests since the last time this was asked.
    pub fn requests(&self) -> Vec<String> {
        self.with(|state| std::mem::take(&mut state.requests))
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn checked(repository: &str, reference: &str) -> Result<(), RegistryError> {
    Name::parse(repository)?;
    if is_tag(reference) || reference.parse::<Digest>().is_ok() {
        return Ok(());
    }
    Err(RegistryError::Repository(format!("{repository}:{reference}")))
}

impl State {
    fn find(&self, repository: &str, reference: &str) -> Option<&Manifest> {
        let digest = match reference.parse() {
            Ok(digest) => digest,
            Err(_) => self.tags.get(&(repository.to_owned(), reference.to_owned()))?.clone(),
        };
        self.manifests.get(&(repository.to_owned(), digest))
    }
}

#[async_trait::async_trait]
impl Registry for FakeRegistry {
    async fn resolve(&self, repository: &str, reference: &str) -> Result<Option<Digest>, RegistryError> {
        checked(repository, reference)?;
        Ok(self.with(|state| {
            state.requests.push(format!("HEAD {reference}"));
            state.find(repository, reference).map(|manifest| manifest.digest.clone())
        }))
    }

    async fn manifest(&self, repository: &str, reference: &str) -> Result<Option<Manifest>, RegistryError> {
        checked(repository, reference)?;
        Ok(self.with(|state| {
            state.requests.push(format!("GET {reference}"));
            state.find(repository, reference).cloned()
        }))
    }

    async fn blob(&self, repository: &str, digest: &Digest) -> Result<Option<Vec<u8>>, RegistryError> {
        checked(repository, digest.as_str())?;
        Ok(self.with(|state| {
            state.requests.push(format!("GET {digest}"));
            state.blobs.get(&(repository.to_owned(), digest.clone())).cloned()
        }))
    }

    async fn put_manifest(
        &self,
        repository: &str,
        tag: &str,
        manifest: &Manifest,
    ) -> Result<(), RegistryError> {
        checked(repository, tag)?;
        let found = Digest::of(&manifest.bytes);
        if found != manifest.digest {
            let (registry, asked) = ("fake".to_owned(), manifest.digest.to_string());
            return Err(RegistryError::WrongDigest { registry, asked, found });
        }
        self.with(|state| {
            state.requests.push(format!("PUT {tag}"));
            if state.failing.remove(tag) {
                let source = "told to fail".into();
                return Err(RegistryError::Unavailable { registry: "fake".to_owned(), source });
            }
            // A registry refuses a manifest whose configuration it does not have.
            let value: serde_json::Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
            let config: Option<Digest> =
                value["config"]["digest"].as_str().and_then(|text| text.parse().ok());
            if let Some(config) =
                config.filter(|c| !state.blobs.contains_key(&(repository.to_owned(), c.clone())))
            {
                let (registry, request) = ("fake".to_owned(), format!("PUT {tag}"));
                let detail = format!("MANIFEST_BLOB_UNKNOWN {config}");
                return Err(RegistryError::Answer { registry, request, status: 400, detail });
            }
            state.manifests.insert((repository.to_owned(), found.clone()), manifest.clone());
            state.tags.insert((repository.to_owned(), tag.to_owned()), found);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_fake_keeps_the_contract() {
        let fake = FakeRegistry::default();
        fake.push("registry.example/web", "seed", b"{}");
        super::super::contract::check(&fake, "registry.example/web", "seed").await;
    }
}
