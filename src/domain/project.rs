//! From entries to records: the one fold that every ledger runs inside its append, and that `verify` runs again.
//!
//! It also decides what may be recorded at all. A ledger serialises the appends of a stream, so a check made here
//! against the records as they are holds when the entry is written: put-if-absent needs no other mechanism.

// Long because: one event after the other; in pieces the rules could not be read together.

use std::collections::BTreeMap;

use super::deployment::{
    Approval, Deployment, Given, Hold, Kind, NoApproval, Outcome, Phase, Verdict, Withdrawn,
};
use super::entry::Entry;
use super::event::{Direction, Event, SecretVersion, Started};
use super::id::{CommitSha, DeploymentNumber, Digest, Stream};
use super::infra::InfraRecord;
use super::record::{
    ClaimRecord, EnvironmentRecord, FreezeRecord, HostRecord, Key, Record, ReleaseRecord, ServiceRecord,
    VerdictRecord,
};
use super::step::Step;
use super::version::Version;

/// Records by key.
pub type Records = BTreeMap<Key, Record>;

/// Why an entry may not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// The event does not belong into this stream.
    #[error("{kind} does not belong into stream {stream}")]
    WrongStream {
        /// The event.
        kind: &'static str,
        /// The stream.
        stream: Stream,
    },
    /// The version is another commit's.
    #[error("version {version} is taken by commit {commit}")]
    VersionTaken {
        /// The number.
        version: Version,
        /// Whose it is.
        commit: CommitSha,
    },
    /// The version is bound to another digest.
    #[error("version {version} is bound to {digest}")]
    VersionBound {
        /// The number.
        version: Version,
        /// What it is bound to.
        digest: Digest,
    },
    /// Nobody claimed the version, or there is no such release.
    #[error("version {0} is not known")]
    UnknownVersion(Version),
    /// Another deployment has no outcome yet.
    #[error("deployment {0} has no outcome yet")]
    Active(DeploymentNumber),
    /// A gap or a repetition in the numbers.
    #[error("the next deployment is number {expected}, not {given}")]
    Number {
        /// The number that is due.
        expected: DeploymentNumber,
        /// The number that was given.
        given: DeploymentNumber,
    },
    /// There is no such deployment.
    #[error("deployment {0} is not known")]
    UnknownDeployment(DeploymentNumber),
    /// It has an outcome, which is written once.
    #[error("deployment {deployment} has ended: {outcome}")]
    Ended {
        /// The deployment.
        deployment: DeploymentNumber,
        /// How.
        outcome: Outcome,
    },
    /// The event does not fit where the deployment is.
    #[error("{kind} does not fit deployment {deployment} while it is {phase}")]
    OutOfOrder {
        /// The event.
        kind: &'static str,
        /// The deployment.
        deployment: DeploymentNumber,
        /// Where it is.
        phase: Phase,
    },
    /// The approval does not count.
    #[error("deployment {deployment} is not approved by this: {why}")]
    NoApproval {
        /// The deployment.
        deployment: DeploymentNumber,
        /// Why.
        why: NoApproval,
    },
    /// The approval is of another plan.
    #[error("deployment {deployment} has plan {plan}, and that is not what was approved")]
    OtherPlan {
        /// The deployment.
        deployment: DeploymentNumber,
        /// Its plan.
        plan: Digest,
    },
    /// There is nothing to lift.
    #[error("there is no hold")]
    NoHold,
    /// There is no such freeze.
    #[error("there is no freeze {0}")]
    NoFreeze(u64),
    /// There are as many as there may be.
    #[error("there are {FREEZES} freezes already")]
    TooManyFreezes,
    /// The stream goes on in another ledger.
    #[error("{stream} goes on in ledger {to}")]
    Moved {
        /// The stream.
        stream: Stream,
        /// That ledger.
        to: String,
    },
    /// Its entries are on their way from another ledger, in which it is open.
    #[error("{0} is being copied into this ledger and is not open here yet")]
    Importing(Stream),
}

/// Most freezes of an environment: its record is read and written with each deployment, and stays small.
pub const FREEZES: usize = 16;

