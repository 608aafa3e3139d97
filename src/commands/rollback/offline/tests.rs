use super::*;
use crate::domain::id::{DeploymentNumber, Token};
use crate::host::contract::release;
use crate::host::wire::offline::{Mark, Placed};
use crate::host::wire::{Slot, TrialView};

/// What a slot holds: version and deployment.
type Held = Option<(&'static str, DeploymentNumber)>;

/// A host that is committed in blue; with `trial` green takes the traffic.
fn host(blue: Held, green: Held, trial: bool) -> Observation {
    let view = |slot, held: Held| {
        held.map(|(version, deployment)| SlotView {
            slot,
            release: release(version),
            deployment,
            running_digest: None,
            running: false,
            healthy: false,
            restarts: 0,
            weight: 0,
            since: None,
        })
    };
    Observation {
        agent: "test".into(),
        configured: None,
        fence: None,
        slots: view(Slot::Blue, blue).into_iter().chain(view(Slot::Green, green)).collect(),
        committed: blue.map(|_| Slot::Blue),
        trial: trial.then_some(TrialView { slot: Slot::Green, deployment: 9 }),
        offline: None,
    }
}

fn marked(seen: Observation, to: &str) -> Observation {
    let offline = Offline {
        nonce: Token::from_bits([1; 16]),
        at: crate::domain::time::Timestamp::from_millis(1_800_000_000_000).unwrap(),
        actor: Actor { name: "ada".into(), source: crate::domain::actor::ActorSource::Os, run_url: None },
        machine: "laptop".into(),
        reason: None,
    };
    let placed = |version| Placed { release: release(version), deployment: 1 };
    Observation { offline: Some(Mark { offline, from: placed("9.0.0"), to: placed(to) }), ..seen }
}

fn chosen(hosts: &[Observation], target: Option<&str>) -> Result<String, NoWay> {
    let names = ["a", "b", "c"].iter().map(|name| name.parse().unwrap());
    let hosts = names.zip(hosts.iter().cloned()).collect();
    let target = target.map(|text| text.parse().unwrap());
    choose(&hosts, target.as_ref()).map(|release| release.version.to_string())
}

#[test]
fn invariant_5_without_a_target_only_what_is_certain_is_gone_back_to() {
    let (one, two, three) = (Some(("1.0.0", 5)), Some(("2.0.0", 6)), Some(("3.0.0", 7)));
    let served = || host(two, one, false);
    let not_held =
        |names: &[&str]| Err(NoWay::NotHeld(names.iter().map(|name| name.parse().unwrap()).collect()));
    let table: [(&str, Vec<Observation>, Result<String, NoWay>); 11] = [
        ("what served before", vec![served(), served()], Ok("1.0.0".into())),
        ("a trial goes back", vec![host(one, two, true)], Ok("1.0.0".into())),
        ("a wave: both on 1.0.0 then", vec![host(one, two, true), host(one, two, false)], Ok("1.0.0".into())),
        (
            "the next wave has not even prepared",
            vec![host(one, two, true), host(one, None, false)],
            Ok("1.0.0".into()),
        ),
        (
            "a host of the wave before the last lacks it",
            vec![host(two, three, true), served(), host(three, one, false)],
            not_held(&["c"]),
        ),
        (
            "two trials from different releases",
            vec![host(one, three, true), host(two, three, true)],
            Err(NoWay::Unclear),
        ),
        ("a candidate that never served is no way back", vec![host(one, two, false)], Err(NoWay::Unclear)),
        ("nor is what a rollback took away", vec![host(Some(("1.0.0", 8)), two, false)], Err(NoWay::Unclear)),
        (
            "nor an older version of a later deployment",
            vec![host(Some(("2.0.0", 5)), Some(("1.0.0", 6)), false)],
            Err(NoWay::Unclear),
        ),
        (
            "what was begun is finished",
            vec![marked(host(one, two, false), "1.0.0"), served()],
            Ok("1.0.0".into()),
        ),
        ("a host that serves nothing", vec![host(None, None, false)], Err(NoWay::Unclear)),
    ];
    for (what, hosts, expected) in table {
        assert_eq!(chosen(&hosts, None), expected, "{what}");
    }
}

#[test]
fn a_target_is_found_in_the_slots_by_each_of_its_names() {
    let hosts = [host(Some(("2.0.0", 6)), Some(("1.0.0", 5)), false)];
    let digest = release("1.0.0").digest.to_string();
    for target in ["v1.0.0", "1.0.0", "production#5", "#5", &digest] {
        assert_eq!(chosen(&hosts, Some(target)).as_deref(), Ok("1.0.0"), "{target}");
    }
    assert_eq!(chosen(&hosts, Some("0123456")), Err(NoWay::Unclear), "both are of this commit");
    assert_eq!(chosen(&hosts, Some("@-1")), Err(NoWay::NeedsLedger));
    for target in ["1.5.0", "#7", "fffffff"] {
        assert_eq!(chosen(&hosts, Some(target)), Err(NoWay::NotHeld(vec!["a".parse().unwrap()])), "{target}");
    }
}
