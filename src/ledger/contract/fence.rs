//! Whose entries are taken.

use std::sync::Arc;

use super::fixture::*;
use crate::domain::deployment::{Outcome, Verdict};
use crate::domain::event::Event;
use crate::domain::id::Fence;
use crate::ledger::{Ledger, LedgerError, Take};

type Subject = Arc<dyn Ledger>;

fn fenced(error: LedgerError) -> (u64, u64) {
    match error {
        LedgerError::Fenced { held, current, stream } => {
            assert_eq!(stream, production());
            (held, current)
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn invariant_3_an_older_fence_cannot_append(ledger: Subject) {
    let old = take(&ledger, &production(), "ada").await;
    under(&ledger, &old, started(1)).await.unwrap();
    let new = take(&ledger, &production(), "bob").await;
    let head = ledger.head(&production()).await.unwrap();
    for event in [Event::DeploymentResumed { deployment: 1 }, finished(1, Outcome::Failed), started(2)] {
        assert_eq!(fenced(under(&ledger, &old, event).await.unwrap_err()), (1, 2));
    }
    assert_eq!(ledger.head(&production()).await.unwrap(), head, "nothing was written");
    under(&ledger, &new, Event::DeploymentResumed { deployment: 1 }).await.unwrap();
}

pub(crate) async fn invariant_3_a_foreign_nonce_cannot_append(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    let forged = Fence { number: lease.fence.number, nonce: fresh() };
    let error = ledger.append(&production(), Some(&forged), draft(started(1))).await.unwrap_err();
    assert_eq!(fenced(error), (1, 1));
}

pub(crate) async fn invariant_3_a_fence_of_the_future_cannot_append(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    let forged = Fence { number: 2, nonce: lease.fence.nonce };
    let error = ledger.append(&production(), Some(&forged), draft(started(1))).await.unwrap_err();
    assert_eq!(fenced(error), (2, 1));
}

pub(crate) async fn invariant_3_nothing_is_appended_without_the_fence_it_needs(ledger: Subject) {
    assert_eq!(fenced(append(&ledger, &production(), started(1)).await.unwrap_err()), (0, 0));
    let fence = Fence { number: 1, nonce: fresh() };
    let error = ledger.append(&production(), Some(&fence), draft(started(1))).await.unwrap_err();
    assert_eq!(fenced(error), (1, 0));
    take(&ledger, &production(), "ada").await;
    assert_eq!(fenced(append(&ledger, &production(), started(1)).await.unwrap_err()), (0, 1));
}

pub(crate) async fn invariant_3_a_lease_given_back_is_in_force_no_more(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    ledger.release(&lease, released()).await.unwrap();
    assert_eq!(fenced(under(&ledger, &lease, started(1)).await.unwrap_err()), (1, 1));
}

pub(crate) async fn invariant_3_fences_only_grow(ledger: Subject) {
    for number in 1..=5 {
        let lease = ledger.acquire(&production(), &Take::IfFree, TTL, acquired("ada")).await.unwrap();
        assert_eq!(lease.fence.number, number);
        ledger.release(&lease, released()).await.unwrap();
        assert_eq!(ledger.head(&production()).await.unwrap().fence, number);
        append(&ledger, &production(), hold("no fence")).await.unwrap();
        assert_eq!(ledger.head(&production()).await.unwrap().fence, number);
    }
}

pub(crate) async fn a_verdict_needs_no_fence(ledger: Subject) {
    let verdict = || Event::VerdictMarked {
        version: version("1.0.0"),
        verdict: Verdict::Faulty,
        reason: "slow".into(),
    };
    assert_eq!(append(&ledger, &production(), verdict()).await.unwrap().entry.fence, 0);
    let lease = take(&ledger, &production(), "ada").await;
    assert_eq!(append(&ledger, &production(), verdict()).await.unwrap().entry.fence, 0);
    assert_eq!(under(&ledger, &lease, verdict()).await.unwrap().entry.fence, 0);
    assert_eq!(under(&ledger, &lease, started(1)).await.unwrap().entry.fence, 1);
}

pub(crate) async fn an_old_fence_is_refused_even_where_none_is_needed(ledger: Subject) {
    let old = take(&ledger, &production(), "ada").await;
    take(&ledger, &production(), "bob").await;
    assert_eq!(fenced(under(&ledger, &old, hold("late")).await.unwrap_err()), (1, 2));
}
