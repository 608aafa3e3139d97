//! From a step to what is asked of hosts, and from their answers to whether it is done.
//!
//! An answer is never taken at its word where it can be compared: after a switch the digest that the engine runs
//! must be the one that was asked for.

use std::collections::BTreeMap;

use crate::domain::event::StepError;
use crate::domain::id::{Digest, Fence, HostName};
use crate::domain::plan::Plan;
use crate::domain::run::RunConfig;
use crate::domain::step::Step;
pub use crate::host::wire::redact::Redactor as Redact;
use crate::host::wire::{Authority, Command, HostError, HostErrorCode, Observation, Secret};
use crate::host::{Reply, Task};

/// What a step needs beside the plan.
#[derive(Debug, Clone)]
pub struct Means {
    /// The lease.
    pub fence: Fence,
    /// The run configuration of the plan.
    pub run: RunConfig,
    /// The secrets that it refers to. Only `prepare` needs them.
    pub secrets: BTreeMap<String, Secret>,
}

/// The task of a step on hosts; none for the steps that are no command (`configure`, `bake`, `commit`).
pub fn task(plan: &Plan, step: &Step, means: &Means) -> Option<Task> {
    let authority = Authority { fence: means.fence.clone(), deployment: plan.deployment.number };
    let command = match step {
        Step::Configure { .. } | Step::Bake { .. } | Step::Commit => return None,
        Step::Prepare { .. } => Command::Prepare {
            authority,
            release: plan.candidate.clone(),
            run: Box::new(means.run.clone()),
            secrets: means.secrets.clone(),
        },
        Step::Discard { .. } => Command::Discard { authority },
        Step::Shift { weight, .. } => Command::Shift { authority, kind: plan.kind, weight: *weight },
        Step::Revert { .. } => Command::Revert { authority },
        Step::Confirm { .. } => Command::Commit { authority },
        Step::Retire { .. } => Command::Retire { authority, drain_seconds: plan.drain_seconds },
    };
    Some(about(plan, command))
}

/// A task about the releases of a plan.
pub fn about(plan: &Plan, command: Command) -> Task {
    Task {
        command,
        candidate: Some(plan.candidate.clone()),
        return_point: plan.return_point.as_ref().map(|point| point.release.clone()),
    }
}

/// What a host says after a step, against what must be so.
///
/// # Errors
/// When it is not so.
pub fn check(plan: &Plan, step: &Step, host: &HostName, seen: &Observation) -> Result<(), HostError> {
    match step {
        Step::Shift { .. } | Step::Bake { .. } => serves(seen, &plan.candidate.digest, true),
        Step::Confirm { .. } if seen.trial.is_some() => {
            Err(HostError::new(HostErrorCode::Proxy, "the shift is still open after it was confirmed"))
        }
        Step::Confirm { .. } => serves(seen, &plan.candidate.digest, false),
        Step::Revert { .. } if seen.trial.is_some() => {
            Err(HostError::new(HostErrorCode::Proxy, "the shift is still open after it was reverted"))
        }
        Step::Revert { .. } => match plan.before.get(host) {
            // A host whose engine does not answer cannot say what runs; its traffic is back all the same, and
            // whether that serves is asked at the end.
            Some(before) if routed_blind(seen, before) => Ok(()),
            Some(before) => serves(seen, before, false),
            None => Ok(()),
        },
        Step::Configure { .. }
        | Step::Prepare { .. }
        | Step::Discard { .. }
        | Step::Retire { .. }
        | Step::Commit => Ok(()),
    }
}

fn routed_blind(seen: &Observation, wanted: &Digest) -> bool {
    seen.serving().is_some_and(|slot| {
        slot.running_digest.is_none() && slot.release.digest == *wanted && slot.weight == 100
    })
}

fn serves(seen: &Observation, wanted: &Digest, healthy: bool) -> Result<(), HostError> {
    let Some(slot) = seen.serving() else {
        return Err(HostError::new(HostErrorCode::Gone, "nothing serves on this host"));
    };
    let found = slot.running_digest.as_ref();
    if found != Some(wanted) {
        let found = found.map_or("nothing".to_owned(), Digest::to_string);
        let message = format!("slot {} runs {found}, and {wanted} is wanted", slot.slot);
        return Err(HostError::new(HostErrorCode::Gone, message));
    }
    if slot.weight != 100 {
        let message = format!(
            "the proxy sends {} % of requests to slot {}, which should take all",
            slot.weight, slot.slot
        );
        return Err(HostError::new(HostErrorCode::Proxy, message));
    }
    if healthy && (!slot.healthy || slot.restarts > 0) {
        let message = format!(
            "slot {} is not healthy under traffic ({}, {} restart(s))",
            slot.slot,
            if slot.healthy { "it answers" } else { "its health check fails" },
            slot.restarts
        );
        return Err(HostError::new(HostErrorCode::Unhealthy, message));
    }
    Ok(())
}

/// What the replies say of a step; the first host of it that is not as it must be. `all` are the hosts of a step that
/// is about no single one.
///
/// # Errors
/// That host, and why.
pub fn judge(
    plan: &Plan,
    sees: bool,
    step: &Step,
    all: &[HostName],
    replies: &[Reply],
) -> Result<(), (HostName, HostError)> {
    let hosts = match step.host() {
        Some(host) => std::slice::from_ref(host),
        None => all,
    };
    for host in hosts {
        let reply = replies.iter().find(|reply| reply.host == *host);
        match reply.map(|reply| &reply.result) {
            Some(Ok(seen)) if sees => check(plan, step, host, seen),
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(error.clone()),
            None => Err(HostError::new(HostErrorCode::NoAnswer, "no answer came back for this host")),
        }
        .map_err(|error| (host.clone(), error))?;
    }
    Ok(())
}

/// Whether a host is as it was before the deployment: the digest that it served serves, and answers.
///
/// # Errors
/// Why not, for people.
pub fn returned(plan: &Plan, host: &HostName, answer: &Result<Observation, HostError>) -> Result<(), String> {
    match (plan.before.get(host), answer) {
        (None, Err(error)) if error.code == HostErrorCode::NotInstalled => Ok(()),
        (_, Err(error)) => Err(error.message.clone()),
        (None, Ok(seen)) => match seen.serving() {
            None => Ok(()),
            Some(slot) => {
                Err(format!("it serves {} where nothing served before", slot.release.version.tag()))
            }
        },
        (Some(before), Ok(seen)) => {
            serves(seen, before, false).map_err(|error| error.message).and_then(|()| match seen.serving() {
                Some(slot) if slot.healthy => Ok(()),
                _ => Err("what served before serves again, and does not answer its health check".to_owned()),
            })
        }
    }
}

/// The error of a step without its evidence, which becomes an artifact.
pub fn step_error(error: &HostError, evidence: Option<Digest>, redact: &Redact) -> StepError {
    StepError { code: error.code.to_string(), message: redact.text(&error.message), evidence }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_that_decide_are_those_of_hosts() {
        for (code, recorded) in
            [(HostErrorCode::Gone, StepError::GONE), (HostErrorCode::Unhealthy, StepError::UNHEALTHY)]
        {
            let error = step_error(&HostError::new(code, "x"), None, &Redact::default());
            assert_eq!(error.code, recorded);
            assert!(error.is_of_the_release());
        }
    }
}
