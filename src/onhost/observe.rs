//! What is so on a host: from the engine, the proxy and a probe, not from what was asked for.

use std::fs;

use super::container::{labelled, name};
use super::engine::Engine;
use super::probe::probe;
use super::proxy::Proxy;
use super::state::State;
use super::store::Store;
use super::{Host, VERSION};
use crate::domain::id::ServiceName;
use crate::host::wire::{HostError, Observation, Slot, SlotView};

/// Looks. Changes nothing.
pub(super) async fn observe(host: &Host<'_>, service: &ServiceName) -> Result<Observation, HostError> {
    let state = Store::new(host, service).load()?;
    let engine = Engine::connect(host).await?;
    // A proxy that does not answer sends nobody anywhere.
    let taking = Proxy::new(host, service).routed().await.ok().flatten().and_then(|route| route.slot());
    let mut slots = Vec::new();
    for slot in Slot::ALL {
        if let Some(mut view) = view(&engine, service, state.as_ref(), slot).await? {
            view.weight = if taking == Some(slot) { 100 } else { 0 };
            slots.push(view);
        }
    }
    let configured = fs::read_to_string(host.paths.configured()).ok();
    Ok(Observation {
        agent: VERSION.to_owned(),
        configured: configured.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
        fence: state.as_ref().and_then(|state| state.fence.clone()),
        slots,
        committed: state.as_ref().and_then(|state| state.committed),
        trial: state.and_then(|state| state.trial),
    })
}

async fn view(
    engine: &Engine,
    service: &ServiceName,
    state: Option<&State>,
    slot: Slot,
) -> Result<Option<SlotView>, HostError> {
    let record = state.and_then(|state| state.slots.get(&slot));
    let container = engine.container(&name(service, slot)).await?;
    let told = container.as_ref().and_then(|container| labelled(&container.labels));
    let Some((release, deployment)) =
        told.or_else(|| record.map(|record| (record.release.clone(), record.deployment)))
    else {
        return Ok(None);
    };
    let mut view = SlotView {
        slot,
        release,
        deployment,
        running_digest: None,
        running: false,
        healthy: false,
        restarts: 0,
        weight: 0,
        since: None,
    };
    if let Some(container) = container {
        view.running = container.running;
        view.restarts = container.restarts;
        view.since = container.since;
        let image = engine.image(&container.image).await?;
        view.running_digest =
            image.filter(|_| container.running).and_then(|image| image.digest(&view.release));
    }
    if let Some(record) = record.filter(|_| view.running) {
        view.healthy = probe(record.port, &record.run.health).await.good;
    }
    Ok(Some(view))
}
