//! Taking, keeping and giving back a lease.

use std::sync::Arc;
use std::time::Duration;

use super::fixture::*;
use crate::domain::event::Event;
use crate::domain::id::Stream;
use crate::domain::project::Illegal;
use crate::ledger::{LeaseView, Ledger, LedgerError, Take};

type Subject = Arc<dyn Ledger>;

async fn view(ledger: &Subject) -> LeaseView {
    ledger.lease(&production()).await.unwrap().unwrap()
}

async fn last_event(ledger: &Subject) -> (Event, u64) {
    let seq = ledger.head(&production()).await.unwrap().seq;
    let entry = ledger.read(&production(), seq - 1, 1).await.unwrap().remove(0).entry;
    (entry.event, entry.fence)
}

fn is_fenced(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Fenced { .. })
}

pub(crate) async fn there_is_no_lease_at_first(ledger: Subject) {
    assert_eq!(ledger.lease(&production()).await.unwrap(), None);
    append(&ledger, &production(), hold("a")).await.unwrap();
    assert_eq!(ledger.lease(&production()).await.unwrap(), None);
}

pub(crate) async fn a_lease_is_recorded_with_its_fence(ledger: Subject) {
    append(&ledger, &production(), hold("a")).await.unwrap();
    let lease = ledger.acquire(&production(), &Take::IfFree, TTL, acquired("ada")).await.unwrap();
    assert_eq!((lease.stream, lease.fence.number, lease.ttl), (production(), 1, TTL));
    let (event, fence) = last_event(&ledger).await;
    assert!(
        matches!(event, Event::LeaseAcquired { holder, stolen: false } if holder.nonce == lease.fence.nonce)
    );
    assert_eq!(fence, 1);
    let head = ledger.head(&production()).await.unwrap();
    assert_eq!((head.seq, head.fence), (2, 1));
}

pub(crate) async fn a_lease_shows_its_holder_and_its_time(ledger: Subject) {
    let draft = acquired("ada");
    let ttl = Duration::from_millis(12_345);
    ledger.acquire(&production(), &Take::IfFree, ttl, draft.clone()).await.unwrap();
    let Event::LeaseAcquired { holder, .. } = draft.event else { panic!("it is") };
    let view = view(&ledger).await;
    assert_eq!((view.fence, &view.holder, view.ttl, view.released), (1, &holder, ttl, false));
    assert!(!view.holder_dead && view.is_held());
}

pub(crate) async fn a_held_lease_names_its_holder(ledger: Subject) {
    take(&ledger, &production(), "ada").await;
    let error = ledger.acquire(&production(), &Take::IfFree, TTL, acquired("bob")).await.unwrap_err();
    let LedgerError::Held { lease, .. } = &error else { panic!("{error:?}") };
    assert_eq!(lease.holder.actor.name, "ada");
    assert_eq!(
        error.to_string(),
        "web/production is held by ada on laptop (pid 4711) since 2026-01-02T03:04:05.678Z, \
         doing: deploy v1.4.2"
    );
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 1, "nothing was written");
    assert_eq!(view(&ledger).await.holder.actor.name, "ada");
}

pub(crate) async fn a_lease_given_back_is_free(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    ledger.release(&lease, released()).await.unwrap();
    assert!(view(&ledger).await.released && !view(&ledger).await.is_held());
    let next = ledger.acquire(&production(), &Take::IfFree, TTL, acquired("bob")).await.unwrap();
    assert_eq!(next.fence.number, 2);
    assert!(matches!(last_event(&ledger).await.0, Event::LeaseAcquired { stolen: false, .. }));
    assert!(view(&ledger).await.is_held());
}

pub(crate) async fn an_unchanged_lease_can_be_taken_over(ledger: Subject) {
    take(&ledger, &production(), "ada").await;
    let seen = view(&ledger).await.renewal;
    let lease = ledger.acquire(&production(), &Take::IfUnchanged(seen), TTL, acquired("bob")).await.unwrap();
    assert_eq!(lease.fence.number, 2);
    assert!(matches!(last_event(&ledger).await.0, Event::LeaseAcquired { stolen: true, .. }));
}

