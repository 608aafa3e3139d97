//! Secrets in a store with versions.

use std::sync::Arc;

use super::regressions::{crash_after, recover};
use super::*;
use crate::commands::secrets::{self, Args};
use crate::commands::{Context, show, status};
use crate::host::wire::Secret;
use crate::secrets::Refusal;
use crate::secrets::fake::FakeStore;

const KEY: &str = "ssm:/relman/web/test/key";

/// Two hosts that serve 1.0.0 with version 1 of a secret; 1.1.0 on record.
async fn rotating() -> (World, FakeStore) {
    let (mut world, ..) = world().await;
    let store = FakeStore::default();
    store.put(KEY, "canary-one");
    world.site.run =
        serde_json::from_value(serde_json::json!({"port": 8000, "secrets": {"KEY": KEY}})).unwrap();
    world.site.secrets = Arc::new(crate::secrets::Secrets {
        store: Some(Arc::new(store.clone())),
        ..crate::secrets::Secrets::default()
    });
    deploy(&world, "1.0.0").await.unwrap();
    world.fleet.take_changes();
    (world, store)
}

fn brought(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for host in HOSTS {
        world.fleet.edit(host, |machine| {
            all.push(machine.secrets.get("KEY").map(Secret::expose).unwrap_or_default().to_owned());
        });
    }
    all
}

/// The versions of what serves, as the ledger has them.
async fn recorded(context: &Context, world: &World) -> Option<String> {
    let stream = world.stream();
    let serving = context.environment(&stream).await.unwrap().serving;
    context.deployment(&stream, serving).await.unwrap().unwrap().secrets.get("KEY").cloned()
}

async fn sync(world: &World) -> Result<Report, CommandError> {
    secrets::run(&world.context, &world.site, Args::default()).await
}

