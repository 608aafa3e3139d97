//! Entries: what the ledger consists of. The hashed bytes are stored as they were hashed; nothing is ever
//! serialised again to verify it.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::actor::Actor;
use super::event::Event;
use super::id::{Stream, Token};
use super::time::Timestamp;

/// The entry format that this code writes. It reads this and every older one.
pub const SCHEMA: u32 = 2;
/// Longest body, in bytes: far below what any backend takes.
pub const MAX_BODY: usize = 32 * 1024;

const DOMAIN: &[u8] = b"relman-entry-v1\n";

/// A hash of the chain, 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainHash(pub String);

impl std::fmt::Display for ChainHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl ChainHash {
    /// What the first entry of a stream points to. It holds the ledger's id and the stream's name, so that a
    /// stream cannot be moved into another ledger unseen.
    pub fn genesis(ledger_id: &Token, stream: &Stream) -> Self {
        Self(hex::encode(Sha256::digest(format!("relman-genesis-v1\n{ledger_id}\n{stream}").as_bytes())))
    }

    /// The hash of an entry's body.
    pub fn of_body(body: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(DOMAIN);
        hasher.update(body.as_bytes());
        Self(hex::encode(hasher.finalize()))
    }
}

/// What a writer brings; sequence number and chain are the ledger's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Chosen once and kept over every retry, so that an entry whose answer was lost is recognised.
    pub eid: Token,
    /// The writer's clock. It informs; order is the sequence.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub event: Event,
}

/// An entry as it reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Format.
    pub schema: u32,
    /// The stream.
    pub stream: Stream,
    /// Place in the stream, from 1 without gaps.
    pub seq: u64,
    /// Hash of the entry before.
    pub prev: ChainHash,
    /// Id.
    pub eid: Token,
    /// The writer's clock.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// The fence under which it was written; 0 where none is needed.
    pub fence: u64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// An entry with the bytes that were hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// As it reads.
    pub entry: Entry,
    /// Canonical JSON (RFC 8785), stored as it is.
    pub body: String,
    /// Hash of the body.
    pub hash: ChainHash,
}

/// The end of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Number of the last entry; 0 before the first.
    pub seq: u64,
    /// Its hash, or the genesis.
    pub hash: ChainHash,
    /// The highest fence ever given.
    pub fence: u64,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not JSON, or not an entry.
    #[error("entry {seq} of {stream} does not read: {detail}")]
    Unreadable {
        /// The stream.
        stream: Stream,
        /// Where it stands.
        seq: u64,
        /// What the parser said.
        detail: String,
    },
    /// Written by a newer relman.
    #[error("entry {seq} of {stream} has schema {found}, and this relman reads up to {SCHEMA}")]
    Newer {
        /// The stream.
        stream: Stream,
        /// Where it stands.
        seq: u64,
        /// Its schema.
        found: u64,
    },
    /// The bytes are not those that were hashed, or the chain does not fit.
    #[error("entry {seq} of {stream} is not what was written: {detail}")]
    Tampered {
        /// The stream.
        stream: Stream,
        /// Where it stands.
        seq: u64,
        /// What does not fit.
        detail: String,
    },
    /// Larger than [`MAX_BODY`].
    #[error("entry for {stream} has {size} bytes, more than {MAX_BODY}; large values belong into artifacts")]
    TooLarge {
        /// The stream.
        stream: Stream,
        /// Bytes.
        size: usize,
    },
}

impl Sealed {
    /// Makes the next entry of a stream.
    ///
    /// # Errors
    /// When the body is too large or cannot be written canonically.
    pub fn seal(stream: &Stream, head: &Head, fence: u64, draft: Draft) -> Result<Self, EntryError> {
        let entry = Entry {
            schema: SCHEMA,
            stream: stream.clone(),
            seq: head.seq + 1,
            prev: head.hash.clone(),
            eid: draft.eid,
            at: draft.at,
            actor: draft.actor,
            fence,
            event: draft.event,
        };
        let body = canonical(&entry)?;
        if body.len() > MAX_BODY {
            return Err(EntryError::TooLarge { stream: stream.clone(), size: body.len() });
        }
        let hash = ChainHash::of_body(&body);
        Ok(Self { entry, body, hash })
    }

