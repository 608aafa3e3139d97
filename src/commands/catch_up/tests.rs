//! A host that comes up by itself, over fakes. The clock stands still between waits.

mod dynamodb;

use super::*;
use crate::commands::deploy::{self, ReportResult};
use crate::commands::status;
use crate::commands::testing::{World, commit, run_config};
use crate::domain::deployment::Holder;
use crate::domain::event::Event;
use crate::domain::release::ReleaseRef;
use crate::host::fake::FakeFleet;
use crate::ledger::{Ledger as _, Take};
use std::sync::Arc;

const HERE: &str = "web-9";

/// Whoever deploys sees both hosts; on the new one there is only itself.
struct Scene {
    world: World,
    here: Arc<FakeFleet>,
    site: Site,
}

/// One host serves 1.0.0 as deployment 1; another has just come up, and serves nothing.
async fn fleet() -> (Scene, ReleaseRef) {
    let world = World::new(&["web-1"], None);
    let old = world.release("1.0.0", &commit('a')).await;
    deploy_to(&world, &world.site).await;
    let here = Arc::new(FakeFleet::ready(&[HERE]));
    let site = Site { fleet: here.clone(), ..world.site.clone() };
    (Scene { world, here, site }, old)
}

async fn deploy_to(world: &World, site: &Site) -> deploy::Report {
    let args = deploy::Args { target: Some("1.0.0".parse().unwrap()), ..deploy::Args::default() };
    deploy::run(&world.context, site, &world.supply, args).await.unwrap()
}

