//! Waves, the failure budget, and hosts that stay behind.

use std::collections::BTreeSet;

use super::{deploy, resume, to};
use crate::commands::deploy::ReportResult;
use crate::commands::error::ErrorKind;
use crate::commands::testing::{World, commit};
use crate::commands::{rollback, status};
use crate::domain::deployment::{Outcome, Verdict};
use crate::domain::event::Event;
use crate::domain::record::{Key, Record};
use crate::domain::release::ReleaseRef;
use crate::host::fake::Effect;
use crate::host::wire::HostErrorCode::{self, Proxy, Unhealthy, Unreachable};
use crate::ledger::Ledger as _;
use crate::ledger::memory::{Call, Fault, Moment};

pub(super) const HOSTS: [&str; 3] = ["web-1", "web-2", "web-3"];

/// Three hosts that serve 1.0.0, and a 1.1.0 on record.
pub(super) async fn world(wave: Option<&str>, budget: u32) -> (World, ReleaseRef, ReleaseRef) {
    let mut world = World::new(&HOSTS, None);
    let old = world.release("1.0.0", &commit('a')).await;
    let new = world.release("1.1.0", &commit('b')).await;
    deploy(&world, "1.0.0").await.unwrap();
    world.site.settings.wave_size = wave.map(|size| size.parse().unwrap());
    world.site.settings.failure_budget = budget;
    world.fleet.take_calls();
    world.fleet.take_changes();
    (world, old, new)
}

fn serves(world: &World, host: &str) -> String {
    world.fleet.serving(host).map_or_else(|| "nothing".to_owned(), |release| release.version.to_string())
}

async fn verifies(world: &World, what: &str) {
    let verified = crate::ledger::verify::verify(&*world.ledger).await.unwrap();
    assert!(verified.holds(), "{what}: {:?}", verified.faults);
}

