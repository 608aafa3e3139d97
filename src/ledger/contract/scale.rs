//! A ledger of very many entries, and what a call costs in it. The entries are sealed as an append seals them and put
//! into the store by its own means, past the port: a million appends would take the measurement half an hour.
//!
//! Each figure is printed as `LINE|title|what|measured|goal|met`, which `make bench` puts into docs/performance.md.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fixture::*;
use crate::domain::deployment::Outcome;
use crate::domain::entry::{ChainHash, Head, Sealed};
use crate::domain::event::Event;
use crate::domain::id::Token;
use crate::domain::project::{Records, project, reads};
use crate::domain::record::{Key, Listing, Record};
use crate::ledger::Ledger;

/// Where the entries go: past the port, many at once, with the records that they change.
#[async_trait::async_trait]
pub(crate) trait Sink: Send {
    /// More of the one stream, in order, and the head after them.
    async fn put(&mut self, entries: Vec<Sealed>, records: Vec<(Key, Record)>, head: &Head);
}

/// Entries that are handed over at once.
const BATCH: usize = 10_000;

/// One after the other, deployments of four entries each, that fail before anything happened.
pub(crate) struct Maker {
    head: Head,
    records: Records,
    deployments: u64,
}

impl Maker {
    pub(crate) fn new(id: &Token) -> Self {
        let hash = ChainHash::genesis(id, &production());
        Self { head: Head { seq: 0, hash, fence: 0 }, records: Records::new(), deployments: 0 }
    }

    /// Fills up to so many entries.
    pub(crate) async fn fill(&mut self, sink: &mut dyn Sink, entries: u64) {
        while self.head.seq < entries {
            let (mut batch, mut changed) = (Vec::new(), Records::new());
            while batch.len() < BATCH && self.head.seq < entries {
                self.deployments += 1;
                let number = self.deployments;
                for event in [
                    acquired("ada").event,
                    started(number),
                    finished(number, Outcome::Failed),
                    Event::LeaseReleased {},
                ] {
                    batch.push(self.seal(event, &mut changed));
                }
            }
            sink.put(batch, changed.into_iter().collect(), &self.head).await;
        }
    }

    fn seal(&mut self, event: Event, changed: &mut Records) -> Sealed {
        let fence = match event {
            Event::LeaseAcquired { .. } => self.head.fence + 1,
            _ => self.head.fence,
        };
        let wanted = reads(&production(), &event);
        let sealed = Sealed::seal(&production(), &self.head, fence, draft(event)).unwrap();
        let after = project(&sealed.entry, &self.records).unwrap();
        // Only what the next entry may ask for is remembered.
        self.records.retain(|key, _| wanted.contains(key));
        self.records.extend(after.clone());
        changed.extend(after);
        self.head = sealed.head(&self.head);
        sealed
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

/// Median milliseconds of an append and of a page: its first, and one from the middle.
pub(crate) async fn costs(ledger: &Arc<dyn Ledger>) -> [f64; 3] {
    const TIMES: usize = 51;
    let (mut appends, mut first, mut middle) = (Vec::new(), Vec::new(), Vec::new());
    let deployments = Listing::Deployments(production());
    let Some(Record::Environment(environment)) =
        ledger.get(&Key::of_environment(&production())).await.unwrap()
    else {
        panic!("it is not filled")
    };
    let deep = Key::of_deployment(&production(), environment.last / 2);
    for _ in 0..TIMES {
        let began = Instant::now();
        append(ledger, &production(), hold("measured")).await.unwrap();
        appends.push(began.elapsed());
        for (before, times) in [(None, &mut first), (Some(&deep), &mut middle)] {
            let began = Instant::now();
            assert_eq!(ledger.page(&deployments, before, 20).await.unwrap().records.len(), 20);
            times.push(began.elapsed());
        }
    }
    [median(appends), median(first), median(middle)]
}

/// Compares a thousand entries with very many, and verifies those.
pub(crate) async fn measure(name: &str, many: u64, ledger: Arc<dyn Ledger>, sink: &mut dyn Sink) {
    let mut maker = Maker::new(&ledger.id().await.unwrap());
    maker.fill(sink, 1_000).await;
    let few = costs_of(&ledger, &mut maker).await;
    let began = Instant::now();
    maker.fill(sink, many).await;
    eprintln!("{name}: filled with {many} entries in {:.0} s", began.elapsed().as_secs_f64());
    let all = costs_of(&ledger, &mut maker).await;
    for (what, few, all) in [
        ("an append", few[0], all[0]),
        ("a page of 20 deployments", few[1], all[1]),
        ("a page of 20 deployments, from the middle", few[2], all[2]),
    ] {
        let ratio = all / few;
        println!(
            "LINE|A ledger of very many entries|{name}, {many} entries: {what}|{all:.2} ms ({ratio:.1} × at a thousand)|at most 3 × at a thousand|{}",
            ratio <= 3.0 || all <= 1.0
        );
    }
    // Past the port, no lease was written down.
    let lease = take(&ledger, &production(), "ada").await;
    ledger.release(&lease, released()).await.unwrap();
    let began = Instant::now();
    let verified = crate::ledger::verify::verify(ledger.as_ref()).await.unwrap();
    assert!(verified.holds(), "{:?}", verified.faults);
    let took = began.elapsed().as_secs_f64();
    let each = took * 1e6 / maker.head.seq as f64;
    println!(
        "LINE|A ledger of very many entries|{name}, {many} entries: verify|{took:.1} s, {each:.1} µs an entry||"
    );
}

/// The costs, and the maker goes on behind what they appended.
async fn costs_of(ledger: &Arc<dyn Ledger>, maker: &mut Maker) -> [f64; 3] {
    let costs = costs(ledger).await;
    maker.head = ledger.head(&production()).await.unwrap();
    let key = Key::of_environment(&production());
    if let Some(record) = ledger.get(&key).await.unwrap() {
        maker.records.insert(key, record);
    }
    costs
}

/// How many entries are very many.
pub(crate) fn many() -> u64 {
    std::env::var("RELMAN_SCALE")
        .ok()
        .map_or(1_000_000, |text| text.parse().expect("RELMAN_SCALE is a number"))
}
