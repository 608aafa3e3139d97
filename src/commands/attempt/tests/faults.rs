//! Every kind of network fault at every call to ledger, artifacts and hosts, of a deploy and of a rollback over three
//! hosts. What was acknowledged stays, what is said is so, and one more command comes home.
//!
//! A tenth of it runs with every test, chosen by `RELMAN_SEED`, which a failure names; `make soak` runs all of it.

mod dynamodb;
mod network;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{deploy, to, waves};
use crate::commands::deploy::{Args, Report, run as deploy_with};
use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::testing::{World, commit};
use crate::commands::{Context, Site, resume, rollback};
use crate::domain::release::ReleaseRef;
use crate::ledger::retry::{Budget, RetryLedger};
use network::{Bad, FarArtifacts, FarFleet, FarLedger, Network};

/// Where the fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Ledger,
    Artifacts,
    Hosts,
}

/// What is run into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    Deploy,
    RollBack,
}

/// One case of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Case {
    story: Story,
    port: Port,
    bad: Bad,
    at: u32,
    lasts: Duration,
}

/// A world seen through a bad network.
struct Far {
    context: Context,
    site: Site,
    ledger: Arc<FarLedger>,
    fleet: Arc<FarFleet>,
    network: Arc<Network>,
}

impl Far {
    fn new(world: &World, port: Port, bad: Bad, at: u32, lasts: Duration) -> Self {
        let clock = &world.context.clock;
        let network = Network::new(bad, at, lasts, clock);
        let good = Network::new(bad, u32::MAX, Duration::ZERO, clock);
        let of = |this: Port| if this == port { network.clone() } else { good.clone() };
        let ledger = Arc::new(FarLedger {
            inner: world.ledger.clone(),
            network: of(Port::Ledger),
            acknowledged: Mutex::default(),
            leases: Mutex::default(),
        });
        let fleet = Arc::new(FarFleet {
            inner: world.fleet.clone(),
            network: of(Port::Hosts),
            tasks: Mutex::default(),
        });
        let artifacts = FarArtifacts { inner: world.artifacts.clone(), network: of(Port::Artifacts) };
        let context = Context {
            ledger: Arc::new(RetryLedger::new(ledger.clone(), clock.clone(), Budget::default())),
            artifacts: Arc::new(artifacts),
            ..world.context.clone()
        };
        let site = Site { fleet: fleet.clone(), ..world.site.clone() };
        Self { context, site, ledger, fleet, network }
    }

    async fn run(&self, world: &World, story: Story) -> Result<Report, CommandError> {
        match story {
            Story::Deploy => {
                let args = Args { target: to("1.1.0"), ..Args::default() };
                deploy_with(&self.context, &self.site, &world.supply, args).await
            }
            Story::RollBack => {
                let args = rollback::Args::default();
                rollback::run(&self.context, &self.site, &world.supply, args).await
            }
        }
    }

    /// No acknowledged entry is lost: each is in its stream, as it was acknowledged.
    async fn keeps(&self, world: &World, what: &str) {
        let ledger = &world.context.ledger;
        let verified = crate::ledger::verify::verify(&**ledger).await.unwrap();
        assert!(verified.holds(), "{what}: {verified:?}");
        let entries = ledger.read(&world.stream(), 0, 10_000).await.unwrap();
        for sealed in &*self.ledger.acknowledged.lock().unwrap() {
            assert!(entries.contains(sealed), "{what}: {:?} was acknowledged and is lost", sealed.entry);
        }
        for eid in &*self.ledger.leases.lock().unwrap() {
            let found = entries.iter().filter(|sealed| sealed.entry.eid == *eid).count();
            assert_eq!(found, 1, "{what}: the entry {eid} of a lease was acknowledged");
        }
    }
}

/// Three hosts in two waves that serve 1.0.0, and a 1.1.0 that serves if a rollback is to come.
async fn world(story: Story) -> (World, ReleaseRef, ReleaseRef) {
    let (mut world, old, new) = waves::world(Some("2"), 0).await;
    if story == Story::RollBack {
        deploy(&world, "1.1.0").await.unwrap();
    }
    world.site.settings.bake_seconds = 15;
    (world, old, new)
}

