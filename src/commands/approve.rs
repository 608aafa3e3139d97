//! `relman approve` and `reject`: whether a deployment that waits may touch its hosts. The ledger judges an approval
//! itself, so that no other way of writing one gets past the rules.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Serialize;

use super::attempt::{Ask, Attempt};
use super::error::ErrorKind;
use super::{CommandError, Context, Site};
use crate::domain::deployment::{Deployment, Outcome, Phase};
use crate::domain::event::Event;
use crate::domain::id::{DeploymentId, DeploymentNumber, Digest, EnvironmentName};
use crate::domain::version::Version;

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// Which deployment; none: the one that waits.
    pub number: Option<DeploymentNumber>,
    /// The plan that was looked at; none: the one that it has.
    pub plan: Option<Digest>,
    /// Why.
    pub reason: Option<String>,
}

/// The answer: the JSON output as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// The deployment.
    pub id: DeploymentId,
    /// What it makes serve.
    pub version: Version,
    /// The plan that was approved or rejected.
    pub plan: Option<Digest>,
    /// Who did it.
    pub actor: String,
    /// How many approved by now.
    pub given: usize,
    /// How many have to.
    pub needed: u32,
    /// Whether it may go on.
    pub approved: bool,
    /// Whether it is over.
    pub rejected: bool,
}

/// Approves, as whoever `context.actor` is proven to be.
///
/// # Errors
/// [`ErrorKind::NotFound`] where nothing waits, [`ErrorKind::Refused`] where this identity or this plan does not count.
pub async fn approve(
    context: &Context,
    environment: &EnvironmentName,
    args: Args,
) -> Result<Report, CommandError> {
    let waiting = waiting(context, environment, args.number).await?;
    let Some(own) = waiting.plan.clone() else { return Err(nothing_waits(environment)) };
    let event = Event::ApprovalGiven {
        deployment: waiting.number,
        plan: args.plan.unwrap_or(own),
        reason: args.reason,
    };
    let stream = context.stream(environment);
    let sealed = context.ledger.append(&stream, None, context.draft(event)).await?;
    context.progress.entry(&sealed.entry);
    let now = context.deployment(&stream, Some(waiting.number)).await?.unwrap_or(waiting);
    Ok(report(context, environment, &now))
}

/// Rejects: the deployment is over, and no host was touched.
///
/// # Errors
/// [`ErrorKind::NotFound`] where nothing waits, and what keeps the deploy lock from being taken.
pub async fn reject(context: &Context, site: &Site, args: Args) -> Result<Report, CommandError> {
    let found = waiting(context, &site.name, args.number).await?;
    let ask = Ask {
        purpose: format!("reject {}#{}", site.name, found.number),
        wait: Duration::ZERO,
        ..Ask::default()
    };
    let attempt = Attempt::begin(context, site, ask).await?;
    let result = async {
        // It may have been approved and gone on meanwhile.
        let found = waiting(context, &site.name, Some(found.number)).await?;
        attempt
            .append(Event::DeploymentFinished {
                deployment: found.number,
                outcome: Outcome::Rejected,
                message: args.reason.clone(),
                verdict: None,
            })
            .await?;
        let now = context.deployment(&attempt.stream, Some(found.number)).await?.unwrap_or(found);
        Ok(report(context, &site.name, &now))
    }
    .await;
    attempt.end().await;
    result
}

fn report(context: &Context, environment: &EnvironmentName, deployment: &Deployment) -> Report {
    let approval = deployment.approval.as_ref();
    Report {
        schema: 1,
        id: DeploymentId { environment: environment.clone(), number: deployment.number },
        version: deployment.release.version.clone(),
        plan: deployment.plan.clone(),
        actor: context.actor.identity(),
        given: approval.map_or(0, |approval| approval.given.len()),
        needed: approval.map_or(0, |approval| approval.rule.needed),
        approved: approval.is_some_and(crate::domain::deployment::Approval::is_given),
        rejected: deployment.outcome == Some(Outcome::Rejected),
    }
}

fn nothing_waits(environment: &EnvironmentName) -> CommandError {
    CommandError::new(ErrorKind::NotFound, format!("nothing waits for an approval in {environment}"))
        .hint(format!("relman status --env {environment}"))
}

async fn waiting(
    context: &Context,
    environment: &EnvironmentName,
    number: Option<DeploymentNumber>,
) -> Result<Deployment, CommandError> {
    let stream = context.stream(environment);
    let active = context.environment(&stream).await?.active;
    if let Some(number) = number
        && active != Some(number)
    {
        let text = match context.deployment(&stream, Some(number)).await?.and_then(|found| found.outcome) {
            Some(outcome) => format!("{environment}#{number} has ended: {outcome}"),
            None => format!("{environment}#{number} is not in the ledger"),
        };
        return Err(CommandError::new(ErrorKind::NotFound, text).hint("relman history"));
    }
    match context.deployment(&stream, active).await? {
        Some(active) if active.phase == Phase::Waiting => Ok(active),
        Some(active) if active.approval.as_ref().is_some_and(|approval| approval.is_given()) => {
            let id = format!("{environment}#{}", active.number);
            Err(CommandError::new(ErrorKind::NotFound, format!("{id} is approved already"))
                .hint(format!("relman resume '{id}'")))
        }
        _ => Err(nothing_waits(environment)),
    }
}
