//! What ledger and registry know already about a commit.

use super::version::Wanted;
use super::{Job, Source, fail};
use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::label::{self, LabelError};
use crate::domain::id::Digest;
use crate::domain::record::{Listing, Record, ReleaseRecord};
use crate::domain::version::Version;
use crate::registry::Manifest;

/// What the ledger knows about the commit, highest version first.
pub(super) struct Known {
    /// Its releases.
    pub(super) releases: Vec<ReleaseRecord>,
    /// Numbers taken for it and not used yet.
    pub(super) claims: Vec<Version>,
}

impl Known {
    /// The release that is what was asked for.
    pub(super) fn matching(&self, wanted: &Wanted) -> Option<&ReleaseRecord> {
        self.releases.iter().find(|record| wanted.fits(&record.release.identity.version))
    }

    /// A number of an earlier run that did not come to its end.
    pub(super) fn reusable(&self, wanted: &Wanted) -> Option<&Version> {
        self.claims.iter().find(|version| wanted.fits(version))
    }

    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.releases.iter().any(|record| record.release.identity.digest == *digest)
    }
}

impl Job<'_> {
    pub(super) async fn known(&self) -> Result<Known, CommandError> {
        let service = &self.context.service;
        let listing = Listing::Commits(service.clone(), self.head.commit.to_string());
        let page = self.context.ledger.page(&listing, None, 100).await?;
        let mut known = Known { releases: Vec::new(), claims: Vec::new() };
        for (_, record) in page.records {
            let Record::Commit(version) = record else { continue };
            match self.context.release(&version).await? {
                Some(release) => known.releases.push(release),
                None => known.claims.push(version),
            }
        }
        Ok(known)
    }

    /// The image that an earlier run pushed, if it can be told that it is this commit's.
    pub(super) async fn found(&self, tagged: Option<&Digest>, known: &Known) -> Result<Source, CommandError> {
        let candidates = known.releases.iter().map(|record| &record.release.identity);
        let Some(tagged) = tagged else {
            // A pre-release of this commit is promoted with the same digest.
            for bound in candidates {
                if let Some(manifest) = self.manifest(bound.digest.as_str()).await? {
                    return Ok(Source::Found(manifest));
                }
            }
            return Ok(Source::Build);
        };
        if let Some(bound) = candidates.clone().next().filter(|_| !known.has(tagged)) {
            return Err(fail::other_digest(bound, tagged));
        }
        let Some(manifest) = self.manifest(tagged.as_str()).await? else { return Ok(Source::Build) };
        match self.revision(&manifest).await? {
            Some(revision) if revision == self.head.commit.as_str() => {
                self.context
                    .progress
                    .note(&format!("{} is in the registry already: taking it", self.sha_tag()));
                Ok(Source::Found(manifest))
            }
            found => {
                let says = found.map_or("has no label of its commit".to_owned(), |found| {
                    format!("says it is commit {found}")
                });
                let text = format!("the image tagged {} {says}", self.sha_tag());
                let image = format!("{}@{tagged}", self.supply.image.repository);
                Err(CommandError::new(ErrorKind::Failed, text)
                    .hint(format!("if it is right all the same: relman release --image {image}"))
                    .hint("to replace it: relman release --new-build"))
            }
        }
    }

    /// The image that the user named.
    pub(super) async fn named(&self, image: &str) -> Result<Manifest, CommandError> {
        let ours = &self.supply.image.repository;
        let usage = |text: String| CommandError::new(ErrorKind::Usage, text);
        let parts =
            image.split_once('@').and_then(|(name, digest)| Some((name, digest.parse::<Digest>().ok()?)));
        let Some((name, digest)) = parts else {
            return Err(usage(format!("image {image:?} is not REPOSITORY@sha256:…")));
        };
        // `repository:tag@digest` is what Docker prints; the digest decides.
        let tail = name.rfind('/').map_or(0, |at| at + 1);
        let name = name[tail..].find(':').map_or(name, |at| &name[..tail + at]);
        if name != ours {
            return Err(usage(format!("image {image} is not in {ours}"))
                .hint(format!("copy it: skopeo copy --all --preserve-digests docker://{name}@{digest} docker://{ours}:{}", self.sha_tag()))
                .hint(format!("then: relman release --image {ours}@{digest}")));
        }
        let Some(manifest) = self.manifest(digest.as_str()).await? else {
            return Err(CommandError::new(
                ErrorKind::NotFound,
                format!("image {image} is not in the registry"),
            ));
        };
        match self.revision(&manifest).await? {
            Some(revision) if revision != self.head.commit.as_str() => {
                let text = format!(
                    "image {image} was built from commit {revision}, and HEAD is {}",
                    self.head.commit
                );
                Err(CommandError::new(ErrorKind::Failed, text).hint(format!("git checkout {revision}")))
            }
            _ => Ok(manifest),
        }
    }

    pub(super) async fn manifest(&self, reference: &str) -> Result<Option<Manifest>, CommandError> {
        let repository = &self.supply.image.repository;
        Ok(self.supply.registry.manifest(repository, reference).await?)
    }

    /// The commit that the image says it was built from. An image that is not whole says nothing.
    pub(super) async fn revision(&self, manifest: &Manifest) -> Result<Option<String>, CommandError> {
        let registry = &*self.supply.registry;
        match label::revision(registry, &self.supply.image.repository, &manifest.bytes).await {
            Ok(found) => Ok(found),
            Err(LabelError::Broken(_)) => Ok(None),
            Err(LabelError::Registry(error)) => Err(error.into()),
        }
    }
}
