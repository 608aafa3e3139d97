//! What is so on a host: from the engine, the proxy and a probe, not from what was asked for.

use std::fs;

use super::container::{labelled, name};
use super::engine::Engine;
use super::probe::probe;
use super::proxy::Proxy;
use super::state::{Route, State};
use super::store::Store;
use super::{Host, VERSION};
use crate::domain::id::{DeploymentNumber, ServiceName};
use crate::domain::release::ReleaseRef;
use crate::host::wire::{HostError, Observation, Slot, SlotView};

/// Looks. Changes nothing.
pub(super) async fn observe(host: &Host<'_>, service: &ServiceName) -> Result<Observation, HostError> {
    let state = Store::new(host, service).load()?;
    let engine = Engine::connect(host).await?;
    let proxy = Proxy::new(host, service);
    let taking = taking(&proxy).await;
    let mut slots = Vec::new();
    for slot in Slot::ALL {
        if let Some(mut view) = view(&engine, service, state.as_ref(), slot).await? {
            view.weight = if taking == Some(slot) { 100 } else { 0 };
            // On trial the proxy has a say: its breaker sees what real requests get.
            if state.as_ref().is_some_and(|state| state.route() == Route::Trial(slot)) {
                view.healthy = view.healthy && proxy.accepts(slot).await.unwrap_or(false);
            }
            slots.push(view);
        }
    }
    Ok(observation(host, state, slots))
}

/// What is known without the engine: what is remembered, and where the proxy sends requests. Of no slot it is
/// claimed that it runs.
pub(super) async fn remembered(host: &Host<'_>, service: &ServiceName) -> Result<Observation, HostError> {
    let state = Store::new(host, service).load()?;
    let taking = taking(&Proxy::new(host, service)).await;
    let records = state.iter().flat_map(|state| &state.slots);
    let slots = records.map(|(slot, record)| SlotView {
        weight: if taking == Some(*slot) { 100 } else { 0 },
        ..unknown(*slot, record.release.clone(), record.deployment)
    });
    let slots = slots.collect();
    Ok(observation(host, state, slots))
}

/// The slot that gets the requests. A proxy that does not answer sends nobody anywhere.
async fn taking(proxy: &Proxy<'_>) -> Option<Slot> {
    proxy.routed().await.ok().flatten().and_then(|route| route.slot())
}

fn observation(host: &Host<'_>, state: Option<State>, slots: Vec<SlotView>) -> Observation {
    let configured = fs::read_to_string(host.paths.configured()).ok();
    Observation {
        agent: VERSION.to_owned(),
        configured: configured.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
        fence: state.as_ref().and_then(|state| state.fence.clone()),
        slots,
        committed: state.as_ref().and_then(|state| state.committed),
        trial: state.as_ref().and_then(|state| state.trial.clone()),
        offline: state.and_then(|state| state.offline),
    }
}

/// A slot of which nothing is known but what was put there.
fn unknown(slot: Slot, release: ReleaseRef, deployment: DeploymentNumber) -> SlotView {
    SlotView {
        slot,
        release,
        deployment,
        running_digest: None,
        running: false,
        healthy: false,
        restarts: 0,
        weight: 0,
        since: None,
    }
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
    let mut view = unknown(slot, release, deployment);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::onhost::fake;
    use crate::onhost::properties::on_trial;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_slot_on_trial_is_healthy_when_the_proxy_says_so_as_well() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut state = on_trial();
        for record in state.slots.values_mut() {
            record.port = listener.local_addr().unwrap().port();
        }
        let service = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        });
        for (seen, healthy) in [("UP", true), ("DOWN", false)] {
            let (_root, paths) = fake::root();
            let host = Host { paths: &paths, clock: &SystemClock };
            fs::create_dir_all(paths.service(&state.service)).unwrap();
            Store::new(&host, &state.service).save(&state).unwrap();
            let proxy = fake::proxy_seeing(&paths, Some("trial-green"), seen);
            let engine = fake::engine(&paths, |asked| match asked {
                _ if asked.contains("/version") => None,
                _ if asked.contains("/containers/") => {
                    Some((200, r#"{"Image":"x","State":{"Running":true}}"#.to_owned()))
                }
                _ => Some((404, r#"{"message":"not found"}"#.to_owned())),
            });
            let seen = observe(&host, &state.service).await.unwrap();
            let health: Vec<_> = seen.slots.iter().map(|view| (view.slot, view.healthy)).collect();
            assert_eq!(health, [(Slot::Blue, true), (Slot::Green, healthy)]);
            proxy.abort();
            engine.abort();
        }
        service.abort();
    }
}
