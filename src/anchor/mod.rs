//! The anchor port: heads of the ledger kept where the ledger's writer cannot take them back. A chain that still has
//! every anchored head has lost nothing before it; without one, a cut tail and a rewritten history look sound.

pub mod memory;
#[cfg(feature = "cli")]
pub mod s3;

use serde::{Deserialize, Serialize};

use crate::domain::entry::ChainHash;
use crate::domain::id::{Stream, Token};
use crate::domain::time::Timestamp;

/// A cause from below.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A head that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Format.
    pub schema: u32,
    /// Whose head it is.
    pub ledger: Token,
    /// The stream.
    pub stream: Stream,
    /// The number of its last entry then.
    pub seq: u64,
    /// The hash of that entry.
    pub hash: ChainHash,
    /// When it was kept, by the clock of whoever did.
    pub at: Timestamp,
}

/// The format that this code writes.
pub const SCHEMA: u32 = 1;

/// An anchor as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where, for messages.
    pub place: String,
    /// What was put there first; or why that does not read.
    pub anchor: Result<Anchor, String>,
    /// How many versions and delete markers somebody put over it.
    pub over: usize,
}

/// What a call can end with.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// The place could not be reached, read or written.
    #[error("the anchors in {location} are not available")]
    Unavailable {
        /// Where.
        location: String,
        /// What happened.
        #[source]
        source: Cause,
    },
    /// Another head was kept for the same entry: this ledger's history is not the one of then.
    #[error("{location} has another head of {stream} at entry {seq} than this ledger")]
    Contradicts {
        /// Where.
        location: String,
        /// The stream.
        stream: Stream,
        /// The entry.
        seq: u64,
    },
}

/// The port.
#[async_trait::async_trait]
pub trait Anchors: Send + Sync {
    /// Where they are, for messages.
    fn location(&self) -> String;

    /// Keeps a head. Keeping it again is nothing.
    async fn put(&self, anchor: &Anchor) -> Result<(), AnchorError>;

    /// Every anchor that is kept here, by stream and number.
    async fn all(&self) -> Result<Vec<Found>, AnchorError>;
}
