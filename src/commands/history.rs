//! `relman history`: the deployments of an environment, newest first, a page at a time. One look-up and one page of
//! the ledger, however long the history.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Context;
use super::error::{CommandError, ErrorKind};
use crate::domain::actor::Actor;
use crate::domain::deployment::{Deployment, Kind, Offline, Outcome, Phase, Verdict};
use crate::domain::id::{
    CommitSha, DeploymentId, DeploymentNumber, Digest, EnvironmentName, HostName, ServiceName, Stream,
};
use crate::domain::record::{Key, Listing, Record};
use crate::domain::time::Timestamp;
use crate::domain::version::Version;

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// How many; none: all.
    pub limit: Option<u32>,
    /// Where the page before ended: its `next`.
    pub cursor: Option<String>,
    /// Only those that began since then.
    pub since: Option<Timestamp>,
    /// Only those of this version.
    pub version: Option<Version>,
    /// Only those with this outcome.
    pub outcome: Option<Outcome>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The version that serves.
    pub serving: Option<Version>,
    /// The ledger in which this goes on; nothing here is new since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// The deployments, newest first.
    pub deployments: Vec<Row>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// One deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its id.
    pub id: DeploymentId,
    /// Why it exists.
    pub kind: Kind,
    /// The version that it makes serve.
    pub version: Version,
    /// Its commit.
    pub commit: CommitSha,
    /// Its image.
    pub digest: Digest,
    /// Where it is.
    pub phase: Phase,
    /// Whether it has no outcome, and nobody works on it.
    pub interrupted: bool,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// One line: why it ended so.
    pub message: Option<String>,
    /// What is thought of the release here.
    pub verdict: Option<Verdict>,
    /// Whether it made serve what serves.
    pub serving: bool,
    /// Who began it.
    pub actor: Actor,
    /// Why.
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How long it took.
    pub duration_seconds: Option<i64>,
    /// What served before.
    pub from_version: Option<Version>,
    /// For a rollback: the deployment that it takes back.
    pub rollback_of: Option<DeploymentId>,
    /// For a rollback that was done without the ledger and recorded afterwards: how that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offline: Option<Offline>,
    /// The hosts.
    pub hosts: Vec<HostName>,
}

/// Deployments that are read at once when a filter is applied.
const STRETCH: u32 = 500;

/// Lists.
///
/// # Errors
/// When the ledger cannot be read, or the cursor is none.
pub async fn run(
    context: &Context,
    environment: &EnvironmentName,
    args: Args,
) -> Result<Report, CommandError> {
    let stream = context.stream(environment);
    let facts = Facts::read(context, &stream).await?;
    let mut before = match &args.cursor {
        None => None,
        Some(cursor) => Some(Key::of_deployment(&stream, number(cursor)?)),
    };
    let filtered = args.since.is_some() || args.version.is_some() || args.outcome.is_some();
    let limit = args.limit.map_or(usize::MAX, |limit| limit as usize);
    let stretch = if filtered || args.limit.is_none() { STRETCH } else { args.limit.unwrap_or(STRETCH) };
    let mut found: Vec<Deployment> = Vec::new();
    let mut more = true;
    'pages: while more && found.len() < limit {
        let page =
            context.ledger.page(&Listing::Deployments(stream.clone()), before.as_ref(), stretch).await?;
        more = page.more;
        for (key, record) in page.records {
            let Record::Deployment(deployment) = record else { continue };
            if args.since.is_some_and(|since| deployment.started_at < since) {
                more = false;
                break 'pages;
            }
            if found.len() == limit {
                more = true;
                break 'pages;
            }
            before = Some(key);
            if fits(&deployment, &args) {
                found.push(*deployment);
            }
        }
    }
    let next = found.last().filter(|_| more).map(|deployment| cursor(deployment.number));
    let mut verdicts = BTreeMap::new();
    let mut deployments = Vec::with_capacity(found.len());
    for deployment in &found {
        let version = &deployment.release.version;
        if !verdicts.contains_key(version) {
            verdicts.insert(version.clone(), context.verdict(&stream, version).await?);
        }
        deployments.push(facts.row(environment, deployment, verdicts.get(version).copied().flatten()));
    }
    Ok(Report {
        schema: 1,
        service: context.service.clone(),
        environment: environment.clone(),
        serving: facts.serving,
        moved_to: facts.moved_to,
        deployments,
        next,
    })
}

fn fits(deployment: &Deployment, args: &Args) -> bool {
    args.version.as_ref().is_none_or(|version| deployment.release.version == *version)
        && args.outcome.is_none_or(|outcome| deployment.outcome == Some(outcome))
}

/// Where a page ended; callers pass it on as it is.
fn cursor(number: DeploymentNumber) -> String {
    format!("d{number:x}")
}

fn number(cursor: &str) -> Result<DeploymentNumber, CommandError> {
    cursor.strip_prefix('d').and_then(|hex| DeploymentNumber::from_str_radix(hex, 16).ok()).ok_or_else(|| {
        CommandError::new(ErrorKind::Usage, format!("cursor {cursor:?} is not the `next` of a page"))
    })
}

/// What the rows of an environment share.
pub(super) struct Facts {
    number: Option<DeploymentNumber>,
    pub(super) serving: Option<Version>,
    moved_to: Option<String>,
    /// The deployment that has no outcome and no holder of the lease.
    interrupted: Option<DeploymentNumber>,
}

impl Facts {
    pub(super) async fn read(context: &Context, stream: &Stream) -> Result<Self, CommandError> {
        let environment = context.environment(stream).await?;
        let serving = context.deployment(stream, environment.serving).await?.map(|d| d.release.version);
        let interrupted = match environment.active {
            None => None,
            Some(active) => {
                let lease = context.ledger.lease(stream).await?;
                (!lease.is_some_and(|lease| lease.is_held())).then_some(active)
            }
        };
        Ok(Self { number: environment.serving, serving, moved_to: environment.moved_to, interrupted })
    }

    pub(super) fn row(
        &self,
        environment: &EnvironmentName,
        deployment: &Deployment,
        verdict: Option<Verdict>,
    ) -> Row {
        let id = |number| DeploymentId { environment: environment.clone(), number };
        let release = &deployment.release;
        Row {
            id: id(deployment.number),
            kind: deployment.kind,
            version: release.version.clone(),
            commit: release.commit.clone(),
            digest: release.digest.clone(),
            phase: deployment.phase,
            interrupted: self.interrupted == Some(deployment.number) && deployment.phase != Phase::Waiting,
            outcome: deployment.outcome,
            message: deployment.message.clone(),
            verdict,
            serving: self.number == Some(deployment.number),
            actor: deployment.actor.clone(),
            reason: deployment.reason.clone(),
            started_at: deployment.started_at,
            finished_at: deployment.finished_at,
            duration_seconds: deployment
                .finished_at
                .map(|end| end.seconds_since(deployment.started_at).max(0)),
            from_version: deployment.return_point.as_ref().map(|point| point.release.version.clone()),
            rollback_of: deployment.rollback_of.map(id),
            offline: deployment.offline.clone(),
            hosts: deployment.hosts.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
