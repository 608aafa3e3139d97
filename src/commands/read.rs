//! Records of the ledger as their own types. A missing record is a default or none, never an error.

use super::{CommandError, Context};
use crate::domain::deployment::{Deployment, Verdict};
use crate::domain::id::{DeploymentNumber, Digest, Stream};
use crate::domain::infra::InfraRecord;
use crate::domain::record::{EnvironmentRecord, Key, Record, ReleaseRecord};
use crate::domain::run::RunConfig;
use crate::domain::version::Version;
use crate::host::wire::Observation;

use super::error::ErrorKind;

impl Context {
    /// What an environment amounts to.
    pub(crate) async fn environment(&self, stream: &Stream) -> Result<EnvironmentRecord, CommandError> {
        match self.ledger.get(&Key::of_environment(stream)).await? {
            Some(Record::Environment(environment)) => Ok(*environment),
            _ => Ok(EnvironmentRecord::default()),
        }
    }

    /// What the infrastructure of an environment was last brought to.
    pub(crate) async fn infra(&self, stream: &Stream) -> Result<InfraRecord, CommandError> {
        match self.ledger.get(&Key::of_infra(stream)).await? {
            Some(Record::Infra(infra)) => Ok(*infra),
            _ => Ok(InfraRecord::default()),
        }
    }

    /// A deployment.
    pub(crate) async fn deployment(
        &self,
        stream: &Stream,
        number: Option<DeploymentNumber>,
    ) -> Result<Option<Deployment>, CommandError> {
        let Some(number) = number else { return Ok(None) };
        match self.ledger.get(&Key::of_deployment(stream, number)).await? {
            Some(Record::Deployment(deployment)) => Ok(Some(*deployment)),
            _ => Ok(None),
        }
    }

    /// A release.
    pub(crate) async fn release(&self, version: &Version) -> Result<Option<ReleaseRecord>, CommandError> {
        match self.ledger.get(&Key::of_release(&self.service, version)).await? {
            Some(Record::Release(release)) => Ok(Some(*release)),
            _ => Ok(None),
        }
    }

    /// What is thought of a release in an environment.
    pub(crate) async fn verdict(
        &self,
        stream: &Stream,
        version: &Version,
    ) -> Result<Option<Verdict>, CommandError> {
        match self.ledger.get(&Key::of_verdict(stream, version)).await? {
            Some(Record::Verdict(verdict)) => Ok(Some(verdict.verdict)),
            _ => Ok(None),
        }
    }

    /// A value that was stored as JSON.
    pub(crate) async fn artifact<T: serde::de::DeserializeOwned>(
        &self,
        digest: &Digest,
        what: &str,
    ) -> Result<T, CommandError> {
        let bytes = self.artifacts.get(digest).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            CommandError::new(ErrorKind::Failed, format!("{what} {digest} was written by another relman"))
                .caused_by(error)
                .hint("use the relman that wrote it, or a newer one")
        })
    }

    /// Stores a value as JSON.
    pub(crate) async fn put_artifact<T: serde::Serialize>(&self, value: &T) -> Result<Digest, CommandError> {
        Ok(self.artifacts.put(&json(value)?).await?)
    }

    /// The run configuration of a deployment.
    pub(crate) async fn run_of(&self, deployment: &Deployment) -> Result<RunConfig, CommandError> {
        self.artifact(&deployment.run, "run configuration").await
    }
}

/// The digest that a value has as an artifact; nothing is stored.
pub(crate) fn digest_of<T: serde::Serialize>(value: &T) -> Result<Digest, CommandError> {
    Ok(Digest::of(&json(value)?))
}

fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, CommandError> {
    serde_json_canonicalizer::to_vec(value).map_err(|error| {
        CommandError::new(ErrorKind::Bug, "a value cannot be written as JSON").caused_by(error)
    })
}

/// Whether a host serves a digest for good: healthy, with all traffic, and placed there with this run configuration.
pub(crate) async fn serves_for_good(
    context: &Context,
    stream: &Stream,
    seen: &Observation,
    digest: &Digest,
    run: &Digest,
) -> Result<bool, CommandError> {
    let Some(slot) = seen.serving() else { return Ok(false) };
    let is_there = slot.running_digest.as_ref() == Some(digest) && slot.running && slot.healthy;
    if !is_there || slot.weight != 100 || seen.trial.is_some() {
        return Ok(false);
    }
    let placed_by = context.deployment(stream, Some(slot.deployment)).await?;
    Ok(placed_by.is_some_and(|deployment| deployment.run == *run))
}
