//! Any sequence of verbs, by whatever holders, keeps the promises of a host. With the samples that its tests use.

use proptest::prelude::*;

use super::state::{Route, Stage, State};
use super::transition::{FallingBack, Preparation};
use crate::domain::deployment::Kind;
use crate::domain::id::{Fence, Token};
use crate::host::wire::Slot;

/// Values that tests start from.
pub(super) mod sample {
    use super::super::state::{Record, Stage, State};
    use super::*;
    use crate::domain::actor::{Actor, ActorSource};
    use crate::domain::deployment::Offline;
    use crate::domain::id::Digest;
    use crate::domain::release::ReleaseRef;
    use crate::domain::run::RunConfig;
    use crate::domain::time::Timestamp;
    use crate::host::wire::{Authority, Command, PROTOCOL, Request};

    pub(in crate::onhost) fn fence(number: u64, holder: u8) -> Fence {
        Fence { number, nonce: Token::from_bits([holder; 16]) }
    }

    pub(in crate::onhost) fn claim(number: u64, holder: u8) -> Request {
        let authority = Authority { fence: fence(number, holder), deployment: 0 };
        let state = state();
        Request {
            protocol: PROTOCOL,
            ledger: state.ledger,
            service: state.service,
            environment: state.environment,
            command: Command::Claim { authority },
        }
    }

    pub(in crate::onhost) fn request(command: Command) -> Request {
        Request { command, ..claim(1, 1) }
    }

    pub(in crate::onhost) fn authority(deployment: u64) -> Authority {
        Authority { fence: fence(1, 1), deployment }
    }

