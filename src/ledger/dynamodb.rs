//! The ledger of a team: one DynamoDB table, for any number of machines (`ledger-schema/README.md` has its items).
//!
//! - A change of state is one `TransactWriteItems`: entry, id of the entry, head, records, and the lease where it is
//!   taken or given back. The head is conditioned on what was read, so nothing can come between reading and writing.
//! - Whatever decides something was read in one transaction or strongly consistent. There is no index, and no table is
//!   ever read as a whole.
//! - An outcome is never assumed. After a timeout or a lost answer the id of the entry is looked up before it is
//!   written again; it is read together with the head, so a straggler that lands later breaks the condition.
//! - A renewal touches the lease alone.

mod items;
mod once;
mod read;
mod settle;
#[cfg(test)]
pub(crate) mod tests;
mod write;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use tokio::sync::OnceCell;

use self::once::Once;
use self::read::Store;
use self::write::Lock;
use super::{Lease, LeaseView, Ledger, LedgerError, Location, Page, Take, rules};
use crate::aws::{Chain, Fault, QUICK};
use crate::clock::Clock;
use crate::domain::entry::{Draft, Head, Sealed};
use crate::domain::id::{Fence, Stream, Token};
use crate::domain::record::{Key, Listing, Record};

/// The table as `CreateTable` takes it: what Terraform makes, and the tests.
pub const TABLE: &str = include_str!("../../ledger-schema/dynamodb/table.json");

/// What is done with the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// It is read: one that is not there yet reads as an empty one.
    Read,
    /// It is written: the first call makes it. The table must be there.
    Write,
}

/// Which ledger is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The table.
    pub table: String,
    /// The id that the ledger must have; none: whichever it has.
    pub id: Option<Token>,
    /// What is done with it.
    pub mode: OpenMode,
}

/// The ledger in a table. AWS is reached with the first call, and every call names what is missing.
pub struct DynamoLedger {
    target: Target,
    location: Location,
    chain: Arc<Chain>,
    clock: Arc<dyn Clock>,
    store: OnceCell<Store>,
}

impl DynamoLedger {
    /// The ledger of a table.
    pub fn new(target: Target, chain: Arc<Chain>, clock: Arc<dyn Clock>) -> Self {
        let location = Location(format!("dynamodb:{}", target.table));
        Self { target, location, chain, clock, store: OnceCell::new() }
    }

    async fn store(&self) -> Result<&Store, LedgerError> {
        self.store.get_or_try_init(|| self.open()).await
    }

    async fn open(&self) -> Result<Store, LedgerError> {
        let config = self.chain.config(QUICK).await.map_err(|fault| unavailable(&self.location, fault))?;
        let client = Client::new(&config);
        let clock = Arc::clone(&self.clock);
        Store::open(client, &self.target, self.location.clone(), clock).await
    }
}

fn unavailable(location: &Location, fault: Fault) -> LedgerError {
    LedgerError::Unavailable {
        location: location.clone(),
        transient: fault.is_transient(),
        source: fault.into(),
    }
}

#[async_trait::async_trait]
impl Ledger for DynamoLedger {
    fn location(&self) -> Location {
        self.location.clone()
    }

    async fn id(&self) -> Result<Token, LedgerError> {
        Ok(self.store().await?.id.clone())
    }

    async fn streams(&self) -> Result<Vec<Stream>, LedgerError> {
        self.store().await?.streams().await
    }

    async fn head(&self, stream: &Stream) -> Result<Head, LedgerError> {
        self.store().await?.head(stream).await
    }

    async fn read(&self, stream: &Stream, after: u64, limit: u32) -> Result<Vec<Sealed>, LedgerError> {
        self.store().await?.read(stream, after, limit).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, LedgerError> {
        self.store().await?.get(key).await
    }

    async fn page(&self, listing: &Listing, before: Option<&Key>, limit: u32) -> Result<Page, LedgerError> {
        match rules::range(listing, before) {
            Some(range) => self.store().await?.page(&range, limit).await,
            None => Ok(Page { records: Vec::new(), more: false }),
        }
    }

    async fn append(
        &self,
        stream: &Stream,
        fence: Option<&Fence>,
        draft: Draft,
    ) -> Result<Sealed, LedgerError> {
        let once = if fence.is_some() { Once::ByReading } else { Once::ByItem };
        let written = self
            .store()
            .await?
            .write(stream, draft, once, |found, draft| {
                let lease = found.lease.as_ref();
                let fence = rules::fence_of(&self.location, stream, lease, fence, &draft.event)?;
                Ok((fence, draft, Lock::Left))
            })
            .await?;
        Ok(written.sealed)
    }

    async fn lease(&self, stream: &Stream) -> Result<Option<LeaseView>, LedgerError> {
        self.store().await?.lease(stream).await
    }

    async fn acquire(
        &self,
        stream: &Stream,
        take: &Take,
        ttl: Duration,
        draft: Draft,
    ) -> Result<Lease, LedgerError> {
        let holder = rules::holder_of(&self.location, &draft)?;
        let renewal = draft.eid.clone();
        let store = self.store().await?;
        let written = store
            .write(stream, draft, Once::ByItem, |found, draft| {
                let stolen = rules::may_take(stream, found.lease.as_ref(), take)?;
                let fence = found.head.fence + 1;
                let (holder, renewal) = (holder.clone(), renewal.clone());
                let lease = LeaseView { fence, holder, renewal, ttl, released: false, holder_dead: false };
                Ok((fence, rules::found(draft, stolen), Lock::Taken { lease, take: take.clone() }))
            })
            .await?;
        let fence = Fence { number: written.sealed.entry.fence, nonce: holder.nonce };
        if written.before {
            rules::in_force(stream, store.lease(stream).await?.as_ref(), &fence)?;
        }
        Ok(Lease { stream: stream.clone(), fence, ttl })
    }

    async fn renew(&self, lease: &Lease, renewal: Token) -> Result<(), LedgerError> {
        self.store().await?.renew(lease, &renewal).await
    }

    async fn release(&self, lease: &Lease, draft: Draft) -> Result<(), LedgerError> {
        rules::gives_back(&self.location, &draft)?;
        self.store()
            .await?
            .write(&lease.stream, draft, Once::ByItem, |found, draft| {
                rules::in_force(&lease.stream, found.lease.as_ref(), &lease.fence)?;
                Ok((lease.fence.number, draft, Lock::GivenBack(lease.fence.clone())))
            })
            .await?;
        Ok(())
    }

    async fn import(&self, entry: &Sealed) -> Result<(), LedgerError> {
        self.store().await?.import(entry).await
    }
}
