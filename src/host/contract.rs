//! What every fleet that sees its hosts must do, whatever the way: run by each implementation's tests.

use std::collections::BTreeMap;

use super::wire::offline::FallBack;
use super::wire::{Authority, Command, HostErrorCode, Observation};
use super::{Fleet, Task};
use crate::domain::actor::{Actor, ActorSource};
use crate::domain::deployment::{Kind, Offline};
use crate::domain::id::{DeploymentNumber, Digest, Fence, HostName, Token};
use crate::domain::release::ReleaseRef;
use crate::domain::run::RunConfig;
use crate::domain::time::Timestamp;

/// A lease and a deployment under it.
pub fn authority(number: u64, deployment: DeploymentNumber) -> Authority {
    let nonce = Token::from_bits([u8::try_from(number % 250).unwrap(); 16]);
    Authority { fence: Fence { number, nonce }, deployment }
}

/// A release whose digest follows from its name; nothing can be pulled under it.
pub fn release(version: &str) -> ReleaseRef {
    ReleaseRef {
        version: version.parse().unwrap(),
        commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        digest: Digest::of(version.as_bytes()),
        repository: "registry.example/web".to_owned(),
    }
}

/// A run configuration with nothing in it but a port.
pub fn run() -> RunConfig {
    serde_json::from_str(r#"{"port": 8080}"#).unwrap()
}

/// The command that puts this release into the idle slot.
pub fn prepare(authority: &Authority, release: &ReleaseRef) -> Command {
    Command::Prepare {
        authority: authority.clone(),
        release: release.clone(),
        run: Box::new(run()),
        secrets: BTreeMap::new(),
    }
}

/// The command that sends all traffic to the candidate.
pub fn shift(authority: &Authority, kind: Kind) -> Command {
    Command::Shift { authority: authority.clone(), kind, weight: 100 }
}

/// Asks one host.
///
/// # Errors
/// The code of the host's refusal.
pub async fn ask(fleet: &dyn Fleet, host: &HostName, command: Command) -> Result<Observation, HostErrorCode> {
    let replies = fleet.perform(std::slice::from_ref(host), &Task::bare(command)).await.replies;
    let [reply] = replies.as_slice() else { panic!("one host was asked: {replies:?}") };
    assert_eq!(reply.host, *host);
    reply.result.clone().map_err(|error| error.code)
}

/// The whole suite against a configured, empty host. `one` and `two` can be pulled and become healthy.
pub async fn suite(fleet: &dyn Fleet, host: &HostName, one: &ReleaseRef, two: &ReleaseRef) {
    assert!(fleet.sees());
    assert!(fleet.hosts().contains(host));
    first_deployment(fleet, host, one).await;
    trial_and_revert(fleet, host, one, two).await;
    trial_and_commit(fleet, host, two).await;
    rollback_commits_at_once(fleet, host, one).await;
    invariant_3_an_older_fence_is_refused(fleet, host).await;
    invariant_3_a_host_that_fell_back_obeys_no_lease_until_the_ledger_knows(fleet, host, one, two).await;
}

fn serving(observation: &Observation) -> Option<&Digest> {
    observation.serving().map(|view| &view.release.digest)
}

async fn first_deployment(fleet: &dyn Fleet, host: &HostName, one: &ReleaseRef) {
    let who = authority(1, 1);
    let claimed = ask(fleet, host, Command::Claim { authority: who.clone() }).await.unwrap();
    assert_eq!(claimed.fence.as_ref(), Some(&who.fence));
    assert_eq!(serving(&claimed), None);
    assert_eq!(
        ask(fleet, host, shift(&who, Kind::Deploy)).await,
        Err(HostErrorCode::Gone),
        "nothing prepared"
    );
    for _ in 0..2 {
        let prepared = ask(fleet, host, prepare(&who, one)).await.unwrap();
        assert_eq!(serving(&prepared), None, "a candidate takes no traffic");
        assert_eq!(prepared.slots[0].running_digest.as_ref(), Some(&one.digest));
    }
    for _ in 0..2 {
        let shifted = ask(fleet, host, shift(&who, Kind::Deploy)).await.unwrap();
        assert_eq!(shifted.trial.as_ref().map(|trial| trial.deployment), Some(1));
        assert_eq!(serving(&shifted), Some(&one.digest));
    }
    for _ in 0..2 {
        let committed = ask(fleet, host, Command::Commit { authority: who.clone() }).await.unwrap();
        assert_eq!((committed.trial.as_ref(), serving(&committed)), (None, Some(&one.digest)));
    }
}

async fn trial_and_revert(fleet: &dyn Fleet, host: &HostName, one: &ReleaseRef, two: &ReleaseRef) {
    let who = authority(2, 2);
    ask(fleet, host, Command::Claim { authority: who.clone() }).await.unwrap();
    ask(fleet, host, prepare(&who, two)).await.unwrap();
    let shifted = ask(fleet, host, shift(&who, Kind::Deploy)).await.unwrap();
    assert_eq!(serving(&shifted), Some(&two.digest));
    for _ in 0..2 {
        let reverted = ask(fleet, host, Command::Revert { authority: who.clone() }).await.unwrap();
        assert_eq!(serving(&reverted), Some(&one.digest));
    }
    let late = ask(fleet, host, Command::Commit { authority: who.clone() }).await;
    assert_eq!(late, Err(HostErrorCode::Gone), "a late commit must not pass for a success");
    for _ in 0..2 {
        let discarded = ask(fleet, host, Command::Discard { authority: who.clone() }).await.unwrap();
        assert!(discarded.slots.iter().all(|view| view.deployment != 2));
    }
}

async fn trial_and_commit(fleet: &dyn Fleet, host: &HostName, two: &ReleaseRef) {
    let who = authority(3, 3);
    ask(fleet, host, prepare(&who, two)).await.unwrap();
    ask(fleet, host, shift(&who, Kind::Deploy)).await.unwrap();
    ask(fleet, host, Command::Commit { authority: who.clone() }).await.unwrap();
    for _ in 0..2 {
        let retire = Command::Retire { authority: who.clone(), drain_seconds: 1 };
        let retired = ask(fleet, host, retire).await.unwrap();
        assert_eq!(serving(&retired), Some(&two.digest));
        assert!(retired.slots.iter().all(|view| view.running == (view.deployment == 3)));
    }
}

async fn rollback_commits_at_once(fleet: &dyn Fleet, host: &HostName, one: &ReleaseRef) {
    let who = authority(4, 4);
    ask(fleet, host, prepare(&who, one)).await.unwrap();
    for _ in 0..2 {
        let shifted = ask(fleet, host, shift(&who, Kind::Rollback)).await.unwrap();
        assert_eq!((shifted.trial.as_ref(), serving(&shifted)), (None, Some(&one.digest)));
    }
    let reverted = ask(fleet, host, Command::Revert { authority: who }).await.unwrap();
    assert_eq!(serving(&reverted), Some(&one.digest), "nothing brings the bad release back");
}

async fn invariant_3_an_older_fence_is_refused(fleet: &dyn Fleet, host: &HostName) {
    let mut foreign = authority(4, 5);
    foreign.fence.nonce = Token::from_bits([251; 16]);
    for who in [authority(3, 5), foreign] {
        let refused = ask(fleet, host, Command::Claim { authority: who.clone() }).await;
        assert_eq!(refused, Err(HostErrorCode::Fenced));
        let refused = ask(fleet, host, Command::Revert { authority: who }).await;
        assert_eq!(refused, Err(HostErrorCode::Fenced));
    }
    assert!(ask(fleet, host, Command::Observe {}).await.is_ok(), "reading needs no fence");
}

/// A way back by somebody who has no ledger.
pub fn fall_back(nonce: u8, to: &ReleaseRef) -> Command {
    let offline = Offline {
        nonce: Token::from_bits([nonce; 16]),
        at: Timestamp::from_millis(1_800_000_000_000).unwrap(),
        actor: Actor { name: "ada".to_owned(), source: ActorSource::Os, run_url: None },
        machine: "laptop".to_owned(),
        reason: None,
    };
    Command::FallBack(Box::new(FallBack { offline, to: to.digest.clone(), secrets: BTreeMap::new() }))
}

async fn invariant_3_a_host_that_fell_back_obeys_no_lease_until_the_ledger_knows(
    fleet: &dyn Fleet,
    host: &HostName,
    one: &ReleaseRef,
    two: &ReleaseRef,
) {
    let nowhere = ask(fleet, host, fall_back(1, &release("9.9.9"))).await;
    assert_eq!(nowhere, Err(HostErrorCode::Gone), "no slot holds it");
    let open = ask(fleet, host, Command::Claim { authority: authority(5, 5) }).await.unwrap();
    assert_eq!((open.offline, open.slots.len()), (None, 2), "what is refused closes nothing");
    for _ in 0..2 {
        let back = ask(fleet, host, fall_back(1, two)).await.unwrap();
        assert_eq!(serving(&back), Some(&two.digest));
        assert!(back.serving().unwrap().healthy);
        let mark = back.offline.unwrap();
        assert_eq!((mark.from.release, mark.from.deployment), (one.clone(), 4));
        assert_eq!((mark.to.release, mark.to.deployment), (two.clone(), 3));
    }
    for who in [authority(5, 5), authority(6, 6)] {
        for command in [
            Command::Claim { authority: who.clone() },
            prepare(&who, one),
            shift(&who, Kind::Deploy),
            Command::Revert { authority: who.clone() },
            Command::Reopen { authority: who.clone(), nonce: Token::from_bits([2; 16]) },
        ] {
            let verb = command.verb();
            assert_eq!(ask(fleet, host, command).await.err(), Some(HostErrorCode::Ahead), "{verb}");
        }
    }
    for _ in 0..2 {
        let reopen = Command::Reopen { authority: authority(6, 6), nonce: Token::from_bits([1; 16]) };
        let opened = ask(fleet, host, reopen).await.unwrap();
        assert_eq!((opened.offline.as_ref(), serving(&opened)), (None, Some(&two.digest)));
    }
    let late = ask(fleet, host, Command::Claim { authority: authority(5, 5) }).await;
    assert_eq!(late, Err(HostErrorCode::Fenced), "the lease that opened it is the oldest that it obeys");
    assert!(ask(fleet, host, Command::Claim { authority: authority(7, 7) }).await.is_ok());
}
