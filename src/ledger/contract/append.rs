//! Appending and reading.

use std::sync::Arc;

use super::fixture::*;
use crate::domain::deployment::{Outcome, Withdrawn};
use crate::domain::entry::{ChainHash, EntryError, Head, MAX_BODY};
use crate::domain::event::Event;
use crate::domain::id::Digest;
use crate::domain::project::{FREEZES, Illegal};
use crate::domain::record::{Key, Record};
use crate::ledger::{Ledger, LedgerError};

type Subject = Arc<dyn Ledger>;

pub(crate) async fn an_empty_stream_ends_in_its_genesis(ledger: Subject) {
    let id = ledger.id().await.unwrap();
    let head = ledger.head(&production()).await.unwrap();
    assert_eq!(head, Head { seq: 0, hash: ChainHash::genesis(&id, &production()), fence: 0 });
    assert_eq!(ledger.read(&production(), 0, 10).await.unwrap(), []);
}

pub(crate) async fn the_first_entry_points_to_the_genesis(ledger: Subject) {
    let sealed = append(&ledger, &production(), hold("first")).await.unwrap();
    let id = ledger.id().await.unwrap();
    assert_eq!(sealed.entry.seq, 1);
    assert_eq!(sealed.entry.prev, ChainHash::genesis(&id, &production()));
}

pub(crate) async fn invariant_8_each_entry_points_to_the_one_before(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    succeed(&ledger, &lease, 1).await;
    let entries = ledger.read(&production(), 0, 100).await.unwrap();
    assert_eq!(entries.len(), 9);
    let hash = ChainHash::genesis(&ledger.id().await.unwrap(), &production());
    let mut head = Head { seq: 0, hash, fence: 0 };
    for sealed in &entries {
        sealed.follows(&head).unwrap();
        head = sealed.head(&head);
    }
    assert_eq!(ledger.head(&production()).await.unwrap(), head);
}

pub(crate) async fn streams_are_counted_apart(ledger: Subject) {
    append(&ledger, &production(), hold("a")).await.unwrap();
    append(&ledger, &production(), hold("b")).await.unwrap();
    let other = "web/staging".parse().unwrap();
    assert_eq!(append(&ledger, &other, hold("c")).await.unwrap().entry.seq, 1);
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 2);
    assert_eq!(ledger.head(&releases()).await.unwrap().seq, 0);
}

pub(crate) async fn streams_are_those_with_an_entry(ledger: Subject) {
    assert_eq!(ledger.streams().await.unwrap(), []);
    append(&ledger, &production(), hold("a")).await.unwrap();
    append(&ledger, &releases(), claimed("1.0.0", &commit("a"))).await.unwrap();
    append(&ledger, &production(), hold("b")).await.unwrap();
    assert_eq!(ledger.streams().await.unwrap(), [releases(), production()]);
}

pub(crate) async fn bodies_and_hashes_come_back_byte_for_byte(ledger: Subject) {
    for reason in ["", "plain", "ü ∞ 🚀", "\"quoted\" \\ \u{1} \n\t\0 end", "NULL", " padded ", "e\u{301}"]
    {
        let written = append(&ledger, &production(), hold(reason)).await.unwrap();
        let read = ledger.read(&production(), written.entry.seq - 1, 1).await.unwrap();
        assert_eq!(read, [written]);
        assert_eq!(read[0].entry.event, hold(reason));
    }
}

pub(crate) async fn a_repeated_append_is_not_written_twice(ledger: Subject) {
    let draft = draft(hold("once"));
    let first = ledger.append(&production(), None, draft.clone()).await.unwrap();
    let second = ledger.append(&production(), None, draft).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 1);
}