impl Scene {
    async fn catch_up(&self) -> Result<Report, CommandError> {
        run(&self.world.context, &self.site, Args { lock_wait: Duration::from_secs(900) }).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_host_serves_what_is_committed_and_the_ledger_is_only_read() {
    let (fleet, old) = fleet().await;
    let before = fleet.world.ledger.head(&fleet.world.stream()).await.unwrap();
    let report = fleet.catch_up().await.unwrap();
    assert_eq!(report.result, CatchUpResult::CaughtUp);
    assert_eq!(report.digest, Some(old.digest.clone()));
    assert_eq!(fleet.here.serving(HERE), Some(old.clone()));
    assert_eq!(fleet.world.ledger.head(&fleet.world.stream()).await.unwrap(), before);
    let verbs = ["claim", "prepare", "shift", "commit", "retire"].map(|verb| format!("{HERE} {verb}"));
    assert_eq!(fleet.here.take_changes(), verbs);
    // A second boot finds nothing to do.
    assert_eq!(fleet.catch_up().await.unwrap().result, CatchUpResult::Settled);
    assert_eq!(fleet.here.take_changes(), Vec::<String>::new());
    // Whoever looks from outside finds the host as the ledger wants it, and a deploy finds nothing to do.
    let seen = status::run(&fleet.world.context, &fleet.site).await.unwrap();
    assert!(!seen.differs, "{seen:?}");
    let report = deploy_to(&fleet.world, &fleet.site).await;
    assert_eq!(report.result, ReportResult::NothingToDo, "a host that joined by itself is settled");
}

#[tokio::test(start_paused = true)]
async fn without_a_committed_release_nothing_is_served() {
    let world = World::new(&[HERE], None);
    let report = run(&world.context, &world.site, Args::default()).await.unwrap();
    assert_eq!(report.result, CatchUpResult::NothingRecorded);
    let first = world.release("1.0.0", &commit('a')).await;
    world.begin(1, &first, &run_config(8000)).await;
    let error = run(&world.context, &world.site, Args::default()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Held, "{error}");
    assert_eq!(world.fleet.take_changes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn invariant_1_beside_a_deploy_a_new_host_serves_what_is_committed_and_then_what_was() {
    let (fleet, old) = fleet().await;
    let new = fleet.world.release("1.1.0", &commit('b')).await;
    let lease = fleet.world.begin(2, &new, &run_config(8000)).await;
    let (context, stream) = (&fleet.world.context, fleet.world.stream());
    let deploying = async {
        for _ in 0..30 {
            context.clock.sleep(Duration::from_secs(10)).await;
            context.ledger.renew(&lease, context.clock.token()).await.unwrap();
        }
        assert_eq!(fleet.here.serving(HERE), Some(old.clone()), "never what is on trial");
        let fence = fleet.here.edit(HERE, |machine| machine.fence.clone()).unwrap();
        assert!(fence.admits(&lease.fence), "the deploy under way may claim the host");
        let append = |event| context.ledger.append(&stream, Some(&lease.fence), context.draft(event));
        append(Event::Committed { deployment: 2 }).await.unwrap();
        context.ledger.release(&lease, context.draft(Event::LeaseReleased {})).await.unwrap();
    };
    let (report, ()) = tokio::join!(fleet.catch_up(), deploying);
    assert_eq!(report.unwrap().digest, Some(new.digest.clone()));
    assert_eq!(fleet.here.serving(HERE), Some(new));
}

#[tokio::test(start_paused = true)]
async fn invariant_3_a_host_that_a_deploy_has_claimed_is_left_to_it() {
    let (fleet, _) = fleet().await;
    let new = fleet.world.release("1.1.0", &commit('b')).await;
    let lease = fleet.world.begin(2, &new, &run_config(8000)).await;
    fleet.here.edit(HERE, |machine| machine.fence = Some(lease.fence.clone()));
    let error = run(&fleet.world.context, &fleet.site, Args::default()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Held);
    assert_eq!(fleet.here.take_changes(), Vec::<String>::new());
    // A later lease than the ledger told of: this boot came late.
    let late = Fence { number: lease.fence.number + 1, nonce: fleet.world.context.clock.token() };
    fleet.here.edit(HERE, |machine| machine.fence = Some(late));
    fleet.world.ledger.release(&lease, fleet.world.context.draft(Event::LeaseReleased {})).await.unwrap();
    assert_eq!(fleet.catch_up().await.unwrap_err().kind, ErrorKind::Held);
    assert_eq!(fleet.here.serving(HERE), None);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_died_does_not_keep_a_host_from_serving() {
    let (fleet, old) = fleet().await;
    let context = &fleet.world.context;
    let holder = Holder {
        nonce: context.clock.token(),
        actor: context.actor.clone(),
        machine: "elsewhere".to_owned(),
        pid: 1,
        purpose: "deploy v1.1.0".to_owned(),
        since: context.clock.now(),
    };
    // How long a lease lasts is measured by the system's clock, which does not stand still.
    let ttl = Duration::from_millis(10);
    let draft = context.draft(Event::LeaseAcquired { holder, stolen: false });
    let lease = context.ledger.acquire(&fleet.world.stream(), &Take::IfFree, ttl, draft).await.unwrap();
    fleet.here.edit(HERE, |machine| machine.fence = Some(lease.fence));
    fleet.catch_up().await.unwrap();
    assert_eq!(fleet.here.serving(HERE), Some(old));
}

#[tokio::test(start_paused = true)]
async fn what_was_committed_and_does_not_run_after_a_reboot_is_brought_up_where_it_was() {
    let (fleet, old) = fleet().await;
    fleet.catch_up().await.unwrap();
    fleet.here.edit(HERE, |machine| {
        machine.reboot();
        (machine.slots[0].running, machine.slots[0].healthy) = (false, false);
    });
    let report = fleet.catch_up().await.unwrap();
    assert_eq!(report.result, CatchUpResult::CaughtUp);
    fleet.here.edit(HERE, |machine| {
        assert_eq!(machine.slots.len(), 1);
        assert!(machine.slots[0].running && machine.slots[0].release == old);
    });
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_up_says_whether_something_serves() {
    let (fleet, old) = fleet().await;
    fleet.here.set_unhealthy(&old.digest);
    let error = fleet.catch_up().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsafe, "{error}");
    assert_eq!(fleet.here.serving(HERE), None);
    assert!(error.details.iter().any(|line| line.contains("GET /healthz")), "{:?}", error.details);
}

#[tokio::test(start_paused = true)]
async fn a_host_comes_up_with_the_versions_that_the_others_have_or_those_of_now_when_they_are_gone() {
    const KEY: &str = "ssm:/relman/web/test/key";
    let (mut fleet, old) = fleet().await;
    let store = crate::secrets::fake::FakeStore::default();
    store.put(KEY, "one");
    let secrets = Arc::new(crate::secrets::Secrets {
        store: Some(Arc::new(store.clone())),
        ..crate::secrets::Secrets::default()
    });
    (fleet.world.site.secrets, fleet.site.secrets) = (secrets.clone(), secrets);
    fleet.world.site.run =
        serde_json::from_value(serde_json::json!({"port": 8000, "secrets": {"KEY": KEY}})).unwrap();
    deploy_to(&fleet.world, &fleet.world.site).await;
    store.put(KEY, "two");
    let brought = |fleet: &Scene| {
        let mut value = String::new();
        fleet.here.edit(HERE, |machine| value = machine.secrets["KEY"].expose().to_owned());
        value
    };
    let report = fleet.catch_up().await.unwrap();
    assert_eq!((report.result, report.notes.len()), (CatchUpResult::CaughtUp, 0));
    assert_eq!((brought(&fleet).as_str(), fleet.here.serving(HERE)), ("one", Some(old)));

    store.take(KEY, 1);
    let fresh = Arc::new(FakeFleet::ready(&[HERE]));
    (fleet.here, fleet.site.fleet) = (fresh.clone(), fresh);
    let report = fleet.catch_up().await.unwrap();
    assert_eq!(brought(&fleet), "two");
    assert!(report.notes.iter().any(|note| note.contains("relman secrets sync")), "{:?}", report.notes);

    store.refuse(Some(crate::secrets::Refusal::Denied));
    let fresh = Arc::new(FakeFleet::ready(&[HERE]));
    (fleet.here, fleet.site.fleet) = (fresh.clone(), fresh);
    let error = fleet.catch_up().await.unwrap_err();
    assert!(error.message.contains("access is denied"), "{error}");
    assert_eq!(fleet.here.take_changes(), Vec::<String>::new());
}
