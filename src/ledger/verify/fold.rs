//! The walk through one stream.

use super::{Class, Fault, Stop};
use crate::domain::entry::{ChainHash, Head, Sealed};
use crate::domain::event::Event;
use crate::domain::id::{Stream, Token};
use crate::domain::project::{Records, project};
use crate::domain::record::{Key, Listing, Record};
use crate::ledger::{Ledger, LedgerError};

const PAGE: u32 = 500;
/// How many ended deployments are compared at once.
const BATCH: usize = 250;

pub(super) struct Fold<'a> {
    ledger: &'a dyn Ledger,
    stream: &'a Stream,
    head: Head,
    /// Records that later entries may still change.
    live: Records,
    /// Deployments that ended and were not compared yet: consecutive, since one must end before the next begins.
    ended: Vec<(Key, Record)>,
    /// Records that were compared and forgotten.
    forgotten: u64,
    /// Fence, holder and whether it was given back.
    lease: Option<(u64, Token, bool)>,
}

impl<'a> Fold<'a> {
    pub(super) async fn new(ledger: &'a dyn Ledger, stream: &'a Stream) -> Result<Self, LedgerError> {
        let hash = ChainHash::genesis(&ledger.id().await?, stream);
        let head = Head { seq: 0, hash, fence: 0 };
        let (live, ended) = (Records::new(), Vec::new());
        Ok(Self { ledger, stream, head, live, ended, forgotten: 0, lease: None })
    }

    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    pub(super) async fn has_more(&self) -> Result<bool, LedgerError> {
        match self.ledger.read(self.stream, self.head.seq, 1).await {
            Ok(entries) => Ok(!entries.is_empty()),
            Err(LedgerError::Entry { .. }) => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// Folds every entry that follows. What has ended does not change any more, whoever writes meanwhile: it is
    /// compared here, and a difference in it is never taken for somebody's progress.
    pub(super) async fn catch_up(&mut self) -> Result<(), Stop> {
        loop {
            let entries = self.page().await?;
            if entries.is_empty() {
                return self.compare_ended().await;
            }
            for sealed in &entries {
                self.step(sealed)?;
                if self.ended.len() >= BATCH {
                    self.compare_ended().await?;
                }
            }
        }
    }

    /// The next entries; those before a bad one come first, so that the first fault is the one that is named.
    async fn page(&self) -> Result<Vec<Sealed>, Stop> {
        let after = self.head.seq;
        let source = match self.ledger.read(self.stream, after, PAGE).await {
            Ok(entries) => return Ok(entries),
            Err(LedgerError::Entry { source, .. }) => source,
            Err(e) => return Err(e.into()),
        };
        let fault = Fault::of_entry(self.stream, &source);
        let good = fault.seq.map_or(0, |seq| seq.saturating_sub(after + 1));
        if good > 0 {
            let good = u32::try_from(good).unwrap_or(PAGE);
            if let Ok(entries) = self.ledger.read(self.stream, after, good).await
                && !entries.is_empty()
            {
                return Ok(entries);
            }
        }
        Err(fault.into())
    }

    fn fault(&self, class: Class, seq: u64, detail: String) -> Fault {
        Fault { stream: self.stream.clone(), class, seq: Some(seq), record: None, detail }
    }

    fn step(&mut self, sealed: &Sealed) -> Result<(), Stop> {
        let entry = &sealed.entry;
        sealed.follows(&self.head).map_err(|e| Fault::of_entry(self.stream, &e))?;
        let canonical = serde_json_canonicalizer::to_string(entry);
        if canonical.ok().as_ref() != Some(&sealed.body) {
            let detail = format!("entry {} of {} is not in canonical form", entry.seq, self.stream);
            return Err(self.fault(Class::Tampered, entry.seq, detail).into());
        }
        let after = project(entry, &self.live).map_err(|illegal| {
            let detail = format!("entry {} of {} could not be written: {illegal}", entry.seq, self.stream);
            self.fault(Class::Tampered, entry.seq, detail)
        })?;
        match &entry.event {
            Event::LeaseAcquired { holder, .. } => {
                self.lease = Some((entry.fence, holder.nonce.clone(), false));
            }
            Event::LeaseReleased {} => {
                if let Some((_, _, released)) = &mut self.lease {
                    *released = true;
                }
            }
            _ => {}
        }
        self.head = sealed.head(&self.head);
        for (key, record) in after {
            match &record {
                Record::Deployment(deployment) if deployment.outcome.is_some() => {
                    self.live.remove(&key);
                    self.ended.push((key, record));
                }
                _ => {
                    self.live.insert(key, record);
                }
            }
        }
        Ok(())
    }

    fn differs(&self, key: &Key, detail: &str) -> Fault {
        Fault {
            stream: self.stream.clone(),
            class: Class::ProjectionsDiffer,
            seq: None,
            record: Some(format!("{} {}", key.partition, key.sort)),
            detail: detail.to_owned(),
        }
    }

    async fn compare_one(&self, key: &Key, expected: &Record) -> Result<(), Stop> {
        match self.ledger.get(key).await {
            Ok(Some(found)) if found == *expected => Ok(()),
            // A copy that is under way; no entry says so.
            Ok(Some(found)) if expected.importing().as_ref() == Some(&found) => Ok(()),
            Ok(Some(_)) => Err(self.differs(key, "the record is not what its entries amount to").into()),
            Ok(None) => Err(self.differs(key, "the record is missing").into()),
            Err(LedgerError::Unusable { reason, .. }) => Err(self.differs(key, &reason).into()),
            Err(e) => Err(e.into()),
        }
    }

    /// Compares the ended deployments with one page, or one by one where the page is not just that.
    async fn compare_ended(&mut self) -> Result<(), Stop> {
        let ended = std::mem::take(&mut self.ended);
        let Some((Key { partition, sort }, _)) = ended.last() else { return Ok(()) };
        let before = Key { partition: partition.clone(), sort: format!("{sort}~") };
        let listing = Listing::Deployments(self.stream.clone());
        let page =
            self.ledger.page(&listing, Some(&before), u32::try_from(ended.len()).unwrap_or(PAGE)).await;
        let same = page.is_ok_and(|page| page.records.iter().rev().eq(ended.iter()));
        if !same {
            for (key, expected) in &ended {
                self.compare_one(key, expected).await?;
            }
            return Err(self.differs(&before, "there are records between the deployments").into());
        }
        self.forgotten += ended.len() as u64;
        Ok(())
    }

    /// Compares what is stored with the fold, both ways, and says how many records that were.
    pub(super) async fn compare(&self) -> Result<u64, Stop> {
        for (key, expected) in &self.live {
            self.compare_one(key, expected).await?;
        }
        self.find_strangers().await?;
        self.compare_lease().await?;
        Ok(self.forgotten + self.live.len() as u64)
    }

    /// Finds records that no entry made.
    async fn find_strangers(&self) -> Result<(), Stop> {
        let lists = if self.stream.environment.is_some() {
            let newest = self.ledger.page(&Listing::Deployments(self.stream.clone()), None, 1).await?;
            let last = match self.live.get(&Key::of_environment(self.stream)) {
                Some(Record::Environment(environment)) => environment.last,
                _ => 0,
            };
            let last = Key::of_deployment(self.stream, last);
            if let Some((key, _)) = newest.records.iter().find(|(key, _)| *key > last) {
                return Err(self.differs(key, "no entry made this record").into());
            }
            vec![Listing::Hosts(self.stream.clone()), Listing::Verdicts(self.stream.clone())]
        } else {
            let service = self.stream.service.clone();
            vec![Listing::Releases(service.clone()), Listing::Commits(service, String::new())]
        };
        for listing in lists {
            let mut before = None;
            loop {
                let page = self.ledger.page(&listing, before.as_ref(), PAGE).await?;
                if let Some((key, _)) = page.records.iter().find(|(key, _)| !self.live.contains_key(key)) {
                    return Err(self.differs(key, "no entry made this record").into());
                }
                before = page.records.into_iter().next_back().map(|(key, _)| key);
                if !page.more || before.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn compare_lease(&self) -> Result<(), Stop> {
        let found = match self.ledger.lease(self.stream).await {
            Ok(lease) => lease.map(|lease| (lease.fence, lease.holder.nonce, lease.released)),
            Err(LedgerError::Unusable { reason, .. }) => return Err(self.lease_differs(reason).into()),
            Err(e) => return Err(e.into()),
        };
        if found == self.lease {
            return Ok(());
        }
        Err(self.lease_differs("the lease is not the one that was recorded last".to_owned()).into())
    }

    fn lease_differs(&self, detail: String) -> Fault {
        let class = Class::ProjectionsDiffer;
        Fault { stream: self.stream.clone(), class, seq: None, record: Some("lease".to_owned()), detail }
    }
}
