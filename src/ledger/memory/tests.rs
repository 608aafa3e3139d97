//! The contract, and the faults.

use std::sync::Arc;

use super::*;
use crate::ledger::contract::fixture::*;
use crate::ledger::contract::{ledger_contract, linear};

fn make() -> (Arc<dyn Ledger>, ()) {
    (Arc::new(MemoryLedger::default()), ())
}

ledger_contract!(make());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_3_contenders_for_the_lease_in_many_rounds() {
    crate::ledger::contract::race::contend(make().0, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_8_what_clients_are_answered_at_once_has_an_order() {
    linear::check(linear::HISTORIES, |clients| (vec![make().0; clients], ())).await;
}

fn subject() -> (Arc<MemoryLedger>, Arc<dyn Ledger>) {
    let memory = Arc::new(MemoryLedger::default());
    (Arc::clone(&memory), memory)
}

#[tokio::test]
async fn a_fault_comes_when_it_was_asked_for_and_before_or_after_the_effect() {
    for (moment, left) in [(Moment::Before, 1), (Moment::After, 3)] {
        let (memory, ledger) = subject();
        memory.inject(Fault { call: Call::Append, skip: 1, times: 2, moment, transient: true });
        for (n, good) in [true, false, false].into_iter().enumerate() {
            let result = append(&ledger, &production(), hold(&n.to_string())).await;
            assert_eq!(result.is_ok(), good, "call {n}");
        }
        assert_eq!(ledger.head(&production()).await.unwrap().seq, left);
        append(&ledger, &production(), hold("healed")).await.unwrap();
    }
}

#[tokio::test]
async fn a_fault_without_end_lasts_until_it_is_healed() {
    let (memory, ledger) = subject();
    memory.inject(Fault {
        call: Call::Read,
        skip: 0,
        times: u32::MAX,
        moment: Moment::Before,
        transient: false,
    });
    for _ in 0..3 {
        assert!(!ledger.id().await.unwrap_err().is_transient());
    }
    append(&ledger, &production(), hold("only reads fail")).await.unwrap();
    memory.heal();
    ledger.id().await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_told_rather_than_the_fault_after_it() {
    let (memory, ledger) = subject();
    memory.inject(Fault { call: Call::Append, skip: 0, times: 1, moment: Moment::After, transient: true });
    let error = append(&ledger, &production(), started(1)).await.unwrap_err();
    assert!(matches!(error, LedgerError::Fenced { .. }), "{error:?}");
}

#[tokio::test]
async fn a_killed_holder_leaves_its_lease_free() {
    let (memory, ledger) = subject();
    take(&ledger, &production(), "ada").await;
    memory.kill_holder(&production());
    assert!(!ledger.lease(&production()).await.unwrap().unwrap().is_held());
    let lease = ledger.acquire(&production(), &Take::IfFree, TTL, acquired("bob")).await.unwrap();
    assert_eq!(lease.fence.number, 2);
    assert!(ledger.lease(&production()).await.unwrap().unwrap().is_held());
}
