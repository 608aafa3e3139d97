//! The embedded ledger: one SQLite file, for one machine.
//!
//! - WAL, `synchronous=FULL`: what was acknowledged is on the disk.
//! - Every write is one `BEGIN IMMEDIATE` transaction; a busy file is waited for, then reported as transient.
//! - Opening reads one row and verifies nothing; every read is a look-up or a page by key.
//! - Whoever takes a lease also holds an OS lock on a file beside the ledger (`sqlite/alive.rs`). The kernel drops
//!   it with the process, so the lease of a dead relman is free at once. Dropping the [`SqliteLedger`] drops it too.
//!
//! The connection is used on tokio's blocking threads; only [`SqliteLedger::open`] blocks its caller, for about a
//! millisecond.

mod alive;
mod open;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use self::alive::Alive;
use self::store::Store;
use super::{Lease, LeaseView, Ledger, LedgerError, Location, Page, Take, rules};
use crate::domain::entry::{Draft, Head, Sealed};
use crate::domain::id::{Fence, Stream, Token};
use crate::domain::record::{Key, Listing, Record};

/// How a ledger file is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading and writing, and made when it is not there: folder 0700, file 0600. Finding one of another id
    /// is an error.
    Create {
        /// Its id.
        id: Token,
    },
    /// For reading and writing; it must be there.
    Existing,
    /// For reading alone; it must be there, and nothing of it is written.
    ReadOnly,
}

/// The embedded ledger.
pub struct SqliteLedger {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    location: Location,
    id: Token,
    writable: bool,
    connection: Mutex<Connection>,
    /// The leases that this value took, by stream.
    held: Mutex<HashMap<Stream, Alive>>,
}

