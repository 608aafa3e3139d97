//! Brings a candidate up beside what serves: pull by digest, start in the idle slot, probe until healthy.
//!
//! No traffic moves here. When it fails, the candidate is gone, and the answer says on one screen why.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use super::checks::{self, Mount};
use super::container::{body, name};
use super::engine::{Container, Engine, Image};
use super::evidence::{lines, told};
use super::policy::Policy;
use super::probe::{Probe, probe};
use super::proxy::Proxy;
use super::state::{Record, Stage, State};
use super::store::{LockKind, Store};
use super::transition::Preparation;
use super::{Host, retire, secrets as files};
use crate::domain::release::ReleaseRef;
use crate::domain::run::RunConfig;
use crate::host::wire::redact::Redactor;
use crate::host::wire::{Authority, Evidence, HostError, HostErrorCode, Request, Secret, Slot};

/// What is to run, and for whom.
pub(super) struct Candidate<'a> {
    pub(super) authority: &'a Authority,
    pub(super) release: &'a ReleaseRef,
    pub(super) run: &'a RunConfig,
    pub(super) secrets: &'a BTreeMap<String, Secret>,
}

/// Where it is to run.
pub(super) struct Place<'a> {
    pub(super) host: &'a Host<'a>,
    pub(super) engine: &'a Engine,
    pub(super) state: &'a State,
    pub(super) record: &'a Record,
    pub(super) slot: Slot,
    pub(super) container: String,
}

/// Prepares. Done already by this deployment: nothing.
pub(super) async fn prepare(
    host: &Host<'_>,
    request: &Request,
    candidate: &Candidate<'_>,
) -> Result<(), HostError> {
    let mounts = checks::check(candidate.run, candidate.secrets)?;
    let policy = Policy::load(host.paths)?;
    policy.allows(&candidate.release.repository, candidate.run, &mounts)?;
    let ports = policy.ports(&request.service)?;
    let store = Store::new(host, &request.service);
    // The fence first: an older holder that still prepares sees it, and gives way.
    drop(store.change(request, |_| Ok(())).await?);
    let _turn = store.lock(LockKind::Prepare).await?;
    let wanted = Record {
        release: candidate.release.clone(),
        deployment: candidate.authority.deployment,
        run: candidate.run.clone(),
        port: 0,
        stage: Stage::Preparing,
    };
    let begin = |state: &mut State| state.begin_prepare(&wanted, |slot| ports.of(slot));
    let (preparation, mut state, lock) = store.change(request, begin).await?;
    drop(lock);
    let engine = Engine::connect(host).await?;
    let slot = match preparation {
        Preparation::Serving(slot) => {
            return match state.slots.get(&slot) {
                Some(record) => {
                    serve_again(host, &engine, &state, (slot, record), (&policy, &mounts), candidate).await
                }
                None => Ok(()),
            };
        }
        Preparation::Start(slot) => slot,
        Preparation::Ready(slot) => {
            if let Some(record) = state.slots.get(&slot)
                && fit(host, &engine, &state, slot, record).await?.is_ok()
            {
                return Ok(());
            }
            let again = |state: &mut State| {
                state.prepare_again(slot);
                Ok(())
            };
            state = store.change(request, again).await?.1;
            slot
        }
    };
    let Some(record) = state.slots.get(&slot) else {
        return Err(HostError::new(HostErrorCode::State, format!("slot {slot} has no record")));
    };
    let container = name(&request.service, slot);
    let place = Place { host, engine: &engine, state: &state, record, slot, container };
    let brought = tokio::select! {
        brought = bring_up(&place, &policy, &mounts, candidate.secrets) => brought,
        Err(error) = superseded(&place, &store, candidate) => Err(error),
    };
    let done = match brought {
        Ok(()) => store.change(request, |state| state.end_prepare(slot, wanted.deployment)).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        // What went wrong first is what is told, also when tidying up does not work.
        let _ = engine.remove(&place.container).await;
        let _ = files::remove(&host.paths.secrets(&request.service, slot));
        let _ = store.tidy(|state| state.forget(slot, wanted.deployment)).await;
        return Err(error);
    }
    Ok(())
}

