//! What the calls of the port may answer when they come one at a time.

use std::collections::BTreeMap;

use super::Nonce;
use super::check::Spec;
use crate::domain::id::{CommitSha, Token};

/// An environment's stream and a service's, as far as the clients use them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    entries: Vec<Token>,
    fence: u64,
    lease: Option<Nonce>,
    hold: Option<String>,
    /// Each is one entry.
    claims: BTreeMap<String, CommitSha>,
}

/// A call with its answer.
#[derive(Debug, Clone)]
pub(crate) enum Did {
    /// An append to the environment, maybe under a lease; `seq` is none when that was not in force.
    Hold { nonce: Option<Nonce>, eid: Token, reason: String, seq: Option<u64> },
    /// An append to the service; answered by its number or by the commit that has the version.
    Claim { version: String, commit: CommitSha, answer: Result<u64, CommitSha> },
    /// The end of the environment's stream.
    Head { seq: u64, fence: u64 },
    /// All its entries.
    Read(Vec<Token>),
    /// The hold in the environment's record.
    Current(Option<String>),
    /// The record of a version.
    Claimed(String, Option<CommitSha>),
    /// Who holds the lease.
    Lease(Option<Nonce>),
    /// Answered by the fence, or by who holds it.
    Acquire { preempts: bool, eid: Token, nonce: Nonce, answer: Result<u64, Nonce> },
    /// Whether it was in force.
    Renew { nonce: Nonce, done: bool },
    /// Whether it was in force.
    Release { nonce: Nonce, eid: Token, done: bool },
}

impl State {
    fn holds(&self, nonce: &Nonce) -> bool {
        self.lease.as_ref() == Some(nonce)
    }

    /// Appends; how many there are then.
    fn push(&mut self, eid: &Token) -> u64 {
        self.entries.push(eid.clone());
        self.entries.len() as u64
    }
}

impl Spec for State {
    type Did = Did;

    fn after(&self, did: &Did) -> Option<Self> {
        let mut next = self.clone();
        let fits = match did {
            Did::Hold { nonce, eid, reason, seq } => {
                match (nonce.as_ref().is_none_or(|nonce| self.holds(nonce)), seq) {
                    (true, Some(seq)) => {
                        next.hold = Some(reason.clone());
                        next.push(eid) == *seq
                    }
                    (in_force, seq) => !in_force && seq.is_none(),
                }
            }
            Did::Claim { version, commit, answer } => match (self.claims.get(version), answer) {
                (None, Ok(seq)) => {
                    next.claims.insert(version.clone(), commit.clone());
                    next.claims.len() as u64 == *seq
                }
                (Some(has), Err(told)) => has == told,
                _ => false,
            },
            Did::Head { seq, fence } => (self.entries.len() as u64, self.fence) == (*seq, *fence),
            Did::Read(entries) => self.entries == *entries,
            Did::Current(hold) => self.hold == *hold,
            Did::Claimed(version, commit) => self.claims.get(version) == commit.as_ref(),
            Did::Lease(nonce) => self.lease == *nonce,
            Did::Acquire { preempts, eid, nonce, answer } => match (&self.lease, answer) {
                (Some(has), Err(told)) => !preempts && has == told,
                (None, Err(_)) => false,
                (Some(_), Ok(_)) if !preempts => false,
                (_, Ok(fence)) => {
                    next.push(eid);
                    next.lease = Some(nonce.clone());
                    next.fence += 1;
                    next.fence == *fence
                }
            },
            Did::Renew { nonce, done } => self.holds(nonce) == *done,
            Did::Release { nonce, eid, done } => {
                if *done {
                    next.push(eid);
                    next.lease = None;
                }
                self.holds(nonce) == *done
            }
        };
        fits.then_some(next)
    }
}
