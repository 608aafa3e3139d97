//! Binds commit, version and digest in the ledger. From here the release exists.

use super::Job;
use crate::commands::error::{CommandError, ErrorKind};
use crate::domain::event::Event;
use crate::domain::id::Stream;
use crate::domain::project::Illegal;
use crate::domain::record::ReleaseRecord;
use crate::domain::release::{Release, ReleaseRef};
use crate::domain::version::Version;
use crate::ledger::LedgerError;
use crate::registry::Manifest;

impl Job<'_> {
    /// Binds, and gives the release that is bound: ours, or that of another run for the same commit which came
    /// first. `engine` is what built it; none for a finished image.
    pub(super) async fn bind(
        &self,
        version: &Version,
        manifest: &Manifest,
        engine: Option<String>,
    ) -> Result<(ReleaseRecord, bool), CommandError> {
        let kept = self.context.artifacts.put(&manifest.bytes).await?;
        let mut tools = concat!("relman ", env!("CARGO_PKG_VERSION")).to_owned();
        if let Some(engine) = &engine {
            tools = format!("{tools}, {engine}");
        }
        let release = Release {
            identity: ReleaseRef {
                version: version.clone(),
                commit: self.head.commit.clone(),
                digest: manifest.digest.clone(),
                repository: self.supply.image.repository.clone(),
            },
            tree: Some(self.head.tree.clone()),
            committed_at: Some(self.head.committed_at),
            manifest: kept,
            media_type: manifest.media_type.clone(),
            base_digest: None,
            adopted: engine.is_none(),
            tools,
        };
        let stream = Stream::releases(&self.context.service);
        let draft = self.context.draft(Event::ReleaseBound(Box::new(release)));
        let ours = match self.context.ledger.append(&stream, None, draft).await {
            Ok(sealed) => {
                self.context.progress.entry(&sealed.entry);
                true
            }
            Err(LedgerError::Illegal(Illegal::VersionBound { digest, .. })) => digest == manifest.digest,
            Err(error) => return Err(error.into()),
        };
        let Some(record) = self.context.release(version).await? else {
            let text = format!("{} is not in the ledger after it was bound", version.tag());
            return Err(CommandError::new(ErrorKind::Bug, text));
        };
        if !ours {
            self.context
                .progress
                .note(&format!("another run has bound {} meanwhile: taking that", version.tag()));
            // Our push moved the commit's tag; the bound image is the one that it names.
            let bound = self.kept(&record).await?;
            let repository = &self.supply.image.repository;
            self.supply.registry.put_manifest(repository, &self.sha_tag(), &bound).await?;
        }
        Ok((record, ours))
    }

    /// The manifest as it was bound.
    pub(super) async fn kept(&self, record: &ReleaseRecord) -> Result<Manifest, CommandError> {
        let release = &record.release;
        let bytes = self.context.artifacts.get(&release.manifest).await?;
        let (digest, media_type) = (release.identity.digest.clone(), release.media_type.clone());
        Ok(Manifest { digest, media_type, bytes })
    }
}
