//! The infrastructure below an environment, brought to what its configuration says: planned, shown, recorded, applied.
//!
//! Invariants: it happens under the lease and before any host is asked for anything; what is applied is the saved
//! plan that was shown; nothing of it is ever taken back by a deployment.

mod roster;

use std::time::Duration;

use super::attempt::Attempt;
use super::error::ErrorKind;
use super::read::digest_of;
use super::{CommandError, Context, Infra, Site};
use crate::config::Provision;
use crate::domain::event::{Event, StepError};
use crate::domain::id::Digest;
use crate::domain::infra::{InfraApplied, InfraFailed, InfraHosts, InfraStarted, StateId};
use crate::infra::inventory::{self, Expected, Listing};
use crate::infra::{Changes, InfraError, Locking};
use crate::interrupt::Interrupt;

pub use roster::{Hosts, Roster, find};

/// Changes that are shown one by one.
const SHOWN: usize = 50;

/// How it is brought about.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wish {
    /// How long somebody else may hold the state's lock.
    pub wait: Duration,
    /// Whether something that exists may go away.
    pub may_destroy: bool,
    /// Do not even plan where nothing has moved since the last time.
    pub skip_settled: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Brought {
    /// Nothing has moved since the last time, when there were these hosts.
    Settled(Option<Digest>),
    /// It was so already.
    Same(Changes, Option<StateId>),
    /// It is so now.
    Applied(Changes, Option<StateId>),
}

/// What a deploy does about the infrastructure. Afterwards the attempt's site leads to the hosts that there are, and
/// they are on record.
pub(crate) async fn before_hosts(attempt: &mut Attempt<'_>, wish: Wish) -> Result<(), CommandError> {
    let Some(infra) = attempt.site.infra.clone() else { return Ok(()) };
    let (context, name) = (attempt.context, attempt.site.name.clone());
    let before = match infra.provision {
        Provision::Skip => attempt.site.roster.clone(),
        Provision::Check => {
            let changes = look(context, &infra, Locking::Wait(wish.wait)).await?;
            if changes.differs() {
                context.progress.note(&format!(
                    "the infrastructure is not as {} says: relman infra apply --env {name}",
                    infra.port.location()
                ));
            }
            attempt.site.roster.clone()
        }
        Provision::Apply => {
            let wish = Wish { skip_settled: true, ..wish };
            // Whoever held the deploy lock before may have made hosts since the outputs were read.
            let known = match bring(attempt, &infra, wish).await? {
                Brought::Settled(Some(hosts)) => {
                    let listing: Listing = context.artifact(&hosts, "list of hosts").await?;
                    // A list of an older relman says nothing of the group.
                    (listing.group.is_some() || !is_grouped(attempt)).then(|| Roster::of(listing))
                }
                Brought::Settled(None) | Brought::Same(..) | Brought::Applied(..) => None,
            };
            match known {
                Some(known) => Some(known),
                None => {
                    let roster = roster::fresh(context, &name, &infra).await?;
                    return go_to(attempt, &infra, roster).await;
                }
            }
        }
    };
    let Some(before) = before else { return Ok(()) };
    // Between the beginning of the command and now somebody may have waited long, and the group may have grown.
    let roster = roster::still(context, &infra, before).await?;
    go_to(attempt, &infra, roster).await
}

/// Whether the hosts that were found at the beginning are in a group.
fn is_grouped(attempt: &Attempt<'_>) -> bool {
    attempt.site.roster.as_ref().is_some_and(|roster| roster.listing.group.is_some())
}

async fn go_to(attempt: &mut Attempt<'_>, infra: &Infra, roster: Roster) -> Result<(), CommandError> {
    attempt.site.fleet = (infra.fleet)(&roster.listing.hosts)?;
    attempt.site.roster = Some(roster);
    record_hosts(attempt).await
}

/// Puts the hosts that a deployment goes to on record, where others are. They are what a rollback goes by when the
/// outputs cannot be read; most deployments go where the one before went, and write nothing.
pub(crate) async fn record_hosts(attempt: &Attempt<'_>) -> Result<(), CommandError> {
    let Some(roster) = attempt.site.roster.as_ref().filter(|roster| roster.current) else { return Ok(()) };
    if roster.listing.hosts.is_empty() {
        return Ok(());
    }
    let hosts = digest_of(&roster.listing)?;
    if attempt.context.infra(&attempt.stream).await?.hosts() == Some(&hosts) {
        return Ok(());
    }
    attempt.context.put_artifact(&roster.listing).await?;
    attempt.append(Event::InfraHosts(InfraHosts { hosts })).await
}

/// Plans, and shows what it would do.
pub(crate) async fn look(context: &Context, infra: &Infra, lock: Locking) -> Result<Changes, CommandError> {
    let plan = infra.port.plan(lock, &context.interrupt).await?;
    show(context, plan.changes());
    Ok(plan.changes().clone())
}

