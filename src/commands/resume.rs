//! `relman resume`: go on with a deployment that somebody left.

use std::time::Duration;

use super::attempt::{Ask, Attempt};
use super::error::ErrorKind;
use super::outcome::{Report, ReportResult, conclude};
use super::{CommandError, Context, Site};
use crate::domain::id::DeploymentNumber;

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
    match attempt.take_over(&active, None).await? {
        Some(done) => conclude(context, site, done).await,
        None => Err(CommandError::new(
            ErrorKind::Failed,
            format!("{}#{} had no plan yet; no host was touched, and it is closed", site.name, active.number),
        )
        .hint("relman deploy: start again")),
    }
}
