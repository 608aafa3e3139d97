//! The embedded ledger: the contract, and what only a file can suffer.

use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::ledger::contract::ledger_contract;

fn id() -> Token {
    Token::from_bits([9; 16])
}

fn make() -> (Arc<dyn Ledger>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/ledger.db");
    (Arc::new(SqliteLedger::open(&path, OpenMode::Create { id: id() }).unwrap()), folder)
}

ledger_contract!(make());

mod at_once;
mod scale;

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use crate::domain::event::Event;
use crate::ledger::contract::fixture::*;

fn db(folder: &TempDir) -> PathBuf {
    folder.path().join("state/ledger.db")
}

fn open(folder: &TempDir) -> Arc<dyn Ledger> {
    Arc::new(SqliteLedger::open(&db(folder), OpenMode::Create { id: id() }).unwrap())
}

fn refused(folder: &TempDir, mode: OpenMode) -> String {
    match SqliteLedger::open(&db(folder), mode).map(|_| "it was opened") {
        Err(LedgerError::Unusable { reason, location }) => {
            assert_eq!(location.0, format!("sqlite:{}", db(folder).display()));
            reason
        }
        other => panic!("{other:?}"),
    }
}

fn sql(folder: &TempDir, statements: &str) -> rusqlite::Result<()> {
    Connection::open(db(folder)).unwrap().execute_batch(statements)
}

#[test]
fn the_library_has_no_wal_reset_race() {
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
}

#[tokio::test]
async fn it_is_private_durable_and_distrustful() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(&db(&folder), OpenMode::Create { id: id() }).unwrap();
    ledger.append(&production(), None, draft(hold("a"))).await.unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("state")), 0o700);
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        assert_eq!(mode(&folder.path().join("state").join(name)), 0o600, "{name}");
    }
    for (pragma, value) in
        [("journal_mode", "wal"), ("synchronous", "2"), ("trusted_schema", "0"), ("foreign_keys", "1")]
    {
        let connection = lock(&ledger.shared.connection);
        let found: rusqlite::types::Value =
            connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap();
        let found = match found {
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Integer(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(found, value, "{pragma}");
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_it_was_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let written = append(&open(&folder), &production(), hold("a")).await.unwrap();
    for mode in [OpenMode::Existing, OpenMode::Create { id: id() }, OpenMode::ReadOnly] {
        let ledger = SqliteLedger::open(&db(&folder), mode).unwrap();
        assert_eq!(ledger.id().await.unwrap(), id());
        assert_eq!(ledger.read(&production(), 0, 9).await.unwrap(), std::slice::from_ref(&written));
    }
}

#[tokio::test]
async fn it_is_opened_only_where_it_is_and_only_by_its_id() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(refused(&folder, OpenMode::Existing), "it does not exist");
    assert_eq!(refused(&folder, OpenMode::ReadOnly), "it does not exist");
    assert!(!db(&folder).exists(), "a refusal leaves nothing behind");
    open(&folder);
    let other = Token::from_bits([1; 16]);
    assert_eq!(
        refused(&folder, OpenMode::Create { id: other.clone() }),
        format!("it is ledger {}, not {other}", id())
    );
}

#[tokio::test]
async fn read_only_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(&folder), &production(), hold("a")).await.unwrap();
    let ledger: Arc<dyn Ledger> = Arc::new(SqliteLedger::open(&db(&folder), OpenMode::ReadOnly).unwrap());
    let error = append(&ledger, &production(), hold("b")).await.unwrap_err();
    assert!(
        matches!(&error, LedgerError::Unusable { reason, .. } if reason == "it was opened for reading alone"),
        "{error:?}"
    );
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 1);
}

#[tokio::test]
async fn what_is_no_ledger_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("state")).unwrap();
    for content in ["", "not a database, and longer than the sixteen bytes of SQLite's own header"] {
        std::fs::write(db(&folder), content).unwrap();
        let why = refused(&folder, OpenMode::Existing);
        assert!(why.starts_with("it is not a relman ledger"), "{content:?}: {why}");
    }
    std::fs::remove_file(db(&folder)).unwrap();
    sql(&folder, "CREATE TABLE other (a)").unwrap();
    for mode in [OpenMode::Existing, OpenMode::ReadOnly, OpenMode::Create { id: id() }] {
        assert_eq!(refused(&folder, mode), "it is not a relman ledger");
    }
}

