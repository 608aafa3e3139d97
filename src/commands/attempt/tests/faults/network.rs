//! A network between relman and its ports that does something bad at one call, or from one call on for a while.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::artifact::{ArtifactError, Artifacts};
use crate::clock::Clock;
use crate::domain::entry::{Draft, Head, Sealed};
use crate::domain::id::{Digest, Fence, HostName, Stream, Token};
use crate::domain::record::{Key, Listing, Record};
use crate::host::wire::{HostError, HostErrorCode};
use crate::host::{Fleet, Replies, Reply, Task};
use crate::ledger::{Lease, LeaseView, Ledger, LedgerError, Location, Page, Take};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// It never arrives.
    DroppedBefore,
    /// It is done, and the answer is lost.
    DroppedAfter,
    /// Nothing is done, and nobody answers until it is given up.
    HalfOpen,
    /// It is done, and nobody answers until it is given up.
    Silent,
    /// It is done, and the answer comes late.
    SlowDrip,
    /// The other side fails, and nothing was done.
    Failed,
    /// It takes no more for now.
    Throttled,
    /// Somebody else is at the same thing.
    Conflict,
    /// It arrives twice.
    Twice,
}

impl Bad {
    pub(super) const ALL: [Self; 9] = [
        Self::DroppedBefore,
        Self::DroppedAfter,
        Self::HalfOpen,
        Self::Silent,
        Self::SlowDrip,
        Self::Failed,
        Self::Throttled,
        Self::Conflict,
        Self::Twice,
    ];

    fn is_done(self) -> bool {
        matches!(self, Self::DroppedAfter | Self::Silent | Self::SlowDrip | Self::Twice)
    }

    fn answers(self) -> bool {
        matches!(self, Self::SlowDrip | Self::Twice)
    }

    /// How long it takes until it is given up, or answered.
    fn takes(self, limit: Duration) -> Duration {
        match self {
            Self::HalfOpen | Self::Silent => limit,
            Self::SlowDrip => limit * 4 / 5,
            _ => Duration::ZERO,
        }
    }
}

/// What is bad, where and for how long.
pub(super) struct Network {
    pub(super) bad: Bad,
    /// The call at which it begins.
    pub(super) at: u32,
    /// How long it lasts from then on; nothing: that call alone.
    pub(super) lasts: Duration,
    clock: Arc<dyn Clock>,
    calls: AtomicU32,
    since: Mutex<Option<Duration>>,
}

impl Network {
    pub(super) fn new(bad: Bad, at: u32, lasts: Duration, clock: &Arc<dyn Clock>) -> Arc<Self> {
        let (calls, since) = (AtomicU32::new(0), Mutex::new(None));
        Arc::new(Self { bad, at, lasts, clock: clock.clone(), calls, since })
    }

    /// When it began.
    pub(super) fn began(&self) -> Option<Duration> {
        *self.since.lock().unwrap()
    }

    /// How many calls there were.
    pub(super) fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }

    fn strikes(&self) -> Option<Bad> {
        let (call, now) = (self.calls.fetch_add(1, Ordering::SeqCst), self.clock.elapsed());
        let mut since = self.since.lock().unwrap();
        let strikes = match *since {
            None if call == self.at => {
                *since = Some(now);
                true
            }
            None => false,
            Some(began) => now < began + self.lasts,
        };
        strikes.then_some(self.bad)
    }

    /// A call through it. `limit` is when the caller gives up.
    async fn carry<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        limit: Duration,
        call: impl Fn() -> F,
        lost: impl FnOnce(Bad) -> E,
    ) -> Result<T, E> {
        let Some(bad) = self.strikes() else { return call().await };
        let mut answer = None;
        if bad.is_done() {
            answer = Some(call().await);
            if bad == Bad::Twice {
                drop(call().await);
            }
        }
        self.clock.sleep(bad.takes(limit)).await;
        match answer {
            Some(answer) if bad.answers() => answer,
            _ => Err(lost(bad)),
        }
    }
}

/// A ledger behind the network. It keeps what was acknowledged.
pub(super) struct FarLedger {
    pub(super) inner: Arc<dyn Ledger>,
    pub(super) network: Arc<Network>,
    pub(super) acknowledged: Mutex<Vec<Sealed>>,
    /// The entries of leases that were acknowledged: a ledger answers with the lease, not with its entry.
    pub(super) leases: Mutex<Vec<Token>>,
}

/// As long as a call of the DynamoDB ledger may take.
const LEDGER: Duration = Duration::from_secs(5);

impl FarLedger {
    async fn far<T, F: Future<Output = Result<T, LedgerError>>>(
        &self,
        call: impl Fn() -> F,
    ) -> Result<T, LedgerError> {
        let lost = |bad| LedgerError::Unavailable {
            location: self.inner.location(),
            transient: true,
            source: format!("{bad:?}").into(),
        };
        self.network.carry(LEDGER, call, lost).await
    }
}

#[async_trait::async_trait]
impl Ledger for FarLedger {
    fn location(&self) -> Location {
        self.inner.location()
    }

    async fn id(&self) -> Result<Token, LedgerError> {
        self.far(|| self.inner.id()).await
    }

    async fn streams(&self) -> Result<Vec<Stream>, LedgerError> {
        self.far(|| self.inner.streams()).await
    }

