//! What is detected, and what is not.

mod records;

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::domain::deployment::{Outcome, Verdict};
use crate::domain::event::Event;
use crate::domain::id::Token;
use crate::ledger::contract::fixture::*;
use crate::ledger::memory::MemoryLedger;
use crate::ledger::sqlite::{OpenMode, SqliteLedger};

/// Lets a test do what the file itself refuses.
const UNLOCKED: &str =
    "DROP TRIGGER IF EXISTS entry_no_update; DROP TRIGGER IF EXISTS entry_no_delete; DROP TRIGGER IF EXISTS entry_gapless;
    DROP TRIGGER IF EXISTS stream_no_delete; DROP TRIGGER IF EXISTS stream_grows;
    DROP TRIGGER IF EXISTS lease_no_delete; DROP TRIGGER IF EXISTS lease_grows;";

/// A ledger of three streams: releases, two deployments in production, a hold in staging.
async fn fill(ledger: &Arc<dyn Ledger>) {
    for text in ["1.4.1", "1.4.2"] {
        append(ledger, &releases(), claimed(text, &commit("abc"))).await.unwrap();
        append(ledger, &releases(), bound(text)).await.unwrap();
    }
    let lease = take(ledger, &production(), "ada").await;
    succeed(ledger, &lease, 1).await;
    attempt(ledger, &lease, 2).await;
    let verdict =
        Event::VerdictMarked { version: version("1.4.2"), verdict: Verdict::Faulty, reason: "slow".into() };
    append(ledger, &production(), verdict).await.unwrap();
    ledger.release(&lease, released()).await.unwrap();
    append(ledger, &"web/staging".parse().unwrap(), hold("a")).await.unwrap();
}

struct Site {
    _folder: TempDir,
    path: PathBuf,
}

async fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger: Arc<dyn Ledger> =
        Arc::new(SqliteLedger::open(&path, OpenMode::Create { id: Token::from_bits([9; 16]) }).unwrap());
    fill(&ledger).await;
    Site { _folder: folder, path }
}

