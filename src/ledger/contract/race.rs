//! Many at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::fixture::*;
use crate::domain::entry::{ChainHash, Head};
use crate::domain::project::Illegal;
use crate::ledger::{Lease, Ledger, LedgerError, Take};

type Subject = Arc<dyn Ledger>;

const CONTENDERS: usize = 8;

/// Runs the same thing many times at once, started together.
async fn at_once<T, F>(work: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(tokio::sync::Barrier::new(CONTENDERS));
    let tasks: Vec<_> = (0..CONTENDERS)
        .map(|n| {
            let (barrier, work) = (Arc::clone(&barrier), work(n));
            tokio::spawn(async move {
                barrier.wait().await;
                work.await
            })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

pub(crate) async fn appends_at_once_make_one_chain(ledger: Subject) {
    at_once(|n| {
        let ledger = Arc::clone(&ledger);
        async move {
            for m in 0..10 {
                append(&ledger, &production(), hold(&format!("{n}.{m}"))).await.unwrap();
            }
        }
    })
    .await;
    let entries = ledger.read(&production(), 0, 1000).await.unwrap();
    assert_eq!(entries.len(), CONTENDERS * 10);
    let hash = ChainHash::genesis(&ledger.id().await.unwrap(), &production());
    let mut head = Head { seq: 0, hash, fence: 0 };
    for sealed in entries {
        sealed.follows(&head).unwrap();
        head = sealed.head(&head);
    }
}

pub(crate) async fn one_of_many_claims_a_version(ledger: Subject) {
    for round in 0..5 {
        let results = at_once(|n| {
            let ledger = Arc::clone(&ledger);
            let event = claimed(&format!("1.{round}.0"), &commit(&format!("a{n}")));
            async move { append(&ledger, &releases(), event).await }
        })
        .await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        for error in results.into_iter().filter_map(Result::err) {
            assert!(matches!(error, LedgerError::Illegal(Illegal::VersionTaken { .. })), "{error:?}");
        }
    }
}

pub(crate) async fn invariant_3_one_of_many_gets_the_lease(ledger: Subject) {
    contend(ledger, 10).await;
}

/// Each round: everybody wants the lease, one gets it, the others are told who, and nothing is stuck or lost.
pub(crate) async fn contend(ledger: Subject, rounds: u64) {
    for round in 1..=rounds {
        let results = at_once(|n| {
            let ledger = Arc::clone(&ledger);
            async move {
                ledger.acquire(&production(), &Take::IfFree, TTL, acquired(&format!("contender {n}"))).await
            }
        })
        .await;
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        let won: Vec<Lease> = won.into_iter().map(Result::unwrap).collect();
        assert_eq!(won.len(), 1, "round {round}");
        assert_eq!(won[0].fence.number, round);
        for error in lost.into_iter().filter_map(Result::err) {
            assert!(
                matches!(&error, LedgerError::Held { lease, .. } if lease.holder.nonce == won[0].fence.nonce),
                "{error:?}"
            );
        }
        ledger.release(&won[0], released()).await.unwrap();
    }
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 2 * rounds);
}

pub(crate) async fn invariant_3_preempting_each_other_never_shares_a_fence(ledger: Subject) {
    let leases = at_once(|n| {
        let ledger = Arc::clone(&ledger);
        async move { take(&ledger, &production(), &format!("contender {n}")).await }
    })
    .await;
    let fences: BTreeSet<u64> = leases.iter().map(|lease| lease.fence.number).collect();
    assert_eq!(fences, (1..=CONTENDERS as u64).collect());
    let mut in_force = 0;
    for lease in &leases {
        match ledger.renew(lease, fresh()).await {
            Ok(()) => in_force += 1,
            Err(error) => assert!(matches!(error, LedgerError::Fenced { .. }), "{error:?}"),
        }
    }
    assert_eq!(in_force, 1);
}