pub(crate) async fn a_repeated_append_is_recognised_after_further_entries(ledger: Subject) {
    let lifted = draft(Event::HoldLifted { reason: "done".into() });
    append(&ledger, &production(), hold("a")).await.unwrap();
    let first = ledger.append(&production(), None, lifted.clone()).await.unwrap();
    append(&ledger, &production(), hold("b")).await.unwrap();
    assert_eq!(ledger.append(&production(), None, lifted).await.unwrap(), first);
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 3);
    let Some(Record::Environment(environment)) =
        ledger.get(&Key::of_environment(&production())).await.unwrap()
    else {
        panic!("there is an environment");
    };
    assert_eq!(environment.hold.unwrap().reason, "b", "nothing was projected twice");
}

pub(crate) async fn a_repeated_append_is_recognised_after_the_lease_was_lost(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    let draft = draft(started(1));
    let first = ledger.append(&production(), Some(&lease.fence), draft.clone()).await.unwrap();
    take(&ledger, &production(), "bob").await;
    assert_eq!(ledger.append(&production(), Some(&lease.fence), draft).await.unwrap(), first);
}

pub(crate) async fn an_id_of_another_draft_is_refused(ledger: Subject) {
    let eid = fresh();
    ledger.append(&production(), None, draft_of(eid.clone(), hold("a"))).await.unwrap();
    let error = ledger.append(&production(), None, draft_of(eid, hold("b"))).await.unwrap_err();
    assert!(matches!(error, LedgerError::Unusable { .. }), "{error:?}");
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 1);
}

pub(crate) async fn one_id_in_two_streams_is_two_entries(ledger: Subject) {
    let draft = draft(hold("a"));
    let first = ledger.append(&production(), None, draft.clone()).await.unwrap();
    let second = ledger.append(&"web/staging".parse().unwrap(), None, draft).await.unwrap();
    assert_ne!(first.hash, second.hash);
}

pub(crate) async fn reads_are_bounded(ledger: Subject) {
    for n in 0..7 {
        append(&ledger, &production(), hold(&n.to_string())).await.unwrap();
    }
    for (after, limit, expected) in
        [(0, 3, 1..=3), (3, 3, 4..=6), (6, 3, 7..=7), (0, 100, 1..=7), (2, 1, 3..=3)]
    {
        let read = ledger.read(&production(), after, limit).await.unwrap();
        let seqs: Vec<u64> = read.iter().map(|sealed| sealed.entry.seq).collect();
        assert_eq!(seqs, expected.collect::<Vec<_>>(), "after {after} limit {limit}");
    }
    for (after, limit) in [(7, 3), (u64::MAX, 3), (0, 0)] {
        assert_eq!(ledger.read(&production(), after, limit).await.unwrap(), []);
    }
}

pub(crate) async fn a_version_is_claimed_once(ledger: Subject) {
    append(&ledger, &releases(), claimed("1.0.0", &commit("a"))).await.unwrap();
    for other in ["a", "b"] {
        let error = append(&ledger, &releases(), claimed("1.0.0", &commit(other))).await.unwrap_err();
        assert!(
            matches!(&error, LedgerError::Illegal(Illegal::VersionTaken { commit: c, .. }) if *c == commit("a")),
            "{error:?}"
        );
    }
}

pub(crate) async fn a_version_is_bound_once(ledger: Subject) {
    let error = append(&ledger, &releases(), bound("1.0.0")).await.unwrap_err();
    assert!(matches!(error, LedgerError::Illegal(Illegal::UnknownVersion(_))), "{error:?}");
    append(&ledger, &releases(), claimed("1.0.0", &commit("abc"))).await.unwrap();
    append(&ledger, &releases(), bound("1.0.0")).await.unwrap();
    let error = append(&ledger, &releases(), bound("1.0.0")).await.unwrap_err();
    assert!(matches!(error, LedgerError::Illegal(Illegal::VersionBound { .. })), "{error:?}");
}

