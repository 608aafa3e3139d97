//! One side of a comparison: a release, a deployment, or a commit that is not released yet.

use serde::Serialize;
use serde_json::Value;

use super::{CommandError, Context, ErrorKind, Site, Target, unreadable};
use crate::domain::deployment::{Deployment, Outcome, Verdict};
use crate::domain::id::{CommitSha, DeploymentId, DeploymentNumber, Digest, Stream};
use crate::domain::policy::rollback_candidate;
use crate::domain::record::{Key, Listing, Record};
use crate::domain::release::ReleaseRef;
use crate::domain::version::Version;
use crate::git::Repository;

/// Records that are read at once.
const PAGE: u32 = 100;

/// Where a run configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunSource {
    /// As it was recorded with this deployment.
    Deployment(DeploymentId),
    /// As `relman.toml` says now: what a deploy would take.
    Now,
}

/// One side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// What it is called: `v1.4.2`, or a commit.
    pub name: String,
    /// The version, if it is released.
    pub version: Option<Version>,
    /// The commit.
    pub commit: CommitSha,
    /// The image's digest, if it is released.
    pub digest: Option<Digest>,
    /// Registry and repository, if it is released.
    pub repository: Option<String>,
    /// Where its run configuration comes from.
    pub run_from: Option<RunSource>,
    /// The run configuration. Not part of the report: the differences are.
    #[serde(skip)]
    pub run: Option<Value>,
}

/// Finds sides.
pub(super) struct Finder<'a> {
    pub(super) context: &'a Context,
    pub(super) site: &'a Site,
    pub(super) repository: Option<&'a Repository>,
}

