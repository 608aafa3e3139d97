//! `relman lock` and `unlock`: the deploy lock by hand. A lock lives as long as the process that holds it: what
//! would outlive it, and be forgotten, is a hold.

use std::time::Duration;

use serde::Serialize;

use super::Context;
use super::error::CommandError;
use crate::domain::deployment::Holder;
use crate::domain::event::Event;
use crate::domain::id::{DeploymentId, EnvironmentName, ServiceName, Stream};
use crate::domain::time::Timestamp;
use crate::ledger::{Lease, LeaseView, Take};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// Who holds the lock now; none when it is free.
    pub lease: Option<HeldBy>,
    /// For `unlock`: whom it was taken from.
    pub taken_from: Option<HeldBy>,
    /// For a lock that was held by this command: for how many seconds.
    pub held_seconds: Option<u64>,
    /// The deployment without an outcome. When the lock is free, somebody has to go on with it.
    pub in_flight: Option<DeploymentId>,
}

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldBy {
    /// Who.
    pub actor: String,
    /// On what machine.
    pub machine: String,
    /// Its process there.
    pub pid: u32,
    /// Doing what.
    pub purpose: String,
    /// Since when.
    pub since: Timestamp,
    /// The CI run, if there is one.
    pub run_url: Option<String>,
    /// The fence.
    pub fence: u64,
}

impl From<LeaseView> for HeldBy {
    fn from(lease: LeaseView) -> Self {
        Self {
            actor: lease.holder.actor.name,
            machine: lease.holder.machine,
            pid: lease.holder.pid,
            purpose: lease.holder.purpose,
            since: lease.holder.since,
            run_url: lease.holder.actor.run_url,
            fence: lease.fence,
        }
    }
}

/// Who holds the lock.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn show(context: &Context, environment: &EnvironmentName) -> Result<Report, CommandError> {
    let stream = context.stream(environment);
    let lease = context.ledger.lease(&stream).await?.filter(LeaseView::is_held).map(HeldBy::from);
    let in_flight = context.environment(&stream).await?.active;
    Ok(Report {
        schema: 1,
        service: context.service.clone(),
        environment: environment.clone(),
        lease,
        taken_from: None,
        held_seconds: None,
        in_flight: in_flight.map(|number| DeploymentId { environment: environment.clone(), number }),
    })
}

/// Holds the lock until the time is over or somebody interrupts, then gives it back.
///
/// # Errors
/// When somebody else holds it, or takes it over meanwhile.
pub async fn hold(
    context: &Context,
    environment: &EnvironmentName,
    reason: &str,
    time: Duration,
    ttl: Duration,
) -> Result<Report, CommandError> {
    let stream = context.stream(environment);
    let lease = take(context, &stream, &Take::IfFree, ttl, format!("lock: {reason}")).await?;
    let from = context.clock.elapsed();
    let until = from + time;
    context.progress.note(&format!("holding the deploy lock of {stream}; Ctrl-C gives it back"));
    while context.clock.elapsed() < until && !context.interrupt.is_raised() {
        let pause = (ttl / 6).min(until.saturating_sub(context.clock.elapsed()));
        tokio::select! {
            () = context.clock.sleep(pause) => context.ledger.renew(&lease, context.clock.token()).await?,
            () = context.interrupt.raised() => {}
        }
    }
    let held = context.clock.elapsed() - from;
    context.ledger.release(&lease, context.draft(Event::LeaseReleased {})).await?;
    Ok(Report { held_seconds: Some(held.as_secs()), ..show(context, environment).await? })
}

/// Takes the lock from whoever holds it, and frees it. The old holder is fenced out: it cannot append, and hosts
/// refuse it as soon as they have seen a newer fence.
///
/// # Errors
/// When the ledger cannot be read or written.
pub async fn free(
    context: &Context,
    environment: &EnvironmentName,
    reason: &str,
    ttl: Duration,
) -> Result<Report, CommandError> {
    let stream = context.stream(environment);
    let before = context.ledger.lease(&stream).await?.filter(|lease| !lease.released);
    let Some(before) = before else { return show(context, environment).await };
    let lease = take(context, &stream, &Take::Preempt, ttl, format!("unlock: {reason}")).await?;
    context.ledger.release(&lease, context.draft(Event::LeaseReleased {})).await?;
    Ok(Report { taken_from: Some(before.into()), ..show(context, environment).await? })
}

/// Takes the lease, and says what for.
pub(super) async fn take(
    context: &Context,
    stream: &Stream,
    take: &Take,
    ttl: Duration,
    purpose: String,
) -> Result<Lease, CommandError> {
    let holder = Holder {
        nonce: context.clock.token(),
        actor: context.actor.clone(),
        machine: context.machine.clone(),
        pid: std::process::id(),
        purpose,
        since: context.clock.now(),
    };
    let draft = context.draft(Event::LeaseAcquired { holder, stolen: *take != Take::IfFree });
    Ok(context.ledger.acquire(stream, take, ttl, draft).await?)
}
