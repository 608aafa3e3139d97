//! Ledgers that are wrong on purpose: the check must see each.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::domain::entry::{Draft, Head, Sealed};
use crate::domain::id::{Fence, Stream};
use crate::domain::record::Listing;
use crate::ledger::memory::MemoryLedger;
use crate::ledger::{LeaseView, Location, Page};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// The head is the one that was asked for before.
    Head,
    /// The entries are those that were read before.
    Entries,
    /// A record is what it was when it was asked for before.
    Record,
    /// One append in three is acknowledged and lost.
    LostAppend,
    /// A held lease is given to the next who asks.
    SharedLease,
    /// A fence that was overtaken still counts.
    OldFence,
    /// The lease is the one that was seen before.
    Lease,
}

#[derive(Default)]
struct Before {
    head: Option<Head>,
    entries: Option<Vec<Sealed>>,
    record: Option<(Key, Option<Record>)>,
    lease: Option<Option<LeaseView>>,
    appends: u32,
}

struct Broken {
    inner: MemoryLedger,
    wrong: Wrong,
    before: Mutex<Before>,
}

/// What was there before, in exchange for what is there now.
fn stale<T: Clone>(before: &mut Option<T>, now: T) -> T {
    before.replace(now.clone()).unwrap_or(now)
}

#[async_trait::async_trait]
impl Ledger for Broken {
    fn location(&self) -> Location {
        self.inner.location()
    }

    async fn id(&self) -> Result<Token, LedgerError> {
        self.inner.id().await
    }

    async fn streams(&self) -> Result<Vec<Stream>, LedgerError> {
        self.inner.streams().await
    }

    async fn head(&self, stream: &Stream) -> Result<Head, LedgerError> {
        let now = self.inner.head(stream).await?;
        Ok(if self.wrong == Wrong::Head { stale(&mut self.before.lock().unwrap().head, now) } else { now })
    }

    async fn read(&self, stream: &Stream, after: u64, limit: u32) -> Result<Vec<Sealed>, LedgerError> {
        let now = self.inner.read(stream, after, limit).await?;
        let stales = self.wrong == Wrong::Entries;
        Ok(if stales { stale(&mut self.before.lock().unwrap().entries, now) } else { now })
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, LedgerError> {
        let now = self.inner.get(key).await?;
        if self.wrong != Wrong::Record {
            return Ok(now);
        }
        let before = self.before.lock().unwrap().record.replace((key.clone(), now.clone()));
        Ok(before.filter(|(before, _)| before == key).map_or(now, |(_, record)| record))
    }

    async fn page(&self, listing: &Listing, before: Option<&Key>, limit: u32) -> Result<Page, LedgerError> {
        self.inner.page(listing, before, limit).await
    }

    async fn append(
        &self,
        stream: &Stream,
        fence: Option<&Fence>,
        draft: Draft,
    ) -> Result<Sealed, LedgerError> {
        if self.wrong == Wrong::LostAppend {
            let nth = {
                let mut before = self.before.lock().unwrap();
                before.appends += 1;
                before.appends
            };
            if nth % 3 == 0 {
                return Ok(Sealed::seal(stream, &self.inner.head(stream).await?, 0, draft).unwrap());
            }
        }
        let fence = fence.filter(|_| self.wrong != Wrong::OldFence);
        self.inner.append(stream, fence, draft).await
    }

    async fn lease(&self, stream: &Stream) -> Result<Option<LeaseView>, LedgerError> {
        let now = self.inner.lease(stream).await?;
        Ok(if self.wrong == Wrong::Lease { stale(&mut self.before.lock().unwrap().lease, now) } else { now })
    }

    async fn acquire(
        &self,
        stream: &Stream,
        take: &Take,
        ttl: Duration,
        draft: Draft,
    ) -> Result<Lease, LedgerError> {
        let take = if self.wrong == Wrong::SharedLease { &Take::Preempt } else { take };
        self.inner.acquire(stream, take, ttl, draft).await
    }

    async fn renew(&self, lease: &Lease, renewal: Token) -> Result<(), LedgerError> {
        self.inner.renew(lease, renewal).await
    }

    async fn release(&self, lease: &Lease, draft: Draft) -> Result<(), LedgerError> {
        self.inner.release(lease, draft).await
    }

    async fn import(&self, entry: &Sealed) -> Result<(), LedgerError> {
        self.inner.import(entry).await
    }
}

/// Enough of them that each fault is seen several times.
const TRIED: u64 = 100;

/// How many histories are refused.
async fn refused(wrong: Wrong) -> u64 {
    let mut refused = 0;
    for seed in 1..=TRIED {
        let ledger: Subject =
            Arc::new(Broken { inner: MemoryLedger::default(), wrong, before: Mutex::default() });
        let history = record(vec![ledger; 2 + (seed % 7) as usize], seed).await;
        refused += u64::from(!linearizable(State::default(), &history));
    }
    println!("{wrong:?}: {refused} of {TRIED} histories refused");
    refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_is_wrong_is_found_out() {
    assert_eq!(refused(Wrong::Nothing).await, 0);
    for wrong in [
        Wrong::Head,
        Wrong::Entries,
        Wrong::Record,
        Wrong::LostAppend,
        Wrong::SharedLease,
        Wrong::OldFence,
        Wrong::Lease,
    ] {
        assert!(refused(wrong).await > 0, "{wrong:?} was not seen");
    }
}