/// What each host serves, and whether a shift is open.
fn hosts(world: &World) -> Vec<(Option<ReleaseRef>, bool)> {
    let one = |host: &str| world.fleet.edit(host, |machine| machine.trial.is_some());
    waves::HOSTS.iter().map(|host| (world.fleet.serving(host), one(host))).collect()
}

/// Nothing is under way, and every host serves for good what is recorded.
async fn at_rest(world: &World, what: &str) -> ReleaseRef {
    let environment = world.context.environment(&world.stream()).await.unwrap();
    assert_eq!(environment.active, None, "{what}");
    let serving = world.context.deployment(&world.stream(), environment.serving).await.unwrap().unwrap();
    let recorded = (Some(serving.release.clone()), false);
    assert_eq!(hosts(world), vec![recorded; 3], "{what}");
    serving.release
}

/// The one command that follows: what the error says, as it is typed.
async fn next(world: &World, story: Story, error: &CommandError, what: &str) {
    let lock_wait = Duration::from_secs(180);
    let begun = world.context.environment(&world.stream()).await.unwrap().active.is_some();
    let result = match story {
        _ if begun => {
            let args = resume::Args { lock_wait, ..resume::Args::default() };
            resume::run(&world.context, &world.site, args).await
        }
        Story::Deploy => {
            let args = Args { target: to("1.1.0"), lock_wait, ..Args::default() };
            deploy_with(&world.context, &world.site, &world.supply, args).await
        }
        Story::RollBack => {
            let args = rollback::Args { target: to("1.0.0"), yes: true, ..rollback::Args::default() };
            rollback::run(&world.context, &world.site, &world.supply, args).await
        }
    };
    if let Err(second) = result {
        // Closed without a plan, or gone back: also an end.
        let home = matches!(second.kind, ErrorKind::Failed | ErrorKind::Returned);
        assert!(home, "{what}: {error} {:?}, then {second} {:?}", error.details, second.details);
    }
}

/// Runs a case. False when the run had no such call.
async fn survives(case: Case) -> bool {
    let Case { story, port, bad, at, lasts } = case;
    let what = format!("{case:?}");
    let (world, old, new) = world(story).await;
    let before = hosts(&world);
    let far = Far::new(&world, port, bad, at, lasts);
    let result = far.run(&world, story).await;
    if far.network.began().is_none() {
        assert!(result.is_ok(), "{what}: nothing happened, and {result:?}");
        return false;
    }
    far.keeps(&world, &what).await;
    let aim = if story == Story::Deploy { &new } else { &old };
    match &result {
        Ok(_) => assert_eq!(&at_rest(&world, &what).await, aim, "{what}"),
        Err(error) => {
            match error.kind {
                // 1 says that no host was touched, and 3 that each is as it was.
                ErrorKind::Failed | ErrorKind::Returned => {
                    assert_eq!(hosts(&world), before, "{what}: {error}");
                }
                ErrorKind::Unsafe | ErrorKind::Held => {}
                kind => panic!("{what}: {kind:?} {error}"),
            }
            assert!(!error.hints.is_empty(), "{what}: {error}");
            next(&world, story, error, &what).await;
            let home = at_rest(&world, &what).await;
            assert!(home == old || home == new, "{what}");
        }
    }
    far.keeps(&world, &what).await;
    true
}

/// Every kind of fault, once and for longer than anybody tries again.
fn kinds() -> impl Iterator<Item = (Story, Port, Bad, Duration)> {
    let all = [Story::Deploy, Story::RollBack].into_iter();
    let all = all.flat_map(|story| [Port::Ledger, Port::Artifacts, Port::Hosts].map(|port| (story, port)));
    let all = all.flat_map(|(story, port)| Bad::ALL.map(|bad| (story, port, bad)));
    all.flat_map(|(story, port, bad)| [0, 45].map(|s| (story, port, bad, Duration::from_secs(s))))
}

