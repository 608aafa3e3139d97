//! A host that lost its memory: the state file is gone, and a container of relman's still takes the traffic.
//!
//! What serves is never replaced. So it is taken back into memory from its labels, or left alone with a word on what
//! to do. Who serves is for the proxy to say.

use super::Host;
use super::container::{name, remembered};
use super::engine::Engine;
use super::proxy::Proxy;
use super::state::{Record, Route, State};
use super::store::Store;
use crate::host::wire::{HostError, HostErrorCode, Request, Slot, TrialView};

/// Takes back what serves, where nothing is remembered. Everywhere else: nothing.
pub(super) async fn adopt(host: &Host<'_>, request: &Request) -> Result<(), HostError> {
    let store = Store::new(host, &request.service);
    if let Some(state) = store.load()? {
        state.belongs(&request.ledger, &request.environment)?;
        if !is_empty(&state) {
            return Ok(());
        }
    }
    let proxy = Proxy::new(host, &request.service);
    // The running process knows best; the file is what it will know after a restart.
    let told = proxy.routed().await.ok().flatten().filter(|route| route.slot().is_some());
    let Some(route) = told.or_else(|| proxy.recorded()) else { return Ok(()) };
    let Some(serving) = route.slot() else { return Ok(()) };
    let engine = Engine::connect(host).await?;
    let Some(record) = found(host, &engine, request, serving).await? else { return Ok(()) };
    let other = match route {
        // A slot that stands by for nobody need not be known.
        Route::Trial(_) => found(host, &engine, request, serving.other()).await?,
        Route::Committed(_) | Route::None => None,
    };
    let taken = |state: &mut State| {
        if is_empty(state) {
            fill(state, serving, record, other);
        }
        Ok(())
    };
    let ((), state, _lock) = store.change(request, taken).await?;
    // The file may be gone as well. A proxy that does not answer is found by whoever needs it.
    let _ = proxy.route(state.route()).await;
    Ok(())
}

fn is_empty(state: &State) -> bool {
    state.committed.is_none() && state.trial.is_none() && state.slots.is_empty()
}

fn fill(state: &mut State, serving: Slot, record: Record, other: Option<Record>) {
    state.committed = Some(serving);
    if let Some(other) = other {
        state.committed = Some(serving.other());
        state.trial = Some(TrialView { slot: serving, deployment: record.deployment });
        state.slots.insert(serving.other(), other);
    }
    state.slots.insert(serving, record);
}

