//! The driver: fold, ask, append the intent, perform, append the result, repeat. It alone writes the entries of a
//! planned deployment, and it is the same loop for a first run, a resume and the way back.

mod end;
mod record;

pub use end::behind;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Roll;
use super::lease::Held;
use super::perform::{self, Means, Redact};
use super::state::{self, Next, State};
use crate::artifact::{ArtifactError, Artifacts};
use crate::clock::Clock;
use crate::domain::actor::Actor;
use crate::domain::deployment::Outcome;
use crate::domain::event::{Direction, Event, StepError, StepRef};
use crate::domain::id::{HostName, Stream};
use crate::domain::plan::{Plan, StepIndex};
use crate::domain::run::RunConfig;
use crate::domain::step::Step;
use crate::host::wire::{Authority, Command, Evidence, HostError, HostErrorCode};
use crate::host::{Fleet, Replies, Reply, Task};
use crate::interrupt::Interrupt;
use crate::ledger::{Ledger, LedgerError};
use crate::progress::Progress;
use crate::secrets::{Resolved, SecretError};

/// Time that a step still gets after an interrupt: CI systems send SIGTERM about ten seconds before they kill.
const GRACE: Duration = Duration::from_secs(6);
/// First pause before a step is tried again; it doubles.
const BACKOFF: Duration = Duration::from_millis(500);

/// What the driver works with.
#[derive(Clone, Copy)]
pub struct Driver<'a> {
    /// The ledger.
    pub ledger: &'a dyn Ledger,
    /// The artifact store.
    pub artifacts: &'a dyn Artifacts,
    /// Time and chance.
    pub clock: &'a dyn Clock,
    /// Who listens.
    pub progress: &'a dyn Progress,
    /// Whether to stop.
    pub interrupt: &'a Interrupt,
    /// Who runs this.
    pub actor: &'a Actor,
    /// The lease.
    pub held: &'a Held,
    /// The hosts.
    pub fleet: &'a dyn Fleet,
    /// The secrets of the run configuration, or why they are not there: then the step fails that needs them.
    pub secrets: Result<&'a Resolved, &'a SecretError>,
    /// The plan, as the ledger has it.
    pub plan: &'a Plan,
    /// The run configuration of the plan, with the references to secrets that count.
    pub run: &'a RunConfig,
    /// When to stop, by [`Clock::elapsed`].
    pub deadline: Option<Duration>,
    /// Who tells whether a host that does not answer is there no more.
    pub roll: &'a dyn Roll,
}

/// Why the driver stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// There is an outcome.
    Finished(Outcome),
    /// People have to approve before a step begins.
    Waiting,
    /// These steps failed as often as they may.
    Stuck(Vec<StepIndex>),
    /// It was interrupted; it can be resumed.
    Interrupted,
    /// Its time was up; it can be resumed.
    TimedOut,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Driven {
    /// Why it stopped.
    pub end: End,
    /// Where the deployment is.
    pub state: State,
    /// After a way back: what is not as it was, by host. Empty: every host is as it was before.
    pub not_returned: BTreeMap<HostName, String>,
    /// Why containers were not healthy.
    pub evidence: Vec<(HostName, Evidence)>,
    /// What did not go well and does not matter to the outcome.
    pub warnings: Vec<String>,
}

/// Why the driver cannot go on, and how far it was.
#[derive(Debug)]
pub struct Broken {
    /// Why.
    pub error: DriveError,
    /// Whether a step was begun on a host.
    pub touched_hosts: bool,
}

/// What keeps the driver from going on. Nothing more may be touched.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The ledger does not take entries, or the lease is somebody else's.
    #[error("the ledger did not take the next entry")]
    Ledger(#[source] LedgerError),
    /// Somebody else took the lease while something was done.
    #[error("the lease of {0} was lost")]
    LeaseLost(Stream),
    /// An artifact could not be stored.
    #[error("the log of a step could not be stored")]
    Artifact(#[source] ArtifactError),
}

enum Stop {
    End(End),
    Error(DriveError),
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        Self::Error(DriveError::Ledger(error))
    }
}

struct Run<'a> {
    driver: Driver<'a>,
    stream: Stream,
    means: Means,
    redact: Redact,
    driven: Driven,
}

impl Driver<'_> {
    /// Goes on from `state` until there is an outcome or nothing more can be done.
    ///
    /// # Errors
    /// When the ledger or the lease is gone. The deployment has no outcome then and can be resumed.
    pub async fn drive(&self, state: State) -> Result<Driven, Broken> {
        let environment = &self.plan.deployment.environment;
        let mut run = Run {
            driver: *self,
            stream: Stream::deployments(&self.plan.service, environment),
            means: Means {
                fence: self.held.lease.fence.clone(),
                run: self.run.clone(),
                secrets: BTreeMap::new(),
            },
            // Also of a resume that prepares nothing: what hosts and playbooks print may still hold them.
            redact: self.secrets.map(|all| Redact::new(&all.values)).unwrap_or_default(),
            driven: Driven {
                end: End::Interrupted,
                state,
                not_returned: BTreeMap::new(),
                evidence: Vec::new(),
                warnings: Vec::new(),
            },
        };
        loop {
            match run.turn().await {
                Ok(()) => {}
                Err(Stop::End(end)) => {
                    run.driven.end = end;
                    return Ok(run.driven);
                }
                Err(Stop::Error(error)) => {
                    return Err(Broken { error, touched_hosts: run.driven.state.touched_hosts(self.plan) });
                }
            }
        }
    }
}

