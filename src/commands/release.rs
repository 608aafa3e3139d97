//! `relman release`: version, build, push, bind, tag, record. The digest is the identity; commit, version and tags
//! are names that the ledger binds to it. Every step can run again: each derives its input from ledger and
//! registry, so a second run goes on where the first ended.

mod bind;
mod dockerfile;
mod fail;
mod inspect;
mod make;
mod tags;
mod version;

use serde::Serialize;

use self::inspect::Known;
use self::tags::Tagged;
use self::version::Wanted;
use super::error::{CommandError, ErrorKind};
use super::{Context, Supply};
use crate::domain::id::{CommitSha, Digest, ServiceName};
use crate::domain::record::ReleaseRecord;
use crate::domain::release::ReleaseRef;
use crate::domain::version::Version;
use crate::git::{GitError, Head, PushToken, Repository};
use crate::registry::Manifest;

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// `--version`: this number, instead of the next one.
    pub version: Option<Version>,
    /// `--dry-run`: only tell.
    pub dry_run: bool,
    /// `--image REPOSITORY@sha256:…`: take this finished build.
    pub image: Option<String>,
    /// `--prerelease LABEL`: `X.Y.Z-LABEL.N`.
    pub prerelease: Option<String>,
    /// `--new-build`: build again, under a new version.
    pub new_build: bool,
    /// `--repair`: only write the tags again.
    pub repair: bool,
    /// `--allow-dirty`: build the work tree as it is, without a version.
    pub allow_dirty: bool,
    /// The branch, where HEAD is detached and CI knows it.
    pub branch: Option<String>,
    /// The address of the source for the image's label; none: the remote `origin`.
    pub source: Option<String>,
    /// For pushing the git tag over https.
    pub push_token: Option<PushToken>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Only told.
    Planned,
    /// It was there.
    Existing,
    /// It was built.
    Built,
    /// A finished image was taken.
    Adopted,
    /// The work tree was built, which is no release.
    Dev,
    /// The commit was built, and nothing asked for a version.
    CommitOnly,
}

/// What was done. Also the JSON output.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Format.
    pub schema: u32,
    /// The service.
    pub service: ServiceName,
    /// What became of it.
    pub state: State,
    /// The release; none for a dry run of a new one, a dirty build and a build without version.
    pub release: Option<ReleaseRef>,
    /// Its version, or the one that it would get.
    pub version: Option<Version>,
    /// The commit.
    pub commit: CommitSha,
    /// The digest of the image.
    pub digest: Option<Digest>,
    /// `repository@sha256:…`.
    pub image: Option<String>,
    /// Tags that point to it, git's as `git:v1.4.2`.
    pub tags: Vec<String>,
    /// Tags that point elsewhere and were left alone.
    pub conflicts: Vec<String>,
    /// What could not be written, and why; `relman release --repair` writes it. The release exists all the same.
    pub incomplete: Vec<String>,
    /// With `--dry-run`: what would be done.
    pub plan: Vec<String>,
}

impl Report {
    /// Whether every tag is in its place.
    pub fn is_complete(&self) -> bool {
        self.conflicts.is_empty() && self.incomplete.is_empty()
    }
}

/// Where the image of a new release comes from.
enum Source {
    /// The engine builds it.
    Build,
    /// It is in the registry.
    Found(Manifest),
}

struct Job<'a> {
    context: &'a Context,
    supply: &'a Supply,
    repository: Repository,
    head: Head,
    args: &'a Args,
}

/// Makes HEAD a release, or finds that it is one.
///
/// # Errors
/// When nothing was released. Tags that could not be written are in the report instead, since the release exists.
pub async fn run(context: &Context, supply: &Supply, args: Args) -> Result<Report, CommandError> {
    let Some(repository) = supply.repository.clone() else {
        return Err(CommandError::new(
            ErrorKind::Usage,
            "a release needs a git repository, and this is none",
        )
        .hint("run relman in a clone of the service's repository"));
    };
    let head = in_git(&repository, |r| r.head()).await?;
    let job = Job { context, supply, repository, head, args: &args };
    if job.head.dirty.is_empty() { job.release().await } else { job.dirty().await }
}

