//! Random histories: after each call the subject keeps the invariants, and it answers as the in-memory ledger does.

use std::sync::Arc;

use proptest::prelude::*;

use super::fixture::*;
use crate::domain::deployment::{Outcome, Verdict};
use crate::domain::entry::{Draft, Head};
use crate::domain::event::{Direction, Event, StepRef};
use crate::domain::id::{Digest, Fence, Stream, Token};
use crate::domain::record::{Key, Listing, Record};
use crate::ledger::memory::MemoryLedger;
use crate::ledger::sqlite::{OpenMode, SqliteLedger};
use crate::ledger::{Lease, Ledger, LedgerError, Take};

/// Whose fence a call brings, counted from the newest lease back.
#[derive(Debug, Clone, Copy)]
enum Who {
    Nobody,
    Forged,
    Holder(usize),
}

#[derive(Debug, Clone)]
enum Op {
    Claim(u8, u8),
    Bind(u8),
    Tag(u8),
    Hold(Who),
    Lift,
    Freeze,
    Thaw(u64),
    Mark(u8),
    Start(Who, i8),
    Advance(Who, u8),
    Acquire(u8),
    Renew(usize),
    Release(usize),
    Repeat(usize),
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![
        1 => Just(Who::Nobody),
        1 => Just(Who::Forged),
        12 => Just(Who::Holder(0)),
        2 => (1..3_usize).prop_map(Who::Holder),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => (0..3_u8, 0..2_u8).prop_map(|(version, commit)| Op::Claim(version, commit)),
        2 => (0..3_u8).prop_map(Op::Bind),
        1 => (0..3_u8).prop_map(Op::Tag),
        1 => who().prop_map(Op::Hold),
        1 => Just(Op::Lift),
        1 => Just(Op::Freeze),
        1 => (0u64..6).prop_map(Op::Thaw),
        1 => (0..3_u8).prop_map(Op::Mark),
        4 => (who(), prop_oneof![4 => Just(1_i8), 1 => 0..3_i8]).prop_map(|(who, step)| Op::Start(who, step)),
        12 => (who(), 0..10_u8).prop_map(|(who, event)| Op::Advance(who, event)),
        4 => (0..4_u8).prop_map(Op::Acquire),
        2 => (0..3_usize).prop_map(Op::Renew),
        2 => (0..3_usize).prop_map(Op::Release),
        3 => (0..4_usize).prop_map(Op::Repeat),
    ]
}

#[derive(Clone)]
enum Call {
    Append(Stream, Option<Fence>, Draft),
    Acquire(Take, Draft),
    Renew(Lease, Token),
    Release(Lease, Draft),
}

type Subject = Arc<dyn Ledger>;

/// What a call answered, without the name of the ledger.
async fn perform(ledger: &Subject, call: Call) -> (String, Option<Lease>) {
    let text = |error: LedgerError| error.to_string().replace(&ledger.location().0, "LEDGER");
    match call {
        Call::Append(stream, fence, draft) => {
            let result = ledger.append(&stream, fence.as_ref(), draft).await;
            (result.map_or_else(text, |sealed| format!("{sealed:?}")), None)
        }
        Call::Acquire(take, draft) => match ledger.acquire(&production(), &take, TTL, draft).await {
            Ok(lease) => (format!("{lease:?}"), Some(lease)),
            Err(error) => (text(error), None),
        },
        Call::Renew(lease, renewal) => {
            (ledger.renew(&lease, renewal).await.map_or_else(text, |()| "renewed".into()), None)
        }
        Call::Release(lease, draft) => {
            (ledger.release(&lease, draft).await.map_or_else(text, |()| "released".into()), None)
        }
    }
}

/// Everything that can be read.
async fn all(ledger: &Subject) -> String {
    let mut text = format!("{:?}", ledger.streams().await.unwrap());
    for stream in [releases(), production()] {
        text += &format!("{:?}", ledger.head(&stream).await.unwrap());
        text += &format!("{:?}", ledger.read(&stream, 0, 1000).await.unwrap());
        text += &format!("{:?}", ledger.lease(&stream).await.unwrap());
    }
    for listing in [
        Listing::Deployments(production()),
        Listing::Hosts(production()),
        Listing::Verdicts(production()),
        Listing::Releases(service()),
        Listing::Commits(service(), String::new()),
    ] {
        text += &format!("{:?}", ledger.page(&listing, None, 2).await.unwrap());
        text += &format!("{:?}", ledger.page(&listing, None, 1000).await.unwrap());
    }
    for key in [Key::of_environment(&production()), Key::of_service(&service())] {
        text += &format!("{:?}", ledger.get(&key).await.unwrap());
    }
    text
}

struct Model {
    reference: Subject,
    leases: Vec<Lease>,
    calls: Vec<Call>,
}

impl Model {
    fn lease(&self, back: usize) -> Option<&Lease> {
        self.leases.iter().rev().nth(back)
    }

    fn fence(&self, who: Who) -> Option<Fence> {
        match who {
            Who::Nobody => None,
            Who::Forged => Some(Fence { number: self.leases.len() as u64, nonce: fresh() }),
            Who::Holder(back) => self.lease(back).map(|lease| lease.fence.clone()),
        }
    }

    /// The last deployment's number, 0 before the first.
    async fn last(&self) -> u64 {
        match self.reference.get(&Key::of_environment(&production())).await.unwrap() {
            Some(Record::Environment(environment)) => environment.last,
            _ => 0,
        }
    }

