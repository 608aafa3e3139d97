//! After a reboot: what was committed serves again, and nothing else. A shift that was open is reverted, since
//! whoever watched it is gone.

use std::fs;
use std::time::Duration;

use super::Host;
use super::container::name;
use super::engine::Engine;
use super::evidence::told;
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
    let mut routed = Proxy::new(host, service).route(state.route()).await;
    store.save(&state)?;
    drop(lock);
    if routed.is_err() {
        routed = wait(host, async || {
            // Each time under the lock, and never for long: whoever sends traffic back has to get it as well.
            let _lock = store.lock(LockKind::Traffic).await?;
            let route = store.load()?.map_or(Route::None, |state| state.route());
            Proxy::new(host, service).route(route).await
        })
        .await;
    }
    let engine = wait(host, async || Engine::connect(host).await).await?;
    let note = reverted
        .map(|trial| format!("; the open shift of deployment {} was reverted", trial.deployment))
        .unwrap_or_default();
    // What serves comes first; what does not is stopped afterwards, and never at the cost of it.
    let served = committed(host, &engine, &state, &note).await;
    let mut left = String::new();
    for slot in idle {
        let patience = state.slots.get(&slot).map_or(10, |record| record.run.stop_timeout_seconds);
        if let Err(error) = engine.stop(&name(service, slot), patience).await {
            left.push_str(&format!("; slot {slot} was not stopped: {error}"));
        }
    }
    routed?;
    Ok(served? + &left)
}

/// Brings up what is committed; in words, what serves then.
async fn committed(host: &Host<'_>, engine: &Engine, state: &State, note: &str) -> Result<String, HostError> {
    let Route::Committed(slot) = state.route() else {
        return Ok(format!("nothing is committed{note}"));
    };
    let Some(record) = state.slots.get(&slot) else {
        return Err(HostError::new(
            HostErrorCode::State,
            format!("committed slot {slot} has no record{note}"),
        ));
    };
    serve(host, engine, state, slot, record).await?;
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
            let redactor = secrets::redactor(&host.paths.secrets(&state.service, slot));
            return Err(HostError::new(
                HostErrorCode::Unhealthy,
                format!(
                    "v{} was not healthy within {} s: {}",
                    record.release.version,
                    limit.as_secs(),
                    told(&answer.answer, &redactor)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::onhost::fake;
    use crate::onhost::properties::on_trial;
    use std::sync::{Arc, Mutex};
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn what_is_committed_serves_first_and_a_stop_that_fails_is_a_warning() {
        let (_root, paths) = fake::root();
        let host = Host { paths: &paths, clock: &SystemClock };
        let service = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut state = on_trial();
        state.slots.get_mut(&Slot::Blue).unwrap().port = service.local_addr().unwrap().port();
        fs::create_dir_all(paths.service(&state.service)).unwrap();
        Store::new(&host, &state.service).save(&state).unwrap();
        let proxy = fake::proxy(&paths, Some("trial-green"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        let engine = fake::engine(&paths, move |line| {
            if line.contains("/version") {
                return None;
            }
            heard.lock().unwrap().push(line.split('?').next().unwrap().to_owned());
            if line.contains("/stop") {
                return Some((500, r#"{"message":"no"}"#.to_owned()));
            }
            if line.contains("/start") {
                return Some((204, String::new()));
            }
            Some((200, r#"{"State":{"Running":false}}"#.to_owned()))
        });
        let answers = tokio::spawn(async move {
            let (mut stream, _) = service.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            stream
        });
        let booted = boot(&host).await.unwrap();
        let told = booted[0].result.as_ref().unwrap();
        assert!(
            told.starts_with("v0.1.0 serves from slot blue; the open shift of deployment 2 was"),
            "{told}"
        );
        assert!(told.contains("slot green was not stopped"), "{told}");
        let asked = asked.lock().unwrap().join(" ");
        let (started, stopped) = (asked.find("blue/start").unwrap(), asked.find("green/stop").unwrap());
        assert!(started < stopped, "{asked}");
        assert_eq!(fs::read_to_string(paths.map(&state.service)).unwrap(), "web blue\n");
        drop(answers);
        proxy.abort();
        engine.abort();
    }
}
