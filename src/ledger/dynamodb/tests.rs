//! The contract over an emulator, which `tests/aws/run` starts and names in `RELMAN_TEST_DYNAMODB`. Asked for without
//! one, these tests fail.

mod faults;
mod many;
pub(crate) mod proxy;
mod scale;
pub(crate) mod table;

use self::table::{ledger, make, on};
use super::*;
use crate::aws::testing::number;
use crate::ledger::contract::fixture::*;
use crate::ledger::contract::{ledger_contract, linear};

/// An empty ledger behind a proxy.
pub(crate) async fn metered(id: Token) -> (Arc<dyn Ledger>, proxy::Proxy) {
    let proxy = proxy::Proxy::new(crate::aws::testing::variable("RELMAN_TEST_DYNAMODB")).await;
    let target = Target { table: table::fresh(), id: Some(id), mode: OpenMode::Write };
    let ledger =
        DynamoLedger::new(target, table::chain_to(proxy.url.clone()), Arc::new(crate::clock::SystemClock));
    (Arc::new(ledger), proxy)
}

/// An empty ledger twice: behind a proxy, with these limits, and directly.
pub(crate) async fn near_and_far(
    limits: crate::aws::Limits,
) -> (Arc<dyn Ledger>, Arc<dyn Ledger>, proxy::Proxy) {
    let proxy = proxy::Proxy::new(crate::aws::testing::variable("RELMAN_TEST_DYNAMODB")).await;
    let table = table::fresh();
    (on(&table), faults::through(&proxy, &table, limits), proxy)
}