/// What takes the traffic and runs is left alone. After a reboot it may not run, since its secrets were in memory:
/// with them it is made anew where it was.
async fn serve_again(
    host: &Host<'_>,
    engine: &Engine,
    state: &State,
    (slot, record): (Slot, &Record),
    (policy, mounts): (&Policy, &[Mount]),
    candidate: &Candidate<'_>,
) -> Result<(), HostError> {
    let container = name(&state.service, slot);
    if engine.container(&container).await?.is_some_and(|container| container.running) {
        return Ok(());
    }
    let place = Place { host, engine, state, record, slot, container };
    bring_up(&place, policy, mounts, candidate.secrets).await
}

/// Whether the container of a slot may take traffic now: it runs what it should, never restarted, and answers.
pub(super) async fn fit(
    host: &Host<'_>,
    engine: &Engine,
    state: &State,
    slot: Slot,
    record: &Record,
) -> Result<Result<(), String>, HostError> {
    let Some(container) = engine.container(&name(&state.service, slot)).await? else {
        return Ok(Err("its container is gone".to_owned()));
    };
    if !container.running || container.restarts > 0 {
        return Ok(Err(format!(
            "its container is {} after {} restarts",
            container.state, container.restarts
        )));
    }
    if !engine.image(&container.image).await?.is_some_and(|image| image.is(&record.release)) {
        return Ok(Err(format!("its container does not run {}", record.release.digest)));
    }
    let Probe { good, answer } = probe(record.port, &record.run.health).await;
    if good {
        return Ok(Ok(()));
    }
    let answer = told(&answer, &files::redactor(&host.paths.secrets(&state.service, slot)));
    Ok(Err(format!("it answered its health check with: {answer}")))
}

/// Ends only with an error: somebody newer holds the lease, or took the candidate away.
async fn superseded(
    place: &Place<'_>,
    store: &Store<'_>,
    candidate: &Candidate<'_>,
) -> Result<Infallible, HostError> {
    loop {
        place.host.clock.sleep(Duration::from_millis(300)).await;
        let Ok(Some(state)) = store.load() else { continue };
        state.open()?;
        if state.fence.as_ref() != Some(&candidate.authority.fence) {
            return Err(HostError::new(HostErrorCode::Fenced, "a newer lease took over while this prepared"));
        }
        let ours = |record: &Record| record.deployment == candidate.authority.deployment;
        if !state.slots.get(&place.slot).is_some_and(ours) {
            return Err(HostError::new(HostErrorCode::Gone, "the candidate was discarded while it started"));
        }
    }
}

/// Makes the container of a place anew, and waits until it is healthy, also in the eyes of the proxy.
pub(super) async fn bring_up(
    place: &Place<'_>,
    policy: &Policy,
    mounts: &[Mount],
    secrets: &BTreeMap<String, Secret>,
) -> Result<(), HostError> {
    let Place { host, engine, state, record, slot, container } = place;
    let proxy = Proxy::new(host, &state.service);
    proxy.servers().await?;
    enough_disk(engine, state, policy, &record.release).await?;
    let image = engine.pull(&record.release).await?;
    // After a revert the slot may still work on requests of its last release.
    let drain = Duration::from_secs(u64::from(record.run.stop_timeout_seconds));
    retire::drain(host, &proxy, *slot, drain).await?;
    engine.remove(container).await?;
    start(place, &image, mounts, secrets).await?;
    become_healthy(place, secrets).await?;
    // Its own checks too, so that none of the first requests is refused.
    proxy.sees(*slot).await?;
    engine.keep_up(container).await
}

