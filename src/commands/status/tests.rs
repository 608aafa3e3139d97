//! Tables of what a host answers against what is wanted of it.

use super::*;
use crate::host::wire::{SlotView, TrialView};

fn release(version: &str) -> ReleaseRef {
    ReleaseRef {
        version: version.parse().unwrap(),
        commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        digest: Digest::of(version.as_bytes()),
        repository: "registry.example/web".to_owned(),
    }
}

fn observation(serving: Option<&ReleaseRef>, running: bool, trial: bool) -> Observation {
    let slots: Vec<SlotView> = serving
        .map(|release| SlotView {
            slot: Slot::Blue,
            release: release.clone(),
            deployment: 1,
            running_digest: Some(release.digest.clone()),
            running,
            healthy: running,
            restarts: 0,
            weight: 100,
            since: None,
        })
        .into_iter()
        .collect();
    Observation {
        agent: "0.1.0".to_owned(),
        configured: None,
        fence: None,
        committed: (!slots.is_empty()).then_some(Slot::Blue),
        trial: trial.then_some(TrialView { slot: Slot::Blue, deployment: 1 }),
        offline: None,
        slots,
    }
}

fn unrouted(release: &ReleaseRef) -> Observation {
    let mut seen = observation(Some(release), true, false);
    seen.slots[0].weight = 0;
    seen
}

#[test]
fn invariant_1_each_host_serves_what_is_recorded_or_drifts() {
    let (one, two) = (release("0.1.0"), release("0.2.0"));
    let host: HostName = "web-1".parse().unwrap();
    let lost = |code| Err(HostError::new(code, "no"));
    let table = [
        (Some(&one), None, Ok(observation(Some(&one), true, false)), None),
        (Some(&one), None, Ok(observation(Some(&two), true, false)), Some(Drift::OtherRelease)),
        (Some(&one), Some(&two), Ok(observation(Some(&two), true, true)), None),
        (Some(&one), None, Ok(observation(Some(&one), false, false)), Some(Drift::NotServing)),
        (Some(&one), None, Ok(observation(Some(&one), true, true)), Some(Drift::OpenShift)),
        (None, None, Ok(observation(Some(&one), true, false)), Some(Drift::NotInLedger)),
        (Some(&one), None, Ok(unrouted(&one)), Some(Drift::NotRouted)),
        (None, None, lost(HostErrorCode::NotInstalled), None),
        (Some(&one), None, lost(HostErrorCode::NotInstalled), Some(Drift::NotServing)),
        (None, None, lost(HostErrorCode::Unreachable), Some(Drift::Unreachable)),
        (Some(&one), None, lost(HostErrorCode::NoAnswer), Some(Drift::Unreachable)),
    ];
    for (wanted, candidate, answer, expected) in table {
        let row = compare(&host, wanted, candidate, &answer);
        assert_eq!(row.drift, expected.map(HostDrift::Drift), "{wanted:?} {answer:?}");
        assert_eq!(row.error.is_some(), answer.is_err());
    }
}

#[test]
fn a_label_is_never_taken_for_the_running_digest() {
    let (one, two) = (release("0.1.0"), release("0.2.0"));
    let mut seen = observation(Some(&one), true, false);
    seen.slots[0].running_digest = Some(two.digest.clone());
    let row = compare(&"web-1".parse().unwrap(), Some(&one), None, &Ok(seen));
    assert_eq!(row.running_version, None, "the label says 0.1.0, the engine runs something else");
    assert_eq!(row.running_digest, Some(two.digest));
    assert_eq!(row.drift, Some(HostDrift::Drift(Drift::OtherRelease)));
}

#[test]
fn a_host_that_cannot_be_observed_is_never_shown_as_in_order() {
    let one = release("0.1.0");
    let row = unasked(&"web-1".parse().unwrap(), Some(&one));
    let json = serde_json::to_value(&row).unwrap();
    assert_eq!(json["drift"], "unobserved");
    assert_eq!(json["running_digest"], serde_json::Value::Null);
    let json = serde_json::to_value(HostDrift::Drift(Drift::OtherRelease)).unwrap();
    assert_eq!(json, "other_release");
}

