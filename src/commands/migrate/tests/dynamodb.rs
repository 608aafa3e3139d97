//! From SQLite into a table of dynoxide and back, with a network that goes away midway.

use std::path::Path;

use super::*;
use crate::ledger::dynamodb::tests::metered;
use crate::ledger::dynamodb::tests::proxy::Bad;
use crate::ledger::sqlite::{OpenMode, SqliteLedger};

/// A lease that a run left behind is free after this.
const SHORT: Duration = Duration::from_millis(500);

fn sqlite(path: &Path) -> Arc<dyn Ledger> {
    let id = MemoryLedger::default_id();
    Arc::new(SqliteLedger::open(path, OpenMode::Create { id }).unwrap())
}

fn target(ledger: &Arc<dyn Ledger>) -> Target {
    Target { ledger: ledger.clone(), artifacts: Arc::new(MemoryArtifacts::default()) }
}

/// Runs it until the lease of the run before has ended.
async fn at_last(context: &Context, target: &Target) -> Report {
    let begun = std::time::Instant::now();
    loop {
        match run(context, target, &[], SHORT).await {
            Ok(report) => return report,
            Err(error) => assert!(
                error.kind == ErrorKind::Held && begun.elapsed() < Duration::from_secs(30),
                "{error}: {:?}",
                error.details
            ),
        }
        tokio::time::sleep(SHORT).await;
    }
}

/// What the report says was moved is the same in both, to the byte.
async fn same(old: &dyn Ledger, new: &dyn Ledger, report: &Report) {
    assert_eq!(report.streams.len(), 2);
    for moved in &report.streams {
        let length = usize::try_from(moved.entries).unwrap();
        let (before, after) = (entries(old, &moved.stream).await, entries(new, &moved.stream).await);
        assert_eq!(before[..length], after[..length], "{}", moved.stream);
        assert_eq!(before[length - 1].1, moved.hash.0, "the head that is reported");
    }
    for ledger in [old, new] {
        let verified = verify(ledger).await.unwrap();
        assert!(verified.holds(), "{:?}", verified.faults);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn invariant_8_sqlite_moves_into_a_table_and_back_however_often_it_is_cut_off() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let (first, last) = (folder.path().join("first.db"), folder.path().join("last.db"));
    let old = sqlite(&first);
    for stream in world.ledger.streams().await.unwrap() {
        for entry in world.ledger.read(&stream, 0, 1_000).await.unwrap() {
            old.import(&entry).await.unwrap();
        }
        // What was copied goes on only once that is said.
        let imported = Event::LedgerImported { from: "memory".into() };
        old.append(&stream, None, world.context.draft(imported)).await.unwrap();
    }
    drop(old);

    let (table, proxy) = metered(MemoryLedger::default_id()).await;
    for written in [0, 3, 7] {
        proxy.plan(".TransactWriteItems", Bad::Throttled, written, u32::MAX);
        let context = Context { ledger: sqlite(&first), ..world.context.clone() };
        run(&context, &target(&table), &[], SHORT).await.unwrap_err();
        assert!(proxy.heal() > 0, "it was cut off after {written}");
    }
    let old = sqlite(&first);
    let context = Context { ledger: old.clone(), ..world.context.clone() };
    let report = at_last(&context, &target(&table)).await;
    same(&*old, &*table, &report).await;

    let back = sqlite(&last);
    let context = Context { ledger: table.clone(), ..world.context.clone() };
    let report = at_last(&context, &target(&back)).await;
    same(&*table, &*back, &report).await;
    for stream in world.ledger.streams().await.unwrap() {
        let (begun, ended) = (entries(&*old, &stream).await, entries(&*back, &stream).await);
        let length = begun.len() - 1;
        assert_eq!(begun[..length], ended[..length], "{stream}: all but what closed the first ledger");
    }
}
