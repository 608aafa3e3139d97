//! One attempt to change an environment: the lease, what somebody left behind, the plan, the drive, the answer.
//! Deploy, rollback, resume and abort differ in what they aim at, and in nothing here.

mod facts;
mod hosts;
mod left;
mod secrets;
mod stopping;

use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use hosts::hosts;

use super::error::ErrorKind;
use super::outcome;
use super::{CommandError, Context, Site};
use crate::domain::deployment::{ApprovalRule, Deployment, Holder, Kind, Outcome};
use crate::domain::event::{Event, Started};
use crate::domain::id::{DeploymentId, DeploymentNumber, HostName, Stream};
use crate::domain::plan::Plan;
use crate::domain::release::ReleaseRef;
use crate::domain::run::RunConfig;
use crate::domain::version::Version;
use crate::host::wire::Authority;
use crate::ledger::LedgerError;
use crate::saga::claim::{self, Claimed, Marks};
use crate::saga::lease::{self, Held, Wish};
use crate::saga::run::{Driven, Driver, End};
use crate::saga::state::State;
use crate::secrets::{Resolved, SecretError};

pub(crate) use facts::{facts, make_plan};

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
    ahead: Ahead,
}

/// Hosts that went back without the ledger, as an import found them. They obey nobody, so they stay like that.
#[derive(Default)]
pub(crate) struct Ahead {
    pub marks: Marks,
    pub seen: Claimed,
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
        let taken =
            lease::take(&context.ledger, &context.clock, &*context.progress, &context.interrupt, wish).await;
        let held = match taken {
            Err(LedgerError::Held { stream, .. }) if context.interrupt.is_raised() => {
                let text =
                    format!("interrupted while waiting for the deploy lock of {stream}; nothing was begun");
                return Err(
                    CommandError::new(ErrorKind::Interrupted, text).hint("relman status: who works on it")
                );
            }
            taken => taken?,
        };
        let deadline = ask.timeout.map(|timeout| context.clock.elapsed() + timeout);
        Ok(Self { context, site: site.clone(), stream, held, deadline, ahead: Ahead::default() })
    }

    /// The same, for hosts that are opened as soon as what they did is on record.
    pub(crate) fn opening(self, ahead: Ahead) -> Self {
        Self { ahead, ..self }
    }

    /// Gives the lease back. A lease that cannot be given back ends by itself, so this is never worse than a note.
    pub(crate) async fn end(self) {
        let context = self.context;
        let impatient = async {
            context.interrupt.raised().await;
            context.clock.sleep(stopping::PARTING).await;
        };
        let why = tokio::select! {
            biased;
            given = self.held.give_back(context.draft(Event::LeaseReleased {})) => given.err().map(|e| e.to_string()),
            () = impatient => Some("the ledger does not answer".to_owned()),
        };
        if let Some(why) = why {
            context
                .progress
                .note(&format!("the deploy lock could not be given back and ends by itself: {why}"));
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
        claim::claim(&*self.site.fleet, hosts, self.authority(deployment), &self.ahead.marks).await
    }

    /// Starts a deployment, plans it on what the hosts say, and drives it to its end.
    pub(crate) async fn run(&self, aim: Aim, started: Started) -> Result<Done, CommandError> {
        let number = started.deployment;
        // Nothing is recorded of an attempt whose secrets are not there: it could only fail.
        let secrets = self.site.secrets.resolve(&aim.run.secrets).await?;
        self.append(Event::DeploymentStarted(Box::new(started))).await?;
        let (ahead, others): (Vec<HostName>, Vec<HostName>) =
            aim.hosts.iter().cloned().partition(|host| self.ahead.marks.contains_key(host));
        let mut claimed = self.claim(&others, number).await;
        claimed.extend(
            self.ahead
                .seen
                .iter()
                .filter(|(host, _)| ahead.contains(host))
                .map(|(h, s)| (h.clone(), s.clone())),
        );
        let hosts = match facts(self.context, &self.site, &self.stream, &aim, &claimed).await {
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
        let mut state = State::new(&plan);
        if let Some(rule) = self.rule_for(aim.kind) {
            // Until somebody approves they may have been rotated: they are looked up again then.
            drop(secrets);
            self.append(Event::ApprovalRequested { deployment: number, rule }).await?;
            let driven = Driven {
                end: End::Waiting,
                state,
                not_returned: BTreeMap::new(),
                evidence: Vec::new(),
                warnings: Vec::new(),
            };
            return Ok(Done { plan, driven });
        }
        if !ahead.is_empty() {
            self.commit_before_opening(&plan, &mut state).await?;
            // A host that does not open fails its own steps, or is opened by the next import.
            self.claim(&ahead, number).await;
        }
        secrets::record(self, &plan, &secrets).await?;
        let driven = self.drive(&plan, &aim.run, Ok(&secrets), state).await?;
        Ok(Done { plan, driven })
    }

    /// Who has to approve a deployment of this kind here. Nobody waits for a way back.
    fn rule_for(&self, kind: Kind) -> Option<ApprovalRule> {
        let rule = self.site.settings.approval.clone()?;
        (kind != Kind::Rollback).then_some(rule)
    }

    /// Once hosts that went back without the ledger are open, nobody may take for undone what they did: where nothing
    /// else is to do first, the pivot is passed before.
    async fn commit_before_opening(&self, plan: &Plan, state: &mut State) -> Result<(), CommandError> {
        if !plan.begins_with_its_pivot() || state.committed || state.rolling_back.is_some() {
            return Ok(());
        }
        let committed = Event::Committed { deployment: plan.deployment.number };
        self.append(committed.clone()).await?;
        state.apply(plan, &committed);
        Ok(())
    }

    async fn drive(
        &self,
        plan: &Plan,
        run: &RunConfig,
        secrets: Result<&Resolved, &SecretError>,
        state: State,
    ) -> Result<Driven, CommandError> {
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
            secrets,
            plan,
            run,
            deadline: self.deadline,
            roll: &self.site,
        };
        match driver.drive(state).await {
            Ok(mut driven) => {
                if plan.kind == Kind::Rollback
                    && driven.end == End::Finished(Outcome::Succeeded)
                    && let Err(error) = self.lift_stale_hold(&plan.candidate.version).await
                {
                    // The rollback itself is done and on record.
                    driven.warnings.push(format!(
                        "whether a hold keeps it away is not known ({error}): relman status, and relman unhold where it does"
                    ));
                }
                Ok(driven)
            }
            Err(broken) => Err(self.who_took_over(outcome::of_broken(broken, plan)).await),
        }
    }

    /// A hold that keeps away what a rollback has now brought back on purpose has no meaning any more, whoever
    /// finished that rollback.
    async fn lift_stale_hold(&self, version: &Version) -> Result<(), CommandError> {
        let environment = self.context.environment(&self.stream).await?;
        let stale = environment
            .hold
            .and_then(|hold| hold.withdrawn)
            .is_some_and(|withdrawn| withdrawn.versions.contains(version));
        if stale {
            let reason = format!("{} was brought back by a rollback", version.tag());
            self.append(Event::HoldLifted { reason }).await?;
        }
        Ok(())
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
        if back.is_none() && deployment.approval.as_ref().is_some_and(|approval| !approval.is_given()) {
            let id = DeploymentId { environment: self.site.name.clone(), number };
            return Err(outcome::waiting(&id, &deployment.release.version));
        }
        if self.is_lost(deployment).await? {
            let text =
                format!("the plan of {}#{number} is not in the artifact store any more", self.site.name);
            return Err(CommandError::new(ErrorKind::NotFound, text)
                .hint("relman rollback, or relman deploy: both do without it, by what the hosts say"));
        }
        let plan: Plan = self.context.artifact(digest, "plan").await?;
        let run = self.context.run_of(deployment).await?;
        self.append(Event::DeploymentResumed { deployment: number }).await?;
        if !self.ahead.marks.is_empty() {
            let mut state = self.fold(deployment, &plan).await?;
            self.commit_before_opening(&plan, &mut state).await?;
        }
        // Only the fence is raised here. A host that cannot be reached fails its own steps.
        let claimed = self.claim(&plan.hosts, number).await;
        facts::none_ahead(&self.site.name, &claimed)?;
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
        let forward = back.is_none() && state.rolling_back.is_none();
        let secrets = secrets::of_left(self, deployment, &plan, &run, forward).await?;
        let driven = self.drive(&plan, &run, secrets.as_ref(), state).await?;
        Ok(Some(Done { plan, driven }))
    }
}

/// An attempt that was driven as far as it went.
pub(crate) struct Done {
    pub plan: Plan,
    pub driven: Driven,
}

impl Done {
    /// Whether somebody had asked for its end, and every host is as it was before.
    pub(crate) fn is_aborted(&self) -> bool {
        let asked = self.driven.state.rolling_back.as_ref().is_some_and(|(_, requested)| requested.is_some());
        matches!(self.driven.end, End::Finished(_)) && asked && self.driven.not_returned.is_empty()
    }
}

#[cfg(test)]
mod tests;