/// Runs the cases that are chosen; how many there were, and of how many.
async fn matrix(chosen: impl Fn(u32) -> bool) -> (u32, u32) {
    const STEPS: u32 = 500;
    let (mut ran, mut all) = (0, 0);
    for (story, port, bad, lasts) in kinds() {
        for at in 0.. {
            assert!(at < STEPS, "it never ends");
            all += 1;
            // The last one is found by running it.
            let here = chosen(all);
            ran += u32::from(here);
            if here && !survives(Case { story, port, bad, at, lasts }).await {
                break;
            }
            if !here && !reaches(story, port, at).await {
                break;
            }
        }
    }
    (ran, all)
}

/// Whether a run makes that many calls to a port.
async fn reaches(story: Story, port: Port, at: u32) -> bool {
    use std::collections::BTreeMap;
    static CALLS: Mutex<BTreeMap<(bool, u8), u32>> = Mutex::new(BTreeMap::new());
    let key = (story == Story::Deploy, port as u8);
    let known = CALLS.lock().unwrap().get(&key).copied();
    let calls = match known {
        Some(calls) => calls,
        None => {
            let (world, ..) = world(story).await;
            let far = Far::new(&world, port, Bad::Twice, u32::MAX - 1, Duration::ZERO);
            far.run(&world, story).await.unwrap();
            *CALLS.lock().unwrap().entry(key).or_insert_with(|| far.network.calls())
        }
    };
    at < calls
}