impl Job<'_> {
    async fn release(&self) -> Result<Report, CommandError> {
        let wanted = Wanted::new(self.args, &self.head)?;
        let sha_tag = self.sha_tag();
        let resolve = async { self.resolve(&sha_tag).await };
        let (tagged, known) = tokio::try_join!(resolve, self.known())?;
        let named = match &self.args.image {
            Some(image) => Some(self.named(image).await?),
            None => None,
        };
        let mut lost = false;
        if let Some(record) = known.matching(&wanted).filter(|_| !self.args.new_build) {
            let bound = &record.release.identity;
            if let Some(named) = named.as_ref().filter(|named| named.digest != bound.digest) {
                return Err(fail::other_digest(bound, &named.digest));
            }
            if tagged.as_ref() == Some(&bound.digest) || self.resolve(bound.digest.as_str()).await?.is_some()
            {
                return Ok(self.finish(record, Ok((tagged, &known)), State::Existing).await);
            }
            lost = true;
            self.context.progress.note(&format!(
                "the image of {} is lost: {} is not in the registry any more; it is built anew under another version",
                bound.version.tag(),
                bound.digest
            ));
        }
        if self.args.repair {
            let text = format!("commit {} has no release to repair", self.head.commit.short());
            return Err(CommandError::new(ErrorKind::NotFound, text).hint("relman release"));
        }
        let fresh = self.args.new_build || lost;
        let source = match named {
            Some(manifest) => Source::Found(manifest),
            None if fresh => Source::Build,
            None => self.found(tagged.as_ref(), &known).await?,
        };
        if self.args.dry_run {
            return self.plan(&wanted, &known, &source).await;
        }
        let state = if matches!(source, Source::Build) { State::Built } else { State::Adopted };
        let engine = match source {
            // Asked before a number is taken: a number that is not used is burnt.
            Source::Build => Some(self.supply.builder.engine().await?),
            Source::Found(_) => None,
        };
        let version = self.claim(&wanted, &known).await?;
        let manifest = match source {
            Source::Found(manifest) => manifest,
            Source::Build => {
                let commit = self.head.commit.clone();
                self.make(&sha_tag, &commit, commit.as_str()).await?
            }
        };
        let Some(version) = version else {
            let mut report = self.report(State::CommitOnly);
            self.describe(&mut report, &manifest.digest);
            report.tags = vec![sha_tag];
            return Ok(report);
        };
        let (record, ours) = self.bind(&version, &manifest, engine).await?;
        // After a push the tag points to what was pushed; whoever lost a race puts it back.
        let pushed = (ours && state == State::Built).then(|| manifest.digest.clone());
        let asked = async {
            let tagged = match pushed {
                Some(digest) => Some(digest),
                None => self.resolve(&sha_tag).await?,
            };
            Ok((tagged, self.known().await?))
        };
        // The release exists by now: what fails from here on is told, and a later run repairs it.
        let asked = asked.await;
        let found = match &asked {
            Ok((tagged, known)) => Ok((tagged.clone(), known)),
            Err(error) => Err(error),
        };
        let state = if ours { state } else { State::Existing };
        Ok(self.finish(&record, found, state).await)
    }

    async fn finish(
        &self,
        record: &ReleaseRecord,
        found: Result<(Option<Digest>, &Known), &CommandError>,
        state: State,
    ) -> Report {
        let identity = &record.release.identity;
        let mut report = self.report(state);
        report.version = Some(identity.version.clone());
        report.release = Some(identity.clone());
        self.describe(&mut report, &identity.digest);
        if self.args.dry_run {
            report.plan =
                vec![format!("nothing to build: {} is {}", identity.version.tag(), identity.image())];
            report.tags.clone_from(&record.tags);
            return report;
        }
        let Tagged { tags, conflicts, incomplete } = self.project(record, found).await;
        for text in conflicts.iter().chain(&incomplete) {
            self.context.progress.note(text);
        }
        report.tags = tags;
        report.conflicts = conflicts;
        report.incomplete = incomplete;
        report
    }

    async fn plan(&self, wanted: &Wanted, known: &Known, source: &Source) -> Result<Report, CommandError> {
        let mut report = self.report(State::Planned);
        report.version = match known.reusable(wanted) {
            Some(version) => Some(version.clone()),
            None => self.next(wanted).await?,
        };
        let repository = &self.supply.image.repository;
        match source {
            Source::Build => {
                report.plan.push(format!("build commit {} and push it to {repository}", self.head.commit));
            }
            Source::Found(manifest) => {
                self.describe(&mut report, &manifest.digest);
                report.plan.push(format!("take {repository}@{}", manifest.digest));
            }
        }
        match &report.version {
            Some(version) => report.plan.push(format!("bind it to {} and tag it", version.tag())),
            None => report.plan.push("tag it with the commit; no commit asks for a version".to_owned()),
        }
        Ok(report)
    }

    /// The work tree as it is. Nothing of it is recorded.
    async fn dirty(&self) -> Result<Report, CommandError> {
        if !self.args.allow_dirty {
            return Err(uncommitted(&self.head)
                .hint("relman release --allow-dirty builds them under a dev- tag, without a version"));
        }
        let mut report = self.report(if self.args.dry_run { State::Planned } else { State::Dev });
        if self.args.dry_run {
            report
                .plan
                .push("build the work tree and push it under a dev- tag, without a version".to_owned());
            return Ok(report);
        }
        let tree = in_git(&self.repository, |r| r.work_tree()).await?;
        let tag = format!("dev-{}-{}", self.head.commit.short(), tree.short());
        let manifest = self.make(&tag, &tree, &format!("{}-dirty", self.head.commit)).await?;
        self.describe(&mut report, &manifest.digest);
        report.tags = vec![tag];
        Ok(report)
    }

    fn describe(&self, report: &mut Report, digest: &Digest) {
        report.image = Some(format!("{}@{digest}", self.supply.image.repository));
        report.digest = Some(digest.clone());
    }

    fn report(&self, state: State) -> Report {
        Report {
            schema: 1,
            service: self.context.service.clone(),
            state,
            release: None,
            version: None,
            commit: self.head.commit.clone(),
            digest: None,
            image: None,
            tags: Vec::new(),
            conflicts: Vec::new(),
            incomplete: Vec::new(),
            plan: Vec::new(),
        }
    }

    fn sha_tag(&self) -> String {
        format!("sha-{}", self.head.commit)
    }

    async fn resolve(&self, reference: &str) -> Result<Option<Digest>, CommandError> {
        let repository = &self.supply.image.repository;
        Ok(self.supply.registry.resolve(repository, reference).await?)
    }
}

/// A commit alone can be released, not what lies about it.
pub(super) fn uncommitted(head: &Head) -> CommandError {
    let error = CommandError::new(ErrorKind::Failed, "the work tree has changes that are not committed")
        .hint("commit or stash them");
    head.dirty.iter().fold(error, |error, path| error.detail(path))
}

/// Asks the repository without holding up other work.
async fn in_git<T: Send + 'static>(
    repository: &Repository,
    ask: impl FnOnce(&Repository) -> Result<T, GitError> + Send + 'static,
) -> Result<T, CommandError> {
    let repository = repository.clone();
    match tokio::task::spawn_blocking(move || ask(&repository)).await {
        Ok(result) => Ok(result?),
        Err(e) => {
            Err(CommandError::new(ErrorKind::Bug, "reading the git repository ended early").caused_by(e))
        }
    }
}

#[cfg(test)]
mod lab;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
