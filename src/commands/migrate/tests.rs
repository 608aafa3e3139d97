mod dynamodb;

use super::*;
use crate::artifact::ArtifactError;
use crate::artifact::memory::MemoryArtifacts;
use crate::commands::testing::{World, run_config};
use crate::domain::id::{CommitSha, Digest};
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
    let begun = "begun-later".parse().unwrap();
    let refused =
        crate::commands::hold::set(&world.context, &begun, "a new stream".into()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Usage, "no stream begins in the old one: {refused}");
    tells_where_it_goes_on(world, &context, &report.to).await;
    for ledger in [&world.ledger, &new.ledger] {
        let verified = verify(&**ledger).await.unwrap();
        assert!(verified.holds(), "{:?}", verified.faults);
    }
}

/// What reads the old one says so, as text and as JSON; of the new one there is nothing to say.
async fn tells_where_it_goes_on(world: &World, new: &Context, to: &str) {
    use crate::cli::output::{self, Style};
    use crate::commands::{history, verify};

    let style = Style { color: false, width: Style::UNBOUNDED, now: world.context.clock.now() };
    let line = format!("This ledger is closed: it goes on in {to}\n");
    for (context, is_closed) in [(&world.context, true), (new, false)] {
        let listed = history::run(context, &world.site.name, history::Args::default()).await.unwrap();
        let args = verify::Args::default();
        let verified = verify::run(context, None, None, None, args).await.unwrap();
        let told = is_closed.then(|| to.to_owned());
        assert_eq!((&listed.moved_to, &verified.moved_to), (&told, &told));
        let texts = [output::history::show(&listed, &style), output::verify::show(&verified, &style)];
        assert!(texts.iter().all(|text| text.contains(&line) == is_closed), "{texts:?}");
        let json = [output::json(&listed).unwrap(), output::json(&verified).unwrap()];
        assert!(json.iter().all(|text| text.contains("\"moved_to\"") == is_closed), "{json:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_8_a_ledger_moves_byte_for_byte_and_the_old_one_is_closed() {
    let world = world().await;
    let new = new("new");
    let report = run(&world.context, &new.target, &[], TTL).await.unwrap();
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
    run(&world.context, &there.target, &[], TTL).await.unwrap();
    let back = new("back");
    let context = Context {
        ledger: there.ledger.clone(),
        artifacts: there.target.artifacts.clone(),
        ..world.context.clone()
    };
    let report = run(&context, &back.target, &[], TTL).await.unwrap();
    let moved = world.stream();
    let (first, last) = (entries(&*there.ledger, &moved).await, entries(&*back.ledger, &moved).await);
    assert_eq!(first[..first.len() - 1], last[..first.len() - 1]);
    assert_eq!(report.artifacts_missing, Vec::<String>::new());
    assert!(verify(&*back.ledger).await.unwrap().holds());
}

#[tokio::test(start_paused = true)]
async fn a_ledger_of_two_services_is_left_alone() {
    let world = world().await;
    let other = Context { service: "other".parse().unwrap(), ..world.context.clone() };
    crate::commands::hold::set(&other, &world.site.name, "theirs".into()).await.unwrap();
    let new = new("new");
    let refused = run(&world.context, &new.target, &[], TTL).await.unwrap_err();
    assert!(
        refused.kind == ErrorKind::Usage && refused.to_string().contains("other/production"),
        "{refused}"
    );
    assert!(new.ledger.streams().await.unwrap().is_empty(), "nothing was copied");
}

async fn dies_at_each(call: Call, moment: Moment, of_new: bool) -> u32 {
    for skip in 0.. {
        let world = world().await;
        let new = new("new");
        let ledger = if of_new { &new.ledger } else { &world.ledger };
        ledger.inject(Fault { call, skip, times: u32::MAX, moment, transient: false });
        if run(&world.context, &new.target, &[], TTL).await.is_ok() {
            return skip;
        }
        ledger.heal();
        for ledger in [&world.ledger, &new.ledger] {
            ledger.kill_holder(&world.stream());
        }
        let report = run(&world.context, &new.target, &[], TTL).await;
        let report = report.unwrap_or_else(|e| panic!("{call:?} {moment:?} {of_new} {skip}: {e}"));
        let lease = new.ledger.lease(&world.stream()).await.unwrap();
        assert!(
            lease.is_none_or(|lease| lease.released),
            "{call:?} {moment:?} {of_new} {skip}: the lock is free"
        );
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

/// A bucket that is not there.
struct Nowhere;

#[async_trait::async_trait]
impl Artifacts for Nowhere {
    fn location(&self) -> String {
        "s3://nowhere".to_owned()
    }

    async fn put(&self, _: &[u8]) -> Result<Digest, ArtifactError> {
        let (location, source) = (self.location(), "no such bucket".into());
        Err(ArtifactError::Unavailable { location, transient: false, source })
    }

    async fn get(&self, _: &Digest) -> Result<Vec<u8>, ArtifactError> {
        unreachable!("it is written first")
    }

    async fn exists(&self, _: &Digest) -> Result<bool, ArtifactError> {
        Ok(false)
    }
}

#[tokio::test(start_paused = true)]
async fn what_would_stop_it_half_way_is_said_before_anything_is_written() {
    let world = world().await;
    let bare = World::new(&["web-1"], None);
    crate::commands::hold::set(&bare.context, &bare.site.name, "no artifact yet".into()).await.unwrap();
    let nowhere = Target { artifacts: Arc::new(Nowhere), ..new("new").target };
    let error = run(&bare.context, &nowhere, &[], TTL).await.unwrap_err();
    assert!(error.to_string().contains("s3://nowhere"), "{error}");
    crate::commands::hold::set(&bare.context, &bare.site.name, "it goes on here".into()).await.unwrap();

    let other = Target {
        ledger: Arc::new(MemoryLedger::named(world.context.clock.token(), "other")),
        artifacts: Arc::new(MemoryArtifacts::default()),
    };
    let error = run(&world.context, &other, &[], TTL).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage, "{error}");

    let used = new("used");
    let stranger = Context { ledger: used.ledger.clone(), ..world.context.clone() };
    crate::commands::hold::set(&stranger, &world.site.name, "mine".into()).await.unwrap();
    let error = run(&world.context, &used.target, &[], TTL).await.unwrap_err();
    assert!(error.message.contains("history of its own"), "{error}");

    let three = world.release("0.3.0", &commit('c')).await;
    world.begin(3, &three, &run_config(8000)).await;
    let empty = new("empty");
    let error = run(&world.context, &empty.target, &[], TTL).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InProgress, "{error}");
    assert_eq!(empty.ledger.streams().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn an_artifact_that_was_lost_is_named_and_stops_nothing() {
    let world = world().await;
    let deployment = world.context.deployment(&world.stream(), Some(1)).await.unwrap().unwrap();
    world.artifacts.lose(&deployment.run);
    let new = new("new");
    let report = run(&world.context, &new.target, &[], TTL).await.unwrap();
    assert_eq!(report.artifacts_missing, [deployment.run.to_string()]);
}