pub(crate) async fn a_refused_entry_writes_nothing(ledger: Subject) {
    let refused = draft(Event::HoldLifted { reason: "none".into() });
    let error = ledger.append(&production(), None, refused.clone()).await.unwrap_err();
    assert!(matches!(error, LedgerError::Illegal(Illegal::NoHold)), "{error:?}");
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 0);
    assert_eq!(ledger.streams().await.unwrap(), []);
    assert_eq!(ledger.get(&Key::of_environment(&production())).await.unwrap(), None);
    // Nor is its id used up.
    append(&ledger, &production(), hold("a")).await.unwrap();
    assert_eq!(ledger.append(&production(), None, refused).await.unwrap().entry.seq, 2);
}

pub(crate) async fn freezes_are_known_by_their_entries_and_are_not_too_many(ledger: Subject) {
    let gone = |freeze| Event::FreezeRemoved { freeze, reason: "over".into() };
    let error = append(&ledger, &production(), gone(1)).await.unwrap_err();
    assert!(matches!(error, LedgerError::Illegal(Illegal::NoFreeze(1))), "{error:?}");
    append(&ledger, &production(), hold("a")).await.unwrap();
    for n in 0..FREEZES {
        assert_eq!(append(&ledger, &production(), frozen()).await.unwrap().entry.seq, n as u64 + 2);
    }
    let error = append(&ledger, &production(), frozen()).await.unwrap_err();
    assert!(matches!(error, LedgerError::Illegal(Illegal::TooManyFreezes)), "{error:?}");
    append(&ledger, &production(), gone(3)).await.unwrap();
    append(&ledger, &production(), gone(3)).await.unwrap_err();
    let Some(Record::Environment(found)) = ledger.get(&Key::of_environment(&production())).await.unwrap()
    else {
        panic!("it has entries")
    };
    let ids: Vec<u64> = found.freezes.iter().map(|one| one.id).collect();
    assert_eq!((ids.len(), ids[0], ids[1]), (FREEZES - 1, 2, 4));
    assert!(found.hold.is_some(), "what else is on record stays");
}

pub(crate) async fn an_entry_of_the_wrong_stream_is_refused(ledger: Subject) {
    for (stream, event) in [
        (production(), claimed("1.0.0", &commit("a"))),
        (releases(), hold("a")),
        (production(), bound("1.0.0")),
    ] {
        let error = append(&ledger, &stream, event).await.unwrap_err();
        assert!(matches!(error, LedgerError::Illegal(Illegal::WrongStream { .. })), "{error:?}");
    }
    assert_eq!(ledger.streams().await.unwrap(), []);
}

pub(crate) async fn an_entry_that_is_too_large_is_refused(ledger: Subject) {
    let error = append(&ledger, &production(), hold(&"x".repeat(MAX_BODY))).await.unwrap_err();
    assert!(matches!(error, LedgerError::Entry { source: EntryError::TooLarge { .. }, .. }), "{error:?}");
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 0);
    append(&ledger, &production(), hold(&"x".repeat(MAX_BODY - 1000))).await.unwrap();
}

pub(crate) async fn records_are_written_with_their_entry(ledger: Subject) {
    append(&ledger, &releases(), claimed("1.0.0", &commit("abc"))).await.unwrap();
    let claim = ledger.get(&Key::of_claim(&service(), &version("1.0.0"))).await.unwrap();
    assert!(
        matches!(claim, Some(Record::Claim(claim)) if claim.commit == commit("abc") && claim.at == at(0))
    );
    append(&ledger, &releases(), bound("1.0.0")).await.unwrap();
    let Some(Record::Release(release)) =
        ledger.get(&Key::of_release(&service(), &version("1.0.0"))).await.unwrap()
    else {
        panic!("there is a release");
    };
    assert_eq!(release.release.identity, release_ref("1.0.0"));
    let Some(Record::Service(totals)) = ledger.get(&Key::of_service(&service())).await.unwrap() else {
        panic!("there are totals");
    };
    assert_eq!((totals.highest, totals.last_release), (Some(version("1.0.0")), Some(version("1.0.0"))));

    let lease = take(&ledger, &production(), "ada").await;
    succeed(&ledger, &lease, 1).await;
    let Some(Record::Environment(environment)) =
        ledger.get(&Key::of_environment(&production())).await.unwrap()
    else {
        panic!("there is an environment");
    };
    assert_eq!((environment.last, environment.serving, environment.active), (1, Some(1), None));
    let host = ledger.get(&Key::of_host(&production(), &"web-1".parse().unwrap())).await.unwrap();
    assert!(matches!(host, Some(Record::Host(host)) if host.deployment == 1));
}

