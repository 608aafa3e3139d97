//! `relman catch-up`: run on a host, it makes that host serve what the ledger wants. It only reads the ledger.
//!
//! What is wanted is what the last committed deployment made serve: its digest and its run configuration. The host is
//! asked in the name of that deployment and of the lease that was given last, so that whoever takes the next lease
//! wins, and a boot that comes late is refused. Beside somebody who holds the lease, only a host that no lease has
//! seen is touched, under a number below theirs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::error::ErrorKind;
use super::read::serves_for_good;
use super::{CommandError, Context, Site};
use crate::domain::deployment::{Deployment, Kind};
use crate::domain::id::{DeploymentId, Digest, EnvironmentName, Fence, HostName, ServiceName, Stream, Token};
use crate::domain::run::RunConfig;
use crate::domain::version::Version;
use crate::host::Task;
use crate::host::wire::{Authority, Command, HostError, HostErrorCode, Observation, Secret};
use crate::ledger::LeaseView;
use crate::secrets::{Refusal, SecretError, listed};

const POLL: Duration = Duration::from_secs(1);

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// How long to wait for a deployment that is under way.
    pub lock_wait: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUpResult {
    /// Nothing was ever committed here: there is nothing to serve.
    NothingRecorded,
    /// It serves what is wanted already.
    Settled,
    /// It serves what is wanted now.
    CaughtUp,
}

/// The report; `-o json` is this value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Version of this form.
    pub schema: u32,
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// What came of it.
    pub result: CatchUpResult,
    /// The deployment that is wanted.
    pub deployment: Option<DeploymentId>,
    /// Its version.
    pub version: Option<Version>,
    /// Its digest.
    pub digest: Option<Digest>,
    /// What else there is to say.
    pub notes: Vec<String>,
}

/// A lease as it was seen for the first time, and when.
struct Watched {
    renewal: Token,
    since: Duration,
}

/// Catches up. Each round acts on what the ledger said at its start; it is over when the ledger says the same after it.
///
/// # Errors
/// [`ErrorKind::Held`] while somebody else deploys, and what keeps this host from serving.
pub async fn run(context: &Context, site: &Site, args: Args) -> Result<Report, CommandError> {
    let here = this_host(site)?;
    let stream = context.stream(&site.name);
    let began = context.clock.elapsed();
    let mut watched: Option<Watched> = None;
    let mut report = Report {
        schema: 1,
        service: context.service.clone(),
        environment: site.name.clone(),
        result: CatchUpResult::NothingRecorded,
        deployment: None,
        version: None,
        digest: None,
        notes: Vec::new(),
    };
    loop {
        let Some(lease) = context.ledger.lease(&stream).await? else { return Ok(report) };
        let busy = lease.is_held() && !is_silent(context, &lease, &mut watched);
        let seen = ask(site, &here, Command::Observe {}).await.map_err(|error| told(site, error, false))?;
        let wanted = wanted(context, &stream).await?;
        if busy && (seen.fence.is_some() || wanted.is_none()) {
            wait(context, site, &lease, began, args.lock_wait).await?;
            continue;
        }
        let Some((deployment, run)) = wanted else { return Ok(report) };
        report.deployment = Some(DeploymentId { environment: site.name.clone(), number: deployment.number });
        report.version = Some(deployment.release.version.clone());
        report.digest = Some(deployment.release.digest.clone());
        if serves_for_good(context, &stream, &seen, &deployment.release.digest, &deployment.run).await? {
            if report.result == CatchUpResult::NothingRecorded {
                report.result = CatchUpResult::Settled;
            }
        } else {
            let fence = match busy {
                // Whoever holds the lease is newer, and nobody older was here.
                true => Fence { number: lease.fence - 1, nonce: context.clock.token() },
                false => Fence { number: lease.fence, nonce: lease.holder.nonce.clone() },
            };
            report.notes = bring(context, site, &here, (&deployment, run), (fence, &seen)).await?;
            report.result = CatchUpResult::CaughtUp;
        }
        let after = context.ledger.lease(&stream).await?;
        let is_same =
            after.is_some_and(|after| after.fence == lease.fence && after.released == lease.released);
        let serving = context.environment(&stream).await?.serving;
        if !busy && is_same && serving == Some(deployment.number) {
            return Ok(report);
        }
    }
}

/// The one host of a site that is this machine.
fn this_host(site: &Site) -> Result<HostName, CommandError> {
    match site.fleet.hosts().as_slice() {
        [host] => Ok(host.clone()),
        _ => Err(CommandError::new(ErrorKind::Usage, format!("{} is not this machine alone", site.name))
            .hint(
                "via = \"local\" in the configuration of this host; relman deploy catches the other hosts up",
            )),
    }
}

/// Whether a lease has not moved for longer than it lasts: its holder is dead, whatever the clocks say.
fn is_silent(context: &Context, lease: &LeaseView, watched: &mut Option<Watched>) -> bool {
    let now = context.clock.elapsed();
    match watched {
        Some(watched) if watched.renewal == lease.renewal => now - watched.since > lease.ttl * 5 / 4,
        _ => {
            *watched = Some(Watched { renewal: lease.renewal.clone(), since: now });
            false
        }
    }
}

