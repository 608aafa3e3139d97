//! Opening and reading. Each read is one look-up or one range of a key, strongly consistent.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{Get, TransactGetItem};

use super::items::{self, Item, Place, Unreadable};
use super::once::{Once, Tried};
use super::{OpenMode, Target, unavailable};
use crate::aws::Fault;
use crate::clock::Clock;
use crate::domain::entry::{ChainHash, Draft, Head, Sealed};
use crate::domain::id::{Stream, Token};
use crate::domain::project::{Records, reads};
use crate::domain::record::{Key, Record};
use crate::ledger::rules::{self, Range};
use crate::ledger::{LeaseView, LedgerError, Location, Page};

/// The layout that this code writes. It reads this and every older one.
const SCHEMA: u64 = 1;
/// The oldest relman that may write it.
const MIN_CLIENT: &str = "0.1.0";
/// Most items that one request asks for; the answer ends at one megabyte anyway.
const MOST: u32 = 1_000;

/// An open ledger.
pub(super) struct Store {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) location: Location,
    pub(super) id: Token,
    pub(super) writable: bool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tried: Tried,
}

/// What an append decides from, as it was at one moment.
pub(super) struct Snapshot {
    /// The end of the stream.
    pub(super) head: Head,
    /// Its lease.
    pub(super) lease: Option<LeaseView>,
    /// Which entry the draft became, if it was written before.
    pub(super) written: Option<u64>,
    /// The records that the projection asks for.
    pub(super) records: Records,
    /// The entry whose marks are not all written yet.
    pub(super) owed: Option<u64>,
}

impl Store {
    /// Reads who the ledger is, and makes it where it is not there and may be made.
    pub(super) async fn open(
        client: Client,
        target: &Target,
        location: Location,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LedgerError> {
        let unset = target.id.clone().unwrap_or_else(|| clock.token());
        let writable = target.mode == OpenMode::Write;
        let tried = Tried::default();
        let mut store =
            Self { client, table: target.table.clone(), location, id: unset, writable, clock, tried };
        let mut meta = store.item(items::meta()).await?;
        if meta.is_none() {
            // A ledger that has streams and does not say who it is has lost an item: another id would break each chain,
            // and who only reads would take each of them for one that was tampered with.
            let founded = !store.range_of_streams(1).await?.is_empty();
            if !founded && writable {
                store.make().await?;
            }
            // Whoever was first decides which id it has; and who found streams may have looked before that.
            if founded || writable {
                meta = store.item(items::meta()).await?;
            }
            if founded && meta.is_none() {
                let gone = "it has streams, and the item META SCHEMA is gone, which says who it is: put it back with \
                            the id that it had (docs/runbook.md, \"The ledger does not say who it is\")";
                return Err(store.unusable(gone.to_owned()));
            }
        }
        let Some(meta) = meta else { return Ok(store) };
        let broken = |why: Unreadable| store.unusable(format!("it is not a relman ledger: {why}"));
        let schema = items::get_number(&meta, "schema_version").map_err(broken)?;
        if schema > SCHEMA {
            let client = items::get_text(&meta, "min_client").map_err(broken)?;
            return Err(
                store.unusable(format!("its schema is {schema}, which needs relman {client} or newer"))
            );
        }
        let id = items::get_text(&meta, "ledger_id").map_err(broken)?;
        let id: Token = id.parse().map_err(|_| store.unusable("its id does not read".to_owned()))?;
        if let Some(wanted) = &target.id
            && *wanted != id
        {
            return Err(store.unusable(format!("it is ledger {id}, not {wanted}")));
        }
        store.id = id;
        Ok(store)
    }

    async fn make(&self) -> Result<(), LedgerError> {
        let meta = items::meta().item([
            ("ledger_id", items::text(self.id.as_str())),
            ("schema_version", items::number(SCHEMA)),
            ("min_client", items::text(MIN_CLIENT)),
        ]);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(meta));
        match put.condition_expression("attribute_not_exists(pk)").send().await {
            Ok(_) => Ok(()),
            Err(e) if e.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {
                Ok(())
            }
            Err(e) => Err(self.failed(Fault::of("dynamodb:PutItem", e))),
        }
    }

    pub(super) fn failed(&self, fault: Fault) -> LedgerError {
        unavailable(&self.location, fault)
    }

    pub(super) fn unusable(&self, reason: String) -> LedgerError {
        LedgerError::Unusable { location: self.location.clone(), reason }
    }

    pub(super) fn broken(&self, place: &Place, why: Unreadable) -> LedgerError {
        self.unusable(format!("item {} of {} does not read: {why}", place.sk, place.pk))
    }