#[tokio::test]
async fn a_truncated_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    let lease = take(&ledger, &production(), "ada").await;
    for number in 1..=20 {
        attempt(&ledger, &lease, number).await;
    }
    drop(ledger);
    let whole = std::fs::read(db(&folder)).unwrap();
    for length in [10, 512, 4096, 8192, whole.len() / 2, whole.len() - 4096] {
        std::fs::write(db(&folder), &whole[..length]).unwrap();
        let result = match SqliteLedger::open(&db(&folder), OpenMode::Existing) {
            Ok(ledger) => ledger.read(&production(), 0, 1000).await.map(|_| ()),
            Err(e) => Err(e),
        };
        assert!(matches!(result, Err(LedgerError::Unusable { .. })), "{length}: {result:?}");
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder);
    sql(&folder, "UPDATE meta SET schema_version = 2, min_client = '0.9.0'").unwrap();
    for mode in [OpenMode::Existing, OpenMode::ReadOnly, OpenMode::Create { id: id() }] {
        assert_eq!(refused(&folder, mode), "its schema is 2, which needs relman 0.9.0 or newer");
    }
}

#[tokio::test]
async fn invariant_8_the_file_itself_refuses_to_forget() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    let lease = take(&ledger, &production(), "ada").await;
    attempt(&ledger, &lease, 1).await;
    for (statement, reason) in [
        ("UPDATE entry SET body = '{}' WHERE seq = 2", "entries are append-only"),
        ("DELETE FROM entry WHERE seq = 3", "entries are append-only"),
        ("INSERT INTO entry VALUES ('web/production', 9, 'e', 'b', 'h')", "an entry must follow the head"),
        ("INSERT INTO entry VALUES ('web/other', 1, 'e', 'b', 'h')", "an entry must follow the head"),
        ("DELETE FROM stream", "a head is never deleted"),
        ("UPDATE stream SET seq = 1", "a head only grows"),
        ("UPDATE stream SET seq = 9, fence = 0", "a head only grows"),
        ("DELETE FROM lease", "a lease is never deleted"),
        ("UPDATE lease SET fence = 0", "a fence only grows"),
    ] {
        let error = sql(&folder, statement).unwrap_err().to_string();
        assert!(error.contains(reason), "{statement}: {error}");
    }
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 3);
}

#[tokio::test]
async fn two_values_see_each_others_holder_alive_until_it_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (open(&folder), open(&folder));
    let lease = take(&first, &production(), "ada").await;
    assert!(second.lease(&production()).await.unwrap().unwrap().is_held());
    let error = second.acquire(&production(), &Take::IfFree, TTL, acquired("bob")).await.unwrap_err();
    assert!(matches!(error, LedgerError::Held { .. }), "{error:?}");

    drop(first);
    let view = second.lease(&production()).await.unwrap().unwrap();
    assert!(view.holder_dead && !view.released && !view.is_held());
    let next = second.acquire(&production(), &Take::IfFree, TTL, acquired("bob")).await.unwrap();
    assert_eq!(next.fence.number, lease.fence.number + 1);
    assert!(open(&folder).lease(&production()).await.unwrap().unwrap().is_held());
}

#[tokio::test]
async fn a_preempted_holder_that_lives_on_does_not_vouch_for_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (open(&folder), open(&folder));
    take(&first, &production(), "ada").await;
    take(&second, &production(), "bob").await;
    assert!(first.lease(&production()).await.unwrap().unwrap().is_held());
    drop(second);
    assert!(first.lease(&production()).await.unwrap().unwrap().holder_dead);
}

