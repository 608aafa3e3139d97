//! After a reboot: what was committed serves again, and nothing else. A shift that was open is reverted, since
//! whoever watched it is gone.

use std::fs;
use std::time::Duration;

use super::Host;
use super::container::name;
use super::engine::Engine;
use super::probe::probe;
use super::proxy::Proxy;
use super::secrets;
use super::state::{Record, Route, State};
use super::store::{LockKind, Store, failed};
use crate::domain::id::ServiceName;
use crate::host::wire::{HostError, HostErrorCode, Slot};

/// How long engine and proxy may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booted {
    /// The service.
    pub service: ServiceName,
    /// What serves, in words; or why nothing does.
    pub result: Result<String, HostError>,
}

/// Re-asserts the committed state of every service.
///
/// # Errors
/// When the directory of services cannot be read.
pub async fn boot(host: &Host<'_>) -> Result<Vec<Booted>, HostError> {
    let mut all = Vec::new();
    let entries = match fs::read_dir(&host.paths.state) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(all),
        Err(error) => return Err(failed("cannot read", &host.paths.state, &error)),
    };
    let mut services: Vec<ServiceName> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|service| host.paths.service(service).join("state.json").is_file())
        .collect();
    services.sort();
    for service in services {
        let result = assert(host, &service).await;
        all.push(Booted { service, result });
    }
    Ok(all)
}

async fn assert(host: &Host<'_>, service: &ServiceName) -> Result<String, HostError> {
    let store = Store::new(host, service);
    let _turn = store.lock(LockKind::Prepare).await?;
    let lock = store.lock(LockKind::Traffic).await?;
    let Some(mut state) = store.load()? else { return Ok("nothing was deployed".to_owned()) };
    let reverted = state.trial.clone();
    let idle = state.boot();
    // The proxy is switched back before the state says so, as in a revert.
    let routed = wait(host, async || Proxy::new(host, service).route(state.route()).await).await;
    store.save(&state)?;
    drop(lock);
    let engine = wait(host, async || Engine::connect(host).await).await?;
    for slot in idle {
        let patience = state.slots.get(&slot).map_or(10, |record| record.run.stop_timeout_seconds);
        engine.stop(&name(service, slot), patience).await?;
    }
    routed?;
    let note = reverted
        .map(|trial| format!("; the open shift of deployment {} was reverted", trial.deployment))
        .unwrap_or_default();
    let Route::Committed(slot) = state.route() else {
        return Ok(format!("nothing is committed{note}"));
    };
    let Some(record) = state.slots.get(&slot) else {
        return Err(HostError::new(
            HostErrorCode::State,
            format!("committed slot {slot} has no record{note}"),
        ));
    };
    serve(host, &engine, &state, slot, record).await?;
    Ok(format!("v{} serves from slot {slot}{note}", record.release.version))
}

async fn serve(
    host: &Host<'_>,
    engine: &Engine,
    state: &State,
    slot: Slot,
    record: &Record,
) -> Result<(), HostError> {
    let container = name(&state.service, slot);
    let Some(found) = engine.container(&container).await? else {
        return Err(lost(state, "its container is gone"));
    };
    if !found.running {
        let directory = host.paths.secrets(&state.service, slot);
        if !secrets::present(&directory, record.run.secrets.keys()) {
            return Err(lost(state, "its secrets were in memory only and went with the reboot"));
        }
        engine.start(&container).await?;
    }
    let begun = host.clock.elapsed();
    loop {
        let answer = probe(record.port, &record.run.health).await;
        if answer.good {
            return Ok(());
        }
        let limit = Duration::from_secs(record.run.health.start_period_seconds);
        if host.clock.elapsed().saturating_sub(begun) > limit {
            return Err(HostError::new(
                HostErrorCode::Unhealthy,
                format!(
                    "v{} was not healthy within {} s: {}",
                    record.release.version,
                    limit.as_secs(),
                    answer.answer
                ),
            ));
        }
        host.clock.sleep(Duration::from_millis(record.run.health.interval_ms)).await;
    }
}

fn lost(state: &State, why: &str) -> HostError {
    HostError::new(
        HostErrorCode::Unhealthy,
        format!(
            "{} does not serve: {why}; run `relman deploy --env {}` where relman runs",
            state.service, state.environment
        ),
    )
}

/// Tries again while something still comes up.
async fn wait<T>(host: &Host<'_>, attempt: impl AsyncFn() -> Result<T, HostError>) -> Result<T, HostError> {
    let begun = host.clock.elapsed();
    loop {
        match attempt().await {
            Err(_) if host.clock.elapsed().saturating_sub(begun) < PATIENCE => {
                host.clock.sleep(Duration::from_millis(250)).await;
            }
            result => return result,
        }
    }
}