fn show(context: &Context, changes: &Changes) {
    for change in &changes.drifted {
        context.progress.note(&format!("  changed beside the configuration: {change}"));
    }
    for change in changes.resources.iter().take(SHOWN) {
        context.progress.note(&format!("  {change}"));
    }
    if let Some(more) = changes.resources.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        context.progress.note(&format!("  and {more} more"));
    }
    if changes.differs() {
        context.progress.note(&format!("infrastructure: {changes}"));
    }
}

/// Brings the infrastructure to what its configuration says.
///
/// # Errors
/// When it is not so afterwards. No host was asked for anything.
pub(crate) async fn bring(attempt: &Attempt<'_>, infra: &Infra, wish: Wish) -> Result<Brought, CommandError> {
    let context = attempt.context;
    let port = &*infra.port;
    let location = port.location();
    let record = context.infra(&attempt.stream).await?;
    // First the state, since what is not initialised is then, and that can move the configuration.
    let state = port.state().await?;
    let configuration = port.configuration().await?;
    if wish.skip_settled && record.is_settled(&location, configuration.as_ref(), state.as_ref()) {
        return Ok(Brought::Settled(record.applied.and_then(|applied| applied.hosts)));
    }
    // What is another's must not even be planned: the plan would be to make it into ours.
    if state.is_some() {
        let (service, environment) = (&context.service, &attempt.site.name);
        inventory::belong(
            &port.outputs().await?,
            &Expected { service, environment, private: infra.private },
        )?;
    }
    let plan = port.plan(Locking::Wait(wish.wait), &context.interrupt).await?;
    // Files that moved while it was planned are planned again the next time.
    let configuration = port.configuration().await?.filter(|now| configuration.as_ref() == Some(now));
    let changes = plan.changes().clone();
    show(context, &changes);
    if !changes.applicable {
        if !record.is_recorded(&location, configuration.as_ref(), state.as_ref()) {
            let hosts = hosts(context, &attempt.site, infra).await?;
            attempt.append(applied(location, configuration, state.clone(), hosts, None)).await?;
        }
        return Ok(Brought::Same(changes, state));
    }
    if changes.deleted() > 0 && !wish.may_destroy {
        return Err(destroys(&changes));
    }
    let started = InfraStarted {
        location: location.clone(),
        configuration: configuration.clone(),
        state,
        plan: context.put_artifact(&changes).await?,
        created: changes.created(),
        updated: changes.updated(),
        deleted: changes.deleted(),
    };
    attempt.append(Event::InfraStarted(Box::new(started))).await?;
    let stop = Interrupt::default();
    match attempt.stopping(&stop, plan.apply(&stop)).await {
        Ok(log) => {
            let log = context.artifacts.put(log.as_bytes()).await?;
            let state = port.state().await?;
            let hosts = hosts(context, &attempt.site, infra).await?;
            attempt.append(applied(location, configuration, state.clone(), hosts, Some(log))).await?;
            Ok(Brought::Applied(changes, state))
        }
        Err(error) => {
            record_failure(attempt, location, &error).await;
            Err(error.into())
        }
    }
}

fn applied(
    location: String,
    configuration: Option<Digest>,
    state: Option<StateId>,
    hosts: Option<Digest>,
    log: Option<Digest>,
) -> Event {
    Event::InfraApplied(Box::new(InfraApplied { location, configuration, state, hosts, log }))
}

/// The hosts as an artifact, where they can be told: what was applied is on record also when they cannot.
async fn hosts(context: &Context, site: &Site, infra: &Infra) -> Result<Option<Digest>, CommandError> {
    match roster::to_record(context, &site.name, infra).await {
        Some(listing) => Ok(Some(context.put_artifact(&listing).await?)),
        None => Ok(None),
    }
}

/// The error itself is what the user must hear; a ledger that does not take the entry leaves the apply open.
async fn record_failure(attempt: &Attempt<'_>, location: String, error: &InfraError) {
    let evidence = match error.log() {
        Some(log) => attempt.context.artifacts.put(log.as_bytes()).await.ok(),
        None => None,
    };
    let error = StepError { code: error.code().to_owned(), message: error.to_string(), evidence };
    let failed = Event::InfraFailed(Box::new(InfraFailed { location, error }));
    if let Err(error) = attempt.append(failed).await {
        attempt
            .context
            .progress
            .note(&format!("that the infrastructure failed could not be recorded: {error}"));
    }
}

fn destroys(changes: &Changes) -> CommandError {
    let gone: Vec<_> = changes.resources.iter().filter(|change| change.destroys()).collect();
    let text = format!("the plan removes {} resource(s); nothing was applied", gone.len());
    let error = CommandError::new(ErrorKind::Refused, text);
    gone.iter()
        .take(SHOWN)
        .fold(error, |error, change| error.detail(change.to_string()))
        .hint("relman infra apply --yes: when that is what you want")
}

#[cfg(test)]
mod tests;
