//! Linearizability: what many clients are answered at once could have happened one call at a time, in an order that
//! agrees with the clock. The clients are values of their own on the same ledger.

mod broken;
mod check;
mod spec;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::check::{Call, linearizable};
use self::spec::{Did, State};
use super::fixture::*;
use crate::domain::event::Event;
use crate::domain::id::Token;
use crate::domain::project::Illegal;
use crate::domain::record::{Key, Record};
use crate::ledger::{Lease, Ledger, LedgerError, Take};

type Subject = Arc<dyn Ledger>;

/// How many histories each ledger is held against.
pub(crate) const HISTORIES: u64 = 50;

/// What a client chooses from: the same for the same seed. (xorshift64*; how calls meet is chance all the same.)
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }
}

/// One of those who use the ledger at once.
struct Client {
    ledger: Subject,
    chance: Chance,
    /// The lease it took last, in force or not.
    lease: Option<Lease>,
}

impl Client {
    async fn call(&mut self) -> Did {
        match (self.chance.below(13), self.lease.clone()) {
            (0 | 1, _) => self.hold(None).await,
            (2 | 12, lease) => self.hold(lease).await,
            (3 | 4, _) => self.claim().await,
            (5, _) => {
                let head = self.ledger.head(&production()).await.unwrap();
                Did::Head { seq: head.seq, fence: head.fence }
            }
            (6, _) => {
                let entries = self.ledger.read(&production(), 0, 1000).await.unwrap();
                Did::Read(entries.into_iter().map(|sealed| sealed.entry.eid).collect())
            }
            (7, _) => match self.ledger.get(&Key::of_environment(&production())).await.unwrap() {
                Some(Record::Environment(found)) => Did::Current(found.hold.map(|hold| hold.reason)),
                _ => Did::Current(None),
            },
            (8, _) => {
                let version = self.version();
                match self.ledger.get(&Key::of_claim(&service(), &version)).await.unwrap() {
                    Some(Record::Claim(claim)) => Did::Claimed(version.to_string(), Some(claim.commit)),
                    _ => Did::Claimed(version.to_string(), None),
                }
            }
            (9, Some(lease)) => self.give_back(lease).await,
            (10, Some(lease)) => {
                let renewed = self.ledger.renew(&lease, fresh()).await;
                Did::Renew { nonce: lease.fence.nonce, done: in_force(renewed) }
            }
            (11, _) => {
                let lease = self.ledger.lease(&production()).await.unwrap();
                Did::Lease(lease.filter(|lease| !lease.released).map(|lease| lease.holder.nonce))
            }
            _ => self.acquire().await,
        }
    }

    fn version(&mut self) -> crate::domain::version::Version {
        version(&format!("1.{}.0", self.chance.below(4)))
    }

    async fn hold(&mut self, lease: Option<Lease>) -> Did {
        let draft = draft(Event::HoldSet { reason: fresh().to_string() });
        let Event::HoldSet { reason } = &draft.event else { unreachable!() };
        let (eid, reason) = (draft.eid.clone(), reason.clone());
        let fence = lease.map(|lease| lease.fence);
        let seq = match self.ledger.append(&production(), fence.as_ref(), draft).await {
            Ok(sealed) => Some(sealed.entry.seq),
            Err(LedgerError::Fenced { .. }) => None,
            Err(other) => panic!("{other:?}"),
        };
        Did::Hold { nonce: fence.map(|fence| fence.nonce), eid, reason, seq }
    }

    async fn claim(&mut self) -> Did {
        let version = self.version();
        let commit = commit(&fresh().to_string()[..32]);
        let event = Event::VersionClaimed { version: version.clone(), commit: commit.clone() };
        let answer = match append(&self.ledger, &releases(), event).await {
            Ok(sealed) => Ok(sealed.entry.seq),
            Err(LedgerError::Illegal(Illegal::VersionTaken { commit, .. })) => Err(commit),
            Err(other) => panic!("{other:?}"),
        };
        Did::Claim { version: version.to_string(), commit, answer }
    }

    async fn acquire(&mut self) -> Did {
        let preempts = self.chance.below(3) == 0;
        let draft = acquired("ada");
        let (eid, Event::LeaseAcquired { holder, .. }) = (draft.eid.clone(), draft.event.clone()) else {
            unreachable!()
        };
        let take = if preempts { Take::Preempt } else { Take::IfFree };
        let answer = match self.ledger.acquire(&production(), &take, TTL, draft).await {
            Ok(lease) => Ok(self.lease.insert(lease).fence.number),
            Err(LedgerError::Held { lease, .. }) => Err(lease.holder.nonce),
            Err(other) => panic!("{other:?}"),
        };
        Did::Acquire { preempts, eid, nonce: holder.nonce, answer }
    }

    async fn give_back(&mut self, lease: Lease) -> Did {
        let draft = released();
        let eid = draft.eid.clone();
        let done = in_force(self.ledger.release(&lease, draft).await);
        Did::Release { nonce: lease.fence.nonce, eid, done }
    }
}

fn in_force(answer: Result<(), LedgerError>) -> bool {
    match answer {
        Ok(()) => true,
        Err(LedgerError::Fenced { .. }) => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// Lets clients use an empty ledger at once and writes down what they were answered, and when.
async fn record(clients: Vec<Subject>, seed: u64) -> Vec<Call<Did>> {
    // At least twenty calls, and five of each client.
    let calls = 24_usize.div_ceil(clients.len()).max(5);
    let barrier = Arc::new(tokio::sync::Barrier::new(clients.len()));
    let clock = Arc::new(AtomicU64::new(1));
    let tasks: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(number, ledger)| {
            let (barrier, clock) = (Arc::clone(&barrier), Arc::clone(&clock));
            let mut client = Client { ledger, chance: Chance((seed << 8) + number as u64 + 1), lease: None };
            tokio::spawn(async move {
                barrier.wait().await;
                let mut history = Vec::new();
                for _ in 0..calls {
                    let began = clock.fetch_add(1, Ordering::SeqCst);
                    let did = client.call().await;
                    let ended = clock.fetch_add(1, Ordering::SeqCst);
                    history.push(Call { began, ended, did });
                }
                // A holder that goes away counts as dead: all stay until the last call.
                (client, history)
            })
        })
        .collect();
    let (mut kept, mut history) = (vec![], vec![]);
    for task in tasks {
        let (client, calls) = task.await.unwrap();
        kept.push(client);
        history.extend(calls);
    }
    history.sort_by_key(|call| call.began);
    history
}

/// How many pairs of calls were under way at once.
fn overlaps(history: &[Call<Did>]) -> usize {
    let after = |n: usize| &history[n + 1..];
    let later = |n: usize| after(n).iter().filter(|other| other.began < history[n].ended).count();
    (0..history.len()).map(later).sum()
}

/// Histories of two to eight clients of an empty ledger each: `make` gives as many values on it as are asked for.
pub(crate) async fn check<K>(histories: u64, make: impl Fn(usize) -> (Vec<Subject>, K)) {
    let (mut calls, mut met) = (0, 0);
    for seed in 1..=histories {
        let (clients, _kept) = make(2 + (seed % 7) as usize);
        let history = record(clients, seed).await;
        assert!(history.len() >= 20);
        calls += history.len();
        met += overlaps(&history);
        assert!(linearizable(State::default(), &history), "seed {seed}: {history:#?}");
    }
    println!("{histories} histories, {calls} calls, {met} pairs at once");
    assert!(met > 0, "the clients never met");
}

/// The nonce of whoever holds the lease.
type Nonce = Token;