    pub(in crate::onhost) fn run() -> RunConfig {
        serde_json::from_str(r#"{"port": 8000}"#).unwrap()
    }

    pub(in crate::onhost) fn state() -> State {
        State::new(Token::from_bits([9; 16]), "web".parse().unwrap(), "production".parse().unwrap())
    }

    pub(in crate::onhost) fn offline(nonce: u64) -> Offline {
        Offline {
            nonce: Token::from_bits([u8::try_from(nonce).unwrap(); 16]),
            at: Timestamp::from_millis(1_800_000_000_000).unwrap(),
            actor: Actor { name: "ada".into(), source: ActorSource::Os, run_url: None },
            machine: "laptop".into(),
            reason: None,
        }
    }

    pub(in crate::onhost) fn record(deployment: u64) -> Record {
        Record {
            release: ReleaseRef {
                version: format!("0.{deployment}.0").parse().unwrap(),
                commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
                digest: Digest::of(&deployment.to_be_bytes()),
                repository: "registry.example/web".into(),
            },
            deployment,
            run: run(),
            port: 18_080,
            stage: Stage::Preparing,
        }
    }
}

fn port(slot: Slot) -> u16 {
    match slot {
        Slot::Blue => 18_080,
        Slot::Green => 18_081,
    }
}

/// What somebody may ask for, and how it goes outside.
#[derive(Debug, Clone, Copy)]
enum Step {
    Claim,
    Prepare { healthy: bool },
    Discard,
    Shift(Kind),
    Commit,
    Revert,
    Retire { healthy: bool },
    FallBack { healthy: bool },
    Reopen,
    Boot,
}

/// A step for a deployment, by the holder of the newest lease or by anybody.
type Turn = (Step, u64, Option<Fence>);

fn turn() -> impl Strategy<Value = Turn> {
    let step = prop_oneof![
        1 => Just(Step::Claim),
        4 => prop::bool::weighted(0.8).prop_map(|healthy| Step::Prepare { healthy }),
        1 => Just(Step::Discard),
        3 => Just(Step::Shift(Kind::Deploy)),
        1 => Just(Step::Shift(Kind::Redeploy)),
        1 => Just(Step::Shift(Kind::Rollback)),
        3 => Just(Step::Commit),
        1 => Just(Step::Revert),
        2 => any::<bool>().prop_map(|healthy| Step::Retire { healthy }),
        1 => any::<bool>().prop_map(|healthy| Step::FallBack { healthy }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Boot),
    ];
    let anybody = (0..4_u64, 0..2_u8).prop_map(|(number, holder)| Some(sample::fence(number, holder)));
    (step, 1..4_u64, prop_oneof![9 => Just(None), 1 => anybody])
}

/// Performs a step as a host does: the fence first, then what the verb may do. True when it was done.
fn perform(state: &mut State, running: &mut Vec<Slot>, (step, deployment, fence): Turn) -> bool {
    if let Step::Boot = step {
        let stopped = state.boot();
        running.retain(|slot| !stopped.contains(slot));
        return true;
    }
    if let Step::FallBack { healthy } = step {
        return fall_back(state, running, deployment, healthy);
    }
    let fence = fence.or_else(|| state.fence.clone()).unwrap_or_else(|| sample::fence(0, 0));
    if !matches!(step, Step::Reopen) && state.open().is_err() {
        return false;
    }
    if state.admit(&fence).is_err() {
        return false;
    }
    let mut next = state.clone();
    let done = match step {
        Step::Claim | Step::Boot | Step::FallBack { .. } => true,
        Step::Reopen => next.reopen(&sample::offline(deployment).nonce).is_ok(),
        Step::Prepare { healthy } => match next.begin_prepare(&sample::record(deployment), port) {
            Ok(Preparation::Start(slot)) => {
                assert!(!state.holds(slot), "invariant 7: a slot in use is made anew");
                running.retain(|other| *other != slot);
                if healthy {
                    running.push(slot);
                    next.end_prepare(slot, deployment).unwrap();
                } else {
                    next.forget(slot, deployment);
                }
                true
            }
            other => other.is_ok(),
        },
        Step::Discard => match next.discard(deployment) {
            Ok(slot) => {
                assert!(slot.is_none_or(|slot| !state.holds(slot)), "a slot in use is removed");
                running.retain(|other| Some(*other) != slot);
                true
            }
            Err(_) => false,
        },
        Step::Shift(kind) => next.shift(deployment, kind).is_ok(),
        Step::Commit => next.commit(deployment).is_ok(),
        Step::Revert => {
            next.revert();
            true
        }
        Step::Retire { healthy } => match next.retire(healthy) {
            Ok(slot) => {
                let fresh = |slot| state.slots[&slot].stage != Stage::Stopped;
                assert!(slot.is_none_or(|slot| !state.holds(slot)), "invariant 7: a slot in use is stopped");
                assert!(healthy || !slot.is_some_and(fresh), "invariant 7: stopped beside a sick one");
                running.retain(|other| Some(*other) != slot);
                true
            }
            Err(_) => false,
        },
    };
    if done {
        *state = next;
    }
    done
}

/// Goes back as a host does: to the release of a deployment, whatever the lease.
fn fall_back(state: &mut State, running: &mut Vec<Slot>, deployment: u64, healthy: bool) -> bool {
    let (offline, to) = (sample::offline(deployment), sample::record(deployment).release.digest);
    let mut next = state.clone();
    match next.fall_back(&offline, &to) {
        Err(_) => return false,
        Ok(FallingBack::Revert) => next.revert(),
        Ok(FallingBack::Serves(_)) => {}
        Ok(FallingBack::Start(slot)) => {
            assert!(!state.holds(slot), "invariant 7: a slot in use is made anew");
            running.retain(|other| *other != slot);
            if !healthy {
                state.prepare_again(slot);
                return false;
            }
            running.push(slot);
            next.fell_back(slot, &to, &offline.nonce).unwrap();
        }
    }
    assert!(next.open().is_err(), "invariant 3: it goes on to obey a lease");
    *state = next;
    true
}

proptest! {
    #[test]
    fn invariants_1_3_6_7_hold_after_any_sequence_of_verbs(steps in prop::collection::vec(turn(), 1..60)) {
        let (mut state, mut running) = (sample::state(), Vec::new());
        for step in steps {
            let before = state.clone();
            perform(&mut state, &mut running, step.clone());
            let number = |state: &State| state.fence.as_ref().map_or(0, |fence| fence.number);
            prop_assert!(number(&state) >= number(&before), "invariant 3: the fence goes back");
            let closed = before.offline.is_some() && !matches!(step.0, Step::Reopen | Step::FallBack { .. } | Step::Boot);
            prop_assert!(!closed || state == before, "invariant 3: a lease changed a host that went back without it");
            prop_assert!(before.committed.is_none() || state.committed.is_some(), "invariant 6: nothing serves");
            for slot in state.committed.iter().chain(state.trial.as_ref().map(|trial| &trial.slot)) {
                prop_assert!(running.contains(slot), "invariant 6: slot {slot} is needed and does not run");
                prop_assert_eq!(state.slots[slot].stage, Stage::Ready);
            }
            if let Some(trial) = &state.trial {
                prop_assert_ne!(Some(trial.slot), state.committed);
                prop_assert_eq!(state.slots[&trial.slot].deployment, trial.deployment);
            }
            prop_assert_eq!(state.route() == Route::None, state.committed.is_none() && state.trial.is_none());
        }
    }

    #[test]
    fn a_verb_done_twice_is_done_once(steps in prop::collection::vec(turn(), 1..40)) {
        let (mut state, mut running) = (sample::state(), Vec::new());
        for step in steps {
            // A failing start is another story each time.
            if perform(&mut state, &mut running, step.clone()) && !matches!(step.0, Step::Prepare { healthy: false } | Step::FallBack { healthy: false }) {
                let (once, alive) = (state.clone(), running.clone());
                prop_assert!(perform(&mut state, &mut running, step.clone()), "{step:?} is refused the second time");
                prop_assert_eq!(&state, &once, "{:?}", step);
                prop_assert_eq!(&running, &alive, "{:?}", step);
            }
        }
    }
}

/// A host on which deployment 1 is committed and deployment 2 is on trial.
pub(super) fn on_trial() -> State {
    let mut state = sample::state();
    for deployment in [1, 2] {
        let Ok(Preparation::Start(slot)) = state.begin_prepare(&sample::record(deployment), port) else {
            panic!("no slot for {deployment}")
        };
        state.end_prepare(slot, deployment).unwrap();
        state.shift(deployment, if deployment == 1 { Kind::Rollback } else { Kind::Deploy }).unwrap();
    }
    state
}

#[test]
fn a_rollback_commits_at_once_and_a_deploy_opens_a_trial() {
    let state = on_trial();
    assert_eq!((state.committed, state.route()), (Some(Slot::Blue), Route::Trial(Slot::Green)));
}

#[test]
fn a_late_commit_is_told_that_the_host_went_back() {
    let mut state = on_trial();
    state.revert();
    let error = state.commit(2).unwrap_err();
    assert!(error.message.contains("gone back"), "{}", error.message);
    assert_eq!(state.route(), Route::Committed(Slot::Blue));
}

#[test]
fn while_a_shift_is_open_no_other_deployment_gets_a_slot() {
    let mut state = on_trial();
    assert!(state.begin_prepare(&sample::record(3), port).is_err());
    assert!(state.shift(3, Kind::Rollback).is_err());
    assert!(state.discard(2).is_err());
    assert!(state.retire(true).is_err());
    assert!(state.commit(3).is_err());
}

#[test]
fn invariant_7_the_old_slot_stays_while_the_new_one_is_sick() {
    let mut state = on_trial();
    state.commit(2).unwrap();
    assert!(state.retire(false).is_err());
    assert_eq!(state.slots[&Slot::Blue].stage, Stage::Ready);
    assert_eq!(state.retire(true).unwrap(), Some(Slot::Blue));
    assert_eq!(state.retire(false).unwrap(), Some(Slot::Blue), "stopped already");
}

#[test]
fn another_ledger_or_environment_is_refused() {
    let state = sample::state();
    let (ledger, environment) = (state.ledger.clone(), state.environment.clone());
    assert!(state.belongs(&ledger, &environment).is_ok());
    assert!(state.belongs(&Token::from_bits([1; 16]), &environment).is_err());
    assert!(state.belongs(&ledger, &"staging".parse().unwrap()).is_err());
}