/// A number that is as good as any: the case's, mixed with the seed (SplitMix64).
fn mixed(seed: u64, case: u32) -> u64 {
    let mut z = seed.wrapping_add(u64::from(case).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[tokio::test(start_paused = true)]
#[ignore = "long: make test"]
async fn long_invariant_6_a_tenth_of_all_network_faults_comes_home() {
    let day = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 86_400;
    let given = std::env::var("RELMAN_SEED").ok().map(|text| text.parse().expect("RELMAN_SEED is a number"));
    let seed: u64 = given.unwrap_or(day);
    println!("RELMAN_SEED={seed}");
    let (ran, all) = matrix(|case| mixed(seed, case).is_multiple_of(10)).await;
    println!("{ran} of {all} network faults");
    assert!(ran * 20 > all && ran > 100, "{ran} of {all}");
}

#[tokio::test(start_paused = true)]
#[ignore = "all of it: make soak"]
async fn soak_invariant_6_every_network_fault_comes_home() {
    let (ran, all) = matrix(|_| true).await;
    println!("{ran} of {all} network faults");
    assert_eq!(ran, all);
}

/// The ledger is away from its call `at` on, for longer than the lease.
async fn away(at: u32, seconds: u64, bad: Bad, then: &str) -> bool {
    let what = format!("call {at}, {seconds} s {bad:?}, then {then}");
    let (world, old, new) = world(Story::Deploy).await;
    let other = world.release("1.2.0", &commit('c')).await;
    let far = Far::new(&world, Port::Ledger, bad, at, Duration::from_secs(seconds));
    let result = far.run(&world, Story::Deploy).await;
    let Some(began) = far.network.began() else { return false };
    // What was begun may come to its end. Nothing else is begun while nobody can write it down.
    let back = began + Duration::from_secs(seconds);
    let begun = far.fleet.tasks.lock().unwrap().iter().filter(|at| **at > began && **at < back).count();
    assert!(begun <= 1, "{what}: {begun} tasks were begun");
    far.keeps(&world, &what).await;
    let left = hosts(&world);
    world.context.clock.sleep(Duration::from_secs(3_600)).await;
    assert_eq!(hosts(&world), left, "{what}: hosts stay as they are");
    // Once there is a plan, an outage that is shorter than the patience costs time and nothing else.
    let active = world.context.environment(&world.stream()).await.unwrap().active;
    let active = world.context.deployment(&world.stream(), active).await.unwrap();
    let planned = active.is_some_and(|active| active.plan.is_some());
    let short = seconds < world.site.lease.as_secs() * 5;
    assert!(!(planned && short), "{what}: {result:?}");
    if result.is_ok() {
        // Only that the lease was given back, or the last look at it, was lost.
        assert_eq!(at_rest(&world, &what).await, new, "{what}");
        return true;
    }
    let error = result.unwrap_err();
    match then {
        "again" => {
            next(&world, Story::Deploy, &error, &what).await;
            let home = at_rest(&world, &what).await;
            assert!(home == new || home == old, "{what}");
        }
        _ => {
            let lock_wait = Duration::from_secs(180);
            let args = Args { target: to("1.2.0"), lock_wait, ..Args::default() };
            deploy_with(&world.context, &world.site, &world.supply, args).await.unwrap();
            assert_eq!(at_rest(&world, &what).await, other, "{what}");
        }
    }
    far.keeps(&world, &what).await;
    true
}

#[tokio::test(start_paused = true)]
#[ignore = "long: make test"]
async fn long_invariant_6_a_ledger_that_is_away_for_longer_than_the_lease_stops_everything_and_loses_nothing()
{
    for then in ["again", "another"] {
        for (seconds, bad) in [(90, Bad::DroppedBefore), (240, Bad::HalfOpen), (900, Bad::Silent)] {
            let mut at = 0;
            while away(at, seconds, bad, then).await {
                at += 1;
                assert!(at < 500, "it never ends");
            }
            assert!(at > 40, "only {at} calls");
        }
    }
}

/// Only the first runner's way to the ledger is cut; the second takes the lease over when it has run out.
#[tokio::test(start_paused = true)]
async fn invariant_3_who_is_cut_off_from_the_ledger_changes_no_host_after_another_took_over() {
    for at in (0..60).step_by(3) {
        let what = format!("call {at}");
        let (world, ..) = world(Story::Deploy).await;
        let other = world.release("1.2.0", &commit('c')).await;
        let far = Far::new(&world, Port::Ledger, Bad::HalfOpen, at, Duration::from_secs(600));
        let second = async {
            world.context.clock.sleep(Duration::from_secs(5)).await;
            let lock_wait = Duration::from_secs(300);
            let args = Args { target: to("1.2.0"), lock_wait, ..Args::default() };
            deploy_with(&world.context, &world.site, &world.supply, args).await
        };
        let (first, second) = tokio::join!(far.run(&world, Story::Deploy), second);
        second.unwrap_or_else(|error| panic!("{what}: {error} {:?}", error.details));
        if let Err(error) = &first {
            let told = matches!(error.kind, ErrorKind::Held | ErrorKind::Unsafe | ErrorKind::Failed);
            assert!(told, "{what}: {error}");
        }
        world.context.clock.sleep(Duration::from_secs(3_600)).await;
        assert_eq!(at_rest(&world, &what).await, other, "{what}");
        far.keeps(&world, &what).await;
    }
}

/// Who waits for the ledger can be asked to stop, before a CI system kills it.
#[tokio::test(start_paused = true)]
async fn invariant_6_an_interrupt_is_heard_while_the_ledger_is_away() {
    for at in (20..44).step_by(4) {
        let (world, ..) = world(Story::Deploy).await;
        let far = Far::new(&world, Port::Ledger, Bad::HalfOpen, at, Duration::from_secs(3_600));
        let clock = &world.context.clock;
        let asked = async {
            while far.network.began().is_none() {
                clock.sleep(Duration::from_millis(100)).await;
            }
            clock.sleep(Duration::from_secs(30)).await;
            far.context.interrupt.raise();
            clock.elapsed()
        };
        let run = async { (far.run(&world, Story::Deploy).await, clock.elapsed()) };
        let ((result, ended), asked) = tokio::join!(run, asked);
        let error = result.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Interrupted, "call {at}: {error}");
        // GitHub kills ten seconds after it asked.
        assert!(ended - asked < Duration::from_secs(9), "call {at}: {:?}", ended - asked);
    }
}
