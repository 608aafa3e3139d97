//! The links of a release, each looked at by itself: one that cannot be checked does not hide the others.

use futures_util::join;

use super::{Context, Link, LinkName, LinkState, Linked, Supply};
use crate::commands::label::{self, REVISION};
use crate::commands::status;
use crate::config::GitTag;
use crate::domain::id::Digest;
use crate::domain::record::ReleaseRecord;
use crate::domain::release::ReleaseRef;
use crate::registry::RegistryError;

/// Where the links are looked for.
pub(super) struct Finder<'a> {
    pub(super) context: &'a Context,
    pub(super) supply: Option<&'a Supply>,
    pub(super) live: Option<&'a status::Report>,
}

/// A state and what was found.
type Found = (LinkState, String);

fn ok(detail: impl Into<String>) -> Found {
    (LinkState::Ok, detail.into())
}

fn failed(detail: impl Into<String>) -> Found {
    (LinkState::Failed, detail.into())
}

fn unchecked(detail: impl Into<String>) -> Found {
    (LinkState::NotChecked, detail.into())
}

impl Finder<'_> {
    pub(super) async fn links(&self, record: &ReleaseRecord) -> Linked {
        let release = &record.release.identity;
        let recorded = self.context.artifacts.get(&record.release.manifest).await;
        let manifest = recorded.as_ref().ok().map(Vec::as_slice);
        let (tag, digest, label) = join!(
            self.version_tag(release),
            async {
                match &recorded {
                    Ok(bytes) => self.digest(release, bytes).await,
                    Err(error) => failed(format!("the recorded manifest is lost: {error}")),
                }
            },
            self.label(record, manifest),
        );
        let found = [
            (LinkName::GitTag, self.git_tag(release)),
            (LinkName::Commit, self.commit(record)),
            (LinkName::VersionTag, tag),
            (LinkName::Digest, digest),
            (LinkName::ConfigLabel, label),
            (LinkName::Running, self.running(release)),
        ];
        Linked {
            version: release.version.clone(),
            commit: release.commit.clone(),
            digest: release.digest.clone(),
            links: found.map(|(link, (state, detail))| Link { link, state, detail }).into(),
        }
    }

    fn git_tag(&self, release: &ReleaseRef) -> Found {
        let Some(supply) = self.supply else { return unchecked("there is no configuration") };
        if supply.version.git_tag == GitTag::Off {
            return unchecked("version.git_tag is off");
        }
        let Some(repository) = &supply.repository else { return unchecked("this is no git repository") };
        let tag = release.version.tag();
        match repository.tagged(&tag) {
            Ok(Some(commit)) if commit == release.commit => ok(format!("{tag} names {}", commit.short())),
            Ok(Some(commit)) => {
                failed(format!("{tag} names {}, and {} was released", commit.short(), release.commit.short()))
            }
            Ok(None) => unchecked(format!("this clone has no tag {tag}: git fetch --tags")),
            Err(error) => unchecked(error.to_string()),
        }
    }

    fn commit(&self, record: &ReleaseRecord) -> Found {
        let release = &record.release.identity;
        let Some(repository) = self.supply.and_then(|supply| supply.repository.as_ref()) else {
            return unchecked("this is no git repository");
        };
        match repository.contains(&release.commit) {
            Ok(true) => ok(format!("{} is here", release.commit.short())),
            Ok(false) if record.release.adopted && record.release.tree.is_none() => {
                unchecked("the image was adopted without its history")
            }
            Ok(false) if repository.head().is_ok_and(|head| head.shallow) => {
                unchecked("this clone has cut history: git fetch --unshallow")
            }
            Ok(false) => failed(format!(
                "{} is not in this clone: git fetch, or it was taken out of the history",
                release.commit.short()
            )),
            Err(error) => unchecked(error.to_string()),
        }
    }

    async fn version_tag(&self, release: &ReleaseRef) -> Found {
        let Some(supply) = self.supply else { return unchecked("there is no configuration") };
        let tag = release.version.tag();
        match supply.registry.resolve(&release.repository, &tag).await {
            Ok(Some(digest)) if digest == release.digest => ok(format!("{tag} points to the digest")),
            Ok(Some(digest)) => failed(format!("somebody moved {tag}: it points to {}", digest.short())),
            Ok(None) => failed(format!("{tag} is gone: relman release --repair puts it back")),
            Err(error) => unchecked(error.to_string()),
        }
    }

    async fn digest(&self, release: &ReleaseRef, recorded: &[u8]) -> Found {
        if Digest::of(recorded) != release.digest {
            return failed("the recorded manifest is not that of the digest");
        }
        let Some(supply) = self.supply else { return unchecked("there is no configuration") };
        match supply.registry.manifest(&release.repository, release.digest.as_str()).await {
            Ok(Some(manifest)) if manifest.bytes == recorded => ok("the registry has the recorded manifest"),
            Ok(Some(_)) => failed("the registry has another manifest under this digest"),
            Ok(None) => failed("the image is gone from the registry"),
            Err(error @ RegistryError::WrongDigest { .. }) => failed(error.to_string()),
            Err(error) => unchecked(error.to_string()),
        }
    }

    async fn label(&self, record: &ReleaseRecord, manifest: Option<&[u8]>) -> Found {
        let release = &record.release.identity;
        let Some(manifest) = manifest else { return unchecked("the recorded manifest is lost") };
        let Some(supply) = self.supply else { return unchecked("there is no configuration") };
        match label::revision(&*supply.registry, &release.repository, manifest).await {
            Err(why) => unchecked(why.to_string()),
            Ok(Some(revision)) if revision == release.commit.as_str() => ok("the image names the commit"),
            Ok(Some(revision)) => failed(format!("the image says that it was built from {revision:.40}")),
            Ok(None) if record.release.adopted => unchecked("the adopted image names no commit"),
            Ok(None) => failed(format!("the image has no label {REVISION}")),
        }
    }

    fn running(&self, release: &ReleaseRef) -> Found {
        let Some(report) = self.live else { return unchecked("only with --live") };
        if !report.observable {
            return unchecked("hosts behind a playbook of your own cannot be observed");
        }
        let meant =
            || report.hosts.iter().filter(|host| host.wanted_digest.as_ref() == Some(&release.digest));
        let other = |host: &&status::HostStatus| host.running_digest.as_ref() != Some(&release.digest);
        let (silent, wrong): (Vec<_>, Vec<_>) = meant().filter(other).partition(|host| host.error.is_some());
        let names = |hosts: &[&status::HostStatus]| {
            hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        if !wrong.is_empty() {
            return failed(format!("another image or none runs on {}", names(&wrong)));
        }
        if !silent.is_empty() {
            return unchecked(format!("no answer from {}", names(&silent)));
        }
        match meant().count() {
            0 => unchecked(format!("no host of {} is meant to run it", report.environment)),
            n => ok(format!("runs on {n} host(s) of {}", report.environment)),
        }
    }
}
