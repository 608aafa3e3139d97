//! Records against their entries.

use super::*;

#[tokio::test]
async fn changed_records_are_named() {
    for (sql, record) in [
        (
            "UPDATE record SET body = replace(body, 'succeeded', 'failed') WHERE sort = 'DEP#0000000001'",
            "DEP#0000000001",
        ),
        ("DELETE FROM record WHERE sort = 'DEP#0000000002'", "DEP#0000000002"),
        (
            "UPDATE record SET body = replace(body, '\"serving\":1', '\"serving\":2') WHERE sort = 'CURRENT' AND partition LIKE '%production'",
            "CURRENT",
        ),
        ("UPDATE record SET body = replace(body, 'faulty', 'proven') WHERE sort LIKE 'VER#%'", "VER#"),
        ("UPDATE record SET body = 'not json' WHERE sort = 'HOST#web-1'", "HOST#web-1"),
        ("UPDATE record SET body = 'not json' WHERE sort = 'DEP#0000000001'", "DEP#0000000001"),
        ("DELETE FROM record WHERE sort = 'HOST#web-1'", "HOST#web-1"),
        (
            "INSERT INTO record SELECT partition, 'HOST#web-9', body FROM record WHERE sort = 'HOST#web-1'",
            "HOST#web-9",
        ),
        (
            "INSERT INTO record SELECT partition, 'DEP#0000000003', body FROM record WHERE sort = 'DEP#0000000002'",
            "DEP#0000000003",
        ),
        (
            "INSERT INTO record SELECT partition, 'DEP#0000000001x', body FROM record WHERE sort = 'DEP#0000000002'",
            "DEP#",
        ),
        ("UPDATE lease SET released = 0", "lease"),
        ("UPDATE lease SET holder = replace(holder, 'nonce\":\"0', 'nonce\":\"1')", "lease"),
        ("DELETE FROM lease", "lease"),
    ] {
        let site = site().await;
        site.change(sql);
        let fault = site.fault().await;
        assert_eq!((fault.class, fault.seq), (Class::ProjectionsDiffer, None), "{sql}");
        assert!(fault.record.as_ref().unwrap().contains(record), "{sql}: {fault:?}");
    }
}

#[tokio::test]
async fn a_changed_release_is_named() {
    let site = site().await;
    site.change(
        "UPDATE record SET body = replace(body, 'registry.example', 'evil.example') WHERE sort LIKE 'REL#%'",
    );
    let verified = site.verify().await;
    assert_eq!(verified.faults.len(), 1);
    assert_eq!(
        (&verified.faults[0].stream, verified.faults[0].class),
        (&releases(), Class::ProjectionsDiffer)
    );
}

#[tokio::test]
async fn a_difference_in_what_has_ended_is_found_before_a_writer_can_hide_it() {
    let site = site().await;
    site.change(
        "UPDATE record SET body = replace(body, 'succeeded', 'failed') WHERE sort = 'DEP#0000000001'",
    );
    let ledger = SqliteLedger::open(&site.path, OpenMode::ReadOnly).unwrap();
    let stream = production();
    let mut fold = Fold::new(&ledger, &stream).await.unwrap();
    assert!(
        matches!(fold.catch_up().await, Err(Stop::Fault(fault)) if fault.class == Class::ProjectionsDiffer)
    );
}

#[tokio::test]
async fn it_may_run_beside_a_writer() {
    let site = site().await;
    let writer: Arc<dyn Ledger> = Arc::new(SqliteLedger::open(&site.path, OpenMode::Existing).unwrap());
    let lease = take(&writer, &production(), "ada").await;
    let writing = tokio::spawn(async move {
        for number in 3..40 {
            attempt(&writer, &lease, number).await;
        }
    });
    let reader = SqliteLedger::open(&site.path, OpenMode::ReadOnly).unwrap();
    while !writing.is_finished() {
        let verified = verify(&reader).await.unwrap();
        assert!(verified.holds(), "{:?}", verified.faults);
    }
    writing.await.unwrap();
}

#[tokio::test]
async fn many_deployments_are_compared_in_batches() {
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
    let lease = take(&ledger, &production(), "ada").await;
    for number in 1..=600 {
        attempt(&ledger, &lease, number).await;
    }
    let verified = verify(ledger.as_ref()).await.unwrap();
    assert_eq!((verified.streams[0].entries, verified.streams[0].records), (1201, 601));
}
