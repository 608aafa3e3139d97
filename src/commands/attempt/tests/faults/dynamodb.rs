//! A real DynamoDB ledger that goes away for longer than the lease in the middle of a deploy. Time is real here: the
//! lease, and how long to try again, are a tenth of what they are for people.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::network::{Bad, FarFleet, FarLedger, Network};
use super::{Far, Story, at_rest, hosts, next};
use crate::aws::Limits;
use crate::commands::attempt::tests::{deploy, to, waves};
use crate::commands::deploy::{Args, run as deploy_with};
use crate::commands::error::ErrorKind;
use crate::commands::testing::{World, commit};
use crate::commands::{Context, Site};
use crate::domain::release::ReleaseRef;
use crate::ledger::dynamodb::tests::near_and_far;
use crate::ledger::dynamodb::tests::proxy::{self, Proxy};
use crate::ledger::retry::{Budget, RetryLedger};

const LEASE: Duration = Duration::from_secs(6);
/// Longer than the lease.
const AWAY: Duration = Duration::from_secs(8);
const LIMITS: Limits = Limits { attempt: Duration::from_secs(1), operation: Duration::from_secs(2) };
const BUDGET: Budget = Budget {
    first: Duration::from_millis(50),
    longest: Duration::from_millis(500),
    total: Duration::from_secs(2),
};

type Made = (World, Far, Proxy, [ReleaseRef; 3]);

/// Three hosts in two waves that serve 1.0.0, a 1.1.0 and a 1.2.0 on record, and a runner behind the proxy.
async fn make() -> Made {
    let (near, far, proxy) = near_and_far(LIMITS).await;
    let mut world = World::new(&waves::HOSTS, None);
    // Emulators on a busy machine take their time.
    world.context.ledger = Arc::new(RetryLedger::new(near, world.context.clock.clone(), Budget::default()));
    world.site.lease = LEASE;
    world.site.settings.wave_size = Some("2".parse().unwrap());
    world.site.settings.bake_seconds = 1;
    let old = world.release("1.0.0", &commit('a')).await;
    let new = world.release("1.1.0", &commit('b')).await;
    let other = world.release("1.2.0", &commit('c')).await;
    deploy(&world, "1.0.0").await.unwrap();
    // To set a client up takes longer than the limits allow to several at once.
    far.id().await.unwrap();
    let clock = &world.context.clock;
    let good = Network::new(Bad::Twice, u32::MAX, Duration::ZERO, clock);
    let (acknowledged, leases) = (Mutex::default(), Mutex::default());
    let ledger = Arc::new(FarLedger { inner: far, network: good.clone(), acknowledged, leases });
    let fleet =
        Arc::new(FarFleet { inner: world.fleet.clone(), network: good.clone(), tasks: Mutex::default() });
    let again = RetryLedger::new(ledger.clone(), clock.clone(), BUDGET);
    let context = Context { ledger: Arc::new(again), ..world.context.clone() };
    let site = Site { fleet: fleet.clone(), ..world.site.clone() };
    let far = Far { context, site, ledger, fleet, network: good };
    (world, far, proxy, [old, new, other])
}

