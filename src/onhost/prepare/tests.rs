//! What takes the traffic already, prepared again by its own deployment: at a boot, or when a step is repeated.

use std::fs;
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;
use crate::clock::SystemClock;
use crate::host::wire::Command;
use crate::host::wire::offline::{Mark, Placed};
use crate::onhost::fake;
use crate::onhost::properties::sample;

/// What the engine was asked to do, and whether the secret's file was there when the container started.
#[derive(Default)]
struct Asked {
    changes: Vec<String>,
    runs: bool,
    secret: Option<String>,
}

/// Prepares what green serves, whose container runs or not.
async fn prepare_what_serves(runs: bool) -> Asked {
    let (_root, paths) = fake::root();
    let host = Host { paths: &paths, clock: &SystemClock };
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = service.local_addr().unwrap().port();
    let answers = tokio::spawn(async move {
        loop {
            let (mut stream, _) = service.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    });
    let run: RunConfig = serde_json::from_value(serde_json::json!({
        "port": 8000, "secrets": { "KEY": "env:KEY" }, "health": { "interval_ms": 50 }
    }))
    .unwrap();
    let record = Record { run: run.clone(), port, stage: Stage::Ready, ..sample::record(1) };
    let mut state = sample::state();
    state.slots.insert(Slot::Green, record.clone());
    state.committed = Some(Slot::Green);
    let authority = sample::authority(1);
    state.fence = Some(authority.fence.clone());
    fs::create_dir_all(paths.service(&state.service)).unwrap();
    Store::new(&host, &state.service).save(&state).unwrap();
    fs::create_dir_all(&paths.etc).unwrap();
    let policy = format!(
        "repositories = [\"registry.example/web\"]\n[services.web]\nblue_port = 1\ngreen_port = {port}\n"
    );
    fs::write(paths.policy(), policy).unwrap();

    let proxy = fake::proxy_seeing(&paths, Some("green"), "UP");
    let asked = Arc::new(Mutex::new(Asked { runs, ..Asked::default() }));
    let heard = Arc::clone(&asked);
    let secret = paths.secrets(&state.service, Slot::Green).join("KEY");
    let image = record.release.image();
    let user = format!("{}:{}", rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let engine = fake::engine(&paths, move |line| {
        if line.contains("/version") {
            return None;
        }
        let mut asked = heard.lock().unwrap();
        if line.contains("/images/") {
            let image = serde_json::json!({ "RepoDigests": [&image], "Config": { "User": &user } });
            return Some((200, image.to_string()));
        }
        if line.starts_with("GET") {
            return Some((200, serde_json::json!({ "State": { "Running": asked.runs } }).to_string()));
        }
        let (method, path) = line.split_once(' ').unwrap();
        let verb = path.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
        asked.changes.push(format!("{method} {verb}"));
        match verb.as_str() {
            "create" => Some((201, r#"{"Id":"new","Warnings":[]}"#.to_owned())),
            "start" => {
                asked.runs = true;
                asked.secret = fs::read_to_string(&secret).ok();
                Some((204, String::new()))
            }
            "update" => Some((200, "{}".to_owned())),
            _ => Some((204, String::new())),
        }
    });
    let secrets = BTreeMap::from([("KEY".to_owned(), Secret::new("hunter2".to_owned()))]);
    let command = Command::Prepare {
        authority: authority.clone(),
        release: record.release.clone(),
        run: Box::new(run.clone()),
        secrets: secrets.clone(),
    };
    let candidate =
        Candidate { authority: &authority, release: &record.release, run: &run, secrets: &secrets };
    prepare(&host, &sample::request(command), &candidate).await.unwrap();
    let after = Store::new(&host, &state.service).load().unwrap().unwrap();
    assert_eq!((after.committed, &after.slots), (Some(Slot::Green), &state.slots), "nothing moved");
    for task in [answers, proxy, engine] {
        task.abort();
    }
    std::mem::take(&mut *asked.lock().unwrap())
}

#[tokio::test]
async fn invariant_1_what_serves_and_runs_is_left_alone() {
    assert_eq!(prepare_what_serves(true).await.changes, Vec::<String>::new());
}

#[tokio::test]
async fn what_served_before_a_reboot_is_made_anew_with_its_secrets_where_it_was() {
    let asked = prepare_what_serves(false).await;
    let container = name(&sample::state().service, Slot::Green);
    let removed = format!("DELETE {container}");
    assert_eq!(asked.changes, [removed.as_str(), "POST create", "POST start", "POST update"]);
    assert_eq!(asked.secret.as_deref(), Some("hunter2"));
}

/// Whoever takes over, or sends the host back, does not wait until an image was pulled and never got healthy.
#[tokio::test]
async fn invariant_3_a_prepare_gives_way_to_a_newer_lease_and_to_a_fall_back() {
    let placed = || Placed { release: sample::record(1).release, deployment: 1 };
    let mark = Mark { offline: sample::offline(7), from: placed(), to: placed() };
    for code in [HostErrorCode::Fenced, HostErrorCode::Ahead] {
        let (_root, paths) = fake::root();
        let host = Host { paths: &paths, clock: &SystemClock };
        let server = fake::engine(&paths, |_| None);
        let engine = Engine::connect(&host).await.unwrap();
        let (authority, record, run) = (sample::authority(1), sample::record(1), sample::run());
        let mut state = sample::state();
        state.fence = Some(authority.fence.clone());
        state.slots.insert(Slot::Blue, record.clone());
        let store = Store::new(&host, &state.service);
        fs::create_dir_all(paths.service(&state.service)).unwrap();
        store.save(&state).unwrap();
        let secrets = BTreeMap::new();
        let candidate =
            Candidate { authority: &authority, release: &record.release, run: &run, secrets: &secrets };
        let container = name(&state.service, Slot::Blue);
        let before = state.clone();
        let place = Place {
            host: &host,
            engine: &engine,
            state: &before,
            record: &record,
            slot: Slot::Blue,
            container,
        };
        let watching = superseded(&place, &store, &candidate);
        let changing = async {
            match code {
                HostErrorCode::Fenced => state.fence = Some(sample::fence(2, 2)),
                _ => state.offline = Some(mark.clone()),
            }
            store.save(&state).unwrap();
            std::future::pending::<()>().await;
        };
        let error = tokio::select! {
            Err(error) = watching => error,
            () = changing => unreachable!("it waits for ever"),
            () = tokio::time::sleep(Duration::from_secs(10)) => panic!("it did not give way: {code:?}"),
        };
        assert_eq!(error.code, code, "{error}");
        server.abort();
    }
}
