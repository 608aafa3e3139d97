//! The statements. Each is one look-up or one range of a key; none looks into a body.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::open::failed;
use crate::domain::deployment::Holder;
use crate::domain::entry::{ChainHash, Draft, Entry, Head, Sealed};
use crate::domain::event::Event;
use crate::domain::id::{Stream, Token};
use crate::domain::project::{Records, reads};
use crate::domain::record::{Key, Record};
use crate::ledger::rules::{self, Range, Written};
use crate::ledger::{LeaseView, LedgerError, Location, Page};

/// One index look-up for each stream. A head without an entry is a fault that `verify` must see.
pub(super) const STREAMS: &str = "WITH RECURSIVE name (is_it) AS (
       SELECT min(stream) FROM entry
       UNION ALL
       SELECT (SELECT min(stream) FROM entry WHERE stream > is_it) FROM name WHERE is_it IS NOT NULL
     ) SELECT is_it FROM name WHERE is_it IS NOT NULL UNION SELECT stream FROM stream ORDER BY 1";
pub(super) const HEAD: &str = "SELECT seq, hash, fence FROM stream WHERE stream = ?1";
pub(super) const READ: &str =
    "SELECT seq, body, hash FROM entry WHERE stream = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
pub(super) const WRITTEN: &str = "SELECT seq, body, hash FROM entry WHERE stream = ?1 AND eid = ?2";
pub(super) const GET: &str = "SELECT body FROM record WHERE partition = ?1 AND sort = ?2";
pub(super) const PAGE: &str =
    "SELECT sort, body FROM record WHERE partition = ?1 AND sort >= ?2 AND sort < ?3
     ORDER BY sort DESC LIMIT ?4";
pub(super) const LEASE: &str = "SELECT fence, renewal, ttl_ms, released, holder FROM lease WHERE stream = ?1";

/// A connection, inside a transaction where something is written.
pub(super) struct Store<'a> {
    pub(super) connection: &'a Connection,
    pub(super) location: &'a Location,
    pub(super) id: &'a Token,
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

