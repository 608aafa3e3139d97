//! `relman status`: what the ledger wants of each host beside what the host says. Reading alone; it never acts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::error::CommandError;
use super::lock::HeldBy;
use super::{Context, Site};
use crate::domain::deployment::{Deployment, Hold, Kind, Phase};
use crate::domain::drift::{Drift, Seen, drift};
use crate::domain::freeze;
use crate::domain::id::{DeploymentId, Digest, HostName, ServiceName, Stream};
use crate::domain::policy::Frozen;
use crate::domain::record::{EnvironmentRecord, HostRecord, Listing, Record};
use crate::domain::release::ReleaseRef;
use crate::domain::time::Timestamp;
use crate::domain::version::Version;
use crate::host::Task;
use crate::host::wire::offline::Mark;
use crate::host::wire::{Command, HostError, HostErrorCode, Observation, Slot};
use crate::ledger::LeaseView;

/// Longest list of hosts that is read at once.
const HOSTS: u32 = 10_000;

/// The answer: the JSON output as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: crate::domain::id::EnvironmentName,
    /// The version that the ledger says serves.
    pub serving: Option<Version>,
    /// The deployment that made it serve.
    pub deployment: Option<DeploymentId>,
    /// When that deployment ended.
    pub since: Option<Timestamp>,
    /// The versions of secrets that its containers got, by name, of those that are in a store with versions.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Who holds the lease; none when it is free.
    pub lease: Option<HeldBy>,
    /// The ledger in which this goes on; nothing here is new since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// A stop.
    pub hold: Option<Hold>,
    /// A time of the calendar in which nothing is deployed, where now is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Frozen>,
    /// The deployment without an outcome.
    pub in_flight: Option<InFlight>,
    /// Whether hosts can be asked at all on this way. Where not, nothing here tells what runs.
    pub observable: bool,
    /// Each host.
    pub hosts: Vec<HostStatus>,
    /// Hosts of the ledger that the configuration does not name any more. None where the infrastructure names the
    /// hosts: one that it does not name is gone.
    pub forgotten: Vec<HostName>,
    /// Members of the group that nobody knows how to reach: their ids. What they serve is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreachable: Vec<String>,
    /// Why it is not certain that these are the hosts that there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    /// Whether any host is not known to be as the ledger wants it: what `--exit-code` asks for.
    pub differs: bool,
}

/// A deployment without an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InFlight {
    /// Its id.
    pub id: DeploymentId,
    /// Why it exists.
    pub kind: Kind,
    /// What it makes serve.
    pub version: Version,
    /// Where it is.
    pub phase: Phase,
    /// Who began it.
    pub actor: String,
    /// When.
    pub started_at: Timestamp,
    /// Whether nobody works on it any more: the lease is free.
    pub interrupted: bool,
    /// Whether it is past its pivot: it can only go forward.
    pub committed: bool,
}

/// How a host stands to the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", untagged)]
pub enum HostDrift {
    /// It differs.
    Drift(Drift),
    /// This way to the host cannot tell.
    #[serde(serialize_with = "unobserved")]
    Unobserved,
}

fn unobserved<S: serde::Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("unobserved")
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostStatus {
    /// Its name.
    pub name: HostName,
    /// The version that it should serve: the environment's.
    pub wanted: Option<Version>,
    /// Its digest.
    pub wanted_digest: Option<Digest>,
    /// What takes traffic, as the engine tells it.
    pub running_digest: Option<Digest>,
    /// The version of that digest, if the ledger knows it.
    pub running_version: Option<Version>,
    /// The slot that takes traffic.
    pub slot: Option<Slot>,
    /// Percent of the host's requests that the slot takes.
    pub weight: Option<u8>,
    /// Whether it answers its health check; none when the host was not asked or serves nothing.
    pub healthy: Option<bool>,
    /// Since when the container runs.
    pub since: Option<Timestamp>,
    /// How it differs; none: it is as wanted.
    pub drift: Option<HostDrift>,
    /// What the host answered instead.
    pub error: Option<String>,
    /// What it did without the ledger, which does not know yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<String>,
}

/// What the ledger says about the environment.
struct Recorded {
    environment: EnvironmentRecord,
    serving: Option<Deployment>,
    active: Option<Deployment>,
    hosts: Vec<HostRecord>,
    lease: Option<LeaseView>,
}