mod over_a_ledger {
    use crate::commands::status::*;
    use crate::commands::testing::{World, commit, run_config};

    #[tokio::test]
    async fn a_silent_host_does_not_hide_the_others() {
        let world = World::new(&["web-1", "web-2"], None);
        let one = world.release("0.1.0", &commit('a')).await;
        world.deploy(1, &one, &run_config(8000)).await;
        world.fleet.set_reachable("web-2", false);
        let report = run(&world.context, &world.site).await.unwrap();
        assert_eq!(report.serving, Some(one.version.clone()));
        assert_eq!(report.hosts.len(), 2);
        assert_eq!(report.hosts[0].drift, None);
        assert_eq!(report.hosts[0].running_version, Some(one.version));
        assert_eq!(report.hosts[1].drift, Some(HostDrift::Drift(Drift::Unreachable)));
        assert!(report.hosts[1].error.is_some() && report.differs);
        assert_eq!((report.lease, report.in_flight), (None, None));
    }

    #[tokio::test]
    async fn invariant_1_a_host_that_a_deployment_left_out_is_drift() {
        let world = World::new(&["web-1", "web-2"], None);
        let (one, two) =
            (world.release("0.1.0", &commit('a')).await, world.release("0.2.0", &commit('b')).await);
        world.deploy(1, &two, &run_config(8000)).await;
        world.deploy_on(2, &one, &run_config(8000), &["web-1"]).await;
        let report = run(&world.context, &world.site).await.unwrap();
        assert_eq!(report.serving, Some(one.version.clone()));
        assert_eq!(report.hosts[0].drift, None);
        let left = &report.hosts[1];
        assert_eq!((&left.wanted, &left.running_version), (&Some(one.version), &Some(two.version)));
        assert_eq!(left.drift, Some(HostDrift::Drift(Drift::OtherRelease)));
        assert!(report.differs);
    }

    #[tokio::test]
    async fn a_deployment_in_flight_is_no_drift_and_an_orphan_is_named_so() {
        let world = World::new(&["web-1"], None);
        let (one, two) =
            (world.release("0.1.0", &commit('a')).await, world.release("0.2.0", &commit('b')).await);
        world.deploy(1, &one, &run_config(8000)).await;
        let lease = world.begin(2, &two, &run_config(8000)).await;
        world.serve("web-1", 2, &two);
        let report = run(&world.context, &world.site).await.unwrap();
        assert!(!report.differs, "{report:?}");
        let flight = report.in_flight.unwrap();
        assert_eq!((flight.id.to_string().as_str(), flight.interrupted), ("production#2", false));
        assert_eq!(report.lease.unwrap().purpose, "deploy v0.2.0");
        let given_back = world.context.draft(crate::domain::event::Event::LeaseReleased {});
        crate::ledger::Ledger::release(world.ledger.as_ref(), &lease, given_back).await.unwrap();
        let report = run(&world.context, &world.site).await.unwrap();
        let flight = report.in_flight.unwrap();
        assert_eq!((flight.interrupted, flight.committed), (true, false));
    }

    #[tokio::test]
    async fn invariant_1_a_foreign_release_is_drift_and_json_is_as_agreed() {
        let world = World::new(&["web-1"], None);
        let (one, two) =
            (world.release("0.1.0", &commit('a')).await, world.release("0.2.0", &commit('b')).await);
        world.deploy(1, &one, &run_config(8000)).await;
        world.serve("web-1", 9, &two);
        let report = serde_json::to_value(run(&world.context, &world.site).await.unwrap()).unwrap();
        for key in ["environment", "serving", "lease", "hold", "in_flight", "hosts"] {
            assert!(report.get(key).is_some(), "{key}");
        }
        let host = &report["hosts"][0];
        for (key, value) in [
            ("name", "web-1"),
            ("wanted", "0.1.0"),
            ("running_version", "0.2.0"),
            ("running_digest", two.digest.as_str()),
            ("slot", "blue"),
            ("drift", "other_release"),
        ] {
            assert_eq!(host[key], value, "{key}");
        }
        assert_eq!((&host["weight"], &host["healthy"]), (&serde_json::json!(100), &serde_json::json!(true)));
        assert!(host.get("since").is_some());
    }
}