#[tokio::test]
async fn lock_files_do_not_gather() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    let locks = || {
        let names = std::fs::read_dir(folder.path().join("state")).unwrap();
        let mut names: Vec<String> =
            names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name.ends_with(".lock"));
        names
    };
    for _ in 0..3 {
        take(&ledger, &production(), "ada").await;
    }
    assert_eq!(locks(), ["ledger.db.web.production.3.lock"]);
    drop(ledger);
    // A dead one leaves its file, and the next holder removes it.
    std::fs::write(folder.path().join("state/ledger.db.web.production.3.lock"), "").unwrap();
    let ledger = open(&folder);
    let lease = ledger.acquire(&production(), &Take::IfFree, TTL, acquired("bob")).await.unwrap();
    assert_eq!(locks(), ["ledger.db.web.production.4.lock"]);
    ledger.release(&lease, released()).await.unwrap();
    assert_eq!(locks(), [] as [&str; 0]);
}

/// A process of its own that takes the lease and waits to be killed. It gets the path on its standard input.
#[tokio::test]
#[ignore = "not a test: the process that the test below starts and kills"]
async fn a_holder_to_be_killed() {
    let mut path = String::new();
    std::io::stdin().read_line(&mut path).unwrap();
    let ledger: Arc<dyn Ledger> =
        Arc::new(SqliteLedger::open(Path::new(path.trim()), OpenMode::Existing).unwrap());
    take(&ledger, &production(), "ada").await;
    let mut more = String::new();
    std::io::stdin().read_line(&mut more).unwrap();
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_lease_of_a_killed_process_is_free_at_once() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ledger::sqlite::tests::a_holder_to_be_killed", "--ignored"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}", db(&folder).display()).unwrap();
    let child = Killed(child);
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while ledger.lease(&production()).await.unwrap().is_none() {
        assert!(std::time::Instant::now() < deadline, "the child never took the lease");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(ledger.lease(&production()).await.unwrap().unwrap().is_held());
    let error = ledger.acquire(&production(), &Take::IfFree, TTL, acquired("bob")).await.unwrap_err();
    assert!(matches!(error, LedgerError::Held { .. }), "{error:?}");

    drop(child);
    let lease = ledger.acquire(&production(), &Take::IfFree, TTL, acquired("bob")).await.unwrap();
    assert_eq!(lease.fence.number, 2);
    let entry = ledger.read(&production(), 1, 1).await.unwrap().remove(0).entry;
    assert!(matches!(entry.event, Event::LeaseAcquired { stolen: true, .. }));
}

#[tokio::test]
async fn a_busy_file_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    let other = Connection::open(db(&folder)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = tokio::spawn(async move { append(&ledger, &production(), hold("a")).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().entry.seq, 1);
}

#[test]
fn busy_is_transient_and_full_is_not() {
    let location = Location("sqlite:x".into());
    let error =
        |code| open::failed(&location, rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None));
    assert!(error(rusqlite::ffi::SQLITE_BUSY).is_transient());
    assert!(error(rusqlite::ffi::SQLITE_LOCKED).is_transient());
    for code in [rusqlite::ffi::SQLITE_FULL, rusqlite::ffi::SQLITE_IOERR, rusqlite::ffi::SQLITE_CANTOPEN] {
        assert!(matches!(error(code), LedgerError::Unavailable { transient: false, .. }));
    }
    assert!(matches!(error(rusqlite::ffi::SQLITE_READONLY), LedgerError::Unusable { .. }));
}

#[tokio::test]
async fn processes_that_create_at_once_make_one_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = db(&folder);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || SqliteLedger::open(&path, OpenMode::Create { id: id() }).map(|_| ()))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
    append(&open(&folder), &production(), hold("a")).await.unwrap();
}

/// A ledger of a million deployments answers as fast as one of ten only while no statement scans or sorts.
#[tokio::test]
async fn every_read_is_a_look_up() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder);
    let connection = Connection::open(db(&folder)).unwrap();
    for statement in [store::HEAD, store::READ, store::WRITTEN, store::GET, store::PAGE, store::LEASE] {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let count = plan.parameter_count();
        let steps: Vec<String> = plan
            .query_map(rusqlite::params_from_iter(vec![""; count]), |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(steps.len(), 1, "{statement}: {steps:?}");
        assert!(steps[0].starts_with("SEARCH "), "{statement}: {steps:?}");
    }
    let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", store::STREAMS)).unwrap();
    let steps: Vec<String> = plan.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
    assert!(!steps.iter().any(|step| step.starts_with("SCAN entry")), "{steps:?}");
}