#[tokio::test(start_paused = true)]
async fn a_wave_begins_when_the_one_before_serves() {
    let (world, _, _) = world(Some("1"), 0).await;
    deploy(&world, "1.1.0").await.unwrap();
    let shifts: Vec<String> =
        world.fleet.take_changes().into_iter().filter(|change| change.ends_with("shift")).collect();
    assert_eq!(shifts, ["web-1 shift", "web-2 shift", "web-3 shift"]);
    // One after the other in the ledger: begun, done, begun, done.
    let entries = world.ledger.read(&world.stream(), 0, 1_000).await.unwrap();
    let kinds: Vec<&str> = entries
        .iter()
        .filter_map(|sealed| match &sealed.entry.event {
            Event::StepStarted { step, .. } if step.deployment == 2 && step.name == "shift" => Some("begun"),
            Event::StepSucceeded { step, .. } if step.deployment == 2 && step.name == "shift" => Some("done"),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, ["begun", "done", "begun", "done", "begun", "done"]);
}

#[tokio::test(start_paused = true)]
async fn the_second_wave_is_not_touched_when_the_first_fails() {
    let (world, _, _) = world(Some("1"), 0).await;
    world.fleet.fail("web-1", "shift", 1, Effect::None, HostErrorCode::Proxy);
    let error = deploy(&world, "1.1.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Returned, "{error}");
    let calls = world.fleet.take_calls();
    assert!(!calls.iter().any(|call| call.verb == "shift" && call.host.as_str() != "web-1"), "{calls:?}");
    for host in HOSTS {
        assert_eq!(serves(&world, host), "1.0.0");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_reached_stays_behind_and_is_caught_up() {
    let (world, _, _) = world(None, 1).await;
    world.fleet.set_reachable("web-2", false);
    let report = deploy(&world, "1.1.0").await.unwrap();
    assert_eq!(report.laggards.keys().map(|host| host.as_str()).collect::<Vec<_>>(), ["web-2"]);
    assert_eq!(["web-1", "web-3"].map(|host| serves(&world, host)), ["1.1.0", "1.1.0"]);
    let record = world.context.deployment(&world.stream(), Some(2)).await.unwrap().unwrap();
    assert!(record.message.unwrap().starts_with("stayed behind: web-2: "), "it is on record");

    // It is still away: nothing is done, and it is said again.
    let again = deploy(&world, "1.1.0").await.unwrap();
    assert_eq!(again.result, ReportResult::NothingToDo);
    assert_eq!(again.laggards.len(), 1);

    world.fleet.set_reachable("web-2", true);
    assert_eq!(serves(&world, "web-2"), "1.0.0");
    let status = status::run(&world.context, &world.site).await.unwrap();
    let drifting: Vec<&str> =
        (status.hosts.iter()).filter(|host| host.drift.is_some()).map(|host| host.name.as_str()).collect();
    assert_eq!(drifting, ["web-2"], "status lists who stayed behind");
    world.fleet.take_calls();
    let report = deploy(&world, "1.1.0").await.unwrap();
    assert!(report.laggards.is_empty());
    assert_eq!(serves(&world, "web-2"), "1.1.0");
    let moved: BTreeSet<String> = (world.fleet.take_calls().into_iter())
        .filter(|call| call.verb == "shift")
        .map(|call| call.host.to_string())
        .collect();
    assert_eq!(moved, ["web-2".to_owned()].into(), "the others are left alone");
    verifies(&world, "caught up").await;
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_a_host_that_cannot_be_reached_stops_everything() {
    let (world, _, _) = world(None, 0).await;
    world.fleet.set_reachable("web-2", false);
    let error = deploy(&world, "1.1.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed);
    assert!(error.message.contains("web-2"), "{error}");
    assert!(world.fleet.take_calls().iter().all(|call| call.verb == "claim"));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_fails_is_put_back_and_the_others_go_on() {
    let (world, _, _) = world(Some("1"), 1).await;
    world.fleet.fail("web-2", "shift", 1, Effect::Done, HostErrorCode::NoAnswer);
    let report = deploy(&world, "1.1.0").await.unwrap();
    assert_eq!(report.laggards.len(), 1, "{report:?}");
    assert_eq!(HOSTS.map(|host| serves(&world, host)), ["1.1.0", "1.0.0", "1.1.0"]);
    world.fleet.edit("web-2", |machine| assert_eq!(machine.trial, None, "it was put back"));
    let report = deploy(&world, "1.1.0").await.unwrap();
    assert!(report.laggards.is_empty());
    assert_eq!(HOSTS.map(|host| serves(&world, host)), ["1.1.0", "1.1.0", "1.1.0"]);
    verifies(&world, "put back").await;
}

#[tokio::test(start_paused = true)]
async fn one_more_than_the_budget_and_every_host_goes_back() {
    let (world, _, _) = world(Some("1"), 1).await;
    for host in ["web-2", "web-3"] {
        world.fleet.fail(host, "shift", 1, Effect::None, HostErrorCode::Proxy);
    }
    let error = deploy(&world, "1.1.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Returned, "{error}");
    assert!(error.message.contains("the failure budget is 1"), "{error}");
    assert_eq!(HOSTS.map(|host| serves(&world, host)), ["1.0.0", "1.0.0", "1.0.0"]);
    verifies(&world, "back").await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_nobody_has_seen_healthy_goes_no_further_whatever_the_budget() {
    let (world, _, new) = world(Some("1"), 3).await;
    world.fleet.set_unhealthy(&new.digest);
    let error = deploy(&world, "1.1.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Returned, "{error}");
    let verdict = world.ledger.get(&Key::of_verdict(&world.stream(), &new.version)).await.unwrap();
    assert!(matches!(verdict, Some(Record::Verdict(found)) if found.verdict == Verdict::Faulty));
    assert_eq!(HOSTS.map(|host| serves(&world, host)), ["1.0.0", "1.0.0", "1.0.0"]);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_where_nobody_has_served_it_yet_goes_no_further() {
    // Under traffic on the first host: nobody knows that it is the host.
    let (world, _, _) = world(Some("1"), 3).await;
    world.fleet.fail("web-1", "shift", 1, Effect::None, Unhealthy);
    let error = deploy(&world, "1.1.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Returned, "{error}");
    assert_eq!(HOSTS.map(|host| serves(&world, host)), ["1.0.0"; 3]);
    assert!(!world.fleet.take_changes().iter().any(|change| change == "web-2 shift"));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_serves_elsewhere_may_fail_on_a_host() {
    let (world, _, _) = world(Some("1"), 1).await;
    world.fleet.fail("web-2", "shift", 1, Effect::None, Unhealthy);
    let report = deploy(&world, "1.1.0").await.unwrap();
    assert_eq!(report.laggards.len(), 1);
    assert_eq!(HOSTS.map(|host| serves(&world, host)), ["1.1.0", "1.0.0", "1.1.0"]);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_goes_to_all_hosts_at_once_and_leaves_none_behind() {
    let (world, _, _) = world(Some("1"), 3).await;
    deploy(&world, "1.1.0").await.unwrap();
    world.fleet.take_calls();
    world.fleet.set_reachable("web-3", false);
    let args = || rollback::Args { target: to("1.0.0"), ..rollback::Args::default() };
    let error = rollback::run(&world.context, &world.site, &world.supply, args()).await.unwrap_err();
    assert!(error.message.contains("web-3"), "{error}");
    world.fleet.set_reachable("web-3", true);
    rollback::run(&world.context, &world.site, &world.supply, args()).await.unwrap();
    assert_eq!(HOSTS.map(|host| serves(&world, host)), ["1.0.0", "1.0.0", "1.0.0"]);
}

/// One failure on a host.
#[derive(Debug, Clone, Copy)]
struct Bad {
    host: &'static str,
    verb: &'static str,
    code: HostErrorCode,
}

fn all_bad() -> Vec<Bad> {
    let mut all = Vec::new();
    for host in HOSTS {
        for (verb, code) in
            [("prepare", Proxy), ("prepare", Unhealthy), ("shift", Unreachable), ("commit", Unreachable)]
        {
            all.push(Bad { host, verb, code });
        }
    }
    all
}

/// Whatever fails where: it succeeds, and who stayed behind is listed, within the budget and as before; or every host
/// is as before.
async fn either_way(wave: Option<&str>, budget: u32, bad: &[Bad]) {
    let what = format!("wave {wave:?}, budget {budget}, {bad:?}");
    let (world, _, _) = world(wave, budget).await;
    for bad in bad {
        world.fleet.fail(bad.host, bad.verb, 9, Effect::None, bad.code);
    }
    let result = deploy(&world, "1.1.0").await;
    verifies(&world, &what).await;
    match result {
        Ok(report) => {
            assert_eq!(report.outcome, Some(Outcome::Succeeded), "{what}");
            assert!(report.laggards.len() <= budget as usize, "{what}: {report:?}");
            for host in HOSTS {
                let behind = report.laggards.contains_key(&host.parse().unwrap());
                let failed = bad.iter().any(|bad| bad.host == host);
                assert_eq!(behind, failed, "{what}: {host}");
                // Beyond the pivot a host that does not confirm keeps serving the release on trial.
                let before = bad.iter().any(|bad| bad.host == host && bad.verb != "commit");
                assert_eq!(serves(&world, host), if before { "1.0.0" } else { "1.1.0" }, "{what}: {host}");
            }
        }
        Err(error) if error.kind == ErrorKind::Returned => {
            assert_eq!(HOSTS.map(|host| serves(&world, host)), ["1.0.0"; 3], "{what}: {error}");
        }
        // Only what comes after the pivot can be stuck.
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::Unsafe, "{what}: {error}");
            assert!(bad.iter().any(|bad| bad.verb == "commit"), "{what}: {error}");
        }
    }
    world.fleet.heal();
    if resume(&world).await.is_err() || HOSTS.iter().any(|host| serves(&world, host) != "1.1.0") {
        allow_again(&world).await;
        deploy(&world, "1.1.0").await.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    assert_eq!(
        HOSTS.map(|host| serves(&world, host)),
        ["1.1.0"; 3],
        "{what}: the next command brings it home"
    );
    verifies(&world, &what).await;
}

/// A verdict of an automatic return is lifted, as a user does who knows that it was the host.
async fn allow_again(world: &World) {
    let proven = Event::VerdictMarked {
        version: "1.1.0".parse().unwrap(),
        verdict: Verdict::Proven,
        reason: "it was the host".into(),
    };
    world.ledger.append(&world.stream(), None, world.context.draft(proven)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn invariant_1_whatever_fails_where_who_stays_behind_is_listed_and_caught_up() {
    let all = all_bad();
    for wave in [None, Some("1")] {
        for budget in 0..=2 {
            for (n, first) in all.iter().enumerate() {
                either_way(wave, budget, &[*first]).await;
                for second in all.iter().skip(n + 1).filter(|second| second.host != first.host) {
                    either_way(wave, budget, &[*first, *second]).await;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_6_a_deploy_in_waves_comes_home_from_every_crash_point() {
    for moment in [Moment::Before, Moment::After] {
        for at in 0.. {
            let (world, _, _) = world(Some("1"), 1).await;
            world.fleet.fail("web-2", "shift", 1, Effect::Done, HostErrorCode::NoAnswer);
            world.ledger.inject(Fault {
                call: Call::Append,
                skip: at,
                times: u32::MAX,
                moment,
                transient: false,
            });
            if deploy(&world, "1.1.0").await.is_ok() {
                assert!(at > 20, "only {at} crash points");
                break;
            }
            world.ledger.heal();
            world.ledger.kill_holder(&world.stream());
            world.fleet.heal();
            let what = format!("append {at} {moment:?}");
            // What it left is finished first; a second one catches up whoever stayed behind.
            for _ in 0..2 {
                deploy(&world, "1.1.0").await.unwrap_or_else(|error| panic!("{what}: {error}"));
            }
            assert_eq!(HOSTS.map(|host| serves(&world, host)), ["1.1.0"; 3], "{what}");
            verifies(&world, &what).await;
        }
    }
}
