//! Projects a bound release onto the tags of registry and git. A tag with another digest is never overwritten,
//! apart from `latest`, which only goes forward. What fails here can be done by any later run.

use super::inspect::Known;
use super::{CommandError, Job, in_git};
use crate::commands::error::chain;
use crate::config::GitTag;
use crate::domain::event::Event;
use crate::domain::id::{Digest, Stream};
use crate::domain::policy::Ancestry;
use crate::domain::record::{Listing, Record, ReleaseRecord};
use crate::git::Pushed;

/// How the tags are.
#[derive(Default)]
pub(super) struct Tagged {
    /// In their place.
    pub(super) tags: Vec<String>,
    /// Somebody else's.
    pub(super) conflicts: Vec<String>,
    /// Not written, and why.
    pub(super) incomplete: Vec<String>,
}

impl Job<'_> {
    /// Brings the tags into their place; the release exists, so nothing that fails here stops the rest. `tagged` is
    /// what the commit's tag points to, and what the ledger knows about the commit.
    pub(super) async fn project(
        &self,
        record: &ReleaseRecord,
        tagged: Result<(Option<Digest>, &Known), &CommandError>,
    ) -> Tagged {
        let identity = &record.release.identity;
        let mut out = Tagged::default();
        match tagged {
            // Another build of the same commit that is recorded as well: its newest one has the tag.
            Ok((Some(found), known)) if found != identity.digest && known.has(&found) => {}
            Ok((Some(found), _)) if found != identity.digest && !self.args.repair => {
                out.conflicts.push(format!("{} points to {found}", self.sha_tag()));
            }
            Ok((found, _)) => self.put(record, &self.sha_tag(), found.as_ref(), &mut out).await,
            Err(error) => out.incomplete.push(format!("{}: {}", self.sha_tag(), chain(error))),
        }
        let tag = identity.version.tag();
        match self.resolve(&tag).await {
            Ok(Some(found)) if found != identity.digest => {
                out.conflicts.push(format!("{tag} points to {found}"));
            }
            Ok(found) => self.put(record, &tag, found.as_ref(), &mut out).await,
            Err(error) => out.incomplete.push(format!("{tag}: {}", chain(&error))),
        }
        if let Err(error) = self.latest(record, &mut out).await {
            out.incomplete.push(format!("latest: {}", chain(&error)));
        }
        self.git_tag(record, &mut out).await;
        self.note(record, &mut out).await;
        out
    }

    async fn put(&self, record: &ReleaseRecord, tag: &str, found: Option<&Digest>, out: &mut Tagged) {
        let put = async {
            if found == Some(&record.release.identity.digest) {
                return Ok::<_, CommandError>(());
            }
            let manifest = self.kept(record).await?;
            let repository = &self.supply.image.repository;
            Ok(self.supply.registry.put_manifest(repository, tag, &manifest).await?)
        };
        match put.await {
            Ok(()) => out.tags.push(tag.to_owned()),
            Err(error) => out.incomplete.push(format!("{tag}: {}", chain(&error))),
        }
    }

    /// `latest` is the newest release of the ledger, and never goes back in the history.
    async fn latest(&self, record: &ReleaseRecord, out: &mut Tagged) -> Result<(), CommandError> {
        let identity = &record.release.identity;
        if identity.version.is_prerelease() || !self.is_newest(record).await? {
            return Ok(());
        }
        let found = self.resolve("latest").await?;
        if let Some(found) = found.as_ref().filter(|found| **found != identity.digest) {
            for bound in self.bound_to(found).await? {
                let (ours, theirs) = (identity.commit.clone(), bound.release.identity.commit);
                if in_git(&self.repository, move |r| r.ancestry(&ours, &theirs)).await? == Ancestry::Older {
                    return Ok(());
                }
            }
        }
        self.put(record, "latest", found.as_ref(), out).await;
        Ok(())
    }

    async fn is_newest(&self, record: &ReleaseRecord) -> Result<bool, CommandError> {
        let listing = Listing::Releases(self.context.service.clone());
        let mut before = None;
        loop {
            let page = self.context.ledger.page(&listing, before.as_ref(), 20).await?;
            for (_, found) in &page.records {
                let Record::Release(found) = found else { continue };
                if !found.release.identity.version.is_prerelease() {
                    return Ok(found.release.identity.version == record.release.identity.version);
                }
            }
            match page.records.last() {
                Some((key, _)) if page.more => before = Some(key.clone()),
                _ => return Ok(false),
            }
        }
    }

    async fn bound_to(&self, digest: &Digest) -> Result<Vec<ReleaseRecord>, CommandError> {
        let listing = Listing::Digests(self.context.service.clone(), digest.clone());
        let page = self.context.ledger.page(&listing, None, 20).await?;
        let mut found = Vec::new();
        for (_, record) in page.records {
            if let Record::Digest(version) = record {
                found.extend(self.context.release(&version).await?);
            }
        }
        Ok(found)
    }

    async fn git_tag(&self, record: &ReleaseRecord, out: &mut Tagged) {
        let identity = record.release.identity.clone();
        let tag = identity.version.tag();
        let shown = format!("git:{tag}");
        let setting = self.supply.version.git_tag;
        // Builds of a branch would bury the tags of releases.
        let branch =
            identity.version.is_prerelease() && self.args.prerelease.is_none() && self.args.version.is_none();
        if setting == GitTag::Off || branch {
            return;
        }
        if record.tags.contains(&shown) {
            out.tags.push(shown);
            return;
        }
        let message = format!("Release {tag}\n\nImage: {}\n", identity.image());
        let (tagger, at) = (self.context.actor.name.clone(), self.context.clock.now());
        let token = self.args.push_token.clone();
        let done = in_git(&self.repository, move |r| {
            let local = r.tag(&tag, &identity.commit, &message, &tagger, at)?;
            if matches!(local, Pushed::Conflict(_))
                || setting == GitTag::Local
                || r.remote("origin")?.is_none()
            {
                return Ok(local);
            }
            r.push_tag("origin", &tag, &identity.commit, token.as_ref())
        });
        match done.await {
            Ok(Pushed::New | Pushed::Present) => out.tags.push(shown),
            Ok(Pushed::Conflict(found)) => out.conflicts.push(format!("{shown} names commit {found}")),
            Err(error) => out.incomplete.push(format!("{shown}: {}", chain(&error))),
        }
    }

    /// Records what is new about the tags. `latest` is left out: it moves on, and follows from the releases.
    async fn note(&self, record: &ReleaseRecord, out: &mut Tagged) {
        let tags: Vec<String> = out.tags.iter().filter(|tag| *tag != "latest").cloned().collect();
        if tags.iter().all(|tag| record.tags.contains(tag)) && record.conflicts == out.conflicts {
            return;
        }
        let version = record.release.identity.version.clone();
        let event = Event::ReleaseTagged { version, tags, conflicts: out.conflicts.clone() };
        let stream = Stream::releases(&self.context.service);
        match self.context.ledger.append(&stream, None, self.context.draft(event)).await {
            Ok(sealed) => self.context.progress.entry(&sealed.entry),
            Err(error) => out.incomplete.push(format!("ledger: {}", chain(&error))),
        }
    }
}