/// The keys that [`project`] wants to see before it decides.
pub fn reads(stream: &Stream, event: &Event) -> Vec<Key> {
    let service = &stream.service;
    match event {
        Event::VersionClaimed { version, .. } => {
            vec![Key::of_service(service), Key::of_claim(service, version)]
        }
        Event::ReleaseBound(release) => {
            let version = &release.identity.version;
            vec![Key::of_service(service), Key::of_claim(service, version), Key::of_release(service, version)]
        }
        Event::InfraStarted(_) | Event::InfraApplied(_) | Event::InfraFailed(_) | Event::InfraHosts(_) => {
            vec![Key::of_environment(stream), Key::of_infra(stream)]
        }
        Event::ReleaseTagged { version, .. } => {
            vec![Key::of_service(service), Key::of_release(service, version)]
        }
        Event::LedgerMoved { .. } | Event::LedgerImported { .. } if stream.environment.is_none() => {
            vec![Key::of_service(service)]
        }
        _ => {
            let mut keys = vec![Key::of_environment(stream)];
            keys.extend(event.deployment().map(|n| Key::of_deployment(stream, n)));
            // These can be the first of their stream: whether the ledger goes on elsewhere is then said here alone.
            if matches!(
                event,
                Event::LeaseAcquired { .. }
                    | Event::HoldSet { .. }
                    | Event::FreezeAdded(_)
                    | Event::VerdictMarked { .. }
            ) {
                keys.push(Key::of_service(service));
            }
            keys
        }
    }
}

/// The records that change with an entry.
///
/// # Errors
/// When the entry may not be written.
pub fn project(entry: &Entry, before: &Records) -> Result<Records, Illegal> {
    let release_event = matches!(
        entry.event,
        Event::VersionClaimed { .. } | Event::ReleaseBound(_) | Event::ReleaseTagged { .. }
    );
    let of_either = matches!(entry.event, Event::LedgerMoved { .. } | Event::LedgerImported { .. });
    let of_releases = entry.stream.environment.is_none();
    if !of_either && release_event != of_releases {
        return Err(Illegal::WrongStream { kind: entry.event.kind(), stream: entry.stream.clone() });
    }
    let mut after = Records::new();
    if of_releases {
        project_release(entry, before, &mut after)?;
    } else {
        project_environment(entry, before, &mut after)?;
    }
    Ok(after)
}

fn project_release(entry: &Entry, before: &Records, after: &mut Records) -> Result<(), Illegal> {
    let service = &entry.stream.service;
    let mut totals = match before.get(&Key::of_service(service)) {
        Some(Record::Service(totals)) => totals.clone(),
        _ => ServiceRecord::default(),
    };
    refuse_moved(entry, totals.moved_to.as_ref())?;
    match &entry.event {
        Event::VersionClaimed { version, commit } => {
            let key = Key::of_claim(service, version);
            if let Some(Record::Claim(claim)) = before.get(&key) {
                return Err(Illegal::VersionTaken { version: version.clone(), commit: claim.commit.clone() });
            }
            let claim = ClaimRecord { version: version.clone(), commit: commit.clone(), at: entry.at };
            after.insert(key, Record::Claim(claim));
            after.insert(Key::of_commit(service, commit, version), Record::Commit(version.clone()));
            if !version.is_prerelease() && totals.highest.as_ref().is_none_or(|highest| version > highest) {
                totals.highest = Some(version.clone());
            }
            after.insert(Key::of_service(service), Record::Service(totals));
        }
        Event::ReleaseBound(release) => {
            let id = &release.identity;
            match before.get(&Key::of_claim(service, &id.version)) {
                Some(Record::Claim(claim)) if claim.commit == id.commit => {}
                Some(Record::Claim(claim)) => {
                    return Err(Illegal::VersionTaken {
                        version: id.version.clone(),
                        commit: claim.commit.clone(),
                    });
                }
                _ => return Err(Illegal::UnknownVersion(id.version.clone())),
            }
            let key = Key::of_release(service, &id.version);
            if let Some(Record::Release(bound)) = before.get(&key) {
                return Err(Illegal::VersionBound {
                    version: id.version.clone(),
                    digest: bound.release.identity.digest.clone(),
                });
            }
            after
                .insert(Key::of_digest(service, &id.digest, &id.version), Record::Digest(id.version.clone()));
            totals.last_release = Some(id.version.clone());
            after.insert(Key::of_service(service), Record::Service(totals));
            let record = ReleaseRecord {
                release: release.as_ref().clone(),
                tags: Vec::new(),
                conflicts: Vec::new(),
                created_at: entry.at,
                actor: entry.actor.clone(),
            };
            after.insert(key, Record::Release(Box::new(record)));
        }
        Event::ReleaseTagged { version, tags, conflicts } => {
            let key = Key::of_release(service, version);
            let Some(Record::Release(record)) = before.get(&key) else {
                return Err(Illegal::UnknownVersion(version.clone()));
            };
            let mut record = record.clone();
            record
                .tags
                .extend(tags.iter().filter(|tag| !record.tags.contains(tag)).cloned().collect::<Vec<_>>());
            record.conflicts.clone_from(conflicts);
            after.insert(key, Record::Release(record));
        }
        Event::LedgerMoved { to } => {
            totals.moved_to = Some(to.clone());
            after.insert(Key::of_service(service), Record::Service(totals));
        }
        Event::LedgerImported { .. } if totals.importing => {
            totals.importing = false;
            after.insert(Key::of_service(service), Record::Service(totals));
        }
        _ => {}
    }
    Ok(())
}