pub(crate) async fn invariant_3_one_deployment_at_a_time(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    under(&ledger, &lease, started(1)).await.unwrap();
    let error = under(&ledger, &lease, started(2)).await.unwrap_err();
    assert!(matches!(error, LedgerError::Illegal(Illegal::Active(1))), "{error:?}");
    let other = take(&ledger, &production(), "bob").await;
    let error = under(&ledger, &other, started(2)).await.unwrap_err();
    assert!(matches!(error, LedgerError::Illegal(Illegal::Active(1))), "{error:?}");
}

pub(crate) async fn invariant_4_an_outcome_is_written_once(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    attempt(&ledger, &lease, 1).await;
    for event in [finished(1, Outcome::Succeeded), finished(1, Outcome::Failed)] {
        let error = under(&ledger, &lease, event).await.unwrap_err();
        assert!(
            matches!(error, LedgerError::Illegal(Illegal::Ended { outcome: Outcome::Failed, .. })),
            "{error:?}"
        );
    }
    let key = Key::of_deployment(&production(), 1);
    let Some(Record::Deployment(deployment)) = ledger.get(&key).await.unwrap() else {
        panic!("there is a deployment");
    };
    assert_eq!((deployment.outcome, deployment.last_seq), (Some(Outcome::Failed), 3));
}

pub(crate) async fn deployment_numbers_have_no_gaps(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    for (given, expected) in [(2, 1), (0, 1)] {
        let error = under(&ledger, &lease, started(given)).await.unwrap_err();
        assert!(
            matches!(error, LedgerError::Illegal(Illegal::Number { expected: e, .. }) if e == expected),
            "{error:?}"
        );
    }
    attempt(&ledger, &lease, 1).await;
    assert!(under(&ledger, &lease, started(1)).await.is_err());
    attempt(&ledger, &lease, 2).await;
}

pub(crate) async fn lease_entries_are_not_appended_by_hand(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    for draft in [acquired("eve"), released()] {
        let error = ledger.append(&production(), Some(&lease.fence), draft).await.unwrap_err();
        assert!(matches!(error, LedgerError::Unusable { .. }), "{error:?}");
    }
    assert_eq!(ledger.head(&production()).await.unwrap().seq, 1);
}

/// More than one transaction of DynamoDB has place for.
pub(crate) async fn a_rollback_over_many_releases_is_one_entry(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    let versions: Vec<_> = (0..130).map(|n| version(&format!("1.5.{n}"))).collect();
    let Event::DeploymentStarted(mut begun) = started(1) else { unreachable!() };
    begun.withdrawn = Some(Withdrawn {
        bad: release_ref("1.5.129"),
        good: release_ref("1.4.2"),
        versions: versions.clone(),
    });
    begun.sets_hold = true;
    let plan = Digest::of(b"plan");
    for event in [
        Event::DeploymentStarted(begun),
        Event::DeploymentPlanned { deployment: 1, plan, return_point: None },
        Event::Committed { deployment: 1 },
        finished(1, Outcome::Succeeded),
    ] {
        under(&ledger, &lease, event).await.unwrap();
    }
    for version in &versions {
        let verdict = ledger.get(&Key::of_verdict(&production(), version)).await.unwrap();
        assert!(matches!(verdict, Some(Record::Verdict(_))), "{version}");
    }
    let verified = crate::ledger::verify::verify(ledger.as_ref()).await.unwrap();
    assert!(verified.holds(), "{:?}", verified.faults);
}
