//! `relman freeze`: times of the calendar in which nothing is deployed, kept in the ledger beside those of `relman.toml`.

#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{Duration as Span, DurationRound as _, NaiveDateTime, TimeDelta};
use chrono_tz::Tz;
use serde::Serialize;

use super::error::{CommandError, ErrorKind};
use super::{Context, hold};
use crate::domain::event::{Event, Times};
use crate::domain::freeze::{Freeze, Moment};
use crate::domain::id::{EnvironmentName, ServiceName};
use crate::domain::record::FreezeRecord;
use crate::domain::time::Timestamp;

/// When it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// At this moment.
    Moment(Moment),
    /// So long after now.
    After(Duration),
}

/// What is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// When it begins; none: now.
    pub from: Option<Moment>,
    /// When it ends.
    pub until: Until,
    /// Whose clock is meant.
    pub zone: Tz,
    /// Why.
    pub reason: String,
}

/// One freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What `freeze rm` takes; none: it is in the configuration.
    pub id: Option<u64>,
    /// Which times.
    #[serde(flatten)]
    pub times: Times,
    /// When it ends, where now is in it.
    pub in_force_until: Option<Timestamp>,
    /// Who added it.
    pub by: Option<String>,
    /// When.
    pub since: Option<Timestamp>,
}

/// The answer: the JSON output as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The freeze that was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added: Option<u64>,
    /// The freeze that was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<u64>,
    /// Those that there are and that are not over.
    pub freezes: Vec<Row>,
}

/// Adds one. Those that are over are removed.
///
/// # Errors
/// When it is no window, or over already; when there are as many as there may be.
pub async fn add(
    context: &Context,
    environment: &EnvironmentName,
    configured: &[Freeze],
    args: Args,
) -> Result<Report, CommandError> {
    let now = context.clock.now();
    let window = window(args, now)?;
    let stream = context.stream(environment);
    let recorded = context.environment(&stream).await?.freezes;
    for over in recorded.iter().filter(|one| is_over(one.window().as_ref(), now)) {
        let reason = "it is over".to_owned();
        append(context, environment, Event::FreezeRemoved { freeze: over.id, reason }).await?;
    }
    let id = append(context, environment, Event::FreezeAdded(Times::from(&window))).await?;
    let report = list(context, environment, configured).await?;
    Ok(Report { added: Some(id), ..report })
}

/// Those that there are.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn list(
    context: &Context,
    environment: &EnvironmentName,
    configured: &[Freeze],
) -> Result<Report, CommandError> {
    let now = context.clock.now();
    let recorded = context.environment(&context.stream(environment)).await?.freezes;
    let of_file = configured.iter().filter(|window| !is_over(Some(window), now)).map(|window| Row {
        id: None,
        times: Times::from(window),
        in_force_until: window.end_at(now),
        by: None,
        since: None,
    });
    let of_ledger = recorded.iter().filter(|one| !is_over(one.window().as_ref(), now)).map(|one| {
        let FreezeRecord { id, times, actor, since } = one.clone();
        let (by, since) = (Some(actor.name), Some(since));
        Row { id: Some(id), times, in_force_until: one.end_at(now), by, since }
    });
    Ok(Report {
        schema: 1,
        service: context.service.clone(),
        environment: environment.clone(),
        added: None,
        removed: None,
        freezes: of_file.chain(of_ledger).collect(),
    })
}

/// Removes one.
///
/// # Errors
/// When there is none of this number.
pub async fn remove(
    context: &Context,
    environment: &EnvironmentName,
    configured: &[Freeze],
    id: u64,
    reason: String,
) -> Result<Report, CommandError> {
    append(context, environment, Event::FreezeRemoved { freeze: id, reason }).await?;
    let report = list(context, environment, configured).await?;
    Ok(Report { removed: Some(id), ..report })
}

async fn append(context: &Context, environment: &EnvironmentName, event: Event) -> Result<u64, CommandError> {
    let sealed = hold::append(context, environment, event).await?;
    Ok(sealed.entry.seq)
}

fn is_over(window: Option<&Freeze>, now: Timestamp) -> bool {
    window.is_some_and(|window| window.is_over(now))
}

/// The window that is meant, where it is one and not over.
fn window(args: Args, now: Timestamp) -> Result<Freeze, CommandError> {
    let Args { from, until, zone, reason } = args;
    let local = now.utc().with_timezone(&zone).naive_local();
    let wrong = |why: String| CommandError::new(ErrorKind::Usage, format!("this is no freeze: {why}"));
    let minute = |moment: NaiveDateTime| moment.duration_trunc(Span::minutes(1)).unwrap_or(moment);
    let until = match until {
        Until::Moment(moment) => moment,
        Until::After(length) if length.is_zero() => {
            return Err(wrong("it lasts no time".to_owned()).hint("relman freeze add --for 3h --reason '…'"));
        }
        Until::After(length) => {
            let length = TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
            // In the time that passes, not in that of a clock which may be put back on the way; to a whole minute, and
            // not a second less.
            let end = now.utc().checked_add_signed(length + TimeDelta::seconds(59));
            let end = end.ok_or_else(|| wrong("it ends too late".to_owned()))?;
            Moment::Once(minute(end.with_timezone(&zone).naive_local()))
        }
    };
    let from = from.unwrap_or_else(|| Moment::Once(minute(local)));
    let window = Freeze { from, until, zone, reason };
    window.check().map_err(|why| {
        wrong(format!("from {} until {}, it {why}", window.from, window.until)).hint(
            "--from 'Fri 16:00' --until 'Mon 08:00': each week; --until '2026-12-20 00:00' or --for 3h: once",
        )
    })?;
    if window.is_over(now) {
        let end =
            format!("it was over at {} {}, and there it is {}", window.until, zone.name(), minute(local));
        return Err(wrong(end).hint("--zone says whose clock is meant; without it, UTC"));
    }
    Ok(window)
}