fn refuse_moved(entry: &Entry, moved_to: Option<&String>) -> Result<(), Illegal> {
    match moved_to {
        Some(to) => Err(Illegal::Moved { stream: entry.stream.clone(), to: to.clone() }),
        None => Ok(()),
    }
}

fn project_environment(entry: &Entry, before: &Records, after: &mut Records) -> Result<(), Illegal> {
    let stream = &entry.stream;
    let mut environment = match before.get(&Key::of_environment(stream)) {
        Some(Record::Environment(environment)) => environment.as_ref().clone(),
        _ => EnvironmentRecord::default(),
    };
    let was = environment.clone();
    refuse_moved(entry, environment.moved_to.as_ref())?;
    match &entry.event {
        Event::LeaseAcquired { .. } | Event::LeaseReleased {} => {}
        Event::InfraStarted(_) | Event::InfraApplied(_) | Event::InfraFailed(_) | Event::InfraHosts(_) => {
            project_infra(entry, before, after);
        }
        Event::LedgerMoved { to } => {
            if let Some(active) = environment.active {
                return Err(Illegal::Active(active));
            }
            environment.moved_to = Some(to.clone());
        }
        Event::LedgerImported { .. } => environment.importing = false,
        Event::VerdictMarked { version, verdict, reason } => {
            put_verdict(entry, version, *verdict, Some(reason.clone()), after);
        }
        Event::HoldSet { reason } => {
            environment.hold = Some(Hold {
                reason: reason.clone(),
                actor: entry.actor.clone(),
                since: entry.at,
                deployment: None,
                withdrawn: None,
            });
        }
        Event::HoldLifted { .. } => {
            if environment.hold.take().is_none() {
                return Err(Illegal::NoHold);
            }
        }
        Event::FreezeAdded(times) => {
            if environment.freezes.len() >= FREEZES {
                return Err(Illegal::TooManyFreezes);
            }
            environment.freezes.push(FreezeRecord {
                id: entry.seq,
                times: times.clone(),
                actor: entry.actor.clone(),
                since: entry.at,
            });
        }
        Event::FreezeRemoved { freeze, .. } => {
            let before = environment.freezes.len();
            environment.freezes.retain(|one| one.id != *freeze);
            if environment.freezes.len() == before {
                return Err(Illegal::NoFreeze(*freeze));
            }
        }
        Event::DeploymentStarted(started) => {
            if let Some(active) = environment.active {
                return Err(Illegal::Active(active));
            }
            let expected = environment.last + 1;
            if started.deployment != expected {
                return Err(Illegal::Number { expected, given: started.deployment });
            }
            environment.last = expected;
            environment.active = Some(expected);
            let record = Record::Deployment(Box::new(begin(entry, started)));
            after.insert(Key::of_deployment(stream, expected), record);
        }
        event => {
            let Some(number) = event.deployment() else { return Ok(()) };
            let key = Key::of_deployment(stream, number);
            let Some(Record::Deployment(deployment)) = before.get(&key) else {
                return Err(Illegal::UnknownDeployment(number));
            };
            let before = deployment.as_ref();
            let mut deployment = before.clone();
            advance(entry, &mut deployment, &mut environment, after)?;
            // Most steps change nothing that anybody lists, and each write of the record has its price in DynamoDB.
            if deployment != *before {
                deployment.last_seq = entry.seq;
                after.insert(key, Record::Deployment(Box::new(deployment)));
            }
        }
    }
    if environment != was {
        after.insert(Key::of_environment(stream), Record::Environment(Box::new(environment)));
    }
    Ok(())
}

fn project_infra(entry: &Entry, before: &Records, after: &mut Records) {
    let key = Key::of_infra(&entry.stream);
    let mut record = match before.get(&key) {
        Some(Record::Infra(record)) => record.as_ref().clone(),
        _ => InfraRecord::default(),
    };
    match &entry.event {
        Event::InfraApplied(applied) => {
            record = InfraRecord {
                open: false,
                applied: Some(applied.as_ref().clone()),
                // Outputs that name none that could be used are no reason to forget who was there.
                hosts: record.hosts.filter(|_| applied.hosts.is_none()),
                since: Some(entry.at),
                actor: Some(entry.actor.clone()),
            };
        }
        Event::InfraHosts(seen) => record.hosts = Some(seen.hosts.clone()),
        // One that failed may have done half: it stays open until one is known to be done.
        _ => record.open = true,
    }
    after.insert(key, Record::Infra(Box::new(record)));
}