impl Run<'_> {
    async fn turn(&mut self) -> Result<(), Stop> {
        let driver = self.driver;
        let deployment = driver.plan.deployment.number;
        let next = state::next(driver.plan, &self.driven.state);
        if let Next::Ended(outcome) = next {
            return Err(Stop::End(End::Finished(outcome)));
        }
        if driver.interrupt.is_raised() {
            return Err(Stop::End(End::Interrupted));
        }
        if driver.deadline.is_some_and(|deadline| driver.clock.elapsed() >= deadline) {
            return Err(Stop::End(End::TimedOut));
        }
        match next {
            Next::Run(steps) => self.group(&steps, Direction::Forward).await,
            Next::Undo(steps) => self.group(&steps, Direction::Undo).await,
            Next::RollBack { cause } => {
                let cause = self.redact.text(&cause);
                self.append(Event::RollingBack { deployment, cause, requested: None }).await
            }
            Next::Commit => self.append(Event::Committed { deployment }).await,
            Next::Finish { outcome, verdict } => self.finish(outcome, verdict).await,
            Next::Stuck(steps) => Err(Stop::End(End::Stuck(steps))),
            Next::Ended(outcome) => Err(Stop::End(End::Finished(outcome))),
        }
    }

    /// Steps of one stage side by side: intents, the deed, results.
    async fn group(&mut self, indexes: &[StepIndex], direction: Direction) -> Result<(), Stop> {
        let driver = self.driver;
        let plan = driver.plan;
        let mut steps = Vec::new();
        for index in indexes {
            let Some(planned) = plan.step(*index) else { continue };
            let step = match direction {
                Direction::Forward => planned.clone(),
                Direction::Undo => planned.undo().unwrap_or_else(|| planned.clone()),
            };
            steps.push((*index, step));
        }
        let Some((_, first)) = steps.first().cloned() else { return Ok(()) };
        self.pause_before_retry(indexes, direction).await?;
        for (index, step) in &steps {
            let exposes = direction == Direction::Forward && (step.exposes() || self.driven.state.committed);
            let step = self.reference(*index, step, direction);
            self.append(Event::StepStarted { step, exposes }).await?;
        }
        let hosts: Vec<HostName> = match first {
            Step::Bake { .. } => self.shifted(),
            _ => steps.iter().filter_map(|(_, step)| step.host().cloned()).collect(),
        };
        let replies = self.deed(&first, &hosts).await?;
        let departed = self.departed(&hosts, &replies).await?;
        let hosts: Vec<HostName> = hosts.into_iter().filter(|host| !departed.contains(host)).collect();
        let log = match &replies.log {
            Some(text) if !text.is_empty() => Some(self.store(self.redact.text(text).as_bytes()).await?),
            _ => None,
        };
        for (index, step) in &steps {
            if let Some(host) = step.host().filter(|host| departed.contains(*host)) {
                let message = format!("{host} has left its group: there is nothing left to do on it");
                let error = StepError { code: StepError::DEPARTED.to_owned(), message, evidence: None };
                let step = self.reference(*index, step, direction);
                self.append(Event::StepFailed { step, error, log: log.clone() }).await?;
                continue;
            }
            let result = perform::judge(driver.plan, driver.fleet.sees(), step, &hosts, &replies.replies);
            let reference = self.reference(*index, step, direction);
            let event = match result {
                Ok(()) => Event::StepSucceeded { step: reference, log: log.clone() },
                Err((host, error)) => {
                    let error = self.record(step, host, error).await?;
                    if step.may_lag() {
                        self.driven.warnings.push(state::failure_line(step, &error));
                    }
                    Event::StepFailed { step: reference, error, log: log.clone() }
                }
            };
            self.append(event).await?;
        }
        Ok(())
    }

    /// Those of these hosts that failed because they are there no more. Nobody is asked where all went well.
    async fn departed(&self, hosts: &[HostName], replies: &Replies) -> Result<BTreeSet<HostName>, Stop> {
        let answered = |host: &&HostName| {
            replies.replies.iter().any(|reply| reply.host == **host && reply.result.is_ok())
        };
        let failed: Vec<HostName> = hosts.iter().filter(|host| !answered(host)).cloned().collect();
        // A step that asks no host is about none.
        if failed.is_empty() || replies.replies.is_empty() {
            return Ok(BTreeSet::new());
        }
        self.guarded(self.driver.roll.departed(&failed)).await
    }

    /// The hosts that serve the candidate by now.
    fn shifted(&self) -> Vec<HostName> {
        let (plan, state) = (self.driver.plan, &self.driven.state);
        let (lagging, departed) = (state.lagging(plan), state.departed(plan));
        let done = plan.steps().zip(&state.steps).filter(|((_, step), at)| {
            matches!(step, Step::Shift { .. }) && at.forward == state::Progress::Done
        });
        let hosts = done.filter_map(|((_, step), _)| step.host().cloned());
        hosts.filter(|host| !lagging.contains_key(host) && !departed.contains(host)).collect()
    }

    fn reference(&self, index: StepIndex, step: &Step, direction: Direction) -> StepRef {
        StepRef {
            deployment: self.driver.plan.deployment.number,
            index,
            name: step.name().to_owned(),
            host: step.host().cloned(),
            direction,
        }
    }

    async fn pause_before_retry(&self, indexes: &[StepIndex], direction: Direction) -> Result<(), Stop> {
        let tried =
            |index: &StepIndex| self.driven.state.steps.get(*index as usize).map_or(0, |s| s.attempts);
        let attempts = indexes.iter().map(tried).max().unwrap_or(0);
        if attempts == 0 || !self.driven.state.is_retrying(indexes, direction) {
            return Ok(());
        }
        self.driver.progress.note("trying again");
        self.guarded(self.driver.clock.sleep(BACKOFF * 2u32.pow(attempts.min(6)))).await
    }

    /// Awaits something, unless the lease, the time or the user's patience ends first.
    async fn guarded<T>(&self, work: impl Future<Output = T>) -> Result<T, Stop> {
        let driver = self.driver;
        let interrupted = async {
            driver.interrupt.raised().await;
            driver.clock.sleep(GRACE).await;
        };
        let timed_out = async {
            match driver.deadline {
                None => std::future::pending().await,
                Some(deadline) => driver.clock.sleep(deadline.saturating_sub(driver.clock.elapsed())).await,
            }
        };
        tokio::select! {
            biased;
            result = work => Ok(result),
            () = driver.held.lost() => Err(Stop::Error(DriveError::LeaseLost(self.stream.clone()))),
            () = interrupted => Err(Stop::End(End::Interrupted)),
            () = timed_out => Err(Stop::End(End::TimedOut)),
        }
    }

    async fn deed(&mut self, step: &Step, hosts: &[HostName]) -> Result<Replies, Stop> {
        let driver = self.driver;
        match step {
            Step::Configure { .. } => self.guarded(self.configure(hosts)).await,
            Step::Bake { seconds } => {
                // To wait is no step on a host: who interrupts it is heard at once.
                tokio::select! {
                    waited = self.guarded(driver.clock.sleep(Duration::from_secs(*seconds))) => waited?,
                    () = driver.interrupt.raised() => return Err(Stop::End(End::Interrupted)),
                }
                let task = perform::about(driver.plan, Command::Observe {});
                self.guarded(driver.fleet.perform(hosts, &task)).await
            }
            _ => {
                if let Step::Prepare { .. } = step {
                    match driver.secrets {
                        Ok(secrets) => self.means.secrets.clone_from(&secrets.values),
                        Err(error) => {
                            return Ok(all_failed(hosts, HostErrorCode::Refused, &error.to_string()));
                        }
                    }
                }
                let task = perform::task(driver.plan, step, &self.means);
                // The values are needed no longer than the request lives.
                self.means.secrets.clear();
                match task {
                    Some(task) => self.guarded(driver.fleet.perform(hosts, &task)).await,
                    None => Ok(Replies::default()),
                }
            }
        }
    }

    /// A host that was configured just now has not seen our lease yet.
    async fn configure(&self, hosts: &[HostName]) -> Replies {
        let driver = self.driver;
        let configured = driver.fleet.configure(hosts).await;
        let good: Vec<HostName> =
            configured.replies.iter().filter(|reply| reply.result.is_ok()).map(|r| r.host.clone()).collect();
        let mut replies: Vec<Reply> =
            configured.replies.into_iter().filter(|reply| reply.result.is_err()).collect();
        if !good.is_empty() {
            let authority =
                Authority { fence: self.means.fence.clone(), deployment: driver.plan.deployment.number };
            let claimed = driver.fleet.perform(&good, &Task::bare(Command::Claim { authority })).await;
            replies.extend(claimed.replies);
        }
        Replies { replies, log: configured.log }
    }

    async fn record(&mut self, step: &Step, host: HostName, error: HostError) -> Result<StepError, Stop> {
        let mut evidence = None;
        if let Some(found) = &error.evidence {
            let found = self.redact.evidence(found);
            evidence = Some(self.store(&serde_json::to_vec_pretty(&found).unwrap_or_default()).await?);
            self.driven.evidence.push((host.clone(), found));
        }
        let mut recorded = perform::step_error(&error, evidence, &self.redact);
        if step.host().is_none() {
            recorded.message = format!("{host}: {}", recorded.message);
        }
        Ok(recorded)
    }
}

fn all_failed(hosts: &[HostName], code: HostErrorCode, message: &str) -> Replies {
    let failed = |host: &HostName| Reply { host: host.clone(), result: Err(HostError::new(code, message)) };
    Replies { replies: hosts.iter().map(failed).collect(), log: None }
}
