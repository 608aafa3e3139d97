mod dynamodb;

use super::*;
use crate::artifact::memory::MemoryArtifacts;
use crate::commands::testing::{World, run_config};
use crate::domain::id::CommitSha;
use crate::ledger::memory::{Call, Fault, MemoryLedger, Moment};

fn commit(digit: char) -> CommitSha {
    digit.to_string().repeat(40).parse().unwrap()
}

struct New {
    target: Target,
    ledger: Arc<MemoryLedger>,
}

fn new(name: &str) -> New {
    let ledger = Arc::new(MemoryLedger::named(MemoryLedger::default_id(), name));
    New { target: Target { ledger: ledger.clone(), artifacts: Arc::new(MemoryArtifacts::default()) }, ledger }
}

async fn world() -> World {
    let world = World::new(&["web-1"], None);
    let one = world.release("0.1.0", &commit('a')).await;
    let two = world.release("0.2.0", &commit('b')).await;
    world.deploy(1, &one, &run_config(8000)).await;
    world.deploy(2, &two, &run_config(8000)).await;
    world
}

async fn entries(ledger: &dyn Ledger, stream: &Stream) -> Vec<(String, String)> {
    let entries = ledger.read(stream, 0, 1_000).await.unwrap();
    entries.into_iter().map(|entry| (entry.body, entry.hash.0)).collect()
}

const TTL: Duration = Duration::from_secs(60);

/// The streams that hold what both have are the same, and only the new one goes on.
async fn assert_moved(world: &World, new: &New, report: &Report) {
    for moved in &report.streams {
        let (old, new) =
            (entries(&*world.ledger, &moved.stream).await, entries(&*new.ledger, &moved.stream).await);
        let length = usize::try_from(moved.entries).unwrap();
        assert_eq!(old[..length], new[..length], "{}", moved.stream);
        assert_eq!(old[length - 1].1, moved.hash.0);
        assert_eq!(old.len(), length + 1);
        assert!(old[length].0.contains("ledger.moved") && new[length].0.contains("ledger.imported"));
    }
    let context = Context { ledger: new.ledger.clone(), ..world.context.clone() };
    crate::commands::hold::set(&context, &world.site.name, "new".into()).await.unwrap();
    let refused =
        crate::commands::hold::set(&world.context, &world.site.name, "old".into()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Usage, "{refused}");
    assert!(refused.hints.iter().any(|hint| hint.contains(&report.to)), "{refused:?}");
    for ledger in [&world.ledger, &new.ledger] {
        let verified = verify(&**ledger).await.unwrap();
        assert!(verified.holds(), "{:?}", verified.faults);
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_8_a_ledger_moves_byte_for_byte_and_the_old_one_is_closed() {
    let world = world().await;
    let new = new("new");
    let report = run(&world.context, &new.target, TTL).await.unwrap();
    assert_eq!(report.streams.len(), 2);
    assert!(report.artifacts_copied > 0 && report.artifacts_missing.is_empty(), "{report:?}");
    assert_moved(&world, &new, &report).await;
    let lease = new.ledger.lease(&world.stream()).await.unwrap().unwrap();
    assert!(lease.released, "the deploy lock of the new ledger is free");
}

#[tokio::test(start_paused = true)]
async fn it_moves_back_again() {
    let world = world().await;
    let there = new("there");
    run(&world.context, &there.target, TTL).await.unwrap();
    let back = new("back");
    let context = Context {
        ledger: there.ledger.clone(),
        artifacts: there.target.artifacts.clone(),
        ..world.context.clone()
    };
    let report = run(&context, &back.target, TTL).await.unwrap();
    let moved = world.stream();
    let (first, last) = (entries(&*there.ledger, &moved).await, entries(&*back.ledger, &moved).await);
    assert_eq!(first[..first.len() - 1], last[..first.len() - 1]);
    assert_eq!(report.artifacts_missing, Vec::<String>::new());
    assert!(verify(&*back.ledger).await.unwrap().holds());
}

async fn dies_at_each(call: Call, moment: Moment, of_new: bool) -> u32 {
    for skip in 0.. {
        let world = world().await;
        let new = new("new");
        let ledger = if of_new { &new.ledger } else { &world.ledger };
        ledger.inject(Fault { call, skip, times: u32::MAX, moment, transient: false });
        if run(&world.context, &new.target, TTL).await.is_ok() {
            return skip;
        }
        ledger.heal();
        for ledger in [&world.ledger, &new.ledger] {
            ledger.kill_holder(&world.stream());
        }
        let report = run(&world.context, &new.target, TTL).await;
        let report = report.unwrap_or_else(|e| panic!("{call:?} {moment:?} {of_new} {skip}: {e}"));
        assert_moved(&world, &new, &report).await;
    }
    unreachable!()
}

/// Dies at each write to either ledger, before or after it took effect, and is run again.
#[tokio::test(start_paused = true)]
async fn invariant_6_it_is_brought_to_its_end_from_wherever_it_died() {
    let mut died = 0;
    for moment in [Moment::Before, Moment::After] {
        for call in [Call::Append, Call::Acquire, Call::Release] {
            for of_new in [false, true] {
                died += dies_at_each(call, moment, of_new).await;
            }
        }
    }
    assert!(died > 50, "{died}");
}

#[tokio::test(start_paused = true)]
async fn what_would_stop_it_half_way_is_said_before_anything_is_written() {
    let world = world().await;
    let other = Target {
        ledger: Arc::new(MemoryLedger::named(world.context.clock.token(), "other")),
        artifacts: Arc::new(MemoryArtifacts::default()),
    };
    let error = run(&world.context, &other, TTL).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage, "{error}");

    let used = new("used");
    let stranger = Context { ledger: used.ledger.clone(), ..world.context.clone() };
    crate::commands::hold::set(&stranger, &world.site.name, "mine".into()).await.unwrap();
    let error = run(&world.context, &used.target, TTL).await.unwrap_err();
    assert!(error.message.contains("history of its own"), "{error}");

    let three = world.release("0.3.0", &commit('c')).await;
    world.begin(3, &three, &run_config(8000)).await;
    let empty = new("empty");
    let error = run(&world.context, &empty.target, TTL).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InProgress, "{error}");
    assert_eq!(empty.ledger.streams().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn an_artifact_that_was_lost_is_named_and_stops_nothing() {
    let world = world().await;
    let deployment = world.context.deployment(&world.stream(), Some(1)).await.unwrap().unwrap();
    world.artifacts.lose(&deployment.run);
    let new = new("new");
    let report = run(&world.context, &new.target, TTL).await.unwrap();
    assert_eq!(report.artifacts_missing, [deployment.run.to_string()]);
}