async fn no_canary(world: &World) {
    let entries = world.ledger.read(&world.stream(), 0, 1_000).await.unwrap();
    assert!(entries.iter().all(|sealed| !sealed.body.contains("canary")));
    for sealed in &entries {
        for artifact in sealed.entry.event.artifacts() {
            let bytes = world.context.artifacts.get(artifact).await.unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains("canary"), "{artifact}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_10_versions_are_recorded_once_before_anything_acts_and_values_never() {
    let (world, _) = rotating().await;
    assert_eq!(brought(&world), ["canary-one", "canary-one"]);
    assert_eq!(recorded(&world.context, &world).await.as_deref(), Some("1"));
    let entries = world.ledger.read(&world.stream(), 0, 1_000).await.unwrap();
    let kinds: Vec<&str> = entries.iter().map(|sealed| sealed.entry.event.kind()).collect();
    let at = kinds.iter().position(|kind| *kind == "deployment.secrets").unwrap();
    assert_eq!(kinds[at - 1..=at + 1], ["deployment.planned", "deployment.secrets", "step.started"]);
    assert_eq!(kinds.iter().filter(|kind| **kind == "deployment.secrets").count(), 1);
    let status = status::run(&world.context, &world.site).await.unwrap();
    assert_eq!(status.secrets, [("KEY".to_owned(), "1".to_owned())].into());
    let shown = show::run(&world.context, &world.site.name, 2, true).await.unwrap();
    assert_eq!(shown.secrets, status.secrets);
    no_canary(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_reaches_every_host_once_and_nothing_is_done_when_nothing_moved() {
    let (world, store) = rotating().await;
    let before = world.ledger.head(&world.stream()).await.unwrap().seq;
    let same = sync(&world).await.unwrap();
    assert_eq!(same.result, ReportResult::NothingToDo);
    assert_eq!(world.fleet.take_changes(), Vec::<String>::new());
    // The lease, taken and given back.
    assert_eq!(world.ledger.head(&world.stream()).await.unwrap().seq, before + 2);

    store.put(KEY, "canary-two");
    let planned = secrets::run(&world.context, &world.site, Args { dry_run: true, ..Args::default() }).await;
    let planned = planned.unwrap();
    assert_eq!((planned.result, planned.notes), (ReportResult::Planned, vec!["KEY 2, was 1".to_owned()]));
    assert_eq!(brought(&world), ["canary-one", "canary-one"]);

    let done = sync(&world).await.unwrap();
    assert_eq!((done.result, done.kind), (ReportResult::Deployed, Some(Kind::Redeploy)));
    assert_eq!(done.version.unwrap().to_string(), "1.0.0");
    assert_eq!(brought(&world), ["canary-two", "canary-two"]);
    assert_eq!(recorded(&world.context, &world).await.as_deref(), Some("2"));
    at_rest(&world, "after a rotation").await;
    assert_eq!(sync(&world).await.unwrap().result, ReportResult::NothingToDo);
    no_canary(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_takes_no_configuration_along_and_lifts_no_hold() {
    let (mut world, store) = rotating().await;
    deploy(&world, "1.1.0").await.unwrap();
    roll_back(&world, to("1.0.0")).await.unwrap();
    let hold = world.context.environment(&world.stream()).await.unwrap().hold;
    assert!(hold.is_some());
    world.site.run.port = 9000;
    store.put(KEY, "canary-two");
    sync(&world).await.unwrap();
    let environment = world.context.environment(&world.stream()).await.unwrap();
    assert_eq!(environment.hold, hold);
    let serving = world.context.deployment(&world.stream(), environment.serving).await.unwrap().unwrap();
    assert_eq!(world.context.run_of(&serving).await.unwrap().port, 8000);
}

#[tokio::test(start_paused = true)]
async fn a_new_value_that_the_service_does_not_bear_goes_back_to_the_old_one() {
    let (world, store) = rotating().await;
    let digest = world.fleet.serving("web-1").unwrap().digest;
    store.put(KEY, "canary-two");
    world.fleet.set_unhealthy(&digest);
    assert_eq!(sync(&world).await.unwrap_err().kind, ErrorKind::Returned);
    assert_eq!(recorded(&world.context, &world).await.as_deref(), Some("1"));
    assert_eq!(status::run(&world.context, &world.site).await.unwrap().secrets["KEY"], "1");
}

#[tokio::test(start_paused = true)]
async fn whoever_resumes_brings_the_versions_on_record() {
    for at in 0..30 {
        let (world, store) = rotating().await;
        crash_after(&world, at);
        if deploy(&world, "1.1.0").await.is_ok() {
            assert!(at > 8, "{at}");
            return;
        }
        recover(&world);
        store.put(KEY, "canary-two");
        let Some(active) = world.context.environment(&world.stream()).await.unwrap().active else { continue };
        let left = world.context.deployment(&world.stream(), Some(active)).await.unwrap().unwrap();
        let wanted = left.secrets.get("KEY").cloned();
        let Ok(report) = resume(&world).await else { continue };
        if report.result != ReportResult::Deployed {
            continue;
        }
        let version = recorded(&world.context, &world).await.unwrap();
        if let Some(wanted) = wanted {
            assert_eq!(version, wanted, "crash at {at}");
        }
        let value = if version == "1" { "canary-one" } else { "canary-two" };
        assert_eq!(brought(&world), [value, value], "crash at {at}");
    }
    panic!("it never got through");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_had_stops_a_deploy_before_anything_is_recorded() {
    let (world, store) = rotating().await;
    for (refusal, kind) in [
        (Refusal::Missing, ErrorKind::Usage),
        (Refusal::NoSuchVersion, ErrorKind::Usage),
        (Refusal::Denied, ErrorKind::Failed),
        (Refusal::Key, ErrorKind::Failed),
        (Refusal::Throttled, ErrorKind::Failed),
        (Refusal::Unavailable, ErrorKind::Failed),
    ] {
        store.refuse(Some(refusal));
        let error = deploy(&world, "1.1.0").await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        for told in ["secret KEY", KEY, "fake-1", "arn:fake"] {
            assert!(error.message.contains(told), "{error}");
        }
        assert_eq!(error.hints, ["ask the fake"]);
        assert_eq!(sync(&world).await.unwrap_err().kind, kind);
        let back = roll_back(&world, None).await;
        assert!(back.is_err());
    }
    assert_eq!(world.fleet.take_changes(), Vec::<String>::new());
    let environment = world.context.environment(&world.stream()).await.unwrap();
    assert_eq!((environment.last, environment.active), (2, None));
}

/// The way back of a deploy needs no secret: what serves has its own still.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_keeps_nobody_from_going_back() {
    let (world, store) = rotating().await;
    let old = world.fleet.serving("web-1").unwrap();
    crash_after(&world, 9);
    deploy(&world, "1.1.0").await.unwrap_err();
    recover(&world);
    store.refuse(Some(Refusal::Unavailable));
    let aborted = crate::commands::abort::run(&world.context, &world.site, Default::default()).await.unwrap();
    assert_eq!(aborted.result, ReportResult::Aborted);
    assert_eq!(serving(&world), all(&old));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_takes_what_is_current_and_with_secrets_then_what_was() {
    let (world, store) = rotating().await;
    deploy(&world, "1.1.0").await.unwrap();
    store.put(KEY, "canary-two");
    roll_back(&world, to("1.0.0")).await.unwrap();
    assert_eq!(brought(&world), ["canary-two", "canary-two"]);
    assert_eq!(recorded(&world.context, &world).await.as_deref(), Some("2"));

    let then = |target: &str| rollback::Args {
        target: to(target),
        secrets_then: true,
        // It was taken back, and not for its own sake.
        yes: true,
        reason: Some("the new key is wrong".into()),
        ..rollback::Args::default()
    };
    let report = rollback::run(&world.context, &world.site, &world.supply, then("1.1.0")).await.unwrap();
    assert_eq!(brought(&world), ["canary-one", "canary-one"]);
    assert_eq!(recorded(&world.context, &world).await.as_deref(), Some("1"));
    assert!(
        report.notes.iter().any(|note| note.contains("stay at the versions of then")),
        "{:?}",
        report.notes
    );
    // It was asked for: a schedule does not undo it.
    let same = sync(&world).await.unwrap();
    assert_eq!(same.result, ReportResult::NothingToDo);
    assert!(same.notes.iter().any(|note| note.contains("bound to one version")), "{:?}", same.notes);

    roll_back(&world, to("1.0.0")).await.unwrap();
    assert_eq!(brought(&world), ["canary-two", "canary-two"]);
    store.take(KEY, 1);
    world.fleet.take_changes();
    let gone = rollback::run(&world.context, &world.site, &world.supply, then("1.1.0")).await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::Usage, "{gone}");
    assert!(gone.message.contains("/key:1 in fake-1"), "{gone}");
    assert_eq!(world.fleet.take_changes(), Vec::<String>::new());
    no_canary(&world).await;
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_comes_late_brings_what_is_current_then() {
    let (mut world, store) = rotating().await;
    world.site.settings.approval = serde_json::from_value(serde_json::json!({"needed": 1})).unwrap();
    assert_eq!(deploy(&world, "1.1.0").await.unwrap_err().kind, ErrorKind::InProgress);
    store.put(KEY, "canary-two");
    let boss = Context {
        actor: crate::domain::actor::Actor {
            name: "arn:aws:sts::1:assumed-role/boss/b".into(),
            source: crate::domain::actor::ActorSource::Sts,
            run_url: None,
        },
        ..world.context.clone()
    };
    let args = crate::commands::approve::Args { number: None, plan: None, reason: None };
    crate::commands::approve::approve(&boss, &world.site.name, args).await.unwrap();

    // Not there: it waits as before, and can be resumed again.
    store.refuse(Some(Refusal::Denied));
    assert_eq!(resume(&world).await.unwrap_err().kind, ErrorKind::Failed);
    assert_eq!(brought(&world), ["canary-one", "canary-one"]);
    store.refuse(None);
    resume(&world).await.unwrap();
    assert_eq!(brought(&world), ["canary-two", "canary-two"]);
    assert_eq!(recorded(&world.context, &world).await.as_deref(), Some("2"));
}