impl SqliteLedger {
    /// Opens a ledger file and checks that it is one that this relman can use. Its entries are not looked at.
    ///
    /// # Errors
    /// [`LedgerError::Unusable`] when it is missing, no ledger, damaged, newer, of another id, or on a network file
    /// system; [`LedgerError::Unavailable`] when the system refuses.
    pub fn open(path: &Path, mode: OpenMode) -> Result<Self, LedgerError> {
        let location = Location(format!("sqlite:{}", path.display()));
        let writable = mode != OpenMode::ReadOnly;
        let (connection, id) = open::open(path, &location, mode)?;
        let shared = Shared {
            path: path.to_owned(),
            location,
            id,
            writable,
            connection: Mutex::new(connection),
            held: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Runs `work` on a blocking thread, with the connection.
    async fn read_with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store<'_>) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || {
            let connection = lock(&shared.connection);
            work(&Store { connection: &connection, location: &shared.location, id: &shared.id })
        });
        done.await.unwrap_or_else(|e| Err(self.shared.unavailable(e)))
    }

    /// Runs `work` in one transaction that holds the write lock from its start. An error takes everything back.
    async fn write_with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store<'_>, &Shared) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        if !self.shared.writable {
            let reason = "it was opened for reading alone".to_owned();
            return Err(LedgerError::Unusable { location: self.shared.location.clone(), reason });
        }
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = lock(&shared.connection);
            let failed = |e| open::failed(&shared.location, e);
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
            let store = Store { connection: &transaction, location: &shared.location, id: &shared.id };
            let result = work(&store, &shared)?;
            transaction.commit().map_err(failed)?;
            Ok(result)
        });
        done.await.unwrap_or_else(|e| Err(self.shared.unavailable(e)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn unavailable(&self, source: impl Into<super::Cause>) -> LedgerError {
        LedgerError::Unavailable { location: self.location.clone(), transient: false, source: source.into() }
    }

    /// The lease with what the kernel says about its holder.
    fn lease(&self, store: &Store<'_>, stream: &Stream) -> Result<Option<LeaseView>, LedgerError> {
        let Some(mut lease) = store.lease(stream)? else { return Ok(None) };
        let ours = || lock(&self.held).get(stream).is_some_and(|alive| alive.fence() == lease.fence);
        lease.holder_dead = !lease.released && !ours() && alive::is_dead(&self.path, stream, lease.fence);
        Ok(Some(lease))
    }

    /// Shows the kernel that the holder of this fence lives; none when it knows already. It must be so before the
    /// lease is committed, or a contender would take us for dead.
    fn show_alive(&self, stream: &Stream, fence: u64) -> Result<Option<Alive>, LedgerError> {
        if lock(&self.held).get(stream).is_some_and(|alive| alive.fence() == fence) {
            return Ok(None);
        }
        let alive = Alive::hold(&self.path, stream, fence).map_err(|e| LedgerError::Unavailable {
            location: self.location.clone(),
            transient: e.kind() == std::io::ErrorKind::WouldBlock,
            source: e.into(),
        })?;
        Ok(Some(alive))
    }

    fn acquire(
        &self,
        store: &Store<'_>,
        stream: &Stream,
        take: &Take,
        ttl: Duration,
        draft: Draft,
    ) -> Result<(Lease, Option<Alive>), LedgerError> {
        let holder = rules::holder_of(&self.location, &draft)?;
        if let Some(sealed) = store.written(stream, &draft)? {
            let fence = Fence { number: sealed.entry.fence, nonce: holder.nonce };
            rules::in_force(stream, store.lease(stream)?.as_ref(), &fence)?;
            let alive = self.show_alive(stream, fence.number)?;
            return Ok((Lease { stream: stream.clone(), fence, ttl }, alive));
        }
        let before = self.lease(store, stream)?;
        let stolen = rules::may_take(stream, before.as_ref(), take)?;
        let number = store.head(stream)?.fence + 1;
        let fence = Fence { number, nonce: holder.nonce.clone() };
        let renewal = draft.eid.clone();
        store.write(stream, number, rules::found(draft, stolen))?;
        let lease = LeaseView { fence: number, holder, renewal, ttl, released: false, holder_dead: false };
        store.put_lease(stream, &lease)?;
        let alive = self.show_alive(stream, number)?;
        Ok((Lease { stream: stream.clone(), fence, ttl }, alive))
    }
}

#[async_trait::async_trait]
impl Ledger for SqliteLedger {
    fn location(&self) -> Location {
        self.shared.location.clone()
    }

    async fn id(&self) -> Result<Token, LedgerError> {
        Ok(self.shared.id.clone())
    }

    async fn streams(&self) -> Result<Vec<Stream>, LedgerError> {
        self.read_with(|store| store.streams()).await
    }

    async fn head(&self, stream: &Stream) -> Result<Head, LedgerError> {
        let stream = stream.clone();
        self.read_with(move |store| store.head(&stream)).await
    }

    async fn read(&self, stream: &Stream, after: u64, limit: u32) -> Result<Vec<Sealed>, LedgerError> {
        let stream = stream.clone();
        self.read_with(move |store| store.read(&stream, after, limit)).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, LedgerError> {
        let key = key.clone();
        self.read_with(move |store| store.get(&key)).await
    }

    async fn page(&self, listing: &Listing, before: Option<&Key>, limit: u32) -> Result<Page, LedgerError> {
        let Some(range) = rules::range(listing, before) else {
            return Ok(Page { records: Vec::new(), more: false });
        };
        self.read_with(move |store| store.page(&range, limit)).await
    }

    async fn append(
        &self,
        stream: &Stream,
        fence: Option<&Fence>,
        draft: Draft,
    ) -> Result<Sealed, LedgerError> {
        let (stream, fence) = (stream.clone(), fence.cloned());
        self.write_with(move |store, shared| {
            if let Some(sealed) = store.written(&stream, &draft)? {
                return Ok(sealed);
            }
            let lease = store.lease(&stream)?;
            let fence =
                rules::fence_of(&shared.location, &stream, lease.as_ref(), fence.as_ref(), &draft.event)?;
            store.write(&stream, fence, draft)
        })
        .await
    }

    async fn lease(&self, stream: &Stream) -> Result<Option<LeaseView>, LedgerError> {
        let (stream, shared) = (stream.clone(), Arc::clone(&self.shared));
        self.read_with(move |store| shared.lease(store, &stream)).await
    }

    async fn acquire(
        &self,
        stream: &Stream,
        take: &Take,
        ttl: Duration,
        draft: Draft,
    ) -> Result<Lease, LedgerError> {
        let (stream, take) = (stream.clone(), take.clone());
        let (lease, alive) =
            self.write_with(move |store, shared| shared.acquire(store, &stream, &take, ttl, draft)).await?;
        if let Some(alive) = alive {
            lock(&self.shared.held).insert(lease.stream.clone(), alive);
        }
        Ok(lease)
    }

    async fn renew(&self, lease: &Lease, renewal: Token) -> Result<(), LedgerError> {
        let lease = lease.clone();
        self.write_with(move |store, _| {
            let now = store.lease(&lease.stream)?;
            rules::in_force(&lease.stream, now.as_ref(), &lease.fence)?;
            match now {
                Some(now) => store.put_lease(&lease.stream, &LeaseView { renewal, ..now }),
                None => Ok(()),
            }
        })
        .await
    }

    async fn release(&self, lease: &Lease, draft: Draft) -> Result<(), LedgerError> {
        let given = lease.clone();
        self.write_with(move |store, shared| {
            rules::gives_back(&shared.location, &draft)?;
            if store.written(&given.stream, &draft)?.is_some() {
                return Ok(());
            }
            let now = store.lease(&given.stream)?;
            rules::in_force(&given.stream, now.as_ref(), &given.fence)?;
            store.write(&given.stream, given.fence.number, draft)?;
            match now {
                Some(now) => store.put_lease(&given.stream, &LeaseView { released: true, ..now }),
                None => Ok(()),
            }
        })
        .await?;
        let mut held = lock(&self.shared.held);
        if held.get(&lease.stream).is_some_and(|alive| alive.fence() == lease.fence.number) {
            held.remove(&lease.stream);
        }
        Ok(())
    }

    async fn import(&self, entry: &Sealed) -> Result<(), LedgerError> {
        let entry = entry.clone();
        self.write_with(move |store, _| store.import(&entry)).await
    }
}