async fn wait(
    context: &Context,
    site: &Site,
    lease: &LeaseView,
    began: Duration,
    patience: Duration,
) -> Result<(), CommandError> {
    let stopped = context.interrupt.is_raised();
    if stopped || context.clock.elapsed().saturating_sub(began) >= patience {
        let text = format!("{} is being deployed by {}; this host is left to it", site.name, lease.holder);
        return Err(CommandError::new(ErrorKind::Held, text).hint("relman catch-up: again when it is over"));
    }
    tokio::select! {
        () = context.clock.sleep(POLL) => {}
        () = context.interrupt.raised() => {}
    }
    Ok(())
}

/// What the last committed deployment made serve, and how.
async fn wanted(context: &Context, stream: &Stream) -> Result<Option<(Deployment, RunConfig)>, CommandError> {
    let environment = context.environment(stream).await?;
    let Some(deployment) = context.deployment(stream, environment.serving).await? else { return Ok(None) };
    let run = context.run_of(&deployment).await?;
    Ok(Some((deployment, run)))
}

/// Brings the host there; what did not matter enough to fail is returned.
async fn bring(
    context: &Context,
    site: &Site,
    here: &HostName,
    (deployment, run): (&Deployment, RunConfig),
    (fence, seen): (Fence, &Observation),
) -> Result<Vec<String>, CommandError> {
    let (secrets, mut notes) = secrets(site, deployment, &run).await?;
    let tag = deployment.release.version.tag();
    context.progress.note(&format!("{}#{} is wanted: {tag}", site.name, deployment.number));
    let authority = Authority { fence, deployment: deployment.number };
    let is_well = seen.serving().is_some_and(|slot| slot.running && slot.healthy);
    let steps = [
        Command::Claim { authority: authority.clone() },
        Command::Prepare {
            authority: authority.clone(),
            release: deployment.release.clone(),
            run: Box::new(run),
            secrets,
        },
        Command::Shift { authority: authority.clone(), kind: Kind::Deploy, weight: 100 },
        Command::Commit { authority: authority.clone() },
    ];
    for step in steps {
        let verb = step.verb();
        if let Err(error) = ask(site, here, step).await {
            if verb == "shift" {
                // Nobody watches a trial here. What went wrong first is what is told.
                let _ = ask(site, here, Command::Revert { authority: authority.clone() }).await;
            }
            return Err(told(site, error, is_well));
        }
        context.progress.note(&format!("{verb}: done"));
    }
    let retire = Command::Retire { authority, drain_seconds: site.settings.drain_seconds };
    let left = ask(site, here, retire).await.err();
    notes.extend(left.map(|error| format!("the other slot was not retired: {error}")));
    Ok(notes)
}

/// In the versions that the deployment brought to the others. One that the store does not have any more was rotated
/// away: a host that comes up with that of now is better than one that does not come up.
async fn secrets(
    site: &Site,
    deployment: &Deployment,
    run: &RunConfig,
) -> Result<(BTreeMap<String, Secret>, Vec<String>), CommandError> {
    let recorded = run.secrets_at(&deployment.secrets);
    match site.secrets.resolve(&recorded).await {
        Ok(found) => Ok((found.values, Vec::new())),
        Err(SecretError::Store { name, reference, fault }) if fault.refusal == Refusal::NoSuchVersion => {
            let found = site.secrets.resolve(&run.secrets).await?;
            let note = format!(
                "secret {name}: {reference} is gone from its store; this host has the versions of now ({}); relman secrets sync brings them to the others",
                listed(&found.versions)
            );
            Ok((found.values, vec![note]))
        }
        Err(error) => Err(error.into()),
    }
}

async fn ask(site: &Site, here: &HostName, command: Command) -> Result<Observation, HostError> {
    let hosts = std::slice::from_ref(here);
    let replies = site.fleet.perform(hosts, &Task::bare(command)).await.replies;
    let answer = replies.into_iter().find(|reply| reply.host == *here).map(|reply| reply.result);
    answer.unwrap_or_else(|| Err(HostError::new(HostErrorCode::NoAnswer, "relman-host gave no answer")))
}

fn told(site: &Site, error: HostError, serves_on: bool) -> CommandError {
    let kind = match error.code {
        HostErrorCode::Fenced => ErrorKind::Held,
        HostErrorCode::Ahead => ErrorKind::Refused,
        HostErrorCode::NotInstalled => ErrorKind::Failed,
        _ if serves_on => ErrorKind::Returned,
        _ => ErrorKind::Unsafe,
    };
    let what = match serves_on {
        true => "what this host served before serves on",
        false => "this host does not serve what is wanted",
    };
    let mut told = CommandError::new(kind, format!("{what}: {}", error.message));
    for line in error.evidence.iter().flat_map(|evidence| evidence.probes.iter().chain(&evidence.log)) {
        told = told.detail(line);
    }
    match error.code {
        HostErrorCode::Fenced => told.hint("relman catch-up: again when the deployment under way is over"),
        HostErrorCode::Ahead => told.hint("relman ledger import --from-hosts: from where relman runs"),
        HostErrorCode::NotInstalled => {
            told.hint("run the Ansible roles on this host, or build them into its image")
        }
        _ => told.hint(format!("relman deploy --env {}: from where relman runs", site.name)),
    }
}

#[cfg(test)]
mod tests;
