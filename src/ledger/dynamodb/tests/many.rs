//! A rollback over more releases than one transaction takes.

use std::sync::Arc;

use super::proxy::Bad;
use super::{metered, table};
use crate::domain::deployment::{Kind, Verdict, Withdrawn};
use crate::domain::event::Event;
use crate::domain::id::{Digest, Token};
use crate::domain::record::{Listing, Record};
use crate::ledger::contract::fixture::*;
use crate::ledger::{Lease, Ledger};

const RELEASES: usize = 250;

/// A rollback up to its pivot, which is not written yet.
async fn rollback(ledger: &Arc<dyn Ledger>) -> Lease {
    let lease = take(ledger, &production(), "ada").await;
    let mut event = started(1);
    let Event::DeploymentStarted(begun) = &mut event else { unreachable!() };
    begun.kind = Kind::Rollback;
    begun.sets_hold = true;
    begun.withdrawn = Some(Withdrawn {
        bad: release_ref("9.0.0"),
        good: release_ref("1.0.0"),
        versions: (0..RELEASES).map(|n| format!("2.{n}.0").parse().unwrap()).collect(),
    });
    under(ledger, &lease, event).await.unwrap();
    let planned = Event::DeploymentPlanned { deployment: 1, plan: Digest::of(b"plan"), return_point: None };
    under(ledger, &lease, planned).await.unwrap();
    lease
}

async fn withdrawn(ledger: &Arc<dyn Ledger>) -> usize {
    let page = ledger.page(&Listing::Verdicts(production()), None, 1_000).await.unwrap();
    let marked =
        |record: &Record| matches!(record, Record::Verdict(mark) if mark.verdict == Verdict::Withdrawn);
    page.records.iter().filter(|(_, record)| marked(record)).count()
}

async fn verified(ledger: &Arc<dyn Ledger>) {
    let verified = crate::ledger::verify::verify(ledger.as_ref()).await.unwrap();
    assert!(verified.holds(), "{:?}", verified.faults);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn a_rollback_over_many_releases_marks_each() {
    let ledger = table::make().0;
    let lease = rollback(&ledger).await;
    under(&ledger, &lease, Event::Committed { deployment: 1 }).await.unwrap();
    assert_eq!(withdrawn(&ledger).await, RELEASES);
    ledger.release(&lease, released()).await.unwrap();
    verified(&ledger).await;
}

/// Whoever comes next finishes what a writer that died had begun, and before anything of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn invariant_8_marks_that_are_owed_are_written_first() {
    for written in [1, 2, 4] {
        let (ledger, proxy) = metered(Token::from_bits([9; 16])).await;
        let lease = rollback(&ledger).await;
        proxy.plan(".TransactWriteItems", Bad::Throttled, written, u32::MAX);
        let pivot = draft(Event::Committed { deployment: 1 });
        let error = ledger.append(&production(), Some(&lease.fence), pivot.clone()).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        proxy.heal();
        let before = withdrawn(&ledger).await;
        assert_eq!(before, RELEASES.min((written as usize - 1) * 99), "after {written}");
        // The same draft is recognised, and the mark of somebody else comes after those.
        let sealed = ledger.append(&production(), Some(&lease.fence), pivot).await.unwrap();
        assert_eq!(sealed.entry.seq, 4);
        let good = Event::VerdictMarked {
            version: "2.7.0".parse().unwrap(),
            verdict: Verdict::Proven,
            reason: "it was not that".into(),
        };
        append(&ledger, &production(), good).await.unwrap();
        assert_eq!(withdrawn(&ledger).await, RELEASES - 1);
        verified(&ledger).await;
    }
}
