//! From entries to the one decision: what next. Pure.
//!
//! [`State`] is the fold of a deployment's entries over its plan; [`next`] decides. Recovery after a crash and
//! normal running are the same: a step whose result is missing is performed again.

mod lag;

use std::collections::BTreeSet;

use crate::domain::deployment::{Outcome, Verdict};
use crate::domain::event::{Direction, Event, StepError};
use crate::domain::id::HostName;
use crate::domain::plan::{Plan, StepIndex};
use crate::domain::step::Step;

/// How often a step is tried where nothing but trying again is left: beyond the pivot, and on the way back.
pub const ATTEMPTS: u32 = 3;

/// How far one direction of a step is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Progress {
    /// Not begun.
    #[default]
    Waiting,
    /// Begun, and the result is not known.
    Begun,
    /// Done.
    Done,
    /// Not done, or it is not known whether.
    Failed(StepError),
}

/// One step as the entries tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepState {
    /// Towards the candidate.
    pub forward: Progress,
    /// Back.
    pub undo: Progress,
    /// Times that it was begun in the present direction since somebody took the deployment over.
    pub attempts: u32,
}

/// The fold of a deployment's entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// By step index.
    pub steps: Vec<StepState>,
    /// Why it goes back, and the outcome that somebody asked for.
    pub rolling_back: Option<(String, Option<Outcome>)>,
    /// Whether the pivot is passed.
    pub committed: bool,
    /// Whether a request may have reached the candidate.
    pub exposed: bool,
    /// The outcome.
    pub finished: Option<Outcome>,
    /// The first step that failed on the way forward: what the user is told.
    pub failure: Option<(StepIndex, StepError)>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Perform these steps side by side.
    Run(Vec<StepIndex>),
    /// Undo these steps side by side.
    Undo(Vec<StepIndex>),
    /// Record that it goes back from here.
    RollBack {
        /// Why.
        cause: String,
    },
    /// Record the pivot.
    Commit,
    /// Record the end.
    Finish {
        /// How.
        outcome: Outcome,
        /// What follows for the release.
        verdict: Option<Verdict>,
    },
    /// These steps failed as often as they may; a human is needed.
    Stuck(Vec<StepIndex>),
    /// It has ended.
    Ended(Outcome),
}

impl State {
    /// The state of a plan of which nothing has happened.
    pub fn new(plan: &Plan) -> Self {
        Self { steps: plan.steps().map(|_| StepState::default()).collect(), ..Self::default() }
    }

    /// Whether any step was begun on a host.
    pub fn touched_hosts(&self, plan: &Plan) -> bool {
        plan.steps()
            .zip(&self.steps)
            .any(|((_, step), state)| step.host().is_some() && state.forward != Progress::Waiting)
    }

    /// The hosts that are there no more.
    pub fn departed<'a>(&self, plan: &'a Plan) -> BTreeSet<&'a HostName> {
        let is_gone =
            |progress: &Progress| matches!(progress, Progress::Failed(error) if error.is_departed());
        plan.steps()
            .zip(&self.steps)
            .filter(|(_, at)| is_gone(&at.forward) || is_gone(&at.undo))
            .filter_map(|((_, step), _)| step.host())
            .collect()
    }

    /// Whether one of these steps failed before in this direction.
    pub fn is_retrying(&self, indexes: &[StepIndex], direction: Direction) -> bool {
        let failed = |step: &StepState| match direction {
            Direction::Forward => matches!(step.forward, Progress::Failed(_)),
            Direction::Undo => matches!(step.undo, Progress::Failed(_)),
        };
        indexes.iter().filter_map(|index| self.steps.get(*index as usize)).any(failed)
    }

    /// Applies the next event of this deployment; events that say nothing about steps leave it as it is.
    pub fn apply(&mut self, plan: &Plan, event: &Event) {
        match event {
            Event::DeploymentResumed { .. } => {
                for step in &mut self.steps {
                    step.attempts = 0;
                }
            }
            Event::StepStarted { step, exposes } => {
                self.exposed |= *exposes;
                if let Some(state) = self.steps.get_mut(step.index as usize) {
                    if step.direction == Direction::Undo && state.undo == Progress::Waiting {
                        state.attempts = 0;
                    }
                    state.attempts += 1;
                    *state.side(step.direction) = Progress::Begun;
                }
            }
            Event::StepSucceeded { step, .. } => {
                if let Some(state) = self.steps.get_mut(step.index as usize) {
                    *state.side(step.direction) = Progress::Done;
                }
            }
            Event::StepFailed { step, error, .. } => {
                if let Some(state) = self.steps.get_mut(step.index as usize) {
                    *state.side(step.direction) = Progress::Failed(error.clone());
                    let tells = !error.is_departed();
                    if tells && step.direction == Direction::Forward && self.failure.is_none() {
                        self.failure = Some((step.index, error.clone()));
                    }
                }
                if self.committed && error.is_gone() {
                    self.shift_again(plan, step.index);
                }
            }
            Event::RollingBack { cause, requested, .. } => {
                self.rolling_back = Some((cause.clone(), *requested));
                for step in &mut self.steps {
                    step.attempts = 0;
                }
            }
            Event::Committed { .. } => {
                self.committed = true;
                self.exposed = true;
            }
            Event::DeploymentFinished { outcome, .. } => self.finished = Some(*outcome),
            _ => {}
        }
    }

    /// Beyond the pivot a host that has gone back by itself is brought forward again: what came before the failed
    /// step on that host is done anew. Attempts keep counting, so this ends.
    fn shift_again(&mut self, plan: &Plan, failed: StepIndex) {
        let Some(host) = plan.step(failed).and_then(Step::host) else { return };
        let redo = |step: &Step| matches!(step, Step::Prepare { .. } | Step::Shift { .. });
        for (index, step) in plan.steps() {
            if index < failed && step.host() == Some(host) && redo(step) {
                self.steps[index as usize].forward = Progress::Waiting;
            }
        }
    }
}