    async fn call(&self, op: Op) -> Option<Call> {
        let text = |version: u8| format!("1.{version}.0");
        let release = |event| Call::Append(releases(), None, draft(event));
        let environment = |who: Who, event| Call::Append(production(), self.fence(who), draft(event));
        Some(match op {
            Op::Claim(v, c) => release(claimed(&text(v), &commit(if c == 0 { "abc" } else { "def" }))),
            Op::Bind(v) => release(bound(&text(v))),
            Op::Tag(v) => release(Event::ReleaseTagged {
                version: version(&text(v)),
                tags: vec![format!("v{}", text(v))],
                conflicts: vec![],
            }),
            Op::Hold(who) => environment(who, hold("stop")),
            Op::Lift => environment(Who::Nobody, Event::HoldLifted { reason: "go".into() }),
            Op::Freeze => environment(Who::Nobody, frozen()),
            Op::Thaw(freeze) => {
                environment(Who::Nobody, Event::FreezeRemoved { freeze, reason: "go".into() })
            }
            Op::Mark(v) => environment(
                Who::Nobody,
                Event::VerdictMarked {
                    version: version(&text(v)),
                    verdict: Verdict::Faulty,
                    reason: "r".into(),
                },
            ),
            Op::Start(who, step) => {
                environment(who, started(self.last().await.saturating_add_signed(i64::from(step))))
            }
            Op::Advance(who, event) => environment(who, advance(self.last().await, event)),
            Op::Acquire(take) => {
                let seen = self.reference.lease(&production()).await.unwrap().map(|lease| lease.renewal);
                let take = match take {
                    0 => Take::IfFree,
                    1 => Take::IfUnchanged(seen.unwrap_or_else(fresh)),
                    2 => Take::IfUnchanged(fresh()),
                    _ => Take::Preempt,
                };
                Call::Acquire(take, acquired("ada"))
            }
            Op::Renew(back) => Call::Renew(self.lease(back)?.clone(), fresh()),
            Op::Release(back) => Call::Release(self.lease(back)?.clone(), released()),
            Op::Repeat(back) => self.calls.iter().rev().nth(back)?.clone(),
        })
    }
}

fn advance(deployment: u64, event: u8) -> Event {
    let step = |name: &str, direction| StepRef {
        deployment,
        index: 0,
        name: name.into(),
        host: Some("web-1".parse().unwrap()),
        direction,
    };
    match event {
        0 | 1 => Event::DeploymentPlanned { deployment, plan: Digest::of(b"plan"), return_point: None },
        2 => Event::StepStarted { step: step("shift", Direction::Forward), exposes: true },
        3 => Event::StepSucceeded { step: step("shift", Direction::Forward), log: None },
        4 => Event::Committed { deployment },
        5 => Event::RollingBack { deployment, cause: "unhealthy".into(), requested: None },
        6 => Event::StepStarted { step: step("revert", Direction::Undo), exposes: false },
        7 => finished(deployment, Outcome::Succeeded),
        8 => finished(deployment, Outcome::Failed),
        _ => Event::DeploymentResumed { deployment },
    }
}

async fn grows(ledger: &Subject, before: &mut [Head; 2]) {
    for (stream, before) in [releases(), production()].iter().zip(before.iter_mut()) {
        let head = ledger.head(stream).await.unwrap();
        assert!(head.seq == before.seq || head.seq == before.seq + 1);
        assert!(head.fence >= before.fence);
        assert_eq!(head.seq == before.seq, head == *before);
        *before = head;
    }
}

async fn run(subject: Subject, ops: Vec<Op>) {
    let id = subject.id().await.unwrap();
    let reference: Subject = Arc::new(MemoryLedger::new(id));
    let mut model = Model { reference, leases: vec![], calls: vec![] };
    let mut heads = [subject.head(&releases()).await.unwrap(), subject.head(&production()).await.unwrap()];
    // Most of what can happen needs a lease.
    for op in std::iter::once(Op::Acquire(0)).chain(ops) {
        let Some(call) = model.call(op).await else { continue };
        model.calls.push(call.clone());
        let (expected, lease) = perform(&model.reference, call.clone()).await;
        let (found, _) = perform(&subject, call).await;
        assert_eq!(found, expected);
        model.leases.extend(lease.filter(|lease| !model.leases.contains(lease)));
        grows(&subject, &mut heads).await;
    }
    assert_eq!(all(&subject).await, all(&model.reference).await);
    let verified = crate::ledger::verify::verify(subject.as_ref()).await.unwrap();
    assert!(verified.holds(), "{:?}", verified.faults);
}

/// Random histories in a ledger of its own each.
pub(crate) fn check(cases: u32, make: impl Fn() -> Subject) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(ops in proptest::collection::vec(op(), 1..30))| {
        runtime.block_on(run(make(), ops));
    });
}

fn in_memory(cases: u32) {
    check(cases, || Arc::new(MemoryLedger::default()));
}

fn in_sqlite(cases: u32) {
    let folder = tempfile::tempdir().unwrap();
    check(cases, || {
        let path = folder.path().join(format!("{}.db", fresh()));
        Arc::new(SqliteLedger::open(&path, OpenMode::Create { id: Token::from_bits([9; 16]) }).unwrap())
    });
}

#[test]
fn invariant_8_random_histories_in_memory() {
    in_memory(1_000);
}

#[test]
fn invariant_8_random_histories_in_sqlite_end_as_in_memory() {
    in_sqlite(100);
}

#[test]
#[ignore = "long: make test"]
fn long_invariant_8_random_histories_in_memory() {
    in_memory(10_000);
}

#[test]
#[ignore = "long: make test"]
fn long_invariant_8_random_histories_in_sqlite_end_as_in_memory() {
    in_sqlite(1_000);
}