impl Store<'_> {
    fn failed(&self, error: rusqlite::Error) -> LedgerError {
        failed(self.location, error)
    }

    fn unusable(&self, reason: String) -> LedgerError {
        LedgerError::Unusable { location: self.location.clone(), reason }
    }

    fn open(&self, stream: &Stream, seq: u64, body: String, hash: String) -> Result<Sealed, LedgerError> {
        Sealed::open(stream, seq, body, ChainHash(hash)).map_err(|e| rules::entry(self.location, e))
    }

    fn record(&self, key: &Key, body: &str) -> Result<Record, LedgerError> {
        serde_json::from_str(body).map_err(|e| {
            self.unusable(format!("record {} of {} does not read: {e}", key.sort, key.partition))
        })
    }

    /// Every stream, by name.
    pub(super) fn streams(&self) -> Result<Vec<Stream>, LedgerError> {
        let names: rusqlite::Result<Vec<String>> = self
            .connection
            .prepare(STREAMS)
            .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect());
        let names = names.map_err(|e| self.failed(e))?;
        names.into_iter().map(|name| name.parse().map_err(|e| self.unusable(format!("{e}")))).collect()
    }

    pub(super) fn head(&self, stream: &Stream) -> Result<Head, LedgerError> {
        let head = self
            .connection
            .query_row(HEAD, [stream.to_string()], |row| {
                Ok(Head { seq: unsigned(row, 0)?, hash: ChainHash(row.get(1)?), fence: unsigned(row, 2)? })
            })
            .optional()
            .map_err(|e| self.failed(e))?;
        Ok(head.unwrap_or_else(|| Head { seq: 0, hash: ChainHash::genesis(self.id, stream), fence: 0 }))
    }

    pub(super) fn read(&self, stream: &Stream, after: u64, limit: u32) -> Result<Vec<Sealed>, LedgerError> {
        let rows: rusqlite::Result<Vec<(u64, String, String)>> =
            self.connection.prepare(READ).and_then(|mut statement| {
                statement
                    .query_map((stream.to_string(), signed(after), limit), |row| {
                        Ok((unsigned(row, 0)?, row.get(1)?, row.get(2)?))
                    })?
                    .collect()
            });
        let rows = rows.map_err(|e| self.failed(e))?;
        rows.into_iter().map(|(seq, body, hash)| self.open(stream, seq, body, hash)).collect()
    }

    /// The entry that this draft became, if it was written before.
    pub(super) fn written(&self, stream: &Stream, draft: &Draft) -> Result<Option<Sealed>, LedgerError> {
        let row: Option<(u64, String, String)> = self
            .connection
            .query_row(WRITTEN, (stream.to_string(), draft.eid.as_str()), |row| {
                Ok((unsigned(row, 0)?, row.get(1)?, row.get(2)?))
            })
            .optional()
            .map_err(|e| self.failed(e))?;
        let Some((seq, body, hash)) = row else { return Ok(None) };
        let sealed = self.open(stream, seq, body, hash)?;
        rules::same(self.location, &sealed, draft)?;
        Ok(Some(sealed))
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Record>, LedgerError> {
        let body: Option<String> = self
            .connection
            .query_row(GET, (&key.partition, &key.sort), |row| row.get(0))
            .optional()
            .map_err(|e| self.failed(e))?;
        body.map(|body| self.record(key, &body)).transpose()
    }

    pub(super) fn page(&self, range: &Range, limit: u32) -> Result<Page, LedgerError> {
        let rows: rusqlite::Result<Vec<(String, String)>> =
            self.connection.prepare(PAGE).and_then(|mut statement| {
                statement
                    .query_map(
                        (&range.partition, &range.low, &range.high, u64::from(limit) as i64 + 1),
                        |row| Ok((row.get(0)?, row.get(1)?)),
                    )?
                    .collect()
            });
        let mut rows = rows.map_err(|e| self.failed(e))?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let mut records = Vec::with_capacity(rows.len());
        for (sort, body) in rows {
            let key = Key { partition: range.partition.clone(), sort };
            let record = self.record(&key, &body)?;
            records.push((key, record));
        }
        Ok(Page { records, more })
    }

    /// Entry, head and projections.
    pub(super) fn write(&self, stream: &Stream, fence: u64, draft: Draft) -> Result<Sealed, LedgerError> {
        let before = self.before(stream, &draft.event)?;
        let head = self.head(stream)?;
        let written = rules::write(self.location, stream, &head, fence, draft, &before)?;
        self.put(stream, &head, written)
    }

    /// An entry that was sealed elsewhere, with all that follows from it.
    pub(super) fn import(&self, sealed: &Sealed) -> Result<(), LedgerError> {
        let Entry { stream, seq, event, .. } = &sealed.entry;
        let found = self.read(stream, seq.saturating_sub(1), 1)?;
        if rules::imported(self.location, sealed, found.first())? {
            return Ok(());
        }
        let before = self.before(stream, event)?;
        let head = self.head(stream)?;
        let written = rules::import(self.location, &head, sealed, &before)?;
        self.put(stream, &head, written)?;
        match rules::imported_lease(sealed, self.lease(stream)?) {
            Some(lease) => self.put_lease(stream, &lease),
            None => Ok(()),
        }
    }

    fn before(&self, stream: &Stream, event: &Event) -> Result<Records, LedgerError> {
        let mut before = Records::new();
        for key in reads(stream, event) {
            if let Some(record) = self.get(&key)? {
                before.insert(key, record);
            }
        }
        Ok(before)
    }

    fn put(&self, stream: &Stream, head: &Head, written: Written) -> Result<Sealed, LedgerError> {
        let mut bodies = Vec::with_capacity(written.records.len());
        for (key, record) in &written.records {
            let body = serde_json::to_string(record)
                .map_err(|e| self.unusable(format!("record {} cannot be written: {e}", key.sort)))?;
            bodies.push((key, body));
        }
        self.insert(stream, head, &written.sealed, &written.head).map_err(|e| self.failed(e))?;
        for (key, body) in bodies {
            self.connection
                .execute(
                    "INSERT INTO record (partition, sort, body) VALUES (?1, ?2, ?3)
                     ON CONFLICT (partition, sort) DO UPDATE SET body = excluded.body",
                    (&key.partition, &key.sort, body),
                )
                .map_err(|e| self.failed(e))?;
        }
        Ok(written.sealed)
    }

    fn insert(&self, stream: &Stream, before: &Head, sealed: &Sealed, after: &Head) -> rusqlite::Result<()> {
        let name = stream.to_string();
        if before.seq == 0 {
            self.connection.execute(
                "INSERT INTO stream (stream, seq, hash, fence) VALUES (?1, 0, ?2, 0)",
                (&name, &before.hash.0),
            )?;
        }
        self.connection.execute(
            "INSERT INTO entry (stream, seq, eid, body, hash) VALUES (?1, ?2, ?3, ?4, ?5)",
            (&name, signed(after.seq), sealed.entry.eid.as_str(), &sealed.body, &sealed.hash.0),
        )?;
        let changed = self.connection.execute(
            "UPDATE stream SET seq = ?2, hash = ?3, fence = ?4 WHERE stream = ?1 AND seq = ?5 AND hash = ?6",
            (
                &name,
                signed(after.seq),
                &after.hash.0,
                signed(after.fence),
                signed(before.seq),
                &before.hash.0,
            ),
        )?;
        if changed == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(changed)) }
    }

    /// The lease as it is stored; nothing is known of its holder's life here.
    pub(super) fn lease(&self, stream: &Stream) -> Result<Option<LeaseView>, LedgerError> {
        let row: Option<(u64, String, u64, bool, String)> = self
            .connection
            .query_row(LEASE, [stream.to_string()], |row| {
                Ok((unsigned(row, 0)?, row.get(1)?, unsigned(row, 2)?, row.get(3)?, row.get(4)?))
            })
            .optional()
            .map_err(|e| self.failed(e))?;
        let Some((fence, renewal, ttl, released, holder)) = row else { return Ok(None) };
        let broken = |e: String| self.unusable(format!("the lease of {stream} does not read: {e}"));
        let holder: Holder = serde_json::from_str(&holder).map_err(|e| broken(e.to_string()))?;
        let renewal = renewal.parse().map_err(|e| broken(format!("{e}")))?;
        let ttl = Duration::from_millis(ttl);
        Ok(Some(LeaseView { fence, holder, renewal, ttl, released, holder_dead: false }))
    }

    pub(super) fn put_lease(&self, stream: &Stream, lease: &LeaseView) -> Result<(), LedgerError> {
        let holder = serde_json::to_string(&lease.holder)
            .map_err(|e| self.unusable(format!("the holder cannot be written: {e}")))?;
        let ttl = i64::try_from(lease.ttl.as_millis()).unwrap_or(i64::MAX);
        self.connection
            .execute(
                "INSERT INTO lease (stream, fence, renewal, ttl_ms, released, holder)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (stream) DO UPDATE SET fence = excluded.fence, renewal = excluded.renewal,
                   ttl_ms = excluded.ttl_ms, released = excluded.released, holder = excluded.holder",
                (
                    stream.to_string(),
                    signed(lease.fence),
                    lease.renewal.as_str(),
                    ttl,
                    lease.released,
                    holder,
                ),
            )
            .map_err(|e| self.failed(e))?;
        Ok(())
    }
}
