//! Each kind of fault at each kind of call: nothing that was acknowledged is lost, nothing is written twice.

use std::sync::Arc;
use std::time::Duration;

use super::super::{DynamoLedger, OpenMode, Target};
use super::proxy::{Bad, Proxy};
use super::table;
use crate::aws::testing::variable;
use crate::aws::{Chain, Limits};
use crate::clock::SystemClock;
use crate::domain::deployment::Outcome;
use crate::domain::entry::Draft;
use crate::domain::id::Token;
use crate::ledger::contract::fixture::*;
use crate::ledger::retry::{Budget, RetryLedger};
use crate::ledger::{Ledger, LedgerError, Take};

/// Long enough for an emulator on a busy machine, short enough to wait for.
const SHORT: Limits = Limits { attempt: Duration::from_millis(600), operation: Duration::from_millis(1400) };
/// What a ledger calls, as `X-Amz-Target` ends.
const CALLS: [&str; 5] = [".GetItem", ".TransactGetItems", ".TransactWriteItems", ".UpdateItem", ".Query"];

/// For what nobody tries again: only what the proxy does may time out.
const PATIENT: Limits =
    Limits { attempt: Duration::from_millis(1500), operation: Duration::from_millis(3500) };

pub(super) fn through(proxy: &Proxy, table: &str, limits: Limits) -> Arc<dyn Ledger> {
    let target =
        Target { table: table.to_owned(), id: Some(Token::from_bits([9; 16])), mode: OpenMode::Write };
    let chain = Chain::to(proxy.url.clone()).within(limits);
    Arc::new(DynamoLedger::new(target, Arc::new(chain), Arc::new(SystemClock)))
}

/// A deployment from lease to lease. What was acknowledged, in order.
async fn story(ledger: &Arc<dyn Ledger>) -> Result<Vec<Token>, LedgerError> {
    let mut written = Vec::new();
    let mut keep = |draft: Draft| {
        written.push(draft.eid.clone());
        draft
    };
    let lease = ledger.acquire(&production(), &Take::IfFree, TTL, keep(acquired("ada"))).await?;
    ledger.append(&production(), Some(&lease.fence), keep(draft(started(1)))).await?;
    ledger.renew(&lease, fresh()).await?;
    ledger.append(&production(), Some(&lease.fence), keep(draft(finished(1, Outcome::Failed)))).await?;
    ledger.release(&lease, keep(released())).await?;
    assert_eq!(ledger.read(&production(), 0, 100).await?.len(), 4);
    Ok(written)
}

async fn holds(table: &str, written: &[Token]) {
    let direct = table::on(table);
    let entries = direct.read(&production(), 0, 100).await.unwrap();
    let found: Vec<Token> = entries.into_iter().map(|sealed| sealed.entry.eid).collect();
    assert_eq!(found, written, "each once, in order");
    let verified = crate::ledger::verify::verify(direct.as_ref()).await.unwrap();
    assert!(verified.holds(), "{:?}", verified.faults);
}

/// The fault at the first and at the third call of its kind; once, and longer than the SDK itself tries. Side by side:
/// most of it is waiting.
async fn survives(bad: Bad) {
    let cases =
        CALLS.iter().flat_map(|call| [(0, 1), (2, 1), (0, 5)].map(|(skip, times)| (*call, skip, times)));
    let cases = cases.map(|(call, skip, times)| survives_at(bad, call, skip, times));
    futures_util::future::join_all(cases).await;
}

async fn survives_at(bad: Bad, call: &'static str, skip: u32, times: u32) {
    let proxy = Proxy::new(variable("RELMAN_TEST_DYNAMODB")).await;
    let table = table::fresh();
    let budget = Budget {
        first: Duration::from_millis(5),
        longest: Duration::from_millis(50),
        total: Duration::from_secs(20),
    };
    let ledger: Arc<dyn Ledger> =
        Arc::new(RetryLedger::new(through(&proxy, &table, SHORT), Arc::new(SystemClock), budget));
    proxy.plan(call, bad, skip, times);
    let written = story(&ledger).await.unwrap_or_else(|e| panic!("{bad:?} at {call}: {e:?}"));
    let hits = proxy.heal();
    assert!(skip > 0 || hits >= 1, "{bad:?} at {call} never happened");
    holds(&table, &written).await;
}

macro_rules! survives {
    ($($name:ident: $bad:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "needs tests/aws/run"]
        async fn $name() {
            survives(Bad::$bad).await;
        }
    )+};
}

survives! {
    a_request_that_is_lost_is_sent_again: DroppedBefore,
    invariant_8_an_answer_that_is_lost_is_not_written_twice: DroppedAfter,
    a_half_open_connection_is_given_up: HalfOpen,
    invariant_8_an_answer_that_never_comes_is_not_written_twice: Silent,
    an_answer_that_drips_is_given_up: SlowDrip,
    a_failure_of_aws_is_tried_again: Failed,
    invariant_8_a_failure_after_the_deed_is_not_written_twice: FailedAfter,
    throttling_is_waited_for: Throttled,
    a_conflict_is_tried_again: Conflict,
    invariant_8_a_request_that_comes_twice_is_written_once: Twice,
}

/// Without the wrapper that tries again: the outcome is called unknown, and the same draft finds out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn invariant_8_an_unknown_outcome_is_found_out_by_the_same_draft() {
    let proxy = Proxy::new(variable("RELMAN_TEST_DYNAMODB")).await;
    for (bad, written) in [(Bad::Silent, 1), (Bad::DroppedAfter, 1), (Bad::HalfOpen, 0), (Bad::Throttled, 0)]
    {
        let table = table::fresh();
        let ledger = through(&proxy, &table, PATIENT);
        assert_eq!(ledger.head(&production()).await.unwrap().seq, 0);
        let once = draft(hold("once"));
        // Reading back is cut off as well: nobody can know.
        proxy.plan("Items", bad, 1, u32::MAX);
        let error = ledger.append(&production(), None, once.clone()).await.unwrap_err();
        assert!(error.is_transient(), "{bad:?}: {error:?}");
        proxy.heal();
        assert_eq!(table::on(&table).head(&production()).await.unwrap().seq, written, "{bad:?}");
        let sealed = ledger.append(&production(), None, once.clone()).await.unwrap();
        assert_eq!(sealed.entry.seq, 1);
        assert_eq!(ledger.append(&production(), None, once.clone()).await.unwrap(), sealed);
        holds(&table, &[once.eid]).await;
    }
}

/// A writer whose answer was lost, and who was replaced meanwhile, learns both: its entry is there, its lease is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn invariant_3_who_was_replaced_meanwhile_writes_nothing_more() {
    let proxy = Proxy::new(variable("RELMAN_TEST_DYNAMODB")).await;
    let table = table::fresh();
    let (ledger, other) = (through(&proxy, &table, PATIENT), table::on(&table));
    let lease = take(&ledger, &production(), "ada").await;
    let first = draft(started(1));
    proxy.plan("Items", Bad::Silent, 1, u32::MAX);
    assert!(
        ledger.append(&production(), Some(&lease.fence), first.clone()).await.unwrap_err().is_transient()
    );
    proxy.heal();
    take(&other, &production(), "bob").await;
    let sealed = ledger.append(&production(), Some(&lease.fence), first).await.unwrap();
    assert_eq!(sealed.entry.seq, 2);
    for error in [
        under(&ledger, &lease, finished(1, Outcome::Failed)).await.unwrap_err(),
        ledger.renew(&lease, fresh()).await.unwrap_err(),
    ] {
        assert!(matches!(error, LedgerError::Fenced { held: 1, current: 2, .. }), "{error:?}");
    }
}