fn put_verdict(
    entry: &Entry,
    version: &Version,
    verdict: Verdict,
    reason: Option<String>,
    after: &mut Records,
) {
    let record = VerdictRecord {
        version: version.clone(),
        verdict,
        reason,
        since: entry.at,
        actor: entry.actor.clone(),
    };
    after.insert(Key::of_verdict(&entry.stream, version), Record::Verdict(record));
}

fn begin(entry: &Entry, started: &Started) -> Deployment {
    Deployment {
        number: started.deployment,
        kind: started.kind,
        release: started.release.clone(),
        phase: Phase::Pending,
        outcome: None,
        message: None,
        actor: entry.actor.clone(),
        reason: started.reason.clone(),
        started_at: entry.at,
        finished_at: None,
        return_point: None,
        rollback_of: started.rollback_of,
        withdrawn: started.withdrawn.clone(),
        sets_hold: started.sets_hold,
        keeps_hold: started.keeps_hold,
        offline: started.offline.clone(),
        approval: None,
        hosts: started.hosts.clone(),
        overrides: started.overrides.clone(),
        plan: None,
        run: started.run.clone(),
        secrets: BTreeMap::new(),
        exposed: false,
        committed: false,
        first_seq: entry.seq,
        last_seq: entry.seq,
    }
}

/// One event of a running deployment.
fn advance(
    entry: &Entry,
    deployment: &mut Deployment,
    environment: &mut EnvironmentRecord,
    after: &mut Records,
) -> Result<(), Illegal> {
    if let Some(outcome) = deployment.outcome {
        return Err(Illegal::Ended { deployment: deployment.number, outcome });
    }
    let out_of_order = || Illegal::OutOfOrder {
        kind: entry.event.kind(),
        deployment: deployment.number,
        phase: deployment.phase,
    };
    match &entry.event {
        Event::DeploymentPlanned { plan, return_point, .. } => {
            if deployment.phase != Phase::Pending {
                return Err(out_of_order());
            }
            deployment.phase = Phase::Preparing;
            deployment.plan = Some(plan.clone());
            deployment.return_point.clone_from(return_point);
        }
        Event::DeploymentSecrets { secrets, .. } => {
            let too_early = matches!(deployment.phase, Phase::Pending | Phase::Waiting);
            if too_early || deployment.phase == Phase::RollingBack || !deployment.secrets.is_empty() {
                return Err(out_of_order());
            }
            let pair = |one: &SecretVersion| (one.name.clone(), one.version.clone());
            deployment.secrets = secrets.iter().map(pair).collect();
        }
        Event::DeploymentResumed { .. } => {}
        Event::ApprovalRequested { rule, .. } => {
            if deployment.phase != Phase::Preparing || deployment.approval.is_some() || rule.needed == 0 {
                return Err(out_of_order());
            }
            deployment.phase = Phase::Waiting;
            deployment.approval = Some(Approval { rule: rule.clone(), given: Vec::new() });
        }
        Event::ApprovalGiven { plan, reason, .. } => {
            let (Phase::Waiting, Some(approval)) = (deployment.phase, &mut deployment.approval) else {
                return Err(out_of_order());
            };
            if let Some(own) = deployment.plan.as_ref().filter(|own| *own != plan) {
                return Err(Illegal::OtherPlan { deployment: deployment.number, plan: own.clone() });
            }
            approval
                .judge(&deployment.actor, &entry.actor)
                .map_err(|why| Illegal::NoApproval { deployment: deployment.number, why })?;
            approval.given.push(Given { actor: entry.actor.clone(), at: entry.at, reason: reason.clone() });
            if approval.is_given() {
                deployment.phase = Phase::Preparing;
            }
        }
        Event::StepStarted { step, exposes } => {
            let forward = step.direction == Direction::Forward;
            // The plan, and with it the return point, is durable before anything happens; and once it goes back,
            // it never goes forward again. A single host is also put back while the others go on.
            let fits = deployment.plan.is_some()
                && !(forward && matches!(deployment.phase, Phase::RollingBack | Phase::Waiting));
            if !fits {
                return Err(out_of_order());
            }
            deployment.exposed |= *exposes;
            if forward {
                deployment.phase = match step.name.as_str() {
                    _ if deployment.committed => Phase::Finishing,
                    Step::SHIFT => Phase::RollingOut,
                    Step::BAKE => Phase::Baking,
                    _ => deployment.phase,
                };
            }
        }
        Event::StepSucceeded { step, .. } => {
            let final_on_host =
                deployment.committed && matches!(step.name.as_str(), Step::CONFIRM | Step::SHIFT);
            if let (true, Some(host)) = (final_on_host, &step.host) {
                let record = HostRecord {
                    host: host.clone(),
                    deployment: deployment.number,
                    release: deployment.release.clone(),
                    since: entry.at,
                };
                after.insert(Key::of_host(&entry.stream, host), Record::Host(record));
            }
        }
        Event::StepFailed { .. } => {}
        Event::RollingBack { .. } => {
            if deployment.committed {
                return Err(out_of_order());
            }
            deployment.phase = Phase::RollingBack;
        }
        Event::Committed { .. } => {
            if matches!(deployment.phase, Phase::RollingBack | Phase::Waiting) || deployment.plan.is_none() {
                return Err(out_of_order());
            }
            deployment.committed = true;
            deployment.phase = Phase::Finishing;
            // Nobody goes back from here by itself: whatever comes next has to reckon with this release.
            environment.serving = Some(deployment.number);
            // The same for what a rollback takes back: a host that lags must not let the next push bring it back.
            take_back(entry, deployment, environment, after);
        }
        Event::DeploymentFinished { outcome, message, verdict, .. } => {
            let fits = match outcome {
                Outcome::Succeeded => deployment.committed,
                // Also beyond the pivot: a rollback does not wait for hosts that lag.
                Outcome::Superseded => true,
                _ => !deployment.committed,
            };
            if !fits {
                return Err(out_of_order());
            }
            finish(entry, deployment, environment, after, *outcome, *verdict);
            deployment.message.clone_from(message);
        }
        _ => {}
    }
    Ok(())
}

