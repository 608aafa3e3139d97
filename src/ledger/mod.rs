//! The ledger port: streams of hash-chained entries, their projections, and one lease per environment.
//!
//! Invariants that every implementation keeps, and the contract suite (`ledger/contract.rs`) asserts:
//! an append is one transaction of entry, head and projections ([`crate::domain::project`]); streams are gapless
//! and one chain; fences only grow, and an older one cannot append; an acknowledged entry is durable; an append
//! repeated with the same entry id is recognised and not written twice.

#[cfg(test)]
pub(crate) mod contract;
#[cfg(feature = "cli")]
pub mod dynamodb;
#[cfg(test)]
mod golden;
pub mod memory;
pub mod retry;
mod rules;
#[cfg(feature = "cli")]
pub mod sqlite;
pub mod verify;

use std::fmt;
use std::time::Duration;

use crate::domain::deployment::Holder;
use crate::domain::entry::{Draft, EntryError, Head, Sealed};
use crate::domain::id::{Fence, Stream, Token};
use crate::domain::project::Illegal;
use crate::domain::record::{Key, Listing, Record};

/// Where a ledger is, for messages: `sqlite:/path`, `dynamodb:TABLE`. Never holds a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location(pub String);

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A cause from below: a database, a network.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What a ledger call can end with. The cause is the `source`, never part of the text.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It could not be reached or written now.
    #[error("ledger {location} is not available")]
    Unavailable {
        /// Which.
        location: Location,
        /// Whether trying again may help.
        transient: bool,
        /// What happened.
        #[source]
        source: Cause,
    },
    /// It is there and cannot be used: another format, another service's, a place where it would be lost.
    #[error("ledger {location} cannot be used: {reason}")]
    Unusable {
        /// Which.
        location: Location,
        /// Why.
        reason: String,
    },
    /// An entry that does not read or verify.
    #[error("ledger {location} holds an entry that does not verify")]
    Entry {
        /// Which.
        location: Location,
        /// What is wrong.
        #[source]
        source: EntryError,
    },
    /// The entry may not be written as things are. Nothing was written.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The lease was taken over or given back: whoever gets this must touch nothing more.
    #[error("lease {held} of {stream} is not in force; the last one given is {current}")]
    Fenced {
        /// The stream.
        stream: Stream,
        /// The fence that the writer brought.
        held: u64,
        /// The fence that counts.
        current: u64,
    },
    /// Somebody else holds the lease.
    #[error("{stream} is held by {}", .lease.holder)]
    Held {
        /// The stream.
        stream: Stream,
        /// By whom.
        lease: Box<LeaseView>,
    },
}

impl LedgerError {
    /// Whether the same call may succeed soon. Asked by the retry wrapper alone.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { transient: true, .. })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} on {} (pid {}) since {}, doing: {}",
            self.actor.name, self.machine, self.pid, self.since, self.purpose
        )
    }
}

/// The lease of a stream as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseView {
    /// The fence it was given under.
    pub fence: u64,
    /// Who holds it, or held it last.
    pub holder: Holder,
    /// Changes with each renewal: a contender that sees the same one for longer than the lease may take over.
    pub renewal: Token,
    /// How long it lasts without a renewal.
    pub ttl: Duration,
    /// Whether it was given back.
    pub released: bool,
    /// Whether the holder is known to be dead (same machine); its lease is free already.
    pub holder_dead: bool,
}

impl LeaseView {
    /// Whether somebody who is not known to be dead has it.
    pub fn is_held(&self) -> bool {
        !self.released && !self.holder_dead
    }
}

/// A lease that we hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The stream.
    pub stream: Stream,
    /// The fence.
    pub fence: Fence,
    /// How long it lasts without a renewal.
    pub ttl: Duration,
}

/// On what condition a lease is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Take {
    /// Only when it is free: never given, given back, or its holder known to be dead.
    IfFree,
    /// Also when it still shows this renewal: the contender has watched it for longer than the lease.
    IfUnchanged(Token),
    /// Whoever holds it: a rollback does not wait.
    Preempt,
}

/// A page of records, newest or highest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The records with their keys.
    pub records: Vec<(Key, Record)>,
    /// Whether more follow after the last.
    pub more: bool,
}

/// The port. `after`, `before` and limits make every read bounded.
#[async_trait::async_trait]
pub trait Ledger: Send + Sync {
    /// Where it is.
    fn location(&self) -> Location;

    /// Its own id, part of every chain's genesis and stored on each host.
    async fn id(&self) -> Result<Token, LedgerError>;

    /// Every stream that has an entry.
    async fn streams(&self) -> Result<Vec<Stream>, LedgerError>;

    /// The end of a stream; the genesis when it has no entry.
    async fn head(&self, stream: &Stream) -> Result<Head, LedgerError>;

    /// Up to `limit` entries after sequence number `after`, oldest first, each opened and checked by itself.
    async fn read(&self, stream: &Stream, after: u64, limit: u32) -> Result<Vec<Sealed>, LedgerError>;

    /// One record.
    async fn get(&self, key: &Key) -> Result<Option<Record>, LedgerError>;

    /// Up to `limit` records of a list in descending key order, strictly before `before`.
    async fn page(&self, listing: &Listing, before: Option<&Key>, limit: u32) -> Result<Page, LedgerError>;

    /// Appends in one transaction. `fence` must be the stream's current one for events that need it.
    ///
    /// # Errors
    /// [`LedgerError::Fenced`] when a newer lease exists, [`LedgerError::Illegal`] when the event does not fit;
    /// nothing was written then. After [`LedgerError::Unavailable`] the outcome is unknown: the same draft may be
    /// appended again and is recognised by its id.
    async fn append(
        &self,
        stream: &Stream,
        fence: Option<&Fence>,
        draft: Draft,
    ) -> Result<Sealed, LedgerError>;

    /// The lease of a stream, if there ever was one.
    async fn lease(&self, stream: &Stream) -> Result<Option<LeaseView>, LedgerError>;

    /// Takes the lease, raises the fence and records `lease.acquired` in one transaction. `draft.event` is that
    /// event; its holder is who takes it.
    async fn acquire(
        &self,
        stream: &Stream,
        take: &Take,
        ttl: Duration,
        draft: Draft,
    ) -> Result<Lease, LedgerError>;

    /// Says that we are alive. Touches the lease alone, so it never collides with an append.
    async fn renew(&self, lease: &Lease, renewal: Token) -> Result<(), LedgerError>;

    /// Gives the lease back and records `lease.released`.
    async fn release(&self, lease: &Lease, draft: Draft) -> Result<(), LedgerError>;

    /// Writes an entry that another ledger of the same id sealed, byte for byte, with the records and the lease that
    /// follow from it. There already: nothing.
    ///
    /// # Errors
    /// [`LedgerError::Entry`] when it is not what follows here; nothing was written then.
    async fn import(&self, entry: &Sealed) -> Result<(), LedgerError>;
}
