//! `relman show`: one deployment from end to end: its entries, its plan, its run configuration, and why what failed
//! failed.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::Context;
use super::error::{CommandError, ErrorKind};
use super::history::{Facts, Row};
use crate::artifact::ArtifactError;
use crate::domain::actor::Actor;
use crate::domain::deployment::{Approval, Deployment};
use crate::domain::event::{Event, StepRef};
use crate::domain::id::{DeploymentNumber, Digest, EnvironmentName, Stream};
use crate::domain::plan::Plan;
use crate::domain::run::RunConfig;
use crate::domain::time::Timestamp;

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// The deployment as `history` lists it.
    pub deployment: Row,
    /// The versions of secrets that its containers get, by name; never a value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Policies that were overridden.
    pub overrides: Vec<String>,
    /// Who is asked before it may go on, and who approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// The plan; none when it was not planned, or its artifact is gone.
    pub plan: Option<Plan>,
    /// The run configuration; none when its artifact is gone.
    pub run: Option<RunConfig>,
    /// Its entries, oldest first.
    pub entries: Vec<Line>,
    /// Why steps failed, as their hosts told.
    pub evidence: Vec<Attached>,
    /// The logs of the steps: of those that failed, or of all when asked for.
    pub logs: Vec<Attached>,
    /// Artifacts that are not there any more.
    pub missing: Vec<Digest>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Its place in the stream.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// Under which lease.
    pub fence: u64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// An artifact of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attached {
    /// The entry that it belongs to.
    pub seq: u64,
    /// The step.
    pub step: StepRef,
    /// The artifact.
    pub artifact: Digest,
    /// Its content: JSON where it is JSON, else a text.
    pub content: Value,
}

/// Entries that are read at once.
const STRETCH: u32 = 500;

/// Shows a deployment.
///
/// # Errors
/// When there is no such deployment, or the ledger cannot be read. An artifact that is gone is told in the report.
pub async fn run(
    context: &Context,
    environment: &EnvironmentName,
    number: DeploymentNumber,
    all_logs: bool,
) -> Result<Report, CommandError> {
    let stream = context.stream(environment);
    let Some(deployment) = context.deployment(&stream, Some(number)).await? else {
        let message = format!("deployment {environment}#{number} is not known");
        return Err(CommandError::new(ErrorKind::NotFound, message)
            .hint(format!("relman history --env {environment}")));
    };
    let facts = Facts::read(context, &stream).await?;
    let verdict = context.verdict(&stream, &deployment.release.version).await?;
    let entries = entries(context, &stream, &deployment).await?;
    let mut report = Report {
        schema: 1,
        deployment: facts.row(environment, &deployment, verdict),
        secrets: deployment.secrets.clone(),
        overrides: deployment.overrides.clone(),
        approval: deployment.approval.clone(),
        plan: None,
        run: None,
        evidence: Vec::new(),
        logs: Vec::new(),
        missing: Vec::new(),
        entries,
    };
    if let Some(plan) = &deployment.plan {
        report.plan = read(context, plan, &mut report.missing).await?.and_then(json);
    }
    report.run = read(context, &deployment.run, &mut report.missing).await?.and_then(json);
    attach(context, &mut report, all_logs).await?;
    Ok(report)
}

async fn entries(
    context: &Context,
    stream: &Stream,
    deployment: &Deployment,
) -> Result<Vec<Line>, CommandError> {
    let mut found = Vec::new();
    let mut after = deployment.first_seq.saturating_sub(1);
    // Of one without an outcome the record does not tell which entry was the last.
    let last = match deployment.outcome {
        Some(_) => deployment.last_seq,
        None => context.ledger.head(stream).await?.seq,
    };
    while after < last {
        let read = context.ledger.read(stream, after, STRETCH).await?;
        let Some(last) = read.last() else { break };
        after = last.entry.seq;
        found.extend(
            read.into_iter()
                .map(|sealed| sealed.entry)
                .filter(|entry| entry.event.deployment() == Some(deployment.number))
                .map(|entry| Line {
                    seq: entry.seq,
                    at: entry.at,
                    actor: entry.actor,
                    fence: entry.fence,
                    event: entry.event,
                }),
        );
    }
    Ok(found)
}

async fn attach(context: &Context, report: &mut Report, all_logs: bool) -> Result<(), CommandError> {
    for line in &report.entries {
        let (step, evidence, log) = match &line.event {
            Event::StepFailed { step, error, log } => (step, error.evidence.as_ref(), log.as_ref()),
            Event::StepSucceeded { step, log } if all_logs => (step, None, log.as_ref()),
            _ => continue,
        };
        for (artifact, list) in [(evidence, &mut report.evidence), (log, &mut report.logs)] {
            let Some(artifact) = artifact else { continue };
            let Some(bytes) = read(context, artifact, &mut report.missing).await? else { continue };
            let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
            let content = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
            list.push(Attached { seq: line.seq, step: step.clone(), artifact: artifact.clone(), content });
        }
    }
    Ok(())
}

async fn read(
    context: &Context,
    digest: &Digest,
    missing: &mut Vec<Digest>,
) -> Result<Option<Vec<u8>>, CommandError> {
    match context.artifacts.get(digest).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(ArtifactError::Missing { digest, .. }) => {
            missing.push(digest);
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn json<T: serde::de::DeserializeOwned>(bytes: Vec<u8>) -> Option<T> {
    serde_json::from_slice(&bytes).ok()
}
