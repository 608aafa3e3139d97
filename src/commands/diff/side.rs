//! One side of a comparison: a release, a deployment, or a commit that is not released yet.

use serde::Serialize;
use serde_json::Value;

use super::{CommandError, Context, Site, Target};
use crate::commands::error::ErrorKind;
use crate::commands::target::{self, Found};
use crate::domain::deployment::Deployment;
use crate::domain::id::{CommitSha, DeploymentId, Digest, EnvironmentName};
use crate::domain::release::ReleaseRef;
use crate::domain::version::Version;
use crate::git::Repository;

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
    /// What serves; none before the first success.
    pub(super) async fn serving(&self) -> Result<Option<Side>, CommandError> {
        let stream = self.context.stream(&self.site.name);
        let environment = self.context.environment(&stream).await?;
        match self.context.deployment(&stream, environment.serving).await? {
            Some(deployment) => Ok(Some(self.recorded(&self.site.name, &deployment).await)),
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
        let head = repository.head()?;
        match target::of_commit(self.context, &self.site.name, &head.commit).await? {
            Some(release) => Ok(self.planned(&release)),
            None => Ok(self.unreleased(head.commit)),
        }
    }

    /// What a target names: as it is recorded, or a commit that is not released yet.
    pub(super) async fn find(&self, target: &Target) -> Result<Side, CommandError> {
        let environment = match target {
            Target::Deployment { environment: Some(named), .. } => named,
            _ => &self.site.name,
        };
        match target::resolve(self.context, environment, target).await {
            Ok(Found { deployment: Some(deployment), .. }) => {
                Ok(self.recorded(environment, &deployment).await)
            }
            Ok(Found { release, deployment: None }) => Ok(self.planned(&release)),
            Err(error) => match (error.kind, target) {
                (ErrorKind::NotFound, Target::Commit(hex)) => {
                    let commit = self.repository.and_then(|git| git.resolve(hex).ok().flatten());
                    commit.map(|commit| self.unreleased(commit)).ok_or(error)
                }
                _ => Err(error),
            },
        }
    }

    /// With the run configuration of then. One that is lost is not an error: the rest can still be compared.
    async fn recorded(&self, environment: &EnvironmentName, deployment: &Deployment) -> Side {
        let bytes = self.context.artifacts.get(&deployment.run).await.ok();
        let run = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let id = DeploymentId { environment: environment.clone(), number: deployment.number };
        Side { run, run_from: Some(RunSource::Deployment(id)), ..self.planned(&deployment.release) }
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
