//! Moves traffic: to a candidate, for good, or back. What is durable comes first on the way forward, and the proxy
//! comes first on the way back.

use std::time::Duration;

use super::Host;
use super::engine::Engine;
use super::prepare::fit;
use super::proxy::Proxy;
use super::state::{Route, State};
use super::store::Store;
use super::tally::Reason;
use crate::domain::deployment::Kind;
use crate::host::wire::{Authority, HostError, HostErrorCode, Request, Slot};

/// Sends traffic to the candidate of this deployment.
pub(super) async fn shift(
    host: &Host<'_>,
    request: &Request,
    authority: &Authority,
    kind: Kind,
    weight: u8,
) -> Result<(), HostError> {
    if weight != 100 {
        return Err(HostError::new(
            HostErrorCode::Refused,
            format!("a weight of {weight} is not supported: all requests move at once"),
        ));
    }
    let store = Store::new(host, &request.service);
    let proxy = Proxy::new(host, &request.service);
    let engine = Engine::connect(host).await?;
    // Looked at before the lock is taken, since a probe may take its time.
    if let Some(state) = store.load()? {
        state.belongs(&request.ledger, &request.environment)?;
        ready(host, &engine, &proxy, &state, authority).await?;
    }
    let mut before = None;
    let (slot, state, _lock) = store
        .change(request, |state| {
            before = Some(state.clone());
            state.shift(authority.deployment, kind)
        })
        .await?;
    let moved = match proxy.route(state.route()).await {
        Ok(()) => match runs_release(&engine, &state, slot).await {
            Ok(()) => endures(host, &proxy, &state).await,
            error => error,
        },
        Err(error) => Err(error),
    };
    if let (Err(_), Some(before)) = (&moved, before) {
        // A trial of this very deployment, opened by an earlier try, is no way back.
        let route = state.route();
        let mut back = State { committed: before.committed, trial: None, tally: before.tally, ..state };
        if back.route() != route {
            let trial = (kind != Kind::Rollback).then_some(authority.deployment);
            back.tally.returned(Reason::SwitchFailed, trial);
        }
        // What went wrong first is what is told; a repeated revert does the rest.
        let _ = proxy.route(back.route()).await;
        store.save(&back)?;
    }
    moved
}

/// Whether the candidate may take traffic; one that takes it already is not asked again.
async fn ready(
    host: &Host<'_>,
    engine: &Engine,
    proxy: &Proxy<'_>,
    state: &State,
    authority: &Authority,
) -> Result<(), HostError> {
    let Some(slot) = state.slot_of(authority.deployment).filter(|slot| !state.holds(*slot)) else {
        return Ok(());
    };
    let Some(record) = state.slots.get(&slot) else { return Ok(()) };
    if let Err(problem) = fit(host, engine, state, slot, record).await? {
        return Err(HostError::new(
            HostErrorCode::Unhealthy,
            format!("the candidate of deployment {} takes no traffic: {problem}", authority.deployment),
        ));
    }
    proxy.sees(slot).await
}

/// How long the first requests of a trial are watched: whoever decides that it is final is told later than that, and on
/// a busy service what fails at all fails at once.
const WATCHED: Duration = Duration::from_secs(1);

/// Whether the candidate is still in its trial after the first moment under traffic. A way back waits for nothing.
async fn endures(host: &Host<'_>, proxy: &Proxy<'_>, state: &State) -> Result<(), HostError> {
    let Some(trial) = &state.trial else { return Ok(()) };
    let begun = host.clock.elapsed();
    loop {
        if !proxy.accepts(trial.slot).await? {
            return Err(HostError::new(
                HostErrorCode::Unhealthy,
                format!(
                    "the proxy has taken slot {} out of its trial, after errors or failed checks: traffic went back",
                    trial.slot
                ),
            ));
        }
        if host.clock.elapsed().saturating_sub(begun) >= WATCHED {
            return Ok(());
        }
        host.clock.sleep(Duration::from_millis(100)).await;
    }
}

/// Compares what the engine runs with what was asked for, after the switch.
pub(super) async fn runs_release(engine: &Engine, state: &State, slot: Slot) -> Result<(), HostError> {
    let container = engine.container(&super::container::name(&state.service, slot)).await?;
    let image = match &container {
        Some(container) => engine.image(&container.image).await?,
        None => None,
    };
    let release = state.slots.get(&slot).map(|record| &record.release);
    if let (Some(image), Some(release)) = (&image, release)
        && image.is(release)
    {
        return Ok(());
    }
    Err(HostError::new(
        HostErrorCode::Image,
        format!("slot {slot} does not run the digest that it should: traffic went back"),
    ))
}

/// Makes the open shift of this deployment final.
pub(super) async fn commit(
    host: &Host<'_>,
    request: &Request,
    authority: &Authority,
) -> Result<(), HostError> {
    let store = Store::new(host, &request.service);
    let proxy = Proxy::new(host, &request.service);
    // The fence first: who is too old hears that, whatever the proxy says.
    let ((), state, lock) = store.change(request, |_| Ok(())).await?;
    // Committed, nothing stands in for it any more: what the breaker took out must not get there.
    if let Some(trial) = state.trial.filter(|trial| trial.deployment == authority.deployment)
        && !proxy.accepts(trial.slot).await?
    {
        return Err(HostError::new(
            HostErrorCode::Unhealthy,
            format!(
                "the proxy has taken slot {} out of its trial, after errors or failed checks: it is not committed",
                trial.slot
            ),
        ));
    }
    drop(lock);
    let change = |state: &mut State| state.commit(authority.deployment);
    let (_, state, _lock) = store.change(request, change).await?;
    proxy.route(state.route()).await
}

