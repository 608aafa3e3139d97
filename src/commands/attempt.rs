//! One attempt to change an environment: the lease, what somebody left behind, the plan, the drive, the answer.
//! Deploy, rollback, resume and abort differ in what they aim at, and in nothing here.

mod hosts;
mod stopping;

use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use hosts::hosts;

use super::error::ErrorKind;
use super::outcome;
use super::read::digest_of;
use super::{CommandError, Context, Site};
use crate::domain::deployment::{Deployment, Holder, Kind, Outcome, ReturnPoint};
use crate::domain::event::{Event, Started};
use crate::domain::id::{DeploymentId, DeploymentNumber, Digest, HostName, Stream};
use crate::domain::plan::Plan;
use crate::domain::release::ReleaseRef;
use crate::domain::run::RunConfig;
use crate::host::wire::{Authority, HostErrorCode, Observation};
use crate::saga::claim::{self, Claimed};
use crate::saga::lease::{self, Held, Wish};
use crate::saga::plan::{Facts, HostFacts};
use crate::saga::run::{Driven, Driver, End};
use crate::saga::state::State;

/// What is aimed at.
#[derive(Debug, Clone)]
pub(crate) struct Aim {
    pub kind: Kind,
    pub release: ReleaseRef,
    pub run: RunConfig,
    pub hosts: Vec<HostName>,
}

/// The lease is ours.
pub(crate) struct Attempt<'a> {
    pub context: &'a Context,
    pub site: Site,
    pub stream: Stream,
    held: Held,
    deadline: Option<Duration>,
}

/// How an attempt asks for the lease.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    pub purpose: String,
    pub wait: Duration,
    pub preempt: bool,
    pub timeout: Option<Duration>,
}

impl<'a> Attempt<'a> {
    /// Takes the lease.
    pub(crate) async fn begin(context: &'a Context, site: &'a Site, ask: Ask) -> Result<Self, CommandError> {
        let stream = context.stream(&site.name);
        let holder = Holder {
            nonce: context.clock.token(),
            actor: context.actor.clone(),
            machine: context.machine.clone(),
            pid: std::process::id(),
            purpose: ask.purpose,
            since: context.clock.now(),
        };
        let wish =
            Wish { stream: stream.clone(), holder, ttl: site.lease, wait: ask.wait, preempt: ask.preempt };
        let held = lease::take(&context.ledger, &context.clock, &*context.progress, &context.interrupt, wish)
            .await?;
        let deadline = ask.timeout.map(|timeout| context.clock.elapsed() + timeout);
        Ok(Self { context, site: site.clone(), stream, held, deadline })
    }

    /// Gives the lease back. A lease that cannot be given back ends by itself, so this is never worse than a note.
    pub(crate) async fn end(self) {
        let draft = self.context.draft(Event::LeaseReleased {});
        if let Err(error) = self.held.give_back(draft).await {
            self.context.progress.note(&format!("the deploy lock could not be given back: {error}"));
        }
    }

    /// Appends under the lease.
    pub(crate) async fn append(&self, event: Event) -> Result<(), CommandError> {
        let draft = self.context.draft(event);
        let sealed = self.context.ledger.append(&self.stream, Some(&self.held.lease.fence), draft).await?;
        self.context.progress.entry(&sealed.entry);
        Ok(())
    }

    fn authority(&self, deployment: DeploymentNumber) -> Authority {
        Authority { fence: self.held.lease.fence.clone(), deployment }
    }

    /// Raises the fence on hosts and hears how they are.
    pub(crate) async fn claim(&self, hosts: &[HostName], deployment: DeploymentNumber) -> Claimed {
        claim::claim(&*self.site.fleet, hosts, self.authority(deployment)).await
    }

    /// Starts a deployment, plans it on what the hosts say, and drives it to its end.
    pub(crate) async fn run(&self, aim: Aim, started: Started) -> Result<Done, CommandError> {
        let number = started.deployment;
        // Nothing is recorded of an attempt whose secrets are not there: it could only fail.
        drop(self.site.secrets.resolve(&aim.run.secrets)?);
        self.append(Event::DeploymentStarted(Box::new(started))).await?;
        let claimed = self.claim(&aim.hosts, number).await;
        let hosts = match facts(self.context, &self.stream, &*self.site.fleet, &aim, &claimed).await {
            Ok(hosts) => hosts,
            Err(error) => {
                let finished = Event::DeploymentFinished {
                    deployment: number,
                    outcome: Outcome::Failed,
                    message: Some(error.message.clone()),
                    verdict: None,
                };
                self.append(finished).await?;
                return Err(error.hint(format!("relman show {}#{number}", self.site.name)));
            }
        };
        let plan = make_plan(self.context, &self.site, &self.stream, &aim, hosts, number).await?;
        let digest = self.context.put_artifact(&plan).await?;
        self.append(Event::DeploymentPlanned {
            deployment: number,
            plan: digest,
            return_point: plan.return_point.clone(),
        })
        .await?;
        let driven = self.drive(&plan, &aim.run, State::new(&plan)).await?;
        Ok(Done { plan, driven })
    }

