//! Takes containers out of use once no request needs them: the former release is stopped and kept, a candidate
//! that was given up is removed.

use std::time::Duration;

use super::container::{labelled, name};
use super::engine::Engine;
use super::proxy::Proxy;
use super::store::{LockKind, Store};
use super::{Host, probe, secrets, stat};
use crate::domain::id::ServiceName;
use crate::host::wire::{Authority, HostError, Request, Slot};

/// Stops the slot that does not serve, once what serves is healthy and no request needs it.
pub(super) async fn retire(host: &Host<'_>, request: &Request, drain_seconds: u64) -> Result<(), HostError> {
    let store = Store::new(host, &request.service);
    let proxy = Proxy::new(host, &request.service);
    let ((), _, lock) = store.change(request, |_| Ok(())).await?;
    drop(lock);
    let _turn = store.lock(LockKind::Prepare).await?;
    let engine = Engine::connect(host).await?;
    let healthy = serves(host, &engine, &request.service).await?;
    let (idle, state, lock) = store.change(request, |state| state.retire(healthy)).await?;
    let Some(slot) = idle else { return Ok(()) };
    proxy.route(state.route()).await?;
    drop(lock);
    drain(host, &proxy, &request.service, slot, Duration::from_secs(drain_seconds)).await?;
    let patience = state.slots.get(&slot).map_or(10, |record| record.run.stop_timeout_seconds);
    engine.stop(&name(&request.service, slot), patience).await?;
    secrets::remove(&host.paths.secrets(&request.service, slot))
}

async fn serves(host: &Host<'_>, engine: &Engine, service: &ServiceName) -> Result<bool, HostError> {
    let Some(state) = Store::new(host, service).load()? else { return Ok(false) };
    let Some(record) = state.committed.and_then(|slot| state.slots.get(&slot).map(|record| (slot, record)))
    else {
        return Ok(false);
    };
    match engine.container(&name(service, record.0)).await? {
        Some(container) if container.running => {
            Ok(probe::probe(record.1.port, &record.1.run.health).await.good)
        }
        _ => Ok(false),
    }
}

/// Removes what this deployment prepared and nobody uses. None there: nothing.
pub(super) async fn discard(
    host: &Host<'_>,
    request: &Request,
    authority: &Authority,
) -> Result<(), HostError> {
    let store = Store::new(host, &request.service);
    // Forgotten first: a `prepare` that is still at it sees that, and gives way.
    let (_, state, lock) = store.change(request, |state| state.discard(authority.deployment)).await?;
    drop(lock);
    let _turn = store.lock(LockKind::Prepare).await?;
    let engine = Engine::connect(host).await?;
    for slot in Slot::ALL.into_iter().filter(|slot| !state.holds(*slot)) {
        let container = name(&request.service, slot);
        let Some(found) = engine.container(&container).await? else { continue };
        // Also one that a killed `prepare` or `discard` left behind.
        if labelled(&found.labels).is_some_and(|(_, deployment)| deployment == authority.deployment) {
            if found.running {
                let proxy = Proxy::new(host, &request.service);
                drain(host, &proxy, &request.service, slot, Duration::from_secs(10)).await?;
                engine.stop(&container, 10).await?;
            }
            engine.remove(&container).await?;
            secrets::remove(&host.paths.secrets(&request.service, slot))?;
        }
    }
    Ok(())
}

/// Waits until a slot that gets no new requests has answered those that it has; at the limit they are cut.
pub(super) async fn drain(
    host: &Host<'_>,
    proxy: &Proxy<'_>,
    service: &ServiceName,
    slot: Slot,
    limit: Duration,
) -> Result<(), HostError> {
    let begun = host.clock.elapsed();
    let mut quiet = 0;
    loop {
        // Twice, since a request may be on its way between the map and the slot.
        quiet = if stat::busy(&proxy.servers().await?, service, slot) == 0 { quiet + 1 } else { 0 };
        if quiet >= 2 {
            return Ok(());
        }
        if host.clock.elapsed().saturating_sub(begun) > limit {
            return proxy.cut(slot).await;
        }
        host.clock.sleep(Duration::from_millis(100)).await;
    }
}
