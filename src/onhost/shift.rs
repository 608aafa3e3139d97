//! Moves traffic: to a candidate, for good, or back. What is durable comes first on the way forward, and the proxy
//! comes first on the way back.

use super::Host;
use super::engine::Engine;
use super::prepare::fit;
use super::proxy::Proxy;
use super::state::{Route, State};
use super::store::Store;
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
        ready(&engine, &proxy, &state, authority).await?;
    }
    let mut before = None;
    let (slot, state, _lock) = store
        .change(request, |state| {
            before = Some(state.clone());
            state.shift(authority.deployment, kind)
        })
        .await?;
    let moved = match proxy.route(state.route()).await {
        Ok(()) => runs_release(&engine, &state, slot).await,
        Err(error) => Err(error),
    };
    if let (Err(_), Some(before)) = (&moved, before) {
        let back = State { committed: before.committed, trial: before.trial, ..state };
        // What went wrong first is what is told; a repeated revert does the rest.
        let _ = proxy.route(back.route()).await;
        store.save(&back)?;
    }
    moved
}

/// Whether the candidate may take traffic; one that takes it already is not asked again.
async fn ready(
    engine: &Engine,
    proxy: &Proxy<'_>,
    state: &State,
    authority: &Authority,
) -> Result<(), HostError> {
    let Some(slot) = state.slot_of(authority.deployment).filter(|slot| !state.holds(*slot)) else {
        return Ok(());
    };
    let Some(record) = state.slots.get(&slot) else { return Ok(()) };
    if let Err(problem) = fit(engine, state, slot, record).await? {
        return Err(HostError::new(
            HostErrorCode::Unhealthy,
            format!("the candidate of deployment {} takes no traffic: {problem}", authority.deployment),
        ));
    }
    proxy.sees(slot).await
}

/// Compares what the engine runs with what was asked for, after the switch.
async fn runs_release(engine: &Engine, state: &State, slot: Slot) -> Result<(), HostError> {
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
    let change = |state: &mut State| state.commit(authority.deployment);
    let (_, state, _lock) = Store::new(host, &request.service).change(request, change).await?;
    Proxy::new(host, &request.service).route(state.route()).await
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
