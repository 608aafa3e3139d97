//! Going back without the ledger: to a release that a slot of this host holds, with what the host has.
//!
//! The host is closed to every lease before anything else happens, so that nobody who still drives a deployment can
//! bring the bad release forward again. Neither registry nor ledger is asked, and a trial is taken back without the
//! engine. What cannot be brought up changes nothing: what served serves on, and the host is open as before.

use std::collections::BTreeMap;

use super::container::name;
use super::engine::Engine;
use super::policy::Policy;
use super::prepare::{Place, bring_up, fit};
use super::proxy::Proxy;
use super::shift::runs_release;
use super::state::State;
use super::store::{LockKind, Store};
use super::tally::Reason;
use super::transition::FallingBack;
use super::{Host, checks};
use crate::host::wire::offline::FallBack;
use crate::host::wire::{HostError, HostErrorCode, Request, Secret, Slot};

/// Goes back.
pub(super) async fn fall_back(host: &Host<'_>, request: &Request, order: &FallBack) -> Result<(), HostError> {
    let store = Store::new(host, &request.service);
    let lock = store.lock(LockKind::Traffic).await?;
    let Some(mut state) = store.load()? else {
        return Err(HostError::new(HostErrorCode::Refused, "nothing was deployed here"));
    };
    state.belongs(&request.ledger, &request.environment)?;
    let before = state.offline.clone();
    let way = state.fall_back(&order.offline, &order.to)?;
    store.save(&state)?;
    let slot = match way {
        FallingBack::Revert => {
            // As in a revert: the proxy first, then the memory of it.
            state.take_back(Reason::Offline);
            let routed = Proxy::new(host, &request.service).route(state.route()).await;
            store.save(&state)?;
            return routed;
        }
        FallingBack::Serves(slot) | FallingBack::Start(slot) => slot,
    };
    drop(lock);
    let _turn = store.lock(LockKind::Prepare).await?;
    let done = bring(host, request, order, (slot, way)).await;
    if done.is_err() && way == FallingBack::Start(slot) {
        let nonce = &order.offline.nonce;
        let open = |state: &mut State| {
            if state.committed != Some(slot)
                && state.offline.as_ref().is_some_and(|mark| mark.offline.nonce == *nonce)
            {
                state.offline = before;
            }
        };
        // What went wrong first is what is told.
        let _ = store.tidy(open).await;
    }
    done
}

