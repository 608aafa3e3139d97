//! Entries of another ledger of the same id.

use std::sync::Arc;

use super::fixture::*;
use crate::domain::entry::Sealed;
use crate::domain::id::Stream;
use crate::domain::record::Listing;
use crate::ledger::memory::MemoryLedger;
use crate::ledger::{Ledger, LedgerError, Take};

/// A ledger of the same id with something of everything in it.
async fn source(ledger: &Arc<dyn Ledger>) -> Arc<dyn Ledger> {
    let source: Arc<dyn Ledger> = Arc::new(MemoryLedger::new(ledger.id().await.unwrap()));
    append(&source, &releases(), claimed("1.4.2", &commit("abc"))).await.unwrap();
    append(&source, &releases(), bound("1.4.2")).await.unwrap();
    let lease = take(&source, &production(), "ada").await;
    succeed(&source, &lease, 1).await;
    source.release(&lease, released()).await.unwrap();
    let lease = take(&source, &production(), "grace").await;
    attempt(&source, &lease, 2).await;
    append(&source, &production(), hold("until Monday")).await.unwrap();
    source
}

async fn of(ledger: &Arc<dyn Ledger>, stream: &Stream) -> Vec<Sealed> {
    ledger.read(stream, 0, 1_000).await.unwrap()
}

async fn import_all(ledger: &Arc<dyn Ledger>, source: &Arc<dyn Ledger>) {
    for stream in [releases(), production()] {
        for entry in of(source, &stream).await {
            ledger.import(&entry).await.unwrap();
        }
    }
}

async fn open_all(ledger: &Arc<dyn Ledger>) {
    for stream in [releases(), production()] {
        let imported = crate::domain::event::Event::LedgerImported { from: "sqlite:x".into() };
        append(ledger, &stream, imported).await.unwrap();
    }
}

pub(crate) async fn a_stream_that_is_being_copied_takes_nothing_until_it_goes_on(ledger: Arc<dyn Ledger>) {
    let source = source(&ledger).await;
    for stream in [releases(), production()] {
        ledger.import(&of(&source, &stream).await[0]).await.unwrap();
    }
    for half in [true, false] {
        let refused = [
            append(&ledger, &releases(), claimed("9.9.9", &commit("abd"))).await.unwrap_err(),
            append(&ledger, &production(), hold("x")).await.unwrap_err(),
            append(&ledger, &"web/staging".parse().unwrap(), hold("x")).await.unwrap_err(),
            ledger.acquire(&production(), &Take::Preempt, TTL, acquired("ada")).await.unwrap_err(),
        ];
        for error in refused {
            assert!(error.to_string().contains("is being copied into this ledger"), "{error:?}");
        }
        if half {
            import_all(&ledger, &source).await;
        }
    }
    let verified = crate::ledger::verify::verify(ledger.as_ref()).await.unwrap();
    assert!(verified.holds(), "{:?}", verified.faults);
    open_all(&ledger).await;
    append(&ledger, &releases(), claimed("9.9.9", &commit("abd"))).await.unwrap();
    append(&ledger, &production(), hold("x")).await.unwrap();
    append(&ledger, &"web/staging".parse().unwrap(), hold("x")).await.unwrap();
    ledger.acquire(&production(), &Take::Preempt, TTL, acquired("ada")).await.unwrap();
    let verified = crate::ledger::verify::verify(ledger.as_ref()).await.unwrap();
    assert!(verified.holds(), "{:?}", verified.faults);
}

pub(crate) async fn invariant_8_what_is_imported_is_the_same_byte_for_byte(ledger: Arc<dyn Ledger>) {
    let source = source(&ledger).await;
    import_all(&ledger, &source).await;
    for stream in [releases(), production()] {
        assert_eq!(of(&ledger, &stream).await, of(&source, &stream).await);
        assert_eq!(ledger.head(&stream).await.unwrap(), source.head(&stream).await.unwrap());
    }
    for listing in [
        Listing::Deployments(production()),
        Listing::Hosts(production()),
        Listing::Verdicts(production()),
        Listing::Releases(service()),
    ] {
        let (new, old) =
            (ledger.page(&listing, None, 50).await.unwrap(), source.page(&listing, None, 50).await.unwrap());
        assert_eq!(new, old);
    }
    let verified = crate::ledger::verify::verify(ledger.as_ref()).await.unwrap();
    assert!(verified.holds(), "{:?}", verified.faults);
}

pub(crate) async fn an_entry_is_imported_once(ledger: Arc<dyn Ledger>) {
    let source = source(&ledger).await;
    import_all(&ledger, &source).await;
    import_all(&ledger, &source).await;
    assert_eq!(of(&ledger, &production()).await, of(&source, &production()).await);
}

pub(crate) async fn an_entry_that_does_not_follow_is_refused(ledger: Arc<dyn Ledger>) {
    let source = source(&ledger).await;
    let entries = of(&source, &production()).await;
    let error = ledger.import(&entries[1]).await.unwrap_err();
    assert!(matches!(error, LedgerError::Entry { .. }), "{error:?}");
    ledger.import(&entries[0]).await.unwrap();
    let error = ledger.import(&entries[2]).await.unwrap_err();
    assert!(matches!(error, LedgerError::Entry { .. }), "{error:?}");
    assert_eq!(of(&ledger, &production()).await.len(), 1);
}

pub(crate) async fn an_entry_of_another_ledger_is_refused(ledger: Arc<dyn Ledger>) {
    let other: Arc<dyn Ledger> = Arc::new(MemoryLedger::new(fresh()));
    let entry = append(&other, &production(), hold("x")).await.unwrap();
    let error = ledger.import(&entry).await.unwrap_err();
    assert!(matches!(error, LedgerError::Entry { .. }), "{error:?}");
    assert!(ledger.streams().await.unwrap().is_empty());
}

pub(crate) async fn a_history_of_its_own_is_not_mixed_with_another(ledger: Arc<dyn Ledger>) {
    let source = source(&ledger).await;
    append(&ledger, &production(), hold("mine")).await.unwrap();
    let error = ledger.import(&of(&source, &production()).await[0]).await.unwrap_err();
    assert!(matches!(error, LedgerError::Unusable { .. }), "{error:?}");
    assert_eq!(of(&ledger, &production()).await.len(), 1);
}

pub(crate) async fn invariant_3_fences_grow_on_after_an_import(ledger: Arc<dyn Ledger>) {
    let source = source(&ledger).await;
    import_all(&ledger, &source).await;
    let before = ledger.lease(&production()).await.unwrap().unwrap();
    open_all(&ledger).await;
    assert!(!before.released, "the last holder of the old ledger did not give it back");
    let lease = ledger.acquire(&production(), &Take::Preempt, TTL, acquired("eve")).await.unwrap();
    assert_eq!(lease.fence.number, before.fence + 1);
    attempt(&ledger, &lease, 3).await;
}

pub(crate) async fn a_stream_that_moved_takes_nothing_more(ledger: Arc<dyn Ledger>) {
    for stream in [releases(), production()] {
        let moved = crate::domain::event::Event::LedgerMoved { to: "dynamodb:x".into() };
        append(&ledger, &stream, moved).await.unwrap();
    }
    let refused = [
        append(&ledger, &releases(), claimed("1.4.2", &commit("abc"))).await.unwrap_err(),
        append(&ledger, &production(), hold("x")).await.unwrap_err(),
        ledger.acquire(&production(), &Take::IfFree, TTL, acquired("ada")).await.unwrap_err(),
    ];
    for error in refused {
        assert!(error.to_string().contains("dynamodb:x"), "{error:?}");
    }
}
