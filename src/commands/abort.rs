//! `relman abort`: stop a deployment that is under way, and go back.

use std::time::Duration;

use super::attempt::{Ask, Attempt};
use super::error::ErrorKind;
use super::outcome::{Report, ReportResult, conclude};
use super::{CommandError, Context, Site};
use crate::domain::deployment::{Deployment, Outcome};

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// Why.
    pub reason: Option<String>,
}

/// Aborts. Whoever runs the deployment stops at its next entry.
///
/// # Errors
/// [`ErrorKind::Refused`] beyond the pivot, [`ErrorKind::NotFound`] when nothing is under way, and what keeps hosts
/// from going back.
pub async fn run(context: &Context, site: &Site, args: Args) -> Result<Report, CommandError> {
    let stream = context.stream(&site.name);
    // Asked before the lease is taken: an abort that has nothing to stop must not stop anybody.
    let environment = context.environment(&stream).await?;
    let active = context.deployment(&stream, environment.active).await?;
    let Some(active) = active else {
        return Err(CommandError::new(ErrorKind::NotFound, format!("nothing is under way in {}", site.name))
            .hint("relman rollback: take back what serves"));
    };
    if active.committed {
        return Err(past_its_pivot(site, &active));
    }
    let purpose = format!("abort {}#{}", site.name, active.number);
    let ask = Ask { purpose, wait: Duration::ZERO, preempt: true, timeout: None };
    let attempt = Attempt::begin(context, site, ask).await?;
    let result = abort(&attempt, args, active.number).await;
    attempt.end().await;
    result
}

async fn abort(attempt: &Attempt<'_>, args: Args, number: u64) -> Result<Report, CommandError> {
    let (context, site) = (attempt.context, &attempt.site);
    // It may have ended, or passed its pivot, while the lease was taken.
    let environment = context.environment(&attempt.stream).await?;
    let active = context.deployment(&attempt.stream, environment.active).await?;
    let Some(active) = active.filter(|active| active.number == number) else {
        let mut report = Report::new(site, ReportResult::NothingToDo);
        report.notes.push("it ended by itself".to_owned());
        return Ok(report);
    };
    if active.committed {
        return Err(past_its_pivot(site, &active));
    }
    let cause = args.reason.unwrap_or_else(|| "aborted".to_owned());
    match attempt.take_over(&active, Some((&cause, Outcome::Cancelled))).await? {
        Some(done) => conclude(context, site, done).await,
        None => {
            let mut report = Report::new(site, ReportResult::Aborted);
            report.outcome = Some(Outcome::Cancelled);
            report.notes.push("it had no plan yet; no host was touched".to_owned());
            Ok(report)
        }
    }
}

fn past_its_pivot(site: &Site, active: &Deployment) -> CommandError {
    let id = format!("{}#{}", site.name, active.number);
    CommandError::new(ErrorKind::Refused, format!("{id} is past its pivot: it only goes forward"))
        .hint(format!("relman resume '#{}': finish it", active.number))
        .hint("relman rollback: take it back")
}