pub(crate) async fn a_renewed_lease_is_not_taken_over(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    let seen = view(&ledger).await.renewal;
    ledger.renew(&lease, fresh()).await.unwrap();
    let error =
        ledger.acquire(&production(), &Take::IfUnchanged(seen), TTL, acquired("bob")).await.unwrap_err();
    assert!(matches!(error, LedgerError::Held { .. }), "{error:?}");
    let again = take(&ledger, &production(), "ada").await;
    assert_eq!(again.fence.number, 2);
    let error =
        ledger.acquire(&production(), &Take::IfUnchanged(fresh()), TTL, acquired("bob")).await.unwrap_err();
    assert!(matches!(error, LedgerError::Held { .. }), "{error:?}");
}

pub(crate) async fn a_free_lease_is_taken_whatever_was_seen(ledger: Subject) {
    let lease =
        ledger.acquire(&production(), &Take::IfUnchanged(fresh()), TTL, acquired("ada")).await.unwrap();
    ledger.release(&lease, released()).await.unwrap();
    for number in [2, 3] {
        let take = if number == 2 { Take::IfUnchanged(fresh()) } else { Take::Preempt };
        let lease = ledger.acquire(&production(), &take, TTL, acquired("bob")).await.unwrap();
        assert_eq!(lease.fence.number, number);
        assert!(matches!(last_event(&ledger).await.0, Event::LeaseAcquired { stolen: false, .. }));
        ledger.release(&lease, released()).await.unwrap();
    }
}

pub(crate) async fn a_rollback_preempts(ledger: Subject) {
    take(&ledger, &production(), "ada").await;
    let lease = ledger.acquire(&production(), &Take::Preempt, TTL, acquired("bob")).await.unwrap();
    assert_eq!(lease.fence.number, 2);
    assert!(matches!(last_event(&ledger).await.0, Event::LeaseAcquired { stolen: true, .. }));
    assert_eq!(view(&ledger).await.holder.actor.name, "bob");
    assert!(view(&ledger).await.is_held());
}

pub(crate) async fn a_renewal_touches_the_lease_alone(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    let (head, before) = (ledger.head(&production()).await.unwrap(), view(&ledger).await);
    let renewal = fresh();
    ledger.renew(&lease, renewal.clone()).await.unwrap();
    assert_eq!(ledger.head(&production()).await.unwrap(), head);
    assert_ne!(before.renewal, renewal);
    assert_eq!(view(&ledger).await, LeaseView { renewal, ..before });
}

pub(crate) async fn a_renewal_can_be_repeated(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    let renewal = fresh();
    for _ in 0..2 {
        ledger.renew(&lease, renewal.clone()).await.unwrap();
    }
    assert_eq!(view(&ledger).await.renewal, renewal);
}

pub(crate) async fn a_renewal_after_a_takeover_fails(ledger: Subject) {
    let old = take(&ledger, &production(), "ada").await;
    take(&ledger, &production(), "bob").await;
    let before = view(&ledger).await;
    let error = ledger.renew(&old, fresh()).await.unwrap_err();
    assert!(matches!(error, LedgerError::Fenced { held: 1, current: 2, .. }), "{error:?}");
    assert_eq!(view(&ledger).await, before);
}

pub(crate) async fn a_renewal_after_the_release_fails(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    ledger.release(&lease, released()).await.unwrap();
    assert!(is_fenced(&ledger.renew(&lease, fresh()).await.unwrap_err()));
    assert!(view(&ledger).await.released);
}

pub(crate) async fn a_release_is_recorded(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    ledger.release(&lease, released()).await.unwrap();
    assert_eq!(last_event(&ledger).await, (Event::LeaseReleased {}, 1));
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 2);
}