    async fn head(&self, stream: &Stream) -> Result<Head, LedgerError> {
        self.far(|| self.inner.head(stream)).await
    }

    async fn read(&self, stream: &Stream, after: u64, limit: u32) -> Result<Vec<Sealed>, LedgerError> {
        self.far(|| self.inner.read(stream, after, limit)).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, LedgerError> {
        self.far(|| self.inner.get(key)).await
    }

    async fn page(&self, listing: &Listing, before: Option<&Key>, limit: u32) -> Result<Page, LedgerError> {
        self.far(|| self.inner.page(listing, before, limit)).await
    }

    async fn append(
        &self,
        stream: &Stream,
        fence: Option<&Fence>,
        draft: Draft,
    ) -> Result<Sealed, LedgerError> {
        let sealed = self.far(|| self.inner.append(stream, fence, draft.clone())).await?;
        self.acknowledged.lock().unwrap().push(sealed.clone());
        Ok(sealed)
    }

    async fn lease(&self, stream: &Stream) -> Result<Option<LeaseView>, LedgerError> {
        self.far(|| self.inner.lease(stream)).await
    }

    async fn acquire(
        &self,
        stream: &Stream,
        take: &Take,
        ttl: Duration,
        draft: Draft,
    ) -> Result<Lease, LedgerError> {
        let lease = self.far(|| self.inner.acquire(stream, take, ttl, draft.clone())).await?;
        self.leases.lock().unwrap().push(draft.eid);
        Ok(lease)
    }

    async fn renew(&self, lease: &Lease, renewal: Token) -> Result<(), LedgerError> {
        self.far(|| self.inner.renew(lease, renewal.clone())).await
    }

    async fn release(&self, lease: &Lease, draft: Draft) -> Result<(), LedgerError> {
        self.far(|| self.inner.release(lease, draft.clone())).await?;
        self.leases.lock().unwrap().push(draft.eid);
        Ok(())
    }

    async fn import(&self, entry: &Sealed) -> Result<(), LedgerError> {
        self.far(|| self.inner.import(entry)).await
    }
}

/// Artifacts behind the network.
pub(super) struct FarArtifacts {
    pub(super) inner: Arc<dyn Artifacts>,
    pub(super) network: Arc<Network>,
}

impl FarArtifacts {
    async fn far<T, F: Future<Output = Result<T, ArtifactError>>>(
        &self,
        call: impl Fn() -> F,
    ) -> Result<T, ArtifactError> {
        let lost = |bad| ArtifactError::Unavailable {
            location: self.inner.location(),
            transient: true,
            source: format!("{bad:?}").into(),
        };
        self.network.carry(Duration::from_secs(10), call, lost).await
    }
}

#[async_trait::async_trait]
impl Artifacts for FarArtifacts {
    fn location(&self) -> String {
        self.inner.location()
    }

    async fn put(&self, bytes: &[u8]) -> Result<Digest, ArtifactError> {
        self.far(|| self.inner.put(bytes)).await
    }

    async fn get(&self, digest: &Digest) -> Result<Vec<u8>, ArtifactError> {
        self.far(|| self.inner.get(digest)).await
    }

    async fn exists(&self, digest: &Digest) -> Result<bool, ArtifactError> {
        self.far(|| self.inner.exists(digest)).await
    }
}

/// Hosts behind the network: each host of a task is a call of its own.
pub(super) struct FarFleet {
    pub(super) inner: Arc<dyn Fleet>,
    pub(super) network: Arc<Network>,
    /// When a task was begun that is more than a look.
    pub(super) tasks: Mutex<Vec<Duration>>,
}

/// What a way to hosts says of each.
fn of_a_host(bad: Bad) -> HostError {
    let code = match bad {
        Bad::DroppedBefore | Bad::Throttled => HostErrorCode::Unreachable,
        Bad::Failed => HostErrorCode::Engine,
        Bad::Conflict => HostErrorCode::State,
        _ => HostErrorCode::NoAnswer,
    };
    HostError::new(code, format!("{bad:?}"))
}

#[async_trait::async_trait]
impl Fleet for FarFleet {
    fn way(&self) -> &'static str {
        self.inner.way()
    }

    fn sees(&self) -> bool {
        self.inner.sees()
    }

    fn hosts(&self) -> Vec<HostName> {
        self.inner.hosts()
    }

    fn configuration(&self) -> Option<Digest> {
        self.inner.configuration()
    }

    async fn configure(&self, hosts: &[HostName]) -> Replies {
        self.inner.configure(hosts).await
    }

    async fn perform(&self, hosts: &[HostName], task: &Task) -> Replies {
        if task.command.authority().is_some() {
            self.tasks.lock().unwrap().push(self.network.clock.elapsed());
        }
        let ask = async |host: HostName| {
            let one = std::slice::from_ref(&host);
            let call = async || -> Result<_, HostError> {
                let mut replies = self.inner.perform(one, task).await.replies;
                replies.remove(0).result
            };
            let result = self.network.carry(Duration::from_secs(30), call, of_a_host).await;
            Reply { host, result }
        };
        let replies = futures_util::future::join_all(hosts.iter().cloned().map(ask)).await;
        Replies { replies, log: None }
    }
}
