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
        slots,
    }
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