/// The ledger is away from a request on. False when the deploy was over by then.
async fn away(bad: proxy::Bad, at: u32, made: Made) -> bool {
    let what = format!("{bad:?} from request {at} on");
    let (world, far, proxy, [old, new, _]) = made;
    let zero = Instant::now() - world.context.clock.elapsed();
    proxy.away(bad, at, AWAY);
    let result = far.run(&world, Story::Deploy).await;
    let Some(struck) = proxy.struck() else {
        assert!(result.is_ok(), "{what}: nothing happened, and {result:?}");
        return false;
    };
    // What was begun may come to its end. Nothing else is begun while nobody can write it down.
    let began = struck - zero;
    let back = began + AWAY;
    let begun = far.fleet.tasks.lock().unwrap().iter().filter(|at| **at > began && **at < back).count();
    assert!(begun <= 1, "{what}: {begun} tasks were begun");
    // Once there is a plan, the outage costs time and nothing else: it is shorter than five leases.
    let active = world.context.environment(&world.stream()).await.unwrap().active;
    let active = world.context.deployment(&world.stream(), active).await.unwrap();
    assert!(active.is_none_or(|active| active.plan.is_none()), "{what}: {result:?}");
    let left = hosts(&world);
    // It comes back; nobody does anything until then.
    tokio::time::sleep_until((struck + AWAY).into()).await;
    assert_eq!(hosts(&world), left, "{what}: hosts stay as they are");
    far.keeps(&world, &what).await;
    match result {
        Ok(_) => assert_eq!(at_rest(&world, &what).await, new, "{what}"),
        Err(error) => {
            let told = matches!(error.kind, ErrorKind::Failed | ErrorKind::Unsafe | ErrorKind::Held);
            assert!(told && !error.hints.is_empty(), "{what}: {:?} {error}", error.kind);
            next(&world, Story::Deploy, &error, &what).await;
            let home = at_rest(&world, &what).await;
            assert!(home == new || home == old, "{what}");
        }
    }
    far.keeps(&world, &what).await;
    true
}

/// A few side by side: most of it is waiting, and the limits are short.
async fn everywhere(bad: proxy::Bad, places: &[[u32; 4]]) {
    let mut struck = 0;
    for four in places {
        let mut cases = Vec::new();
        for &at in four {
            cases.push(Box::pin(away(bad, at, make().await)));
        }
        struck += futures_util::future::join_all(cases).await.into_iter().filter(|struck| *struck).count();
    }
    println!("{bad:?}: {struck} places");
    assert_eq!(struck, places.len() * 4, "a deploy asks for more than that");
}

macro_rules! away {
    ($($name:ident: $bad:ident at $places:expr),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "needs dynoxide: tests/aws/run"]
        async fn $name() {
            everywhere(proxy::Bad::$bad, &$places).await;
        }
    )+};
}

away! {
    invariant_6_a_table_that_takes_no_connection_for_longer_than_the_lease: DroppedBefore at [[5, 20, 35, 50]],
    invariant_6_a_table_that_never_answers_for_longer_than_the_lease: HalfOpen at [[0, 8, 16, 24], [32, 40, 48, 56]],
    invariant_6_a_table_whose_answers_are_lost_for_longer_than_the_lease: Silent at [[4, 12, 20, 28], [36, 44, 52, 60]],
    invariant_6_a_table_that_is_throttled_for_longer_than_the_lease: Throttled at [[10, 25, 40, 55]],
}

/// Only the first runner's way is cut, from a request on; the second takes the lease over meanwhile.
async fn taken_over(at: u32, made: Made) {
    let what = format!("request {at}");
    let (world, far, proxy, [.., other]) = made;
    // Nothing of it arrives: a renewal that does would keep the lease its own.
    proxy.away(proxy::Bad::HalfOpen, at, AWAY * 4);
    let second = async {
        while proxy.struck().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let args = Args { target: to("1.2.0"), lock_wait: Duration::from_secs(60), ..Args::default() };
        deploy_with(&world.context, &world.site, &world.supply, args).await
    };
    let both = async { tokio::join!(far.run(&world, Story::Deploy), second) };
    let (first, second) = tokio::time::timeout(Duration::from_secs(90), Box::pin(both)).await.unwrap();
    second.unwrap_or_else(|error| panic!("{what}: {error} {:?}", error.details));
    let error = first.expect_err(&what);
    let told = matches!(error.kind, ErrorKind::Held | ErrorKind::Unsafe | ErrorKind::Failed);
    assert!(told, "{what}: {:?} {error}", error.kind);
    assert_eq!(at_rest(&world, &what).await, other, "{what}");
    far.keeps(&world, &what).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs dynoxide: tests/aws/run"]
async fn invariant_3_another_runner_takes_over_a_table_that_the_first_cannot_reach() {
    let mut cases = Vec::new();
    for at in (8..=40).step_by(8) {
        cases.push(Box::pin(taken_over(at, make().await)));
    }
    futures_util::future::join_all(cases).await;
}