async fn bring(
    host: &Host<'_>,
    request: &Request,
    order: &FallBack,
    (slot, way): (Slot, FallingBack),
) -> Result<(), HostError> {
    let store = Store::new(host, &request.service);
    let gone = || HostError::new(HostErrorCode::Gone, format!("slot {slot} holds nothing any more"));
    // Whoever prepared in this slot has given way by now.
    let state = store.load()?.ok_or_else(gone)?;
    let record =
        state.slots.get(&slot).filter(|record| record.release.digest == order.to).ok_or_else(gone)?;
    let proxy = Proxy::new(host, &request.service);
    let engine = match Engine::connect(host).await {
        Ok(engine) => engine,
        // It takes the traffic already, and whoever sends it there must not wait for an engine.
        Err(_) if way == FallingBack::Serves(slot) => {
            let _lock = store.lock(LockKind::Traffic).await?;
            return proxy.route(store.load()?.ok_or_else(gone)?.route()).await;
        }
        Err(error) => return Err(error),
    };
    let container = name(&request.service, slot);
    let ready = match way {
        // What takes the traffic and runs is left alone, healthy or not.
        FallingBack::Serves(_) => engine.container(&container).await?.is_some_and(|found| found.running),
        FallingBack::Start(_) | FallingBack::Revert => {
            fit(host, &engine, &state, slot, record).await?.is_ok()
        }
    };
    if !ready {
        let wanted = |(name, _): &(&String, &Secret)| record.run.secrets.contains_key(*name);
        let secrets: BTreeMap<String, Secret> =
            order.secrets.iter().filter(wanted).map(|(name, value)| (name.clone(), value.clone())).collect();
        let mounts = checks::check(&record.run, &secrets)?;
        let policy = Policy::load(host.paths)?;
        policy.allows(&record.release.repository, &record.run, &mounts)?;
        store.tidy(|state| state.prepare_again(slot)).await?;
        let place = Place { host, engine: &engine, state: &state, record, slot, container };
        bring_up(&place, &policy, &mounts, &secrets).await?;
    }
    if let FallingBack::Serves(_) = way {
        // A crash may have come between the memory and the map.
        let _lock = store.lock(LockKind::Traffic).await?;
        return proxy.route(store.load()?.ok_or_else(gone)?.route()).await;
    }
    proxy.sees(slot).await?;
    let _lock = store.lock(LockKind::Traffic).await?;
    let mut state = store.load()?.ok_or_else(gone)?;
    let before = state.clone();
    state.fell_back(slot, &order.to, &order.offline.nonce)?;
    store.save(&state)?;
    let moved = match proxy.route(state.route()).await {
        Ok(()) => runs_release(&engine, &state, slot).await,
        Err(error) => Err(error),
    };
    if moved.is_err() {
        let _ = proxy.route(before.route()).await;
        store.save(&before)?;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::host::wire::{AnswerResult, Command};
    use crate::onhost::fake;
    use crate::onhost::perform::perform;
    use crate::onhost::properties::{on_trial, sample};
    use std::fs;

    fn back_to(deployment: u64) -> Request {
        let to = sample::record(deployment).release.digest;
        let order = FallBack { offline: sample::offline(7), to, secrets: BTreeMap::new() };
        sample::request(Command::FallBack(Box::new(order)))
    }

    fn remember(host: &Host<'_>, state: &State) {
        fs::create_dir_all(host.paths.service(&state.service)).unwrap();
        Store::new(host, &state.service).save(state).unwrap();
    }

    #[tokio::test]
    async fn a_trial_is_taken_back_with_the_engine_dead_and_no_lease_is_obeyed_then() {
        let (_root, paths) = fake::root();
        let host = Host { paths: &paths, clock: &SystemClock };
        let state = on_trial();
        remember(&host, &state);
        let proxy = fake::proxy(&paths, Some("trial-green"));
        for _ in 0..2 {
            let AnswerResult::Done(seen) = perform(&host, &back_to(1)).await.result else {
                panic!("not done")
            };
            assert_eq!((seen.committed, seen.trial.as_ref()), (Some(Slot::Blue), None));
            assert_eq!(seen.offline.as_ref().unwrap().from.deployment, 2);
            assert_eq!(fs::read_to_string(paths.map(&state.service)).unwrap(), "web blue\n");
        }
        let revert = Command::Revert { authority: sample::authority(2) };
        let AnswerResult::Failed(error) = perform(&host, &sample::request(revert)).await.result else {
            panic!("a lease was obeyed")
        };
        assert_eq!(error.code, HostErrorCode::Ahead);
        assert!(
            error.message.contains("it went back to v0.1.0 without the ledger (ada on laptop"),
            "{error}"
        );
        proxy.abort();
    }

    #[tokio::test]
    async fn invariant_7_what_cannot_be_brought_up_leaves_what_serves_and_the_host_open() {
        let (_root, paths) = fake::root();
        let host = Host { paths: &paths, clock: &SystemClock };
        let mut state = on_trial();
        state.commit(2).unwrap();
        remember(&host, &state);
        let proxy = fake::proxy(&paths, Some("green"));
        let AnswerResult::Failed(error) = perform(&host, &back_to(1)).await.result else { panic!("done") };
        assert_eq!(error.code, HostErrorCode::Engine, "{error}");
        assert_eq!(Store::new(&host, &state.service).load().unwrap().unwrap(), state);
        let AnswerResult::Failed(error) = perform(&host, &back_to(3)).await.result else { panic!("done") };
        assert_eq!(error.code, HostErrorCode::Gone, "{error}");
        assert_eq!(Store::new(&host, &state.service).load().unwrap().unwrap(), state);
        proxy.abort();
    }
}