fn finish(
    entry: &Entry,
    deployment: &mut Deployment,
    environment: &mut EnvironmentRecord,
    after: &mut Records,
    outcome: Outcome,
    verdict: Option<Verdict>,
) {
    deployment.outcome = Some(outcome);
    deployment.phase = Phase::Ended;
    deployment.finished_at = Some(entry.at);
    environment.active = None;
    if let Some(verdict) = verdict {
        put_verdict(entry, &deployment.release.version, verdict, None, after);
    }
    if outcome != Outcome::Succeeded {
        return;
    }
    let after_rollback = environment.hold.as_ref().is_some_and(|hold| hold.withdrawn.is_some());
    if deployment.kind == Kind::Deploy && after_rollback && !deployment.keeps_hold {
        environment.hold = None;
    }
}

fn reason_of(deployment: &Deployment, withdrawn: &Withdrawn) -> String {
    let to = || format!("rolled back to {}", withdrawn.good.version.tag());
    deployment.reason.clone().unwrap_or_else(to)
}

/// The marks that a rollback sets with the entry of its pivot: they follow from entry and deployment alone.
pub fn taken_back(entry: &Entry, deployment: &Deployment) -> Records {
    let mut after = Records::new();
    if let (Event::Committed { .. }, Some(withdrawn)) = (&entry.event, &deployment.withdrawn) {
        let reason = reason_of(deployment, withdrawn);
        for version in &withdrawn.versions {
            put_verdict(entry, version, Verdict::Withdrawn, Some(reason.clone()), &mut after);
        }
    }
    after
}

/// What a rollback takes back is kept away.
fn take_back(
    entry: &Entry,
    deployment: &Deployment,
    environment: &mut EnvironmentRecord,
    after: &mut Records,
) {
    let Some(withdrawn) = &deployment.withdrawn else { return };
    let reason = reason_of(deployment, withdrawn);
    after.extend(taken_back(entry, deployment));
    if deployment.sets_hold {
        let mut withdrawn = withdrawn.clone();
        // Back, and further back: what the first rollback took away stays away too.
        let earlier = environment.hold.take().and_then(|hold| hold.withdrawn);
        if let Some(earlier) = earlier.filter(|earlier| earlier.good.digest == withdrawn.bad.digest) {
            withdrawn.bad = earlier.bad;
            let more = earlier.versions.into_iter().filter(|version| !withdrawn.versions.contains(version));
            withdrawn.versions.extend(more.collect::<Vec<_>>());
        }
        environment.hold = Some(Hold {
            reason,
            actor: entry.actor.clone(),
            since: entry.at,
            deployment: Some(deployment.number),
            withdrawn: Some(withdrawn),
        });
    }
}
