//! Verifies a whole ledger: every entry as it was hashed, in canonical form, in one chain with growing fences, up to
//! the head; then the fold of the entries against the records and leases that are stored beside them.
//!
//! It reads page by page and may run beside a writer. Deployments that ended are compared and forgotten, so memory
//! grows only with the releases, hosts and verdicts of one stream (about a kilobyte each). Records without an entry
//! are found in the lists that can be paged; a claim or digest that no entry made is not.

mod fold;
#[cfg(test)]
#[cfg(feature = "cli")]
mod tests;

use std::fmt;

use serde::Serialize;

use self::fold::Fold;
use super::{Ledger, LedgerError};
use crate::domain::entry::{ChainHash, EntryError};
use crate::domain::id::Stream;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The streams that hold.
    pub streams: Vec<VerifiedStream>,
    /// The first bad place of each stream that does not hold.
    pub faults: Vec<Fault>,
    /// What such a check cannot prove, whatever it finds.
    pub unproven: Vec<Unproven>,
}

/// A stream that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifiedStream {
    /// Which.
    pub stream: Stream,
    /// How many entries it has.
    pub entries: u64,
    /// The hash of the last one. Kept outside of the ledger, it proves later that nothing before it was lost.
    pub head: ChainHash,
    /// How many records were compared with the entries.
    pub records: u64,
}

/// Where a stream does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The stream.
    pub stream: Stream,
    /// What kind of fault.
    pub class: Class,
    /// The entry, where the fault lies in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The record as `PARTITION SORT`, where the fault lies in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// What does not fit.
    pub detail: String,
}

/// Kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The entries are not those that were written.
    Tampered,
    /// An entry has the right hash and does not read.
    Unreadable,
    /// An entry was written by a newer relman; what follows was not checked.
    Newer,
    /// The entries hold, and the records beside them say something else. The entries are right.
    ProjectionsDiffer,
}

/// What no look into the ledger alone can prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unproven {
    /// That no entries were cut off the end.
    Tail,
    /// That the history was not written anew.
    Rewrite,
    /// That what was recorded is what happened.
    World,
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tail => {
                "that no entry or stream was cut off the end: compare the heads with ones kept elsewhere"
            }
            Self::Rewrite => "that the whole history was not written anew with fresh hashes",
            Self::World => "that what was recorded is what happened on the hosts",
        })
    }
}

impl Verified {
    /// Whether every stream holds.
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }

    /// Each chain begins with the ledger's id: where none fits from its first entry on, that is what changed, rather
    /// than the first entry of each.
    fn suspect_the_id(&mut self) {
        let is_first = |fault: &Fault| fault.class == Class::Tampered && fault.seq == Some(1);
        if !self.faults.is_empty() && self.faults.iter().all(is_first) {
            for fault in &mut self.faults {
                fault.detail.push_str(
                    "; so it is with every stream: the ledger's id is not the one that it had, most likely \
                     (docs/runbook.md, \"The ledger does not say who it is\")",
                );
            }
        }
    }
}

/// Why the walk through a stream ends early.
enum Stop {
    Fault(Box<Fault>),
    Ledger(LedgerError),
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl Fault {
    fn of_entry(stream: &Stream, error: &EntryError) -> Self {
        let (class, seq) = match error {
            EntryError::Unreadable { seq, .. } => (Class::Unreadable, Some(*seq)),
            EntryError::Newer { seq, .. } => (Class::Newer, Some(*seq)),
            EntryError::Tampered { seq, .. } => (Class::Tampered, Some(*seq)),
            EntryError::TooLarge { .. } => (Class::Tampered, None),
        };
        Self { stream: stream.clone(), class, seq, record: None, detail: error.to_string() }
    }
}

/// Verifies every stream.
///
/// # Errors
/// Only when the ledger cannot be read at all; what does not hold is in the answer.
pub async fn verify(ledger: &dyn Ledger) -> Result<Verified, LedgerError> {
    verify_known(ledger, &[]).await
}

/// Verifies every stream, and those that somebody knows of: a list that has lost one does not hide it.
///
/// # Errors
/// As [`verify`].
pub async fn verify_known(ledger: &dyn Ledger, known: &[Stream]) -> Result<Verified, LedgerError> {
    let mut verified = Verified {
        streams: Vec::new(),
        faults: Vec::new(),
        unproven: vec![Unproven::Tail, Unproven::Rewrite, Unproven::World],
    };
    let mut streams = match ledger.streams().await {
        Ok(streams) => streams,
        // One name that is none must not hide how those are that somebody knows of.
        Err(LedgerError::Unusable { reason, .. }) if !known.is_empty() => {
            let stream = known[0].clone();
            let detail = format!(
                "the list of streams does not read ({reason}): only those of the configuration were verified"
            );
            let class = Class::Unreadable;
            verified.faults.push(Fault { stream, class, seq: None, record: None, detail });
            known.to_vec()
        }
        Err(error) => return Err(error),
    };
    for stream in known {
        if !streams.contains(stream) && !matches!(ledger.head(stream).await, Ok(head) if head.seq == 0) {
            let detail = "it has entries, and the list of streams does not have it".to_owned();
            let class = Class::ProjectionsDiffer;
            verified.faults.push(Fault { stream: stream.clone(), class, seq: None, record: None, detail });
            streams.push(stream.clone());
        }
    }
    for stream in streams {
        match verify_stream(ledger, &stream).await {
            Ok(holds) => verified.streams.push(holds),
            Err(Stop::Fault(fault)) => verified.faults.push(*fault),
            // One that does not read must not hide how the others are.
            Err(Stop::Ledger(LedgerError::Unusable { reason, .. })) => {
                let class = Class::Unreadable;
                verified.faults.push(Fault { stream, class, seq: None, record: None, detail: reason });
            }
            Err(Stop::Ledger(error)) => return Err(error),
        }
    }
    if verified.streams.iter().all(|stream| stream.entries == 0) {
        verified.suspect_the_id();
    }
    Ok(verified)
}

async fn verify_stream(ledger: &dyn Ledger, stream: &Stream) -> Result<VerifiedStream, Stop> {
    let mut fold = Fold::new(ledger, stream).await?;
    loop {
        fold.catch_up().await?;
        let compared = fold.compare().await;
        let head = ledger.head(stream).await?;
        if head == *fold.head() {
            return Ok(VerifiedStream {
                stream: stream.clone(),
                entries: head.seq,
                head: head.hash,
                records: compared?,
            });
        }
        // Somebody wrote meanwhile, and what was compared may be newer than what was folded; or the head is wrong.
        if !fold.has_more().await? {
            let seq = fold.head().seq;
            let detail = format!(
                "the head is entry {} {} under fence {}, and the entries end with {seq} {} under fence {}",
                head.seq,
                head.hash,
                head.fence,
                fold.head().hash,
                fold.head().fence
            );
            let class = Class::Tampered;
            return Err(Fault { stream: stream.clone(), class, seq: Some(seq), record: None, detail }.into());
        }
    }
}
