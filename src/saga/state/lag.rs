//! Hosts that stay behind while the others go on. Pure.
//!
//! A host on which something fails is put back as it was and left alone, as long as the failure budget has place for
//! it. What the release itself does wrong uses the budget only where the same step went well on another host: a
//! release that nobody has seen healthy goes no further.

use std::collections::BTreeMap;

use super::{ATTEMPTS, Progress, State, failure_line};
use crate::domain::deployment::Kind;
use crate::domain::id::HostName;
use crate::domain::plan::{Plan, StepIndex};
use crate::domain::step::Step;

/// Hosts that stay behind, each with the step that failed there.
pub(crate) type Lagging = BTreeMap<HostName, StepIndex>;

impl State {
    /// The hosts that stay behind. A rollback leaves none: it tries until it is stuck.
    pub(crate) fn lagging(&self, plan: &Plan) -> Lagging {
        if plan.kind == Kind::Rollback || self.rolling_back.is_some() {
            return Lagging::new();
        }
        let departed = self.departed(plan);
        let pivot = plan.steps().find(|(_, step)| **step == Step::Commit).map_or(0, |(index, _)| index);
        let (mut lagging, mut exhausted) = (Lagging::new(), Lagging::new());
        for (index, step) in plan.steps() {
            let (Some(host), Some(at)) = (step.host(), self.steps.get(index as usize)) else { continue };
            // It lags behind nobody, and takes no place of the budget.
            if departed.contains(host) {
                continue;
            }
            let failed = matches!(at.forward, Progress::Failed(_));
            // Beyond the pivot what can be undone is tried again, and it was undone of a host that was left behind.
            let left = match step.undo() {
                Some(_) => at.undo != Progress::Waiting || (failed && !self.committed),
                None => failed && index < pivot,
            };
            if left {
                lagging.entry(host.clone()).or_insert(index);
            } else if self.committed && failed && at.attempts >= ATTEMPTS && !step.may_lag() {
                exhausted.entry(host.clone()).or_insert(index);
            }
        }
        exhausted.retain(|host, _| !lagging.contains_key(host));
        if fits(plan, lagging.len() + exhausted.len()) {
            lagging.extend(exhausted);
        }
        lagging
    }
}

fn fits(plan: &Plan, lagging: usize) -> bool {
    lagging + plan.absent.len() <= plan.failure_budget as usize
}

/// Why it must go back everywhere; none: those that lag may stay behind.
pub(super) fn not_allowed(plan: &Plan, state: &State, lagging: &Lagging) -> Option<String> {
    let went_well = |name: &str| {
        plan.steps()
            .zip(&state.steps)
            .any(|((_, step), at)| step.name() == name && at.forward == Progress::Done)
    };
    let mut cause = None;
    for index in lagging.values() {
        let (Some(step), Some(at)) = (plan.step(*index), state.steps.get(*index as usize)) else { continue };
        let Progress::Failed(error) = &at.forward else { continue };
        let line = failure_line(step, error);
        if error.is_of_the_release() && !went_well(step.name()) {
            return Some(line);
        }
        cause.get_or_insert(line);
    }
    let cause = cause?;
    if plan.failure_budget == 0 {
        return Some(cause);
    }
    if !fits(plan, lagging.len()) {
        let (behind, budget) = (lagging.len() + plan.absent.len(), plan.failure_budget);
        return Some(format!("{cause} ({behind} hosts stay behind, and the failure budget is {budget})"));
    }
    let moves = |step: &Step| matches!(step, Step::Shift { .. });
    let departed = state.departed(plan);
    let left =
        |step: &Step| step.host().is_some_and(|host| !lagging.contains_key(host) && !departed.contains(host));
    let none_left = !plan.steps().any(|(_, step)| moves(step) && left(step));
    none_left.then(|| format!("{cause} (no other host is left)"))
}

/// What has to be undone on hosts that stay behind, before the others go on.
pub(super) fn to_put_back(plan: &Plan, state: &State, lagging: &Lagging) -> Option<Vec<StepIndex>> {
    // What cannot be put back in the end stays as it is: it is one of those that stay behind.
    let mut given_up = Vec::new();
    for range in plan.stage_indexes().into_iter().rev() {
        let mut open = Vec::new();
        for index in range {
            let (Some(step), Some(at)) = (plan.step(index), state.steps.get(index as usize)) else {
                continue;
            };
            let Some(host) = step.host().filter(|host| lagging.contains_key(*host)) else { continue };
            if at.forward == Progress::Waiting || step.undo().is_none() || given_up.contains(&host) {
                continue;
            }
            match at.undo {
                Progress::Done => {}
                Progress::Failed(_) if at.attempts >= ATTEMPTS => given_up.push(host),
                _ => open.push(index),
            }
        }
        if !open.is_empty() {
            return Some(open);
        }
    }
    None
}