impl Finder<'_> {
    fn stream(&self) -> Stream {
        self.context.stream(&self.site.name)
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, CommandError> {
        self.context.ledger.get(key).await.map_err(unreadable)
    }

    async fn page(
        &self,
        listing: &Listing,
        before: Option<&Key>,
    ) -> Result<(Vec<(Key, Record)>, bool), CommandError> {
        let page = self.context.ledger.page(listing, before, PAGE).await.map_err(unreadable)?;
        Ok((page.records, page.more))
    }

    /// What serves; none before the first success.
    pub(super) async fn serving(&self) -> Result<Option<Side>, CommandError> {
        let record = self.get(&Key::of_environment(&self.stream())).await?;
        let Some(Record::Environment(environment)) = record else { return Ok(None) };
        match environment.serving {
            Some(number) => self.deployment(&self.stream(), number).await.map(Some),
            None => Ok(None),
        }
    }

    /// The release of HEAD, or HEAD itself.
    pub(super) async fn head(&self) -> Result<Side, CommandError> {
        let Some(repository) = self.repository else {
            return Err(CommandError::new(
                ErrorKind::Usage,
                "this is no git repository, so there is no HEAD to compare",
            )
            .hint("relman diff VERSION"));
        };
        let head = repository
            .head()
            .map_err(|error| CommandError::new(ErrorKind::Failed, "HEAD cannot be read").caused_by(error))?;
        match self.of_commit(head.commit.as_str()).await? {
            Some(release) => Ok(self.planned(&release)),
            None => Ok(self.unreleased(head.commit)),
        }
    }

    /// What a target names.
    pub(super) async fn find(&self, target: &Target) -> Result<Side, CommandError> {
        let release = match target {
            Target::Deployment { environment, number } => {
                let environment = environment.as_ref().unwrap_or(&self.site.name);
                return self.deployment(&self.context.stream(environment), *number).await;
            }
            Target::Back(n) => return self.back(*n).await,
            Target::Version(version) => self.release(version).await?,
            Target::Digest(digest) => {
                let listing = Listing::Digests(self.context.service.clone(), digest.clone());
                match self.page(&listing, None).await?.0.first() {
                    Some((_, Record::Digest(version))) => self.release(version).await?,
                    _ => None,
                }
            }
            Target::Commit(hex) => match self.of_commit(hex).await? {
                Some(release) => Some(release),
                None => match self.repository.and_then(|git| git.resolve(hex).ok().flatten()) {
                    Some(commit) => return Ok(self.unreleased(commit)),
                    None => None,
                },
            },
        };
        let release = release.ok_or_else(|| not_found(target))?;
        let named = self.planned(&release);
        match self.last_deployment(&release).await? {
            // Another version of the same image may have been deployed: its configuration, and not its name.
            Some(deployment) => {
                let recorded = self.recorded(&self.stream(), &deployment).await?;
                Ok(Side { run: recorded.run, run_from: recorded.run_from, ..named })
            }
            None => Ok(named),
        }
    }

    async fn release(&self, version: &Version) -> Result<Option<ReleaseRef>, CommandError> {
        match self.get(&Key::of_release(&self.context.service, version)).await? {
            Some(Record::Release(record)) => Ok(Some(record.release.identity)),
            _ => Ok(None),
        }
    }

    /// The newest release of the commit that begins with these digits.
    async fn of_commit(&self, hex: &str) -> Result<Option<ReleaseRef>, CommandError> {
        let listing = Listing::Commits(self.context.service.clone(), hex.to_owned());
        let mut commit: Option<CommitSha> = None;
        let mut found: Option<ReleaseRef> = None;
        for (_, record) in self.page(&listing, None).await?.0 {
            let Record::Commit(version) = record else { continue };
            let Some(release) = self.release(&version).await? else { continue };
            if commit.as_ref().is_some_and(|other| *other != release.commit) {
                let message = format!("commit {hex} is ambiguous: more than one released commit begins so");
                return Err(CommandError::new(ErrorKind::NotFound, message).hint("give more digits"));
            }
            commit = Some(release.commit.clone());
            found.get_or_insert(release);
        }
        Ok(found)
    }

    async fn deployment(&self, stream: &Stream, number: DeploymentNumber) -> Result<Side, CommandError> {
        match self.get(&Key::of_deployment(stream, number)).await? {
            Some(Record::Deployment(deployment)) => self.recorded(stream, &deployment).await,
            _ => {
                let message = format!("there is no deployment #{number} in {stream}");
                Err(CommandError::new(ErrorKind::NotFound, message).hint("relman history"))
            }
        }
    }

    /// The newest attempt of a release here whose configuration is worth comparing: one that succeeded.
    async fn last_deployment(&self, release: &ReleaseRef) -> Result<Option<Deployment>, CommandError> {
        self.walk(|deployment| {
            deployment.release.digest == release.digest && deployment.outcome == Some(Outcome::Succeeded)
        })
        .await
    }

    /// The `n`th proven release back from the one that serves.
    async fn back(&self, n: u32) -> Result<Side, CommandError> {
        let mut verdicts = Vec::new();
        let mut before = None;
        loop {
            let (records, more) = self.page(&Listing::Verdicts(self.stream()), before.as_ref()).await?;
            before = records.last().map(|(key, _)| key.clone());
            verdicts.extend(records.into_iter().filter_map(|(_, record)| match record {
                Record::Verdict(verdict) => Some((verdict.version, verdict.verdict)),
                _ => None,
            }));
            if !more {
                break;
            }
        }
        let serving = self.serving().await?.and_then(|side| side.version);
        let verdict = |version: &Version| -> Option<Verdict> {
            verdicts.iter().find(|(known, _)| known == version).map(|(_, verdict)| *verdict)
        };
        let mut passed: Vec<Version> = Vec::new();
        let found = self
            .walk(|deployment| {
                let version = &deployment.release.version;
                let fits = rollback_candidate(deployment, serving.as_ref(), verdict(version), true).is_ok();
                if fits && !passed.contains(version) {
                    passed.push(version.clone());
                    return passed.len() == n as usize;
                }
                false
            })
            .await?;
        match found {
            Some(deployment) => self.recorded(&self.stream(), &deployment).await,
            None => Err(not_found(&Target::Back(n))),
        }
    }

    /// The first deployment, newest first, that fits.
    async fn walk(
        &self,
        mut fits: impl FnMut(&Deployment) -> bool,
    ) -> Result<Option<Deployment>, CommandError> {
        let listing = Listing::Deployments(self.stream());
        let mut before = None;
        loop {
            let (records, more) = self.page(&listing, before.as_ref()).await?;
            before = records.last().map(|(key, _)| key.clone());
            for (_, record) in records {
                if let Record::Deployment(deployment) = record
                    && fits(&deployment)
                {
                    return Ok(Some(*deployment));
                }
            }
            if !more || before.is_none() {
                return Ok(None);
            }
        }
    }

    /// With the run configuration of then. One that is lost is not an error: the rest can still be compared.
    async fn recorded(&self, stream: &Stream, deployment: &Deployment) -> Result<Side, CommandError> {
        let bytes = self.context.artifacts.get(&deployment.run).await.ok();
        let run = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let environment = stream.environment.clone().unwrap_or_else(|| self.site.name.clone());
        let id = DeploymentId { environment, number: deployment.number };
        Ok(Side { run, run_from: Some(RunSource::Deployment(id)), ..self.planned(&deployment.release) })
    }

    /// With the run configuration of now: what a deploy would take.
    fn planned(&self, release: &ReleaseRef) -> Side {
        Side {
            name: release.version.tag(),
            version: Some(release.version.clone()),
            digest: Some(release.digest.clone()),
            repository: Some(release.repository.clone()),
            ..self.unreleased(release.commit.clone())
        }
    }

    fn unreleased(&self, commit: CommitSha) -> Side {
        Side {
            name: commit.short().to_owned(),
            version: None,
            commit,
            digest: None,
            repository: None,
            run_from: Some(RunSource::Now),
            run: serde_json::to_value(&self.site.run).ok(),
        }
    }
}

fn not_found(target: &Target) -> CommandError {
    CommandError::new(ErrorKind::NotFound, format!("{target} is not known here")).hint("relman releases")
}