async fn enough_disk(
    engine: &Engine,
    state: &State,
    policy: &Policy,
    release: &ReleaseRef,
) -> Result<(), HostError> {
    if engine.image(&release.image()).await?.is_some() {
        return Ok(());
    }
    // How large the image is can be told only by pulling it: twice the one that serves is a fair guess.
    let serving = state.committed.and_then(|slot| state.slots.get(&slot));
    let like = match serving {
        Some(record) => engine.image(&record.release.image()).await?.map_or(0, |image| image.bytes),
        None => 0,
    };
    let wanted = (policy.min_free_mib << 20).max(like * 2);
    let directory = engine.directory().await?;
    let free = rustix::fs::statvfs(directory.as_str())
        .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
        .map_err(|error| {
            HostError::new(HostErrorCode::Engine, format!("free space of {directory}: {error}"))
        })?;
    if free >= wanted {
        return Ok(());
    }
    Err(HostError::new(
        HostErrorCode::Image,
        format!("{} MiB are free in {directory}, {} are needed for another image", free >> 20, wanted >> 20),
    ))
}

async fn start(
    place: &Place<'_>,
    image: &Image,
    mounts: &[Mount],
    secrets: &BTreeMap<String, Secret>,
) -> Result<(), HostError> {
    let Place { host, engine, state, record, slot, container } = place;
    let directory = host.paths.secrets(&state.service, *slot);
    let shown = (!secrets.is_empty()).then_some(directory.as_path());
    files::clear(&directory)?;
    engine.create(container, body(state, *slot, record, mounts, shown)).await?;
    if !secrets.is_empty() {
        let user = files::user(engine, container, &image.user).await?;
        files::write(&directory, secrets, user)?;
    }
    engine.start(container).await
}

/// Probes until there were enough good answers in a row, and no restart.
async fn become_healthy(place: &Place<'_>, secrets: &BTreeMap<String, Secret>) -> Result<(), HostError> {
    let Place { host, engine, record, container, .. } = place;
    let health = &record.run.health;
    let redactor = Redactor::new(secrets);
    let begun = host.clock.elapsed();
    let (mut good, mut answers) = (0, Vec::new());
    loop {
        let seen = engine.container(container).await?.unwrap_or_default();
        let version = &record.release.version;
        let waited = host.clock.elapsed().saturating_sub(begun);
        let problem = if seen.restarts > 0 || !seen.running {
            let code = seen.exit_code.map(|code| format!(" with exit code {code}")).unwrap_or_default();
            Some(format!("v{version} did not stay up: its container ended{code}"))
        } else if good >= health.good_probes {
            return Ok(());
        } else if waited > Duration::from_secs(health.start_period_seconds) {
            Some(format!("v{version} was not healthy within {} s", health.start_period_seconds))
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(unhealthy(place, &seen, &problem, answers, &redactor).await);
        }
        let answer = probe(record.port, health).await;
        good = if answer.good { good + 1 } else { 0 };
        let answered = told(&answer.answer, &redactor);
        answers.push(format!("{:.1}s GET {}: {answered}", waited.as_secs_f64(), health.path));
        if answers.len() > 5 {
            answers.remove(0);
        }
        if good < health.good_probes {
            host.clock.sleep(Duration::from_millis(health.interval_ms)).await;
        }
    }
}

async fn unhealthy(
    place: &Place<'_>,
    seen: &Container,
    problem: &str,
    answers: Vec<String>,
    redactor: &Redactor,
) -> HostError {
    let last = answers.last().map(|answer| format!(" (last probe: {answer})")).unwrap_or_default();
    let mut error = HostError::new(HostErrorCode::Unhealthy, format!("{problem}{last}"));
    error.evidence = Some(Box::new(Evidence {
        probes: answers,
        state: seen.state.clone(),
        exit_code: seen.exit_code,
        oom_killed: seen.oom_killed,
        restarts: seen.restarts,
        log: lines(&place.engine.log(&place.container).await, redactor),
    }));
    error
}

#[cfg(test)]
mod tests;
