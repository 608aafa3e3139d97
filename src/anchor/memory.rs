//! Anchors in memory: the fake of unit tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{Anchor, AnchorError, Anchors, Found};
use crate::domain::id::Stream;

/// Anchors that live as long as the value.
#[derive(Debug, Default)]
pub struct MemoryAnchors {
    kept: Mutex<BTreeMap<(Stream, u64), Anchor>>,
}

#[async_trait::async_trait]
impl Anchors for MemoryAnchors {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    async fn put(&self, anchor: &Anchor) -> Result<(), AnchorError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let there = kept.entry((anchor.stream.clone(), anchor.seq)).or_insert_with(|| anchor.clone());
        if (&there.ledger, &there.hash) == (&anchor.ledger, &anchor.hash) {
            return Ok(());
        }
        let (location, stream) = (self.location(), anchor.stream.clone());
        Err(AnchorError::Contradicts { location, stream, seq: anchor.seq })
    }

    async fn all(&self) -> Result<Vec<Found>, AnchorError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = |anchor: &Anchor| Found {
            place: format!("{} {}", anchor.stream, anchor.seq),
            anchor: Ok(anchor.clone()),
            over: 0,
        };
        Ok(kept.values().map(found).collect())
    }
}