pub(crate) async fn a_release_after_a_takeover_fails(ledger: Subject) {
    let old = take(&ledger, &production(), "ada").await;
    let new = take(&ledger, &production(), "bob").await;
    assert!(is_fenced(&ledger.release(&old, released()).await.unwrap_err()));
    assert!(view(&ledger).await.is_held());
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 2, "nothing was written");
    ledger.renew(&new, fresh()).await.unwrap();
}

pub(crate) async fn a_repeated_release_is_recognised(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    let draft = released();
    ledger.release(&lease, draft.clone()).await.unwrap();
    take(&ledger, &production(), "bob").await;
    ledger.release(&lease, draft).await.unwrap();
    assert!(view(&ledger).await.is_held(), "the next holder keeps it");
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 3);
}

pub(crate) async fn a_repeated_acquisition_is_recognised(ledger: Subject) {
    let draft = acquired("ada");
    let first = ledger.acquire(&production(), &Take::IfFree, TTL, draft.clone()).await.unwrap();
    ledger.renew(&first, fresh()).await.unwrap();
    let second = ledger.acquire(&production(), &Take::IfFree, TTL, draft).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 1);

    let stealing = acquired("bob");
    let first = ledger.acquire(&production(), &Take::Preempt, TTL, stealing.clone()).await.unwrap();
    assert_eq!(ledger.acquire(&production(), &Take::Preempt, TTL, stealing).await.unwrap(), first);
    assert_eq!(ledger.head(&production()).await.unwrap().fence, 2);
}

pub(crate) async fn a_repeated_acquisition_after_a_takeover_is_fenced(ledger: Subject) {
    let draft = acquired("ada");
    ledger.acquire(&production(), &Take::IfFree, TTL, draft.clone()).await.unwrap();
    take(&ledger, &production(), "bob").await;
    let error = ledger.acquire(&production(), &Take::Preempt, TTL, draft).await.unwrap_err();
    assert!(is_fenced(&error), "{error:?}");
    assert_eq!(view(&ledger).await.holder.actor.name, "bob");
}

pub(crate) async fn leases_of_two_environments_are_apart(ledger: Subject) {
    let staging: Stream = "web/staging".parse().unwrap();
    let lease = take(&ledger, &production(), "ada").await;
    let other = ledger.acquire(&staging, &Take::IfFree, TTL, acquired("bob")).await.unwrap();
    assert_eq!(other.fence.number, 1);
    ledger.release(&lease, released()).await.unwrap();
    assert!(ledger.lease(&staging).await.unwrap().unwrap().is_held());
    let error = ledger.append(&staging, Some(&lease.fence), draft(started(1))).await.unwrap_err();
    assert!(is_fenced(&error), "{error:?}");
}

pub(crate) async fn releases_have_no_lease(ledger: Subject) {
    let error = ledger.acquire(&releases(), &Take::IfFree, TTL, acquired("ada")).await.unwrap_err();
    assert!(matches!(error, LedgerError::Illegal(Illegal::WrongStream { .. })), "{error:?}");
    assert_eq!(ledger.lease(&releases()).await.unwrap(), None);
}

pub(crate) async fn a_lease_is_taken_and_given_back_by_its_own_events(ledger: Subject) {
    for wrong in [released(), draft(hold("a"))] {
        let error = ledger.acquire(&production(), &Take::IfFree, TTL, wrong).await.unwrap_err();
        assert!(matches!(error, LedgerError::Unusable { .. }), "{error:?}");
    }
    let lease = take(&ledger, &production(), "ada").await;
    for wrong in [acquired("ada"), draft(hold("a"))] {
        let error = ledger.release(&lease, wrong).await.unwrap_err();
        assert!(matches!(error, LedgerError::Unusable { .. }), "{error:?}");
    }
    assert!(view(&ledger).await.is_held());
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 1);
}
