//! `relman resume`: go on with a deployment that somebody left.

use std::time::Duration;

use super::attempt::{Ask, Attempt};
use super::error::ErrorKind;
use super::outcome::{Report, ReportResult, conclude};
use super::{CommandError, Context, Site};
use crate::domain::deployment::{Deployment, Kind, Phase};
use crate::domain::freeze;
use crate::domain::id::DeploymentNumber;
use crate::domain::record::{EnvironmentRecord, FreezeRecord};

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// Which deployment; none: the one that has no outcome.
    pub number: Option<DeploymentNumber>,
    /// How long to wait for whoever still works on it.
    pub lock_wait: Duration,
}

/// Resumes.
///
/// # Errors
/// As a deploy; [`ErrorKind::NotFound`] when the named one is not there or has ended.
pub async fn run(context: &Context, site: &Site, args: Args) -> Result<Report, CommandError> {
    let ask = Ask { purpose: "resume".to_owned(), wait: args.lock_wait, ..Ask::default() };
    let attempt = Attempt::begin(context, site, ask).await?;
    let result = resume(&attempt, args).await;
    attempt.end().await;
    result
}

/// While it waited for people the world went on: what came since its start keeps it from going on as it would have kept
/// it from starting. What was there at its start it was admitted in spite of.
fn still_admitted(
    context: &Context,
    site: &Site,
    environment: &EnvironmentRecord,
    active: &Deployment,
) -> Result<(), CommandError> {
    let id = format!("{}#{}", site.name, active.number);
    let refused = |why: String| CommandError::new(ErrorKind::Refused, format!("{id} does not go on: {why}"));
    if let Some(hold) = environment.hold.as_ref().filter(|hold| hold.since >= active.started_at) {
        let why = format!("{} is on hold since then, by {}: {}", site.name, hold.actor.name, hold.reason);
        return Err(refused(why)
            .hint("relman unhold --reason '…': lift it")
            .hint("relman abort --reason '…': it is not to go on at all"));
    }
    let windows = &site.settings.freeze;
    // What it was started in spite of, does not stop it.
    let started = active.started_at;
    let then: Vec<FreezeRecord> =
        environment.freezes.iter().filter(|one| one.since <= started).cloned().collect();
    let then = freeze::in_force(windows, &then, started);
    let now = freeze::in_force(windows, &environment.freezes, context.clock.now());
    if let Some(frozen) = now.filter(|found| then.as_ref() != Some(found)) {
        return Err(refused(frozen.to_string())
            .hint("the same again when that is over")
            .hint("relman abort --reason '…', then relman deploy --override-freeze --reason '…': when it cannot wait"));
    }
    Ok(())
}

async fn resume(attempt: &Attempt<'_>, args: Args) -> Result<Report, CommandError> {
    let (context, site) = (attempt.context, &attempt.site);
    let environment = context.environment(&attempt.stream).await?;
    if let Some(number) = args.number
        && environment.active != Some(number)
    {
        let name = &site.name;
        let found = context.deployment(&attempt.stream, Some(number)).await?;
        let message = match found.and_then(|found| found.outcome) {
            Some(outcome) => format!("{name}#{number} has ended: {outcome}"),
            None => format!("{name}#{number} is not in the ledger"),
        };
        return Err(CommandError::new(ErrorKind::NotFound, message).hint("relman history"));
    }
    let Some(active) = context.deployment(&attempt.stream, environment.active).await? else {
        let mut report = Report::new(site, ReportResult::NothingToDo);
        report.notes.push(format!("no deployment of {} is unfinished", site.name));
        return Ok(report);
    };
    // In these no request has reached the release yet: to stop costs nobody anything.
    let has_waited = active.approval.is_some() && matches!(active.phase, Phase::Waiting | Phase::Preparing);
    if has_waited && active.kind != Kind::Rollback {
        still_admitted(context, site, &environment, &active)?;
    }
    match attempt.take_over(&active, None).await? {
        Some(done) => conclude(context, site, done).await,
        None => Err(CommandError::new(
            ErrorKind::Failed,
            format!("{}#{} had no plan yet; no host was touched, and it is closed", site.name, active.number),
        )
        .hint("relman deploy: start again")),
    }
}