impl StepState {
    fn side(&mut self, direction: Direction) -> &mut Progress {
        match direction {
            Direction::Forward => &mut self.forward,
            Direction::Undo => &mut self.undo,
        }
    }
}

/// Decides what comes next.
pub fn next(plan: &Plan, state: &State) -> Next {
    if let Some(outcome) = state.finished {
        return Next::Ended(outcome);
    }
    match &state.rolling_back {
        Some((_, requested)) => back(plan, state, *requested),
        None => forward(plan, state),
    }
}

fn forward(plan: &Plan, state: &State) -> Next {
    let lagging = state.lagging(plan);
    let departed = state.departed(plan);
    if !state.committed {
        if !departed.is_empty()
            && !plan.steps().any(|(_, step)| step.host().is_some_and(|h| !departed.contains(h)))
        {
            return Next::RollBack { cause: "every host has left its group".to_owned() };
        }
        if let Some(cause) = lag::not_allowed(plan, state, &lagging) {
            return Next::RollBack { cause };
        }
        if let Some(open) = lag::to_put_back(plan, state, &lagging) {
            return Next::Undo(open);
        }
    }
    for range in plan.stage_indexes() {
        let mut open = Vec::new();
        let mut exhausted = Vec::new();
        for index in range {
            let (Some(step), Some(at)) = (plan.step(index), state.steps.get(index as usize)) else {
                continue;
            };
            if *step == Step::Commit {
                if !state.committed {
                    return Next::Commit;
                }
                continue;
            }
            if step.host().is_some_and(|host| lagging.contains_key(host) || departed.contains(host)) {
                continue;
            }
            match &at.forward {
                Progress::Done => {}
                Progress::Waiting | Progress::Begun => open.push(index),
                Progress::Failed(error) if !state.committed => {
                    return Next::RollBack { cause: failure_line(step, error) };
                }
                Progress::Failed(_) if step.may_lag() => {}
                Progress::Failed(_) if at.attempts < ATTEMPTS => open.push(index),
                Progress::Failed(_) => exhausted.push(index),
            }
        }
        if !open.is_empty() {
            return Next::Run(open);
        }
        if !exhausted.is_empty() {
            return Next::Stuck(exhausted);
        }
    }
    Next::Finish { outcome: Outcome::Succeeded, verdict: Some(Verdict::Proven) }
}

/// One line for people about a failed step.
pub fn failure_line(step: &Step, error: &StepError) -> String {
    match step.host() {
        Some(host) => format!("{} on {host} failed: {}", step.name(), error.message),
        None => format!("{} failed: {}", step.name(), error.message),
    }
}

fn back(plan: &Plan, state: &State, requested: Option<Outcome>) -> Next {
    // A host that does not go back keeps no other host from going back.
    let mut exhausted: Vec<StepIndex> = Vec::new();
    let departed = state.departed(plan);
    for range in plan.stage_indexes().into_iter().rev() {
        let mut open = Vec::new();
        for index in range {
            let (Some(step), Some(at)) = (plan.step(index), state.steps.get(index as usize)) else {
                continue;
            };
            let lost = |index: &StepIndex| plan.step(*index).and_then(Step::host) == step.host();
            let is_gone = step.host().is_some_and(|host| departed.contains(host));
            if at.forward == Progress::Waiting
                || step.undo().is_none()
                || is_gone
                || exhausted.iter().any(lost)
            {
                continue;
            }
            match at.undo {
                Progress::Done => {}
                Progress::Failed(_) if at.attempts >= ATTEMPTS => exhausted.push(index),
                _ => open.push(index),
            }
        }
        if !open.is_empty() {
            return Next::Undo(open);
        }
    }
    if !exhausted.is_empty() {
        return Next::Stuck(exhausted);
    }
    let outcome = match requested {
        Some(Outcome::Superseded) => Outcome::Superseded,
        Some(_) if !state.exposed => Outcome::Cancelled,
        None if !state.exposed => Outcome::Failed,
        _ => Outcome::RolledBack,
    };
    let of_the_release =
        |step: &StepState| matches!(&step.forward, Progress::Failed(error) if error.is_of_the_release());
    let its_fault = state.steps.iter().any(of_the_release);
    let mut verdict = (requested.is_none() && its_fault).then_some(Verdict::Faulty);
    // The release that serves well is not at fault when it does not start with another configuration.
    if plan.return_point.as_ref().is_some_and(|point| point.release.digest == plan.candidate.digest) {
        verdict = None;
    }
    Next::Finish { outcome, verdict }
}