ledger_contract!(
    #[ignore = "needs tests/aws/run"]
    make()
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn invariant_3_contenders_for_the_lease_in_many_rounds() {
    crate::ledger::contract::race::contend(make().0, number("RELMAN_TEST_ROUNDS")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn invariant_8_what_clients_are_answered_at_once_has_an_order() {
    linear::check(linear::HISTORIES, |clients| {
        let table = table::fresh();
        ((0..clients).map(|_| on(&table)).collect(), table::Deleted(table))
    })
    .await;
}

#[test]
#[ignore = "needs tests/aws/run"]
fn invariant_8_random_histories_in_dynamodb_end_as_in_memory() {
    let cases = u32::try_from(number("RELMAN_TEST_CASES")).unwrap();
    crate::ledger::contract::model::check(cases, || make().0);
}

fn reason(error: &LedgerError) -> &str {
    match error {
        LedgerError::Unusable { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn the_first_writer_gives_the_ledger_its_id() {
    let table = table::fresh();
    let target = |mode, id| Target { table: table.clone(), id, mode };
    let reader = ledger(target(OpenMode::Read, None));
    assert_eq!(reader.streams().await.unwrap(), [], "what is not there yet reads as empty");
    let error = reader.append(&production(), None, draft(hold("a"))).await.unwrap_err();
    assert_eq!(reason(&error), "it was opened for reading alone");

    let id = Token::from_bits([3; 16]);
    let first = ledger(target(OpenMode::Write, Some(id.clone())));
    assert_eq!(first.id().await.unwrap(), id);
    let second = ledger(target(OpenMode::Write, None));
    assert_eq!(second.id().await.unwrap(), id, "it has one");
    let other = ledger(target(OpenMode::Write, Some(Token::from_bits([4; 16]))));
    let error = other.id().await.unwrap_err();
    assert_eq!(reason(&error), format!("it is ledger {id}, not {}", "04".repeat(16)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn a_newer_ledger_is_left_alone() {
    let table = table::fresh();
    let client = table::client().await;
    let meta = items::meta().item([
        ("ledger_id", items::text("05".repeat(16))),
        ("schema_version", items::number(2)),
        ("min_client", items::text("9.1.0")),
    ]);
    client.put_item().table_name(&table).set_item(Some(meta)).send().await.unwrap();
    for mode in [OpenMode::Read, OpenMode::Write] {
        let error = ledger(Target { table: table.clone(), id: None, mode }).id().await.unwrap_err();
        assert_eq!(reason(&error), "its schema is 2, which needs relman 9.1.0 or newer");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn a_table_that_is_not_there_is_named() {
    let ledger = ledger(Target { table: "not-there".into(), id: None, mode: OpenMode::Write });
    let error = ledger.head(&production()).await.unwrap_err();
    let LedgerError::Unavailable { location, transient: false, source } = &error else { panic!("{error:?}") };
    assert_eq!(location.0, "dynamodb:not-there");
    let fault = source.downcast_ref::<Fault>().unwrap();
    assert_eq!(fault.kind, crate::aws::FaultKind::Missing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn what_was_changed_by_hand_is_found() {
    let table = table::fresh();
    let ledger = on(&table);
    for reason in ["a", "b", "c"] {
        append(&ledger, &production(), hold(reason)).await.unwrap();
    }
    assert!(crate::ledger::verify::verify(ledger.as_ref()).await.unwrap().holds());
    let client = table::client().await;
    let body = ledger.read(&production(), 1, 1).await.unwrap().remove(0).body.replace("\"b\"", "\"x\"");
    client
        .update_item()
        .table_name(&table)
        .set_key(Some(items::entry(&production(), 2).key()))
        .update_expression("SET body = :body")
        .expression_attribute_values(":body", items::text(body))
        .send()
        .await
        .unwrap();
    assert!(matches!(ledger.read(&production(), 0, 9).await.unwrap_err(), LedgerError::Entry { .. }));
    let verified = crate::ledger::verify::verify(ledger.as_ref()).await.unwrap();
    assert_eq!(verified.faults[0].seq, Some(2), "{:?}", verified.faults);
}

async fn lose(table: &str, place: items::Place) {
    let client = table::client().await;
    client.delete_item().table_name(table).set_key(Some(place.key())).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn what_is_gone_is_missed() {
    let table = table::fresh();
    let ledger = on(&table);
    append(&ledger, &production(), hold("a")).await.unwrap();
    // Its name in the list of streams.
    let listed = items::name(&production());
    let known = [production()];
    lose(&table, listed).await;
    let verified = crate::ledger::verify::verify_known(ledger.as_ref(), &known).await.unwrap();
    assert!(verified.faults.len() == 1 && verified.streams.len() == 1, "{verified:?}");

    // What says which ledger it is: nobody founds another over its entries.
    let table = table::fresh();
    append(&on(&table), &production(), hold("a")).await.unwrap();
    lose(&table, items::meta()).await;
    // And who reads does not take it for one that is not there yet, nor its chains for broken ones.
    for mode in [OpenMode::Write, OpenMode::Read] {
        let opened = self::table::ledger(Target { table: table.clone(), id: None, mode });
        let error = opened.id().await.unwrap_err();
        assert!(reason(&error).contains("META SCHEMA is gone"), "{mode:?}: {error:?}");
        assert!(reason(&error).contains("docs/runbook.md"), "{error:?}");
    }

    // An entry that does not read hides no other stream.
    let table = table::fresh();
    let ledger = on(&table);
    append(&ledger, &production(), hold("a")).await.unwrap();
    let staging = Stream::deployments(&production().service, &"staging".parse().unwrap());
    append(&ledger, &staging, hold("b")).await.unwrap();
    let client = table::client().await;
    client
        .update_item()
        .table_name(&table)
        .set_key(Some(items::entry(&production(), 1).key()))
        .update_expression("REMOVE body")
        .send()
        .await
        .unwrap();
    let verified = crate::ledger::verify::verify(ledger.as_ref()).await.unwrap();
    assert_eq!((verified.faults.len(), verified.streams.len()), (1, 1), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn lists_longer_than_an_answer_come_whole() {
    let ledger = make().0;
    // Each body is near its limit: forty of them are more than the megabyte of one answer.
    for n in 0..40 {
        append(&ledger, &production(), hold(&format!("{n}{}", "x".repeat(30_000)))).await.unwrap();
    }
    assert_eq!(ledger.read(&production(), 0, 1000).await.unwrap().len(), 40);
    assert!(crate::ledger::verify::verify(ledger.as_ref()).await.unwrap().holds());
}

/// A table is read by key or by a range of keys. What reads it whole costs more with each deployment.
#[test]
fn nothing_reads_a_whole_table() {
    for source in [
        include_str!("../dynamodb.rs"),
        include_str!("items.rs"),
        include_str!("read.rs"),
        include_str!("write.rs"),
    ] {
        let code = source.to_lowercase();
        for word in [".scan()", "scan(", "batch_get", "index_name", "execute_statement"] {
            assert!(!code.contains(word), "{word}");
        }
    }
}

#[test]
fn the_table_has_two_keys_and_no_index() {
    let table: serde_json::Value = serde_json::from_str(TABLE).unwrap();
    let keys = ["pk", "sk"].map(|name| {
        let found = table["KeySchema"].as_array().unwrap().iter().find(|key| key["AttributeName"] == name);
        found.unwrap()["KeyType"].as_str().unwrap()
    });
    assert_eq!(keys, ["HASH", "RANGE"]);
    assert_eq!(table["KeySchema"].as_array().unwrap().len(), 2);
    for index in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        assert!(table.get(index).is_none(), "{index}");
    }
}

#[test]
fn a_cancelled_transaction_passes_when_each_reason_does() {
    use aws_sdk_dynamodb::types::CancellationReason;

    use crate::aws::FaultKind::{Conflict, Throttled};
    let passing = |codes: &[&str]| {
        let reasons = codes.iter().map(|code| CancellationReason::builder().code(*code).build());
        write::passing(&reasons.collect::<Vec<_>>())
    };
    assert_eq!(passing(&["None", "TransactionConflict", "None"]), Some(Conflict));
    assert_eq!(passing(&["TransactionConflict", "ThrottlingError"]), Some(Throttled));
    assert_eq!(passing(&["ProvisionedThroughputExceeded"]), Some(Throttled));
    for mixed in [&["TransactionConflict", "ConditionalCheckFailed"][..], &["ValidationError"], &["Else"]] {
        assert_eq!(passing(mixed), None, "{mixed:?}");
    }
}