/// Reads the ledger, asks every host, compares.
///
/// # Errors
/// When the ledger cannot be read. A host that cannot be asked is part of the report.
pub async fn run(context: &Context, site: &Site) -> Result<Report, CommandError> {
    let stream = context.stream(&site.name);
    let recorded = read(context, &stream).await?;
    let names = site.fleet.hosts();
    let observable = site.fleet.sees();
    let mut answers = Vec::new();
    if observable {
        answers = site.fleet.perform(&names, &Task::bare(Command::Observe {})).await.replies;
    }
    let candidate = recorded.active.as_ref().filter(|d| may_serve(d.phase)).map(|d| &d.release);
    // Of every host, also of one that a deployment left out: an environment serves one release.
    let wanted = recorded.serving.as_ref().map(|deployment| &deployment.release);
    let mut hosts = Vec::new();
    for name in &names {
        let answer = answers.iter().find(|reply| reply.host == *name).map(|reply| &reply.result);
        let mut host = match (observable, answer) {
            (false, _) => unasked(name, wanted),
            (true, Some(answer)) => compare(name, wanted, candidate, answer),
            (true, None) => {
                let error = HostError::new(HostErrorCode::NoAnswer, "there was no answer for this host");
                compare(name, wanted, candidate, &Err(error))
            }
        };
        if host.running_version.is_none()
            && let Some(digest) = &host.running_digest
        {
            host.running_version = version_of(context, digest).await?;
        }
        hosts.push(host);
    }
    // Machines that the infrastructure made are gone when it does not name them: scaling in leaves nothing to tell.
    let comes_and_goes = site.infra.is_some();
    let left = recorded.hosts.iter().map(|r| &r.host).filter(|host| !comes_and_goes && !names.contains(host));
    let forgotten = left.cloned().collect();
    let id = |number| DeploymentId { environment: site.name.clone(), number };
    let held = recorded.lease.as_ref().is_some_and(LeaseView::is_held);
    let (unreachable, doubt) =
        site.roster.as_ref().map(|r| (r.unreachable.clone(), r.doubt.clone())).unwrap_or_default();
    let differs = hosts.iter().any(|host| host.drift.is_some()) || !unreachable.is_empty() || doubt.is_some();
    Ok(Report {
        schema: 1,
        service: context.service.clone(),
        environment: site.name.clone(),
        serving: recorded.serving.as_ref().map(|d| d.release.version.clone()),
        deployment: recorded.serving.as_ref().map(|d| id(d.number)),
        since: recorded.serving.as_ref().and_then(|d| d.finished_at),
        secrets: recorded.serving.as_ref().map(|d| d.secrets.clone()).unwrap_or_default(),
        lease: recorded.lease.filter(LeaseView::is_held).map(HeldBy::from),
        moved_to: recorded.environment.moved_to.clone(),
        hold: recorded.environment.hold.clone(),
        freeze: freeze::in_force(&site.settings.freeze, &recorded.environment.freezes, context.clock.now()),
        in_flight: recorded.active.as_ref().map(|deployment| InFlight {
            id: id(deployment.number),
            kind: deployment.kind,
            version: deployment.release.version.clone(),
            phase: deployment.phase,
            actor: deployment.actor.name.clone(),
            started_at: deployment.started_at,
            interrupted: !held && deployment.phase != Phase::Waiting,
            committed: deployment.committed,
        }),
        observable,
        forgotten,
        unreachable,
        doubt,
        hosts,
        differs,
    })
}

async fn read(context: &Context, stream: &Stream) -> Result<Recorded, CommandError> {
    let environment = context.environment(stream).await?;
    let serving = context.deployment(stream, environment.serving).await?;
    let active = context.deployment(stream, environment.active).await?;
    let page = context.ledger.page(&Listing::Hosts(stream.clone()), None, HOSTS).await?;
    let mut hosts: Vec<_> = page
        .records
        .into_iter()
        .filter_map(|(_, record)| if let Record::Host(host) = record { Some(host) } else { None })
        .collect();
    hosts.sort_by(|a, b| a.host.cmp(&b.host));
    Ok(Recorded { environment, serving, active, hosts, lease: context.ledger.lease(stream).await? })
}

async fn version_of(context: &Context, digest: &Digest) -> Result<Option<Version>, CommandError> {
    let listing = Listing::Digests(context.service.clone(), digest.clone());
    let page = context.ledger.page(&listing, None, 1).await?;
    Ok(page.records.into_iter().find_map(|(_, record)| match record {
        Record::Digest(version) => Some(version),
        _ => None,
    }))
}

/// Outside these phases the candidate has no business to take traffic (invariant 1).
fn may_serve(phase: Phase) -> bool {
    match phase {
        Phase::RollingOut | Phase::Baking | Phase::Finishing | Phase::RollingBack => true,
        Phase::Pending | Phase::Waiting | Phase::Preparing | Phase::Ended => false,
    }
}

fn unasked(name: &HostName, wanted: Option<&ReleaseRef>) -> HostStatus {
    HostStatus {
        name: name.clone(),
        wanted: wanted.map(|release| release.version.clone()),
        wanted_digest: wanted.map(|release| release.digest.clone()),
        running_digest: None,
        running_version: None,
        slot: None,
        weight: None,
        healthy: None,
        since: None,
        drift: Some(HostDrift::Unobserved),
        error: None,
        ahead: None,
    }
}

fn compare(
    name: &HostName,
    wanted: Option<&ReleaseRef>,
    candidate: Option<&ReleaseRef>,
    answer: &Result<Observation, HostError>,
) -> HostStatus {
    let mut host = unasked(name, wanted);
    let digest = |release: &ReleaseRef| release.digest.clone();
    let seen = match answer {
        Ok(observation) => {
            let view = observation.serving().filter(|view| view.running);
            host.running_digest = view.and_then(|view| view.running_digest.clone());
            host.running_version = [wanted, candidate]
                .into_iter()
                .flatten()
                .find(|release| Some(&release.digest) == host.running_digest.as_ref())
                .map(|release| release.version.clone());
            host.slot = view.map(|view| view.slot);
            host.weight = view.map(|view| view.weight);
            host.healthy = view.map(|view| view.healthy);
            host.since = view.and_then(|view| view.since);
            host.ahead = observation.offline.as_ref().map(Mark::told);
            Some(Seen {
                serving: host.running_digest.clone(),
                routed: host.weight == Some(100),
                healthy: host.healthy == Some(true),
                open_shift: observation.trial.is_some(),
                ahead: observation.offline.is_some(),
            })
        }
        Err(error) => {
            host.error = Some(format!("{}: {error}", error.code));
            // A host that was never configured has been reached, and serves nothing.
            (error.code == HostErrorCode::NotInstalled).then_some(Seen {
                serving: None,
                routed: false,
                healthy: false,
                open_shift: false,
                ahead: false,
            })
        }
    };
    let (wanted, candidate) = (wanted.map(digest), candidate.map(digest));
    host.drift = drift(wanted.as_ref(), candidate.as_ref(), seen.as_ref()).map(HostDrift::Drift);
    host
}

#[cfg(test)]
mod tests;