impl Site {
    fn change(&self, sql: &str) {
        let connection = Connection::open(&self.path).unwrap();
        connection.pragma_update(None, "foreign_keys", false).unwrap();
        connection.execute_batch(UNLOCKED).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// Gives the last entry of production another body, and the head its hash.
    fn change_last(&self, seq: u64, body: &str) {
        let hash = ChainHash::of_body(body);
        let head = format!("UPDATE stream SET hash = '{hash}' WHERE stream = 'web/production'");
        self.change(&format!("{}{head}", rehashed(seq, body)));
    }

    async fn verify(&self) -> Verified {
        verify(&SqliteLedger::open(&self.path, OpenMode::ReadOnly).unwrap()).await.unwrap()
    }

    /// The only fault, which is in production.
    async fn fault(&self) -> Fault {
        let verified = self.verify().await;
        assert!(!verified.holds());
        assert_eq!(verified.faults.len(), 1, "{:?}", verified.faults);
        assert_eq!(verified.streams.len(), 2, "the other streams hold");
        let fault = verified.faults[0].clone();
        assert_eq!(fault.stream, production());
        fault
    }
}

/// A body with its hash put right, as somebody does who knows the format.
fn rehashed(seq: u64, body: &str) -> String {
    let body = body.replace('\'', "''");
    let hash = ChainHash::of_body(&body);
    format!(
        "UPDATE entry SET body = '{body}', hash = '{hash}' WHERE stream = 'web/production' AND seq = {seq};"
    )
}

async fn body(site: &Site, seq: u64) -> String {
    let ledger = SqliteLedger::open(&site.path, OpenMode::ReadOnly).unwrap();
    ledger.read(&production(), seq - 1, 1).await.unwrap().remove(0).body
}

#[tokio::test]
async fn invariant_8_what_was_written_verifies() {
    let memory: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
    fill(&memory).await;
    let of_memory = verify(memory.as_ref()).await.unwrap();
    let of_sqlite = site().await.verify().await;
    for verified in [&of_memory, &of_sqlite] {
        assert!(verified.holds(), "{:?}", verified.faults);
        let counts: Vec<_> = verified
            .streams
            .iter()
            .map(|holds| (holds.stream.to_string(), holds.entries, holds.records))
            .collect();
        assert_eq!(
            counts,
            [
                ("web".to_owned(), 4, 9),
                ("web/production".to_owned(), 13, 5),
                ("web/staging".to_owned(), 1, 1)
            ]
        );
        assert_eq!(verified.unproven, [Unproven::Tail, Unproven::Rewrite, Unproven::World]);
    }
}

#[tokio::test]
async fn an_empty_ledger_verifies() {
    assert!(verify(&MemoryLedger::default()).await.unwrap().holds());
}

#[tokio::test]
async fn invariant_8_it_verifies_after_every_entry() {
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
    fill(&ledger).await;
    let replica: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
    let lease = take(&replica, &production(), "ada").await;
    for sealed in ledger.read(&production(), 1, 10).await.unwrap() {
        under(&replica, &lease, sealed.entry.event).await.unwrap();
        let verified = verify(replica.as_ref()).await.unwrap();
        assert!(verified.holds(), "{:?}", verified.faults);
    }
}

#[tokio::test]
async fn an_edited_body_is_named() {
    let site = site().await;
    site.change(
        "UPDATE entry SET body = replace(body, 'ada', 'eve') WHERE seq = 5 AND stream LIKE '%/prod%'",
    );
    let fault = site.fault().await;
    assert_eq!((fault.class, fault.seq), (Class::Tampered, Some(5)));
    assert_eq!(
        fault.detail,
        "entry 5 of web/production is not what was written: its bytes do not have its hash"
    );
}

#[tokio::test]
async fn an_edited_body_with_a_fresh_hash_breaks_the_chain_behind_it() {
    let site = site().await;
    let edited = body(&site, 5).await.replace("\"ada\"", "\"eve\"");
    site.change(&rehashed(5, &edited));
    let fault = site.fault().await;
    assert_eq!((fault.class, fault.seq), (Class::Tampered, Some(6)));
    assert!(fault.detail.contains("does not point to the entry before it"), "{}", fault.detail);
}

#[tokio::test]
async fn an_edited_last_entry_does_not_fit_the_head() {
    let site = site().await;
    let edited = body(&site, 13).await.replace("\"ada\"", "\"eve\"");
    site.change(&rehashed(13, &edited));
    let fault = site.fault().await;
    assert_eq!((fault.class, fault.seq), (Class::Tampered, Some(13)));
}

#[tokio::test]
async fn the_first_of_two_faults_is_named() {
    let site = site().await;
    let edited = body(&site, 4).await.replace("\"ada\"", "\"eve\"");
    site.change(&rehashed(4, &edited));
    site.change("UPDATE entry SET body = 'x' WHERE seq = 9 AND stream = 'web/production'");
    assert_eq!(site.fault().await.seq, Some(5));
}

#[tokio::test]
async fn a_deleted_entry_is_named() {
    let site = site().await;
    site.change("DELETE FROM entry WHERE seq = 4 AND stream = 'web/production'");
    let fault = site.fault().await;
    assert_eq!((fault.class, fault.seq), (Class::Tampered, Some(5)));
    assert!(fault.detail.ends_with("it follows entry 3"), "{}", fault.detail);
}

#[tokio::test]
async fn swapped_entries_are_named() {
    let site = site().await;
    site.change(
        "UPDATE entry SET seq = 99 WHERE seq = 3 AND stream = 'web/production';
         UPDATE entry SET seq = 3 WHERE seq = 4 AND stream = 'web/production';
         UPDATE entry SET seq = 4 WHERE seq = 99",
    );
    let fault = site.fault().await;
    assert_eq!((fault.class, fault.seq), (Class::Tampered, Some(3)));
    assert!(fault.detail.contains("another place"), "{}", fault.detail);
}

#[tokio::test]
async fn an_entry_of_another_stream_is_named() {
    let site = site().await;
    site.change(
        "UPDATE entry SET (body, hash) = (SELECT body, hash FROM entry WHERE stream = 'web/staging')
         WHERE seq = 1 AND stream = 'web/production'",
    );
    assert_eq!(site.fault().await.seq, Some(1));
}

#[tokio::test]
async fn a_cut_tail_with_its_head_left_is_named() {
    let site = site().await;
    site.change("DELETE FROM entry WHERE seq > 10 AND stream = 'web/production'");
    let fault = site.fault().await;
    assert_eq!((fault.class, fault.seq), (Class::Tampered, Some(10)));
    assert!(fault.detail.starts_with("the head is entry 13"), "{}", fault.detail);
}

#[tokio::test]
async fn a_rewound_head_with_its_entries_left_is_named() {
    for sql in [
        "UPDATE stream SET seq = 10, hash = (SELECT hash FROM entry WHERE seq = 10 AND stream = 'web/production')
           WHERE stream = 'web/production'",
        "DELETE FROM stream WHERE stream = 'web/production'",
        "UPDATE stream SET fence = 9 WHERE stream = 'web/production'",
    ] {
        let site = site().await;
        site.change(sql);
        let fault = site.fault().await;
        assert_eq!((fault.class, fault.seq), (Class::Tampered, Some(13)), "{sql}");
    }
}

#[tokio::test]
async fn a_stream_without_its_entries_is_named() {
    let site = site().await;
    site.change("DELETE FROM entry WHERE stream = 'web/production'");
    assert_eq!(site.fault().await.class, Class::Tampered);
}

/// What the chain alone cannot see, written down so that nobody claims it.
#[tokio::test]
async fn not_detected_a_tail_cut_together_with_its_head_and_records() {
    let site = site().await;
    site.change(
        "DELETE FROM entry WHERE seq > 12 AND stream = 'web/production';
         UPDATE stream SET seq = 12, hash = (SELECT hash FROM entry WHERE seq = 12 AND stream = 'web/production')
           WHERE stream = 'web/production';
         UPDATE lease SET released = 0",
    );
    let verified = site.verify().await;
    assert!(verified.holds(), "{:?}", verified.faults);
    assert_eq!(verified.streams[1].entries, 12);
    assert!(verified.unproven.contains(&Unproven::Tail));
}

#[tokio::test]
async fn not_detected_a_whole_stream_that_is_gone() {
    let site = site().await;
    site.change(
        "DELETE FROM entry WHERE stream = 'web/staging'; DELETE FROM stream WHERE stream = 'web/staging';
         DELETE FROM record WHERE partition = 'ENV#web#staging'",
    );
    let verified = site.verify().await;
    assert!(verified.holds());
    assert_eq!(verified.streams.len(), 2);
}

#[tokio::test]
async fn another_id_is_suspected_where_no_chain_fits_it() {
    let site = site().await;
    let other = Token::from_bits([8; 16]);
    site.change(&format!("UPDATE meta SET ledger_id = '{other}'"));
    let faults = site.verify().await.faults;
    assert_eq!(faults.len(), 3);
    for fault in faults {
        assert_eq!((fault.class, fault.seq), (Class::Tampered, Some(1)));
        assert!(fault.detail.contains("the ledger's id is not the one that it had"), "{}", fault.detail);
    }
}

#[tokio::test]
async fn a_stream_whose_name_is_none_does_not_hide_the_others() {
    let site = site().await;
    site.change("UPDATE entry SET stream = 'web/NO' WHERE stream = 'web/staging'");
    let ledger = SqliteLedger::open(&site.path, OpenMode::ReadOnly).unwrap();
    assert!(verify(&ledger).await.is_err(), "nobody knows of a stream");
    let verified = verify_known(&ledger, &[releases(), production()]).await.unwrap();
    assert_eq!(verified.streams.len(), 2, "{:?}", verified.faults);
    let [fault] = verified.faults.as_slice() else { panic!("{:?}", verified.faults) };
    assert_eq!(fault.class, Class::Unreadable);
    assert!(fault.detail.contains("the list of streams does not read"), "{}", fault.detail);
}

#[tokio::test]
async fn what_hashes_well_and_does_not_read_is_unreadable() {
    for (edit, class) in [
        ("{\"schema\":1}", Class::Unreadable),
        ("[]", Class::Unreadable),
        ("{\"schema\":3,\"more\":true}", Class::Newer),
    ] {
        let site = site().await;
        site.change(&rehashed(7, edit));
        let fault = site.fault().await;
        assert_eq!((fault.class, fault.seq), (class, Some(7)), "{edit}");
    }
}

#[tokio::test]
async fn another_form_of_the_same_entry_is_named() {
    let site = site().await;
    let canonical = body(&site, 13).await;
    let spaced = canonical.replacen("\":", "\": ", 1);
    let extra = canonical.replacen('{', "{\"aaa\":1,", 1);
    for other in [spaced, extra] {
        site.change_last(13, &other);
        let fault = site.fault().await;
        assert_eq!((fault.class, fault.seq), (Class::Tampered, Some(13)), "{other}");
        assert!(fault.detail.contains("canonical"), "{}", fault.detail);
    }
}

#[tokio::test]
async fn an_entry_that_could_not_have_been_written_is_named() {
    // Somebody who knows everything appends a second outcome by hand, chain and head right.
    let site = site().await;
    let ledger = SqliteLedger::open(&site.path, OpenMode::ReadOnly).unwrap();
    let head = ledger.head(&production()).await.unwrap();
    let forged = crate::domain::entry::Sealed::seal(
        &production(),
        &head,
        head.fence,
        draft(finished(2, Outcome::Succeeded)),
    )
    .unwrap();
    site.change(&format!(
        "INSERT INTO entry VALUES ('web/production', 14, '{}', '{}', '{}');
         UPDATE stream SET seq = 14, hash = '{}' WHERE stream = 'web/production'",
        forged.entry.eid, forged.body, forged.hash, forged.hash
    ));
    let fault = site.fault().await;
    assert_eq!((fault.class, fault.seq), (Class::Tampered, Some(14)));
    assert!(fault.detail.contains("could not be written"), "{}", fault.detail);
}

#[test]
fn faults_are_told_to_programs() {
    let fault = Fault {
        stream: production(),
        class: Class::ProjectionsDiffer,
        seq: None,
        record: Some("lease".into()),
        detail: "d".into(),
    };
    assert_eq!(
        serde_json::to_string(&fault).unwrap(),
        r#"{"stream":"web/production","class":"projections_differ","record":"lease","detail":"d"}"#
    );
}