    async fn drive(&self, plan: &Plan, run: &RunConfig, state: State) -> Result<Driven, CommandError> {
        let context = self.context;
        let driver = Driver {
            ledger: &*context.ledger,
            artifacts: &*context.artifacts,
            clock: &*context.clock,
            progress: &*context.progress,
            interrupt: &context.interrupt,
            actor: &context.actor,
            held: &self.held,
            fleet: &*self.site.fleet,
            secrets: &self.site.secrets,
            plan,
            run,
            deadline: self.deadline,
        };
        match driver.drive(state).await {
            Ok(driven) => Ok(driven),
            Err(broken) => Err(self.who_took_over(outcome::of_broken(broken, plan)).await),
        }
    }

    /// Whoever was preempted hears by whom.
    async fn who_took_over(&self, error: CommandError) -> CommandError {
        if error.kind != ErrorKind::Held {
            return error;
        }
        match self.context.ledger.lease(&self.stream).await {
            Ok(Some(lease)) if lease.fence != self.held.lease.fence.number => {
                error.detail(format!("Taken over by {}", lease.holder))
            }
            _ => error,
        }
    }

    /// Goes on with a deployment that somebody left, in the direction that it had. With `back`, it turns back first
    /// and ends with that outcome, unless its pivot is behind it.
    pub(crate) async fn take_over(
        &self,
        deployment: &Deployment,
        back: Option<(&str, Outcome)>,
    ) -> Result<Option<Done>, CommandError> {
        let number = deployment.number;
        let Some(digest) = &deployment.plan else {
            let outcome = match back {
                None => Outcome::Failed,
                Some((_, Outcome::Superseded)) => Outcome::Superseded,
                Some(_) => Outcome::Cancelled,
            };
            let message = Some("it was interrupted before it was planned; no host was touched".to_owned());
            let finished = Event::DeploymentFinished { deployment: number, outcome, message, verdict: None };
            self.append(finished).await?;
            return Ok(None);
        };
        let plan: Plan = self.context.artifact(digest, "plan").await?;
        let run = self.context.run_of(deployment).await?;
        self.append(Event::DeploymentResumed { deployment: number }).await?;
        // Only the fence is raised here. A host that cannot be reached fails its own steps.
        self.claim(&plan.hosts, number).await;
        let mut state = self.fold(deployment, &plan).await?;
        if let (Some((cause, outcome)), None, false) = (back, &state.rolling_back, state.committed) {
            self.append(Event::RollingBack {
                deployment: number,
                cause: cause.to_owned(),
                requested: Some(outcome),
            })
            .await?;
            state = self.fold(deployment, &plan).await?;
        }
        let driven = self.drive(&plan, &run, state).await?;
        Ok(Some(Done { plan, driven }))
    }

    /// Makes way for another deployment: what was left is brought to an end, whatever it takes.
    pub(crate) async fn make_way(
        &self,
        deployment: &Deployment,
        for_rollback: bool,
    ) -> Result<(), CommandError> {
        let number = deployment.number;
        let id = DeploymentId { environment: self.site.name.clone(), number };
        self.context.progress.note(&format!(
            "{id} ({}) was left unfinished; it is brought to an end first",
            deployment.release.version.tag()
        ));
        let finish = |outcome, message: &str| Event::DeploymentFinished {
            deployment: number,
            outcome,
            message: Some(message.to_owned()),
            verdict: None,
        };
        if deployment.committed && for_rollback {
            // Its hosts are fenced and planned anew by the rollback; finishing it would only cost time.
            return self
                .append(finish(Outcome::Superseded, "a rollback took its place beyond its pivot"))
                .await;
        }
        let cause = "another deployment takes its place";
        let done = self.take_over(deployment, Some((cause, Outcome::Superseded))).await?;
        match done.map(|done| done.driven.end) {
            None | Some(End::Finished(_)) => Ok(()),
            Some(End::Stuck(_)) if deployment.committed => {
                self.append(finish(Outcome::Superseded, "some hosts did not confirm; another took its place"))
                    .await
            }
            Some(End::Stuck(_)) => {
                self.append(finish(Outcome::RollbackFailed, "some hosts could not be brought back")).await
            }
            Some(End::Interrupted) => Err(outcome::interrupted(&id)),
            Some(End::TimedOut) => Err(outcome::timed_out(&id)),
        }
    }

