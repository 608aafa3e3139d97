use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::artifact::memory::MemoryArtifacts;
use crate::clock::SystemClock;
use crate::domain::actor::ActorSource;
use crate::domain::deployment::Holder;
use crate::domain::event::{Event, Started};
use crate::domain::id::Token;
use crate::domain::release::ReleaseRef;
use crate::interrupt::Interrupt;
use crate::ledger::Take;
use crate::ledger::memory::MemoryLedger;
use crate::progress::Silent;

fn context() -> Context {
    Context {
        service: "web".parse().unwrap(),
        ledger: Arc::new(MemoryLedger::default()),
        artifacts: Arc::new(MemoryArtifacts::default()),
        clock: Arc::new(SystemClock),
        actor: Actor { name: "ada".into(), source: ActorSource::Os, run_url: None },
        machine: "laptop".into(),
        progress: Arc::new(Silent),
        interrupt: Interrupt::default(),
    }
}

fn production() -> EnvironmentName {
    "production".parse().unwrap()
}

/// One deployment of a version, with its outcome; none: it is left in flight with its lease free.
async fn deploy(context: &Context, number: DeploymentNumber, version: &str, outcome: Option<Outcome>) {
    let stream = context.stream(&production());
    let holder = Holder {
        nonce: Token::from_bits([number as u8; 16]),
        actor: context.actor.clone(),
        machine: "laptop".into(),
        pid: 1,
        purpose: "test".into(),
        since: context.clock.now(),
    };
    let draft = context.draft(Event::LeaseAcquired { holder, stolen: false });
    let lease = context.ledger.acquire(&stream, &Take::IfFree, Duration::from_secs(60), draft).await.unwrap();
    let release = ReleaseRef {
        version: version.parse().unwrap(),
        commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        digest: Digest::of(version.as_bytes()),
        repository: "registry.example/web".into(),
    };
    let started = Started {
        deployment: number,
        kind: Kind::Deploy,
        release,
        run: Digest::of(b"run"),
        hosts: vec!["web-1".parse().unwrap()],
        reason: None,
        rollback_of: None,
        withdrawn: None,
        sets_hold: false,
        keeps_hold: false,
        offline: None,
        overrides: Vec::new(),
    };
    let mut events = vec![
        Event::DeploymentStarted(Box::new(started)),
        Event::DeploymentPlanned { deployment: number, plan: Digest::of(b"plan"), return_point: None },
    ];
    if outcome == Some(Outcome::Succeeded) {
        events.push(Event::Committed { deployment: number });
    }
    if let Some(outcome) = outcome {
        let verdict = if outcome == Outcome::Succeeded { Verdict::Proven } else { Verdict::Faulty };
        events.push(Event::DeploymentFinished {
            deployment: number,
            outcome,
            message: None,
            verdict: Some(verdict),
        });
    }
    for event in events {
        context.ledger.append(&stream, Some(&lease.fence), context.draft(event)).await.unwrap();
    }
    context.ledger.release(&lease, context.draft(Event::LeaseReleased {})).await.unwrap();
}

async fn seven() -> Context {
    let context = context();
    for (number, version, outcome) in [
        (1, "0.1.0", Some(Outcome::Succeeded)),
        (2, "0.2.0", Some(Outcome::Succeeded)),
        (3, "0.3.0", Some(Outcome::Failed)),
        (4, "0.3.1", Some(Outcome::RolledBack)),
        (5, "0.2.0", Some(Outcome::Succeeded)),
        (6, "0.4.0", Some(Outcome::Failed)),
        (7, "0.5.0", None),
    ] {
        deploy(&context, number, version, outcome).await;
    }
    context
}

async fn numbers(context: &Context, args: Args) -> (Vec<DeploymentNumber>, Option<String>) {
    let report = run(context, &production(), args).await.unwrap();
    (report.deployments.iter().map(|row| row.id.number).collect(), report.next)
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let context = seven().await;
    for limit in 1..9 {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let (page, next) =
                numbers(&context, Args { limit: Some(limit), cursor, ..Args::default() }).await;
            assert!(page.len() <= limit as usize);
            all.extend(page);
            match next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(all, [7, 6, 5, 4, 3, 2, 1], "limit {limit}");
    }
    let error = run(&context, &production(), Args { cursor: Some("7".into()), ..Args::default() }).await;
    assert_eq!(error.unwrap_err().kind, ErrorKind::Usage);
}

#[tokio::test]
async fn filters_and_pages_go_together() {
    let context = seven().await;
    let version = |limit, cursor| Args {
        limit: Some(limit),
        cursor,
        version: Some("0.2.0".parse().unwrap()),
        ..Args::default()
    };
    let (first, next) = numbers(&context, version(1, None)).await;
    assert_eq!(first, [5]);
    assert_eq!(numbers(&context, version(1, next)).await.0, [2]);
    let failed = Args { outcome: Some(Outcome::Failed), ..Args::default() };
    assert_eq!(numbers(&context, failed).await, (vec![6, 3], None));
    let future = Args { since: Timestamp::from_millis(4_102_444_800_000), ..Args::default() };
    assert_eq!(numbers(&context, future).await, (Vec::new(), None));
}

#[tokio::test]
async fn what_serves_what_is_thought_of_it_and_what_was_left() {
    let context = seven().await;
    let report = run(&context, &production(), Args::default()).await.unwrap();
    assert_eq!(report.serving, Some("0.2.0".parse().unwrap()));
    let serving: Vec<_> =
        report.deployments.iter().filter(|row| row.serving).map(|row| row.id.to_string()).collect();
    assert_eq!(serving, ["production#5"]);
    let of = |number| report.deployments.iter().find(|row| row.id.number == number).unwrap();
    assert_eq!(of(2).verdict, Some(Verdict::Proven));
    assert_eq!(of(4).verdict, Some(Verdict::Faulty));
    assert!(of(7).interrupted && of(7).outcome.is_none());
    assert!(!of(6).interrupted);
}