/// Sends all traffic back to the committed slot: a file, and a word to the proxy.
pub(super) async fn revert(host: &Host<'_>, request: &Request) -> Result<(), HostError> {
    let store = Store::new(host, &request.service);
    let ((), mut state, _lock) = store.change(request, |_| Ok(())).await?;
    let open = state.trial.is_some();
    state.revert();
    let route = state.route();
    let routed = match (open, route) {
        // A service that never served here needs no proxy to be told so.
        (false, Route::None) => Ok(()),
        _ => Proxy::new(host, &request.service).route(route).await,
    };
    if open {
        store.save(&state)?;
    }
    routed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::host::wire::Command;
    use crate::onhost::fake;
    use crate::onhost::properties::{on_trial, sample};
    use std::fs;

    /// A host that remembers a trial in green beside blue, and whose proxy was told `map`.
    fn remember(host: &Host<'_>, state: &State, map: &str) {
        fs::create_dir_all(host.paths.service(&state.service)).unwrap();
        fs::write(host.paths.map(&state.service), format!("web {map}\n")).unwrap();
        Store::new(host, &state.service).save(state).unwrap();
    }

    #[tokio::test]
    async fn a_trial_that_the_breaker_ends_at_once_is_no_shift() {
        for (green, good) in [("UP", true), ("UP 1/2", true), ("DOWN", false)] {
            let (_root, paths) = fake::root();
            let host = Host { paths: &paths, clock: &SystemClock };
            let state = on_trial();
            let server = fake::proxy_seeing(&paths, Some("trial-green"), green);
            let begun = SystemClock.elapsed();
            let found = endures(&host, &Proxy::new(&host, &state.service), &state).await;
            assert_eq!(found.is_ok(), good, "{green}: {found:?}");
            if good {
                assert!(SystemClock.elapsed() - begun >= WATCHED, "the first moment is watched");
                let committed = State { committed: Some(Slot::Green), trial: None, ..state };
                let begun = SystemClock.elapsed();
                endures(&host, &Proxy::new(&host, &committed.service), &committed).await.unwrap();
                assert!(SystemClock.elapsed() - begun < WATCHED, "a way back waits for nothing");
            } else {
                assert_eq!(found.unwrap_err().code, HostErrorCode::Unhealthy);
            }
            server.abort();
        }
    }

    #[tokio::test]
    async fn invariant_6_a_revert_needs_neither_engine_nor_registry_and_repairs_what_a_crash_left() {
        // The crash came before the map was written, or after.
        for left in ["blue", "trial-green"] {
            let (_root, paths) = fake::root();
            let host = Host { paths: &paths, clock: &SystemClock };
            let state = on_trial();
            remember(&host, &state, left);
            let server = fake::proxy(&paths, Some(left));
            let request = sample::request(Command::Revert { authority: sample::authority(2) });
            for _ in 0..2 {
                revert(&host, &request).await.unwrap();
                let after = Store::new(&host, &state.service).load().unwrap().unwrap();
                assert_eq!((after.trial, after.committed), (None, Some(Slot::Blue)));
                assert_eq!(fs::read_to_string(paths.map(&state.service)).unwrap(), "web blue\n");
                let routed = Proxy::new(&host, &state.service).routed().await.unwrap();
                assert_eq!(routed, Some(Route::Committed(Slot::Blue)));
            }
            server.abort();
        }
    }

    #[tokio::test]
    async fn a_revert_with_a_dead_proxy_counts_as_soon_as_the_proxy_is_back() {
        let (_root, paths) = fake::root();
        let host = Host { paths: &paths, clock: &SystemClock };
        let state = on_trial();
        remember(&host, &state, "trial-green");
        let request = sample::request(Command::Revert { authority: sample::authority(2) });
        assert_eq!(revert(&host, &request).await.unwrap_err().code, HostErrorCode::Proxy);
        assert_eq!(fs::read_to_string(paths.map(&state.service)).unwrap(), "web blue\n");
        assert_eq!(Store::new(&host, &state.service).load().unwrap().unwrap().trial, None);
    }

    #[tokio::test]
    async fn invariant_7_what_the_proxy_took_out_of_its_trial_is_not_committed() {
        for (seen, committed) in [("DOWN", false), ("DOWN 1/2", false), ("UP", true), ("UP 1/2", true)] {
            let (_root, paths) = fake::root();
            let host = Host { paths: &paths, clock: &SystemClock };
            let state = on_trial();
            remember(&host, &state, "trial-green");
            let server = fake::proxy_seeing(&paths, Some("trial-green"), seen);
            let authority = sample::authority(2);
            let request = sample::request(Command::Commit { authority: authority.clone() });
            let done = commit(&host, &request, &authority).await;
            let after = Store::new(&host, &state.service).load().unwrap().unwrap();
            if committed {
                done.unwrap();
                assert_eq!((after.committed, after.trial), (Some(Slot::Green), None), "{seen}");
            } else {
                assert_eq!(done.unwrap_err().code, HostErrorCode::Unhealthy, "{seen}");
                assert_eq!((after.committed, after.trial), (Some(Slot::Blue), state.trial), "{seen}");
            }
            server.abort();
        }
    }

    #[tokio::test]
    async fn invariant_6_a_commit_that_was_cut_short_is_finished_by_the_next() {
        let (_root, paths) = fake::root();
        let host = Host { paths: &paths, clock: &SystemClock };
        let mut state = on_trial();
        state.commit(2).unwrap();
        remember(&host, &state, "trial-green");
        let server = fake::proxy(&paths, Some("trial-green"));
        let authority = sample::authority(2);
        let request = sample::request(Command::Commit { authority: authority.clone() });
        commit(&host, &request, &authority).await.unwrap();
        assert_eq!(fs::read_to_string(paths.map(&state.service)).unwrap(), "web green\n");
        server.abort();
    }
}
