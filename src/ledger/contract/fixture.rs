//! What the cases write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::actor::{Actor, ActorSource};
use crate::domain::deployment::{Holder, Kind, Outcome};
use crate::domain::entry::{Draft, Sealed};
use crate::domain::event::{Direction, Event, Started, StepRef, Times};
use crate::domain::id::{CommitSha, Digest, ServiceName, Stream, Token};
use crate::domain::release::{Release, ReleaseRef};
use crate::domain::time::Timestamp;
use crate::domain::version::Version;
use crate::ledger::{Lease, Ledger, LedgerError, Take};

pub(crate) const TTL: Duration = Duration::from_secs(60);

pub(crate) fn service() -> ServiceName {
    "web".parse().unwrap()
}

pub(crate) fn releases() -> Stream {
    Stream::releases(&service())
}

pub(crate) fn production() -> Stream {
    "web/production".parse().unwrap()
}

pub(crate) fn version(text: &str) -> Version {
    text.parse().unwrap()
}

/// A commit id that begins with these digits.
pub(crate) fn commit(prefix: &str) -> CommitSha {
    format!("{prefix:0<40}").parse().unwrap()
}

pub(crate) fn token(bits: u128) -> Token {
    Token::from_bits(bits.to_be_bytes())
}

/// A token that was not given before, by this process or by a test's child.
pub(crate) fn fresh() -> Token {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let process = u128::from(std::process::id()) << 96;
    token(process | u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) << 32)
}

pub(crate) fn actor() -> Actor {
    Actor { name: "ada".into(), source: ActorSource::Os, run_url: None }
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_767_323_045_678 + millis).unwrap()
}

pub(crate) fn draft_of(eid: Token, event: Event) -> Draft {
    Draft { eid, at: at(0), actor: actor(), event }
}

pub(crate) fn draft(event: Event) -> Draft {
    draft_of(fresh(), event)
}

pub(crate) fn holder(name: &str) -> Holder {
    Holder {
        nonce: fresh(),
        actor: Actor { name: name.into(), ..actor() },
        machine: "laptop".into(),
        pid: 4711,
        purpose: "deploy v1.4.2".into(),
        since: at(0),
    }
}

pub(crate) fn acquired(name: &str) -> Draft {
    draft(Event::LeaseAcquired { holder: holder(name), stolen: false })
}

pub(crate) fn released() -> Draft {
    draft(Event::LeaseReleased {})
}

pub(crate) async fn take(ledger: &Arc<dyn Ledger>, stream: &Stream, name: &str) -> Lease {
    ledger.acquire(stream, &Take::Preempt, TTL, acquired(name)).await.unwrap()
}

pub(crate) async fn append(
    ledger: &Arc<dyn Ledger>,
    stream: &Stream,
    event: Event,
) -> Result<Sealed, LedgerError> {
    ledger.append(stream, None, draft(event)).await
}

/// Under a lease.
pub(crate) async fn under(
    ledger: &Arc<dyn Ledger>,
    lease: &Lease,
    event: Event,
) -> Result<Sealed, LedgerError> {
    ledger.append(&lease.stream, Some(&lease.fence), draft(event)).await
}

pub(crate) fn claimed(text: &str, commit: &CommitSha) -> Event {
    Event::VersionClaimed { version: version(text), commit: commit.clone() }
}

pub(crate) fn release_ref(text: &str) -> ReleaseRef {
    ReleaseRef {
        version: version(text),
        commit: commit("abc"),
        digest: Digest::of(text.as_bytes()),
        repository: "registry.example/web".into(),
    }
}

pub(crate) fn bound(text: &str) -> Event {
    Event::ReleaseBound(Box::new(Release {
        identity: release_ref(text),
        tree: Some(commit("7ee")),
        committed_at: Some(at(-60_000)),
        manifest: Digest::of(text.as_bytes()),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        base_digest: None,
        adopted: false,
        tools: "relman 0.1.0, engine 28.0".into(),
    }))
}

pub(crate) fn hold(reason: &str) -> Event {
    Event::HoldSet { reason: reason.into() }
}

pub(crate) fn frozen() -> Event {
    let (from, until) = ("Fri 16:00".into(), "Mon 08:00".into());
    Event::FreezeAdded(Times { from, until, zone: "Europe/Berlin".into(), reason: "weekend".into() })
}

pub(crate) fn started(number: u64) -> Event {
    Event::DeploymentStarted(Box::new(Started {
        deployment: number,
        kind: Kind::Deploy,
        release: release_ref("1.4.2"),
        run: Digest::of(b"run"),
        hosts: vec!["web-1".parse().unwrap()],
        reason: None,
        rollback_of: None,
        withdrawn: None,
        sets_hold: false,
        keeps_hold: false,
        offline: None,
        overrides: vec![],
    }))
}

pub(crate) fn finished(number: u64, outcome: Outcome) -> Event {
    Event::DeploymentFinished { deployment: number, outcome, message: None, verdict: None }
}

/// Starts a deployment and ends it before anything happened.
pub(crate) async fn attempt(ledger: &Arc<dyn Ledger>, lease: &Lease, number: u64) {
    under(ledger, lease, started(number)).await.unwrap();
    under(ledger, lease, finished(number, Outcome::Failed)).await.unwrap();
}

/// A deployment with every phase that makes a host record.
pub(crate) async fn succeed(ledger: &Arc<dyn Ledger>, lease: &Lease, number: u64) {
    let step = |name: &str| StepRef {
        deployment: number,
        index: 0,
        name: name.into(),
        host: Some("web-1".parse().unwrap()),
        direction: Direction::Forward,
    };
    let plan = Digest::of(b"plan");
    for event in [
        started(number),
        Event::DeploymentPlanned { deployment: number, plan, return_point: None },
        Event::StepStarted { step: step("shift"), exposes: true },
        Event::StepSucceeded { step: step("shift"), log: None },
        Event::Committed { deployment: number },
        Event::StepStarted { step: step("confirm"), exposes: false },
        Event::StepSucceeded { step: step("confirm"), log: None },
        finished(number, Outcome::Succeeded),
    ] {
        under(ledger, lease, event).await.unwrap();
    }
}
