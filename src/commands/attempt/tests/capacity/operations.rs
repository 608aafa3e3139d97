//! What each call of the ledger's port costs. An item more in a transaction, or a read that grew, shows here.

use std::sync::Arc;

use crate::domain::deployment::{Outcome, Verdict};
use crate::domain::event::{Direction, Event, StepRef};
use crate::domain::id::{Digest, Token};
use crate::domain::record::{Key, Listing};
use crate::ledger::Ledger;
use crate::ledger::contract::fixture::*;
use crate::ledger::dynamodb::tests::metered;
use crate::ledger::dynamodb::tests::proxy::Proxy;

/// Requests, write units and read units.
const TABLE: &[(&str, u32, f64, f64)] = &[
    ("claim a version", 2, 14.0, 10.0),
    ("bind a release", 2, 12.0, 12.0),
    ("tag a release", 2, 8.0, 10.0),
    ("take the lease", 2, 10.0, 10.0),
    ("renew the lease", 1, 1.0, 0.0),
    ("start a deployment", 2, 8.0, 8.0),
    ("plan it", 2, 6.0, 8.0),
    ("start a step", 2, 4.0, 8.0),
    ("end a step", 2, 4.0, 8.0),
    ("start a step that exposes", 2, 6.0, 8.0),
    ("end it", 2, 4.0, 8.0),
    ("commit", 2, 8.0, 8.0),
    ("start to confirm a host", 2, 4.0, 8.0),
    ("confirm a host", 2, 6.0, 8.0),
    ("finish a deployment", 2, 8.0, 8.0),
    ("give the lease back", 2, 8.0, 8.0),
    ("hold", 2, 8.0, 10.0),
    ("lift the hold", 2, 8.0, 8.0),
    ("mark", 2, 8.0, 10.0),
    ("the head", 1, 0.0, 1.0),
    ("the lease", 1, 0.0, 1.0),
    ("what is current", 1, 0.0, 1.0),
    ("a release", 1, 0.0, 1.0),
    ("a deployment", 1, 0.0, 1.0),
    ("a page of twenty deployments", 1, 0.0, 4.0),
    ("releases of a commit", 1, 0.0, 1.0),
    ("hosts", 1, 0.0, 1.0),
    ("verdicts", 1, 0.0, 1.0),
    ("twenty entries", 1, 0.0, 3.0),
    ("the streams", 1, 0.0, 1.0),
];

/// Where the same table is told.
const TOLD: &str = include_str!("../../../../../docs/design/what-an-entry-costs.md");

/// What was measured, in order.
struct Meter {
    proxy: Proxy,
    found: Vec<(&'static str, u32, f64, f64)>,
}

impl Meter {
    fn note(&mut self, name: &'static str) {
        let used = self.proxy.capacity();
        println!("| {name} | {} | {} | {} |", used.requests, used.write, used.read);
        self.found.push((name, used.requests, used.write, used.read));
    }
}

async fn entries(ledger: &Arc<dyn Ledger>, meter: &mut Meter) {
    let step = |name: &str| StepRef {
        deployment: 1,
        index: 0,
        name: name.into(),
        host: Some("web-1".parse().unwrap()),
        direction: Direction::Forward,
    };
    for (name, event) in [
        ("claim a version", claimed("1.4.2", &commit("abc"))),
        ("bind a release", bound("1.4.2")),
        (
            "tag a release",
            Event::ReleaseTagged {
                version: version("1.4.2"),
                tags: vec!["v1.4.2".into()],
                conflicts: vec![],
            },
        ),
    ] {
        append(ledger, &releases(), event).await.unwrap();
        meter.note(name);
    }
    let lease = take(ledger, &production(), "ada").await;
    meter.note("take the lease");
    ledger.renew(&lease, fresh()).await.unwrap();
    meter.note("renew the lease");
    let plan = Digest::of(b"plan");
    for (name, event) in [
        ("start a deployment", started(1)),
        ("plan it", Event::DeploymentPlanned { deployment: 1, plan, return_point: None }),
        ("start a step", Event::StepStarted { step: step("pull"), exposes: false }),
        ("end a step", Event::StepSucceeded { step: step("pull"), log: None }),
        ("start a step that exposes", Event::StepStarted { step: step("shift"), exposes: true }),
        ("end it", Event::StepSucceeded { step: step("shift"), log: None }),
        ("commit", Event::Committed { deployment: 1 }),
        ("start to confirm a host", Event::StepStarted { step: step("confirm"), exposes: false }),
        ("confirm a host", Event::StepSucceeded { step: step("confirm"), log: None }),
        ("finish a deployment", finished(1, Outcome::Succeeded)),
    ] {
        under(ledger, &lease, event).await.unwrap();
        meter.note(name);
    }
    ledger.release(&lease, released()).await.unwrap();
    meter.note("give the lease back");
    let mark = Event::VerdictMarked {
        version: version("1.4.2"),
        verdict: Verdict::Faulty,
        reason: "it was slow".into(),
    };
    for (name, event) in
        [("hold", hold("stop")), ("lift the hold", Event::HoldLifted { reason: "go".into() }), ("mark", mark)]
    {
        append(ledger, &production(), event).await.unwrap();
        meter.note(name);
    }
}

async fn reads(ledger: &Arc<dyn Ledger>, meter: &mut Meter) {
    let (web, environment) = (service(), production());
    ledger.head(&environment).await.unwrap();
    meter.note("the head");
    ledger.lease(&environment).await.unwrap().unwrap();
    meter.note("the lease");
    for (name, key) in [
        ("what is current", Key::of_environment(&environment)),
        ("a release", Key::of_release(&web, &version("1.4.2"))),
        ("a deployment", Key::of_deployment(&environment, 1)),
    ] {
        ledger.get(&key).await.unwrap().unwrap();
        meter.note(name);
    }
    for (name, listing, rows) in [
        ("a page of twenty deployments", Listing::Deployments(environment.clone()), 20),
        ("releases of a commit", Listing::Commits(web, "abc".into()), 1),
        ("hosts", Listing::Hosts(environment.clone()), 1),
        ("verdicts", Listing::Verdicts(environment.clone()), 1),
    ] {
        assert_eq!(ledger.page(&listing, None, 20).await.unwrap().records.len(), rows, "{name}");
        meter.note(name);
    }
    assert_eq!(ledger.read(&environment, 0, 20).await.unwrap().len(), 20);
    meter.note("twenty entries");
    assert_eq!(ledger.streams().await.unwrap().len(), 2);
    meter.note("the streams");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs dynoxide: tests/aws/run"]
async fn each_call_costs_what_the_table_says() {
    let (ledger, proxy) = metered(Token::from_bits([9; 16])).await;
    // Once per process, not per call.
    ledger.id().await.unwrap();
    proxy.capacity();
    let mut meter = Meter { proxy, found: vec![] };
    entries(&ledger, &mut meter).await;
    let lease = take(&ledger, &production(), "ada").await;
    for number in 2..=30 {
        attempt(&ledger, &lease, number).await;
    }
    meter.proxy.capacity();
    reads(&ledger, &mut meter).await;
    assert_eq!(meter.found, TABLE);
    for (name, requests, write, read) in TABLE {
        let row = format!("| {name} | {requests} | {write} | {read} |");
        assert!(TOLD.contains(&row), "docs/design/what-an-entry-costs.md does not say {row}");
    }
}
