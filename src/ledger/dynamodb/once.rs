//! How a repeated draft is recognised.
//!
//! An entry under a lease is written by the one process that holds it, so only that process can repeat its draft, and
//! it knows where the stream ended when it tried first: the draft is among the entries since then, or nowhere. Other
//! drafts get an item of their own that says which entry they became, whoever asks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::domain::id::{Stream, Token};

/// By what a draft is recognised that was written before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Once {
    /// By an item beside its entry.
    ByItem,
    /// By reading what was written since it was tried first.
    ByReading,
}

/// Drafts to remember. A process repeats one within seconds, and writes a few a second.
const REMEMBERED: usize = 4096;

/// Where each stream ended when a draft was tried first.
#[derive(Default)]
pub(super) struct Tried(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    ends: HashMap<(Stream, Token), u64>,
    order: VecDeque<(Stream, Token)>,
}

impl Tried {
    /// The end of the stream when this draft was tried first, which is now where it was not.
    pub(super) fn first(&self, stream: &Stream, eid: &Token, end: u64) -> u64 {
        // Whoever panicked here left a map that is whole.
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (stream.clone(), eid.clone());
        if let Some(first) = memory.ends.get(&key) {
            return *first;
        }
        if memory.order.len() == REMEMBERED
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.ends.remove(&oldest);
        }
        memory.order.push_back(key.clone());
        memory.ends.insert(key, end);
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_counts_and_the_oldest_is_forgotten() {
        let tried = Tried::default();
        let stream: Stream = "web/production".parse().unwrap();
        let eid = |n: usize| Token::from_bits(u128::try_from(n).unwrap().to_be_bytes());
        assert_eq!(tried.first(&stream, &eid(0), 7), 7);
        assert_eq!(tried.first(&stream, &eid(0), 9), 7);
        for n in 1..=REMEMBERED {
            tried.first(&stream, &eid(n), 8);
        }
        assert_eq!(tried.first(&stream, &eid(1), 9), 8);
        assert_eq!(tried.first(&stream, &eid(0), 9), 9);
    }
}
