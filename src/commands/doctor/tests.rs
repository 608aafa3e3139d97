//! What each finding is called, and that a missing part does not hide the others.

use super::*;
use crate::commands::error::ErrorKind;
use crate::domain::actor::{Actor, ActorSource};
use crate::domain::deployment::Offline;
use crate::domain::time::Timestamp;
use crate::host::wire::offline::{Mark, Placed};

fn nothing() -> Parts {
    let error = || CommandError::new(ErrorKind::Usage, "no configuration");
    Parts {
        context: Err(error()),
        site: Err(error()),
        supply: Err(error()),
        infra: None,
        account: None,
        facts: Facts::default(),
    }
}

#[tokio::test]
async fn every_failure_is_listed_at_once_with_a_fix() {
    let report = run(nothing()).await;
    assert!(!report.healthy);
    let failed: Vec<&str> = report
        .checks
        .iter()
        .filter(|check| check.state == State::Failed)
        .map(|check| {
            assert!(check.fix.as_ref().is_some_and(|fix| !fix.is_empty()), "{check:?}");
            check.name.as_str()
        })
        .collect();
    assert_eq!(failed, ["configuration", "release", "ledger", "environment"]);
    let skipped = report.checks.iter().filter(|check| check.state == State::NotChecked).count();
    assert_eq!(skipped, 4, "{:?}", report.checks);
}

#[tokio::test]
async fn tools_are_judged_by_what_they_say() {
    let old = "ansible-playbook [core 2.10.8]\n  config file = None";
    for (ansible, state) in [
        (Ok("ansible-playbook [core 2.19.1]".to_owned()), State::Ok),
        (Ok(old.to_owned()), State::Failed),
        (Ok("?".to_owned()), State::Warning),
        (Err("ansible-playbook: not found".to_owned()), State::Failed),
    ] {
        let facts = Facts { ansible: Some(ansible), ..Facts::default() };
        assert_eq!(checks::tools(&facts)[0].state, state, "{facts:?}");
    }
    assert!(checks::tools(&Facts::default()).is_empty(), "where nothing needs Ansible, it is not asked for");
}

#[test]
fn versions_of_ansible_are_read() {
    assert_eq!(checks::core_version("ansible-playbook [core 2.19.1]"), Some((2, 19)));
    assert_eq!(checks::core_version("2.15.0"), Some((2, 15)));
    assert_eq!(checks::core_version("none"), None);
}

#[test]
fn a_clock_that_runs_behind_the_ledger_is_told() {
    let at = |seconds: i64| Timestamp::from_millis(seconds * 1000).unwrap();
    assert_eq!(checks::clock(at(1000), None).state, State::Ok);
    assert_eq!(checks::clock(at(1000), Some(at(1050))).state, State::Ok);
    assert_eq!(checks::clock(at(1000), Some(at(1100))).state, State::Warning);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_is_a_failed_check() {
    let found = limited("registry", std::future::pending()).await;
    assert_eq!((found[0].name.as_str(), found[0].state), ("registry", State::Failed));
}

#[test]
fn a_host_that_serves_nobody_is_not_ok() {
    use crate::host::Reply;
    use crate::host::wire::{HostError, HostErrorCode, Observation, Slot, SlotView};

    let release = crate::domain::release::ReleaseRef {
        version: "0.1.0".parse().unwrap(),
        commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        digest: crate::domain::id::Digest::of(b"x"),
        repository: "registry.example/web".to_owned(),
    };
    let seen = |running, weight| Observation {
        agent: "0.1.0".to_owned(),
        configured: None,
        fence: None,
        committed: Some(Slot::Blue),
        trial: None,
        offline: None,
        slots: vec![SlotView {
            slot: Slot::Blue,
            release: release.clone(),
            deployment: 1,
            running_digest: None,
            running,
            healthy: running,
            restarts: 0,
            weight,
            since: None,
        }],
    };
    let sudo = Err(HostError::new(
        HostErrorCode::NotInstalled,
        "the login user may not run relman-host: sudo: a password is required",
    ));
    let placed = Placed { release: release.clone(), deployment: 1 };
    let offline = Offline {
        nonce: crate::domain::id::Token::from_bits([1; 16]),
        at: Timestamp::from_millis(1_800_000_000_000).unwrap(),
        actor: Actor { name: "ada".to_owned(), source: ActorSource::Os, run_url: None },
        machine: "laptop".to_owned(),
        reason: None,
    };
    let mark = Mark { offline, from: placed.clone(), to: placed };
    let ahead = Ok(Observation { offline: Some(mark), ..seen(true, 100) });
    let bare = Err(HostError::new(HostErrorCode::NotInstalled, "relman-host is not installed on the host"));
    let engine = Err(HostError::new(HostErrorCode::Engine, "docker does not answer"));
    for (result, state, fix) in [
        (Ok(seen(true, 100)), State::Ok, None),
        (Ok(seen(true, 0)), State::Failed, Some("haproxy")),
        (Ok(seen(false, 100)), State::Failed, Some("docker")),
        (ahead, State::Failed, Some("relman ledger import --from-hosts")),
        (engine, State::Failed, Some("docker")),
        (sudo, State::Warning, Some("without a password")),
        (bare, State::Ok, None),
    ] {
        let check = hosts::host(&Reply { host: "web-1".parse().unwrap(), result }, None, "ansible");
        assert_eq!(check.state, state, "{check:?}");
        let said = check.fix.unwrap_or_default();
        assert!(fix.is_none_or(|word| said.contains(word)) && !said.contains("docs/"), "{said}");
    }
}

#[test]
fn a_host_that_does_not_answer_is_looked_for_by_its_own_way() {
    use crate::host::Reply;
    use crate::host::wire::{HostError, HostErrorCode};

    for (way, word) in [
        ("ssh", "by hand"),
        ("ansible", "by hand"),
        ("ssm", "describe-instance-information"),
        ("local", "on that host"),
    ] {
        let error = HostError::new(HostErrorCode::Unreachable, "no route leads there");
        let check = hosts::host(&Reply { host: "web-1".parse().unwrap(), result: Err(error) }, None, way);
        assert_eq!(check.state, State::Failed);
        assert!(check.fix.as_ref().is_some_and(|fix| fix.contains(word)), "{way}: {check:?}");
    }
}
