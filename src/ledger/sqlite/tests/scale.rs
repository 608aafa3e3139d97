//! The embedded ledger with very many entries.

use super::*;
use crate::domain::entry::{Head, Sealed};
use crate::domain::record::{Key, Record};
use crate::ledger::contract::scale::{Sink, many, measure};

/// A second connection that writes without waiting for the disk.
struct Direct(Connection);

#[async_trait::async_trait]
impl Sink for Direct {
    async fn put(&mut self, entries: Vec<Sealed>, records: Vec<(Key, Record)>, head: &Head) {
        let transaction = self.0.transaction().unwrap();
        let first = entries[0].entry.prev.clone();
        transaction
            .execute(
                "INSERT INTO stream (stream, seq, hash, fence) VALUES (?1, 0, ?2, 0) ON CONFLICT DO NOTHING",
                (production().to_string(), first.0),
            )
            .unwrap();
        let mut entry = transaction
            .prepare("INSERT INTO entry (stream, seq, eid, body, hash) VALUES (?1, ?2, ?3, ?4, ?5)")
            .unwrap();
        let mut stream = transaction
            .prepare("UPDATE stream SET seq = ?2, hash = ?3, fence = max(fence, ?4) WHERE stream = ?1")
            .unwrap();
        let number = |value: u64| i64::try_from(value).unwrap();
        for Sealed { entry: written, body, hash } in &entries {
            let (name, seq) = (production().to_string(), number(written.seq));
            entry.execute((&name, seq, written.eid.as_str(), body, &hash.0)).unwrap();
            stream.execute((&name, seq, &hash.0, number(written.fence))).unwrap();
        }
        let mut record = transaction
            .prepare("INSERT OR REPLACE INTO record (partition, sort, body) VALUES (?1, ?2, ?3)")
            .unwrap();
        for (key, value) in records {
            record.execute((key.partition, key.sort, serde_json::to_string(&value).unwrap())).unwrap();
        }
        drop((entry, stream, record));
        transaction.commit().unwrap();
        assert_eq!(head.seq, entries.last().unwrap().entry.seq);
    }
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_very_many_entries() {
    let (ledger, folder) = make();
    ledger.head(&production()).await.unwrap();
    let connection = Connection::open(db(&folder)).unwrap();
    connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
    measure("SQLite", many(), ledger, &mut Direct(connection)).await;
}