/// What runs in a slot, by its labels. None when nothing does.
async fn found(
    host: &Host<'_>,
    engine: &Engine,
    request: &Request,
    slot: Slot,
) -> Result<Option<Record>, HostError> {
    let container = name(&request.service, slot);
    let Some(seen) = engine.container(&container).await?.filter(|seen| seen.running) else { return Ok(None) };
    let record = remembered(&seen.labels, &request.service, &request.environment, slot);
    let memory = host.paths.service(&request.service).join("state.json");
    record.map(Some).ok_or_else(|| {
        HostError::new(
            HostErrorCode::Refused,
            format!(
                "container {container} takes the requests of {}, and this host remembers nothing of it: it is left \
                 alone. Restore {} from a backup; or, to do without it and have no service until the \
                 next deploy is through, `sudo docker rm --force {container}` on the host",
                request.service,
                memory.display()
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::host::wire::{AnswerResult, Command};
    use crate::onhost::container::body;
    use crate::onhost::paths::Paths;
    use crate::onhost::perform::perform;
    use crate::onhost::properties::sample;
    use crate::onhost::transition::Preparation;
    use crate::onhost::{fake, state};
    use std::fs;
    use tokio::task::JoinHandle;

    /// An engine on which these slots run, each for the deployment of its number, with these labels left out.
    fn engine(paths: &Paths, slots: &'static [Slot], without: &'static str) -> JoinHandle<()> {
        let labels = |slot: Slot| {
            let record = sample::record(if slot == Slot::Blue { 1 } else { 2 });
            let mut labels = body(&sample::state(), slot, &record, &[], None).labels.unwrap();
            labels.remove(without);
            labels
        };
        let answer = move |asked: &str| {
            let missing = (404, r#"{"message":"not found"}"#.to_owned());
            if !asked.contains("/containers/") {
                return if asked.contains("/version") { None } else { Some(missing) };
            }
            let slot = slots.iter().find(|slot| asked.contains(&format!("/relman-web-{slot}/json")));
            Some(slot.map_or(missing, |slot| {
                let body = serde_json::json!({
                    "Image": "sha256:1", "State": {"Running": true}, "Config": {"Labels": labels(*slot)}
                });
                (200, body.to_string())
            }))
        };
        fake::engine(paths, answer)
    }

    async fn claim(host: &Host<'_>) -> AnswerResult {
        perform(host, &sample::claim(1, 1)).await.result
    }

    fn load(host: &Host<'_>) -> Option<state::State> {
        Store::new(host, &"web".parse().unwrap()).load().unwrap()
    }

    #[tokio::test]
    async fn invariant_7_what_serves_is_remembered_again_and_the_next_release_gets_the_other_slot() {
        // The file alone is left, or the running process alone.
        for by_process in [false, true] {
            let (_root, paths) = fake::root();
            let host = Host { paths: &paths, clock: &SystemClock };
            let web = "web".parse().unwrap();
            let proxy = by_process.then(|| fake::proxy(&paths, Some("blue")));
            if by_process {
                fs::remove_dir_all(&paths.state).unwrap();
            } else {
                fs::write(paths.map(&web), "web blue\n").unwrap();
            }
            let engine = engine(&paths, &[Slot::Blue, Slot::Green], "");
            let AnswerResult::Done(seen) = claim(&host).await else { panic!("refused") };
            assert_eq!(seen.committed, Some(Slot::Blue));
            let mut state = load(&host).unwrap();
            assert_eq!(state.slots[&Slot::Blue], Record { stage: state::Stage::Ready, ..sample::record(1) });
            let next = state.begin_prepare(&sample::record(3), |_| 1).unwrap();
            assert_eq!(next, Preparation::Start(Slot::Green));
            assert_eq!(fs::read_to_string(paths.map(&web)).unwrap(), "web blue\n");
            engine.abort();
            proxy.inspect(JoinHandle::abort);
        }
    }

    #[tokio::test]
    async fn an_open_trial_is_remembered_as_one() {
        let (_root, paths) = fake::root();
        let host = Host { paths: &paths, clock: &SystemClock };
        fs::write(paths.map(&"web".parse().unwrap()), "web trial-green\n").unwrap();
        let engine = engine(&paths, &[Slot::Blue, Slot::Green], "");
        let AnswerResult::Done(seen) = claim(&host).await else { panic!("refused") };
        assert_eq!(seen.committed, Some(Slot::Blue));
        assert_eq!(seen.trial, Some(TrialView { slot: Slot::Green, deployment: 2 }));
        engine.abort();
    }

    #[tokio::test]
    async fn invariant_7_what_serves_and_cannot_be_remembered_is_left_alone() {
        let (_root, paths) = fake::root();
        let host = Host { paths: &paths, clock: &SystemClock };
        fs::write(paths.map(&"web".parse().unwrap()), "web blue\n").unwrap();
        let engine = engine(&paths, &[Slot::Blue], "relman.run");
        let authority = sample::authority(1);
        let prepare = Command::Prepare {
            authority: authority.clone(),
            release: sample::record(3).release,
            run: Box::new(sample::run()),
            secrets: std::collections::BTreeMap::new(),
        };
        for command in
            [Command::Claim { authority: authority.clone() }, prepare, Command::Discard { authority }]
        {
            let request = sample::request(command);
            let verb = request.command.verb();
            let AnswerResult::Failed(error) = perform(&host, &request).await.result else { panic!("{verb}") };
            assert_eq!(error.code, HostErrorCode::Refused, "{verb}");
            assert!(error.message.contains("docker rm --force relman-web-blue"), "{}", error.message);
            assert_eq!(load(&host), None, "{verb}");
        }
        engine.abort();
    }

    #[tokio::test]
    async fn where_nothing_serves_nothing_is_taken_back() {
        for (map, slots) in [("none", &[Slot::Blue][..]), ("blue", &[][..])] {
            let (_root, paths) = fake::root();
            let host = Host { paths: &paths, clock: &SystemClock };
            fs::write(paths.map(&"web".parse().unwrap()), format!("web {map}\n")).unwrap();
            let engine = engine(&paths, slots, "");
            let AnswerResult::Done(seen) = claim(&host).await else { panic!("refused") };
            assert_eq!(seen.committed, None, "{map}");
            assert!(is_empty(&load(&host).unwrap()));
            engine.abort();
        }
    }
}