    /// Reads an entry that a backend returned for this place, and checks everything about it that can be checked
    /// without its neighbours.
    ///
    /// # Errors
    /// When it does not read, is newer, or is not what was written.
    pub fn open(stream: &Stream, seq: u64, body: String, hash: ChainHash) -> Result<Self, EntryError> {
        let unreadable = |detail: String| EntryError::Unreadable { stream: stream.clone(), seq, detail };
        let tampered =
            |detail: &str| EntryError::Tampered { stream: stream.clone(), seq, detail: detail.to_owned() };
        if ChainHash::of_body(&body) != hash {
            return Err(tampered("its bytes do not have its hash"));
        }
        let value: serde_json::Value = serde_json::from_str(&body).map_err(|e| unreadable(e.to_string()))?;
        let found = value.get("schema").and_then(serde_json::Value::as_u64);
        match found {
            Some(found) if found > u64::from(SCHEMA) => {
                return Err(EntryError::Newer { stream: stream.clone(), seq, found });
            }
            Some(_) => {}
            None => return Err(unreadable("it has no schema number".to_owned())),
        }
        let entry: Entry = serde_json::from_value(value).map_err(|e| unreadable(e.to_string()))?;
        if entry.stream != *stream || entry.seq != seq {
            return Err(tampered("it belongs to another place"));
        }
        Ok(Self { entry, body, hash })
    }

    /// Checks that this entry follows `head`.
    ///
    /// # Errors
    /// When sequence, chain or fence do not fit.
    pub fn follows(&self, head: &Head) -> Result<(), EntryError> {
        let entry = &self.entry;
        let tampered =
            |detail: String| EntryError::Tampered { stream: entry.stream.clone(), seq: entry.seq, detail };
        if entry.seq != head.seq + 1 {
            return Err(tampered(format!("it follows entry {}", head.seq)));
        }
        if entry.prev != head.hash {
            return Err(tampered("it does not point to the entry before it".to_owned()));
        }
        let grows = matches!(entry.event, Event::LeaseAcquired { .. });
        let fits = match (entry.event.needs_fence(), grows) {
            (_, true) => entry.fence > head.fence,
            (true, false) => entry.fence == head.fence,
            // Or it would raise the head's fence with it, and fence out whoever holds the lease.
            (false, false) => entry.fence == 0,
        };
        if !fits {
            return Err(tampered(format!("its fence {} does not fit after {}", entry.fence, head.fence)));
        }
        Ok(())
    }

    /// The head of the stream after this entry.
    pub fn head(&self, before: &Head) -> Head {
        Head { seq: self.entry.seq, hash: self.hash.clone(), fence: before.fence.max(self.entry.fence) }
    }
}

fn canonical(entry: &Entry) -> Result<String, EntryError> {
    serde_json_canonicalizer::to_string(entry).map_err(|e| EntryError::Unreadable {
        stream: entry.stream.clone(),
        seq: entry.seq,
        detail: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::actor::ActorSource;

    #[test]
    fn invariant_3_an_entry_that_needs_no_fence_cannot_raise_it() {
        let stream: Stream = "web/production".parse().unwrap();
        let head = Head { seq: 4, hash: ChainHash::of_body("before"), fence: 7 };
        let sealed = |fence| {
            let draft = Draft {
                eid: Token::from_bits([1; 16]),
                at: Timestamp::from_millis(0).unwrap(),
                actor: Actor { name: "ada".into(), source: ActorSource::Os, run_url: None },
                event: Event::HoldSet { reason: "a".into() },
            };
            Sealed::seal(&stream, &head, fence, draft).unwrap()
        };
        assert_eq!(sealed(0).follows(&head), Ok(()));
        assert_eq!(sealed(0).head(&head).fence, 7);
        for fence in [7, 8] {
            assert!(matches!(sealed(fence).follows(&head), Err(EntryError::Tampered { seq: 5, .. })));
        }
    }
}