    async fn fold(&self, deployment: &Deployment, plan: &Plan) -> Result<State, CommandError> {
        const BATCH: u32 = 500;
        let mut state = State::new(plan);
        let mut after = deployment.first_seq - 1;
        loop {
            let entries = self.context.ledger.read(&self.stream, after, BATCH).await?;
            for sealed in &entries {
                if sealed.entry.event.deployment() == Some(deployment.number) {
                    state.apply(plan, &sealed.entry.event);
                }
            }
            match entries.last() {
                Some(last) if entries.len() as u32 == BATCH => after = last.entry.seq,
                _ => return Ok(state),
            }
        }
    }
}

/// An attempt that was driven as far as it went.
pub(crate) struct Done {
    pub plan: Plan,
    pub driven: Driven,
}

/// What a plan needs to know of each host.
///
/// # Errors
/// For hosts that cannot be asked, all of them in one error. A host that was never configured is no error.
pub(crate) async fn facts(
    context: &Context,
    stream: &Stream,
    fleet: &dyn crate::host::Fleet,
    aim: &Aim,
    claimed: &Claimed,
) -> Result<BTreeMap<HostName, HostFacts>, CommandError> {
    let wanted = fleet.configuration().map(String::from);
    let run = digest_of(&aim.run)?;
    let mut hosts = BTreeMap::new();
    let mut failed = Vec::new();
    for host in &aim.hosts {
        match claimed.get(host) {
            Some(Ok(seen)) => {
                let configure = wanted.is_some() && seen.configured != wanted;
                let settled = fleet.sees() && !configure && settled(context, stream, aim, &run, seen).await?;
                let committed =
                    seen.committed.and_then(|slot| seen.slots.iter().find(|view| view.slot == slot));
                let facts = HostFacts {
                    committed: committed
                        .filter(|_| fleet.sees())
                        .and_then(|view| view.running_digest.clone()),
                    open_shift: seen.trial.is_some(),
                    configure,
                    settled,
                };
                hosts.insert(host.clone(), facts);
            }
            Some(Err(error)) if error.code == HostErrorCode::NotInstalled && wanted.is_some() => {
                hosts.insert(host.clone(), HostFacts { configure: true, ..HostFacts::default() });
            }
            Some(Err(error)) => failed.push((host, error.code, error.message.clone())),
            None => failed.push((host, HostErrorCode::NoAnswer, "no answer came back".to_owned())),
        }
    }
    match failed.first() {
        None => Ok(hosts),
        Some((host, code, message)) => {
            let others = match failed.len() - 1 {
                0 => String::new(),
                n => format!(" (and {n} more)"),
            };
            let text = format!("host {host} cannot take part: {message}{others}");
            let mut error = CommandError::new(ErrorKind::Failed, text);
            if *code == HostErrorCode::Fenced {
                error.kind = ErrorKind::Held;
            }
            for (host, code, message) in &failed {
                error = error.detail(format!("{host}: {code}: {message}"));
            }
            Err(error
                .hint("relman doctor: what keeps each host from taking part")
                .hint("--hosts NAME,…: only the hosts that you name; the others stay as they are"))
        }
    }
}

async fn settled(
    context: &Context,
    stream: &Stream,
    aim: &Aim,
    run: &Digest,
    seen: &Observation,
) -> Result<bool, CommandError> {
    let Some(slot) = seen.serving() else { return Ok(false) };
    // Whether the values of secrets are those of now is not known: a redeploy takes them in.
    if aim.kind == Kind::Redeploy && !aim.run.secrets.is_empty() {
        return Ok(false);
    }
    if slot.weight != 100
        || seen.trial.is_some()
        || !slot.healthy
        || slot.running_digest.as_ref() != Some(&aim.release.digest)
    {
        return Ok(false);
    }
    let placed_by = context.deployment(stream, Some(slot.deployment)).await?;
    Ok(placed_by.is_some_and(|deployment| deployment.run == *run))
}

/// Plans on these facts.
pub(crate) async fn make_plan(
    context: &Context,
    site: &Site,
    stream: &Stream,
    aim: &Aim,
    hosts: BTreeMap<HostName, HostFacts>,
    number: DeploymentNumber,
) -> Result<Plan, CommandError> {
    let environment = context.environment(stream).await?;
    let serving = context.deployment(stream, environment.serving).await?;
    Ok(crate::saga::plan::plan(Facts {
        service: context.service.clone(),
        deployment: DeploymentId { environment: site.name.clone(), number },
        kind: aim.kind,
        candidate: aim.release.clone(),
        run: digest_of(&aim.run)?,
        return_point: serving.map(|deployment| ReturnPoint {
            number: deployment.number,
            release: deployment.release,
            run: deployment.run,
        }),
        hosts,
        bake_seconds: site.settings.bake_seconds,
        drain_seconds: site.settings.drain_seconds,
    }))
}

#[cfg(test)]
mod tests;
