//! Tries transient failures again, around any ledger, with jitter and within a budget of time. Each repetition is the
//! same call with the same draft, so one whose answer was lost is recognised and not written twice.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Lease, LeaseView, Ledger, LedgerError, Location, Page, Take};
use crate::clock::Clock;
use crate::domain::entry::{Draft, Head, Sealed};
use crate::domain::id::{Fence, Stream, Token};
use crate::domain::record::{Key, Listing, Record};

/// How long to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The longest pause before the second try; it doubles from there.
    pub first: Duration,
    /// The longest pause of all.
    pub longest: Duration,
    /// After this much time no further try begins. Below half a lease, or the lease may end meanwhile.
    pub total: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(50),
            longest: Duration::from_secs(2),
            total: Duration::from_secs(20),
        }
    }
}

/// A ledger that tries again.
pub struct RetryLedger {
    inner: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    budget: Budget,
    tell: Box<Tell>,
    told: AtomicBool,
}

type Tell = dyn Fn(&str) + Send + Sync;

/// Whoever looks on hears after this much time that somebody is waiting.
const SILENCE: Duration = Duration::from_secs(3);

impl RetryLedger {
    /// Around a ledger.
    pub fn new(inner: Arc<dyn Ledger>, clock: Arc<dyn Clock>, budget: Budget) -> Self {
        Self { inner, clock, budget, tell: Box::new(|_| {}), told: AtomicBool::new(false) }
    }

    /// Says so, once in an outage, where a call takes long.
    pub fn telling(self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { tell: Box::new(tell), ..self }
    }

    async fn retry<T, F>(&self, call: impl Fn() -> F + Send + Sync) -> Result<T, LedgerError>
    where
        F: Future<Output = Result<T, LedgerError>> + Send,
        T: Send,
    {
        let start = self.clock.elapsed();
        let mut longest = self.budget.first;
        loop {
            let error = match call().await {
                Err(error) if error.is_transient() => error,
                done => {
                    self.told.store(false, Ordering::Relaxed);
                    return done;
                }
            };
            let pause = self.jitter(longest);
            if self.clock.elapsed().saturating_sub(start) + pause > self.budget.total {
                return Err(error);
            }
            if self.clock.elapsed().saturating_sub(start) >= SILENCE
                && !self.told.swap(true, Ordering::Relaxed)
            {
                (self.tell)(&format!("{error}; trying again for up to {} s", self.budget.total.as_secs()));
            }
            self.clock.sleep(pause).await;
            longest = (longest * 2).min(self.budget.longest);
        }
    }

    /// Anything from nothing up to `longest`, so that contenders do not meet again.
    fn jitter(&self, longest: Duration) -> Duration {
        let token = self.clock.token();
        let part = u32::from_str_radix(&token.as_str()[..4], 16).unwrap_or(0);
        longest * part / 0xFFFF
    }
}

#[async_trait::async_trait]
impl Ledger for RetryLedger {
    fn location(&self) -> Location {
        self.inner.location()
    }

    async fn id(&self) -> Result<Token, LedgerError> {
        self.retry(|| self.inner.id()).await
    }

    async fn streams(&self) -> Result<Vec<Stream>, LedgerError> {
        self.retry(|| self.inner.streams()).await
    }

    async fn head(&self, stream: &Stream) -> Result<Head, LedgerError> {
        self.retry(|| self.inner.head(stream)).await
    }

    async fn read(&self, stream: &Stream, after: u64, limit: u32) -> Result<Vec<Sealed>, LedgerError> {
        self.retry(|| self.inner.read(stream, after, limit)).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, LedgerError> {
        self.retry(|| self.inner.get(key)).await
    }

    async fn page(&self, listing: &Listing, before: Option<&Key>, limit: u32) -> Result<Page, LedgerError> {
        self.retry(|| self.inner.page(listing, before, limit)).await
    }

    async fn append(
        &self,
        stream: &Stream,
        fence: Option<&Fence>,
        draft: Draft,
    ) -> Result<Sealed, LedgerError> {
        self.retry(|| self.inner.append(stream, fence, draft.clone())).await
    }

    async fn lease(&self, stream: &Stream) -> Result<Option<LeaseView>, LedgerError> {
        self.retry(|| self.inner.lease(stream)).await
    }

    async fn acquire(
        &self,
        stream: &Stream,
        take: &Take,
        ttl: Duration,
        draft: Draft,
    ) -> Result<Lease, LedgerError> {
        self.retry(|| self.inner.acquire(stream, take, ttl, draft.clone())).await
    }

    async fn renew(&self, lease: &Lease, renewal: Token) -> Result<(), LedgerError> {
        self.retry(|| self.inner.renew(lease, renewal.clone())).await
    }

    async fn release(&self, lease: &Lease, draft: Draft) -> Result<(), LedgerError> {
        self.retry(|| self.inner.release(lease, draft.clone())).await
    }

    async fn import(&self, entry: &Sealed) -> Result<(), LedgerError> {
        self.retry(|| self.inner.import(entry)).await
    }
}

#[cfg(test)]
mod tests;
