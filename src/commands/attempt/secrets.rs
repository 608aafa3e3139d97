//! Secrets of an attempt: looked up once, before the first step that brings them, and recorded by version. Whoever goes
//! on with it later brings the same versions, so that all hosts of a deployment have the same.

use super::Attempt;
use crate::commands::CommandError;
use crate::domain::deployment::Deployment;
use crate::domain::event::{Event, SecretVersion};
use crate::domain::plan::Plan;
use crate::domain::run::RunConfig;
use crate::domain::step::Step;
use crate::secrets::{Resolved, SecretError};

fn brings(plan: &Plan) -> bool {
    plan.steps().any(|(_, step)| matches!(step, Step::Prepare { .. }))
}

/// Records the versions that this deployment brings. What has no versions is not recorded.
pub(super) async fn record(
    attempt: &Attempt<'_>,
    plan: &Plan,
    secrets: &Resolved,
) -> Result<(), CommandError> {
    if secrets.versions.is_empty() || !brings(plan) {
        return Ok(());
    }
    let one =
        |(name, version): (&String, &String)| SecretVersion { name: name.clone(), version: version.clone() };
    let secrets = secrets.versions.iter().map(one).collect();
    attempt.append(Event::DeploymentSecrets { deployment: plan.deployment.number, secrets }).await
}

/// The secrets of a deployment that somebody left: in the versions on record, or those of now where none are, which
/// are recorded then. The outer error comes before anything is done, and it can be resumed again; the inner one fails
/// the step that needs them, so that a way back does not wait for a store.
pub(super) async fn of_left(
    attempt: &Attempt<'_>,
    deployment: &Deployment,
    plan: &Plan,
    run: &RunConfig,
    forward: bool,
) -> Result<Result<Resolved, SecretError>, CommandError> {
    let secrets = attempt.site.secrets.resolve(&run.secrets_at(&deployment.secrets)).await;
    if !forward || !deployment.secrets.is_empty() {
        return Ok(secrets);
    }
    match secrets {
        Ok(secrets) => {
            record(attempt, plan, &secrets).await?;
            Ok(Ok(secrets))
        }
        Err(error @ SecretError::Store { .. }) if brings(plan) => Err(error.into()),
        Err(error) => Ok(Err(error)),
    }
}