    async fn item(&self, place: Place) -> Result<Option<Item>, LedgerError> {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(place.key()));
        let found = get.consistent_read(true).send().await;
        found.map(|found| found.item).map_err(|e| self.failed(Fault::of("dynamodb:GetItem", e)))
    }

    /// One range of a partition, at most `limit` items.
    async fn range(
        &self,
        [pk, low, high]: [&str; 3],
        forward: bool,
        limit: usize,
    ) -> Result<Vec<Item>, LedgerError> {
        let mut found: Vec<Item> = Vec::new();
        let mut start = None;
        while found.len() < limit {
            let rest = u32::try_from(limit - found.len()).unwrap_or(MOST).min(MOST);
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND sk BETWEEN :low AND :high")
                .expression_attribute_values(":pk", items::text(pk))
                .expression_attribute_values(":low", items::text(low))
                .expression_attribute_values(":high", items::text(high))
                .consistent_read(true)
                .scan_index_forward(forward)
                .limit(rest.cast_signed())
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|e| self.failed(Fault::of("dynamodb:Query", e)))?;
            found.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            // A full answer may end with a key behind which nothing lies; only its absence says that all was seen.
            if start.is_none() {
                break;
            }
        }
        Ok(found)
    }

    async fn range_of_streams(&self, limit: usize) -> Result<Vec<Item>, LedgerError> {
        let high = format!("{}\u{10ffff}", items::STREAM);
        self.range([items::STREAMS, items::STREAM, &high], true, limit).await
    }

    /// Every stream, by name. Its name is written with its first entry.
    pub(super) async fn streams(&self) -> Result<Vec<Stream>, LedgerError> {
        let found = self.range_of_streams(usize::MAX).await?;
        let names = found.iter().map(|item| {
            let sort = items::get_text(item, "sk").map_err(|why| self.unusable(why))?;
            let name = sort.strip_prefix(items::STREAM).unwrap_or_default();
            name.parse().map_err(|e| self.unusable(format!("{e}")))
        });
        names.collect()
    }

    fn genesis(&self, stream: &Stream) -> Head {
        Head { seq: 0, hash: ChainHash::genesis(&self.id, stream), fence: 0 }
    }

    fn read_head(&self, stream: &Stream, item: Option<Item>) -> Result<Head, LedgerError> {
        match item {
            Some(item) => items::read_head(&item).map_err(|why| self.broken(&items::head(stream), why)),
            None => Ok(self.genesis(stream)),
        }
    }

    pub(super) fn read_lease(
        &self,
        stream: &Stream,
        item: Option<&Item>,
    ) -> Result<Option<LeaseView>, LedgerError> {
        let lease = item.map(items::read_lease).transpose();
        lease.map_err(|why| self.broken(&items::lock(stream), why))
    }

    pub(super) async fn head(&self, stream: &Stream) -> Result<Head, LedgerError> {
        let item = self.item(items::head(stream)).await?;
        self.read_head(stream, item)
    }

    pub(super) async fn lease(&self, stream: &Stream) -> Result<Option<LeaseView>, LedgerError> {
        let item = self.item(items::lock(stream)).await?;
        self.read_lease(stream, item.as_ref())
    }

    pub(super) async fn get(&self, key: &Key) -> Result<Option<Record>, LedgerError> {
        let item = self.item(items::record(key)).await?;
        let record = item.as_ref().map(items::read_record).transpose();
        record.map_err(|why| self.broken(&items::record(key), why))
    }

    fn open_entry(&self, stream: &Stream, seq: u64, item: &Item) -> Result<Sealed, LedgerError> {
        let broken = |why| self.broken(&items::entry(stream, seq), why);
        let body = items::get_text(item, "body").map_err(broken)?;
        let hash = ChainHash(items::get_text(item, "h").map_err(broken)?);
        Sealed::open(stream, seq, body, hash).map_err(|e| rules::entry(&self.location, e))
    }

    pub(super) async fn read(
        &self,
        stream: &Stream,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Sealed>, LedgerError> {
        let last = after.saturating_add(u64::from(limit)).min(items::HIGHEST);
        if after >= last {
            return Ok(Vec::new());
        }
        let (low, high) = (items::entry_key(after + 1), items::entry_key(last));
        let found = self.range([&items::log(stream), &low, &high], true, limit as usize).await?;
        let number = |item: &Item| {
            let sort = items::get_text(item, "sk").map_err(|why| self.unusable(why))?;
            let seq = sort.strip_prefix("EV#").and_then(|digits| digits.parse().ok());
            seq.ok_or_else(|| self.unusable(format!("the key {sort} of {stream} does not read")))
        };
        found.iter().map(|item| self.open_entry(stream, number(item)?, item)).collect()
    }

    /// The entry that a draft became.
    pub(super) async fn entry(
        &self,
        stream: &Stream,
        seq: u64,
        draft: &Draft,
    ) -> Result<Sealed, LedgerError> {
        let Some(item) = self.item(items::entry(stream, seq)).await? else {
            return Err(self.unusable(format!("entry {seq} of {stream} is missing")));
        };
        let sealed = self.open_entry(stream, seq, &item)?;
        rules::same(&self.location, &sealed, draft)?;
        Ok(sealed)
    }

    /// Which of the entries after `first` a draft became, if it was written.
    async fn written_since(
        &self,
        stream: &Stream,
        first: u64,
        head: u64,
        draft: &Draft,
    ) -> Result<Option<u64>, LedgerError> {
        let mut after = first;
        while after < head {
            let read = self.read(stream, after, MOST).await?;
            let Some(last) = read.last() else { break };
            after = last.entry.seq;
            if let Some(found) = read.iter().find(|sealed| sealed.entry.eid == draft.eid) {
                return Ok(Some(found.entry.seq));
            }
        }
        Ok(None)
    }

    pub(super) async fn page(&self, range: &Range, limit: u32) -> Result<Page, LedgerError> {
        // BETWEEN takes its upper end in, and that one is not wanted.
        let wanted = (limit as usize).saturating_add(2);
        let found = self.range([&range.partition, &range.low, &range.high], false, wanted).await?;
        let mut records = Vec::new();
        for item in &found {
            let sort = items::get_text(item, "sk").map_err(|why| self.unusable(why))?;
            let key = Key { partition: range.partition.clone(), sort };
            if key.sort < range.high {
                let record =
                    items::read_record(item).map_err(|why| self.broken(&items::record(&key), why))?;
                records.push((key, record));
            }
        }
        let more = records.len() > limit as usize;
        records.truncate(limit as usize);
        Ok(Page { records, more })
    }

    /// Everything that an append of this draft decides from, in one transaction.
    pub(super) async fn snapshot(
        &self,
        stream: &Stream,
        draft: &Draft,
        once: Once,
    ) -> Result<Snapshot, LedgerError> {
        let keys = reads(stream, &draft.event);
        let mut places = vec![items::head(stream), items::lock(stream)];
        if once == Once::ByItem {
            places.push(items::id(stream, &draft.eid));
        }
        places.extend(keys.iter().map(items::record));
        let mut request = self.client.transact_get_items();
        for place in places {
            let get = Get::builder().table_name(&self.table).set_key(Some(place.key())).build();
            let get = get.map_err(|e| self.unusable(format!("a request cannot be made: {e}")))?;
            request = request.transact_items(TransactGetItem::builder().get(get).build());
        }
        let answer = request.send().await.map_err(|error| {
            use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError as Error;
            let reasons = match error.as_service_error() {
                Some(Error::TransactionCanceledException(cancelled)) => cancelled.cancellation_reasons(),
                _ => &[],
            };
            let kind = super::write::passing(reasons);
            let mut fault = Fault::of("dynamodb:GetItem", error);
            if let Some(kind) = kind {
                fault.kind = kind;
            }
            self.failed(fault)
        })?;
        let mut found = answer.responses.unwrap_or_default().into_iter().map(|response| response.item);
        // An item that is not there comes back as none, or as one without attributes.
        let mut next = || found.next().flatten().filter(|item| !item.is_empty());
        let head = next();
        let owed = head.as_ref().and_then(|item| items::get_number(item, items::OWED).ok());
        let head = self.read_head(stream, head)?;
        let lease = self.read_lease(stream, next().as_ref())?;
        let written = match once {
            Once::ByItem => next().map(|item| items::get_number(&item, "seq")).transpose(),
            Once::ByReading => Ok(None),
        };
        let mut written = written.map_err(|why| self.broken(&items::id(stream, &draft.eid), why))?;
        let mut records = Records::new();
        for key in keys {
            if let Some(item) = next() {
                let record =
                    items::read_record(&item).map_err(|why| self.broken(&items::record(&key), why))?;
                records.insert(key, record);
            }
        }
        if once == Once::ByReading {
            written = self
                .written_since(stream, self.tried.first(stream, &draft.eid, head.seq), head.seq, draft)
                .await?;
        }
        Ok(Snapshot { head, lease, written, records, owed })
    }
}
