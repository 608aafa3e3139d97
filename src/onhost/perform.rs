//! One request, one answer: which verb does what.

use std::time::Duration;

use super::observe::{observe, remembered};
use super::store::Store;
use super::{Host, adopt, fall_back, prepare, retire, shift};
use crate::host::wire::{
    Answer, AnswerResult, Command, HostError, HostErrorCode, Observation, PROTOCOL, Request,
};

/// Does what is asked, then tells how things are. Never a partial answer.
pub async fn perform(host: &Host<'_>, request: &Request) -> Answer {
    let result = match act(host, request).await {
        Ok(()) => look(host, request).await,
        Err(error) => Err(error),
    };
    Answer {
        protocol: PROTOCOL,
        result: match result {
            Ok(observation) => AnswerResult::Done(Box::new(observation)),
            Err(error) => AnswerResult::Failed(error),
        },
    }
}

/// How long the engine may take before verbs that can do without it answer without it.
const PATIENCE: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(10) };

async fn look(host: &Host<'_>, request: &Request) -> Result<Observation, HostError> {
    let seen = observe(host, &request.service);
    if !matches!(request.command, Command::Claim { .. } | Command::Revert { .. } | Command::FallBack(_)) {
        return seen.await;
    }
    // It is done, and an engine that is down must not make a failure of it: who hears of one would try again.
    match tokio::time::timeout(PATIENCE, seen).await {
        Ok(Err(error)) if error.code == HostErrorCode::Engine => remembered(host, &request.service).await,
        Err(_) => remembered(host, &request.service).await,
        Ok(result) => result,
    }
}

async fn act(host: &Host<'_>, request: &Request) -> Result<(), HostError> {
    if request.protocol != PROTOCOL {
        return Err(HostError::new(
            HostErrorCode::Protocol,
            format!("relman-host speaks protocol {PROTOCOL}, the request is of {}", request.protocol),
        ));
    }
    match &request.command {
        Command::Observe {} => known(host, request),
        Command::Claim { .. } => {
            match adopt::adopt(host, request).await {
                // Whoever sends traffic back must not wait for an engine; `prepare` asks again.
                Err(error) if error.code == HostErrorCode::Engine => {}
                adopted => adopted?,
            }
            Store::new(host, &request.service).change(request, |_| Ok(())).await.map(drop)
        }
        Command::Prepare { authority, release, run, secrets } => {
            adopt::adopt(host, request).await?;
            let candidate = prepare::Candidate { authority, release, run, secrets };
            prepare::prepare(host, request, &candidate).await
        }
        Command::Discard { authority } => {
            adopt::adopt(host, request).await?;
            retire::discard(host, request, authority).await
        }
        Command::Shift { authority, kind, weight } => {
            shift::shift(host, request, authority, *kind, *weight).await
        }
        Command::Commit { authority } => shift::commit(host, request, authority).await,
        Command::Revert { .. } => shift::revert(host, request).await,
        Command::Retire { drain_seconds, .. } => retire::retire(host, request, *drain_seconds).await,
        Command::FallBack(order) => fall_back::fall_back(host, request, order).await,
        Command::Reopen { nonce, .. } => {
            Store::new(host, &request.service).change(request, |state| state.reopen(nonce)).await.map(drop)
        }
    }
}

/// A host that belongs to somebody else tells nothing.
fn known(host: &Host<'_>, request: &Request) -> Result<(), HostError> {
    match Store::new(host, &request.service).load()? {
        Some(state) => state.belongs(&request.ledger, &request.environment),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::domain::deployment::Kind;
    use crate::domain::id::Token;
    use crate::host::wire::Slot;
    use crate::onhost::fake;
    use crate::onhost::properties::{on_trial, sample};
    use std::collections::BTreeMap;
    use std::fs;
    use tokio::task::JoinHandle;

    #[tokio::test]
    async fn a_revert_and_a_claim_are_done_also_with_the_engine_dead_or_hung() {
        for is_hung in [false, true] {
            let (_root, paths) = fake::root();
            let host = Host { paths: &paths, clock: &SystemClock };
            let state = on_trial();
            fs::create_dir_all(paths.service(&state.service)).unwrap();
            Store::new(&host, &state.service).save(&state).unwrap();
            let proxy = fake::proxy(&paths, Some("trial-green"));
            let engine = is_hung.then(|| fake::engine(&paths, |_| None));
            let authority = sample::authority(2);
            for command in [Command::Claim { authority: authority.clone() }, Command::Revert { authority }] {
                let request = sample::request(command);
                let verb = request.command.verb();
                let AnswerResult::Done(seen) = perform(&host, &request).await.result else {
                    panic!("{verb} failed (hung: {is_hung})")
                };
                let taking = if verb == "claim" { Slot::Green } else { Slot::Blue };
                assert_eq!(seen.serving().unwrap().slot, taking);
                assert_eq!(seen.slots.len(), 2);
                for view in &seen.slots {
                    assert_eq!((view.running, view.healthy, &view.running_digest), (false, false, &None));
                    assert_eq!(view.weight == 100, view.slot == taking, "{verb}");
                }
            }
            if !is_hung {
                let observe = sample::request(Command::Observe {});
                let AnswerResult::Failed(error) = perform(&host, &observe).await.result else {
                    panic!("nobody looked")
                };
                assert_eq!(error.code, HostErrorCode::Engine);
            }
            proxy.abort();
            engine.inspect(JoinHandle::abort);
        }
    }

    #[tokio::test]
    async fn what_is_refused_changes_nothing() {
        let (_root, paths) = fake::root();
        let host = Host { paths: &paths, clock: &SystemClock };
        let authority = sample::authority(2);
        let state = on_trial();
        let store = Store::new(&host, &state.service);
        fs::create_dir_all(paths.service(&state.service)).unwrap();
        store.save(&state).unwrap();
        let foreign = |request: Request| Request { ledger: Token::from_bits([7; 16]), ..request };
        let prepare = Command::Prepare {
            authority: authority.clone(),
            release: sample::record(2).release,
            run: Box::new(sample::run()),
            secrets: BTreeMap::new(),
        };
        let shift = Command::Shift { authority: authority.clone(), kind: Kind::Deploy, weight: 10 };
        for (request, code) in [
            (Request { protocol: 2, ..sample::claim(1, 1) }, HostErrorCode::Protocol),
            (foreign(sample::request(Command::Observe {})), HostErrorCode::Fenced),
            (foreign(sample::request(Command::Revert { authority })), HostErrorCode::Fenced),
            (sample::request(prepare), HostErrorCode::Refused),
            (sample::request(shift), HostErrorCode::Refused),
        ] {
            let verb = request.command.verb();
            match perform(&host, &request).await.result {
                AnswerResult::Failed(error) => assert_eq!(error.code, code, "{verb}: {error}"),
                AnswerResult::Done(_) => panic!("{verb} was done"),
            }
            assert_eq!(store.load().unwrap().unwrap(), state, "{verb}");
        }
    }
}
