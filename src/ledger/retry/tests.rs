//! Lost answers, short outages, and those that last.

use std::sync::Mutex;

use super::*;
use crate::domain::time::Timestamp;
use crate::ledger::contract::fixture::*;
use crate::ledger::contract::ledger_contract;
use crate::ledger::memory::{Call, Fault, MemoryLedger, Moment};

/// Time that passes only by sleeping.
#[derive(Default)]
struct TestClock {
    slept: Mutex<Vec<Duration>>,
}

#[async_trait::async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        at(0)
    }

    fn elapsed(&self) -> Duration {
        self.slept.lock().unwrap().iter().sum()
    }

    async fn sleep(&self, duration: Duration) {
        self.slept.lock().unwrap().push(duration);
    }

    fn token(&self) -> Token {
        token(u128::MAX)
    }
}

struct Site {
    memory: Arc<MemoryLedger>,
    clock: Arc<TestClock>,
    ledger: Arc<dyn Ledger>,
}

fn site() -> Site {
    let (memory, clock) = (Arc::new(MemoryLedger::default()), Arc::new(TestClock::default()));
    let ledger = RetryLedger::new(Arc::clone(&memory) as _, Arc::clone(&clock) as _, Budget::default());
    Site { memory, clock, ledger: Arc::new(ledger) }
}

fn fault(call: Call, times: u32, moment: Moment) -> Fault {
    Fault { call, skip: 0, times, moment, transient: true }
}

fn make() -> (Arc<dyn Ledger>, ()) {
    (site().ledger, ())
}

ledger_contract!(make());

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_nothing_is_written_twice() {
    let site = site();
    for call in [Call::Acquire, Call::Append, Call::Renew, Call::Release] {
        site.memory.inject(fault(call, 2, Moment::After));
    }
    let lease = take(&site.ledger, &production(), "ada").await;
    under(&site.ledger, &lease, started(1)).await.unwrap();
    site.ledger.renew(&lease, fresh()).await.unwrap();
    site.ledger.release(&lease, released()).await.unwrap();
    assert_eq!(site.ledger.head(&production()).await.unwrap().seq, 3);
    assert_eq!(site.clock.slept.lock().unwrap().len(), 8);
}

#[tokio::test]
async fn a_short_outage_is_waited_out_with_growing_pauses() {
    let site = site();
    site.memory.inject(fault(Call::Append, 8, Moment::Before));
    append(&site.ledger, &production(), hold("a")).await.unwrap();
    site.memory.inject(fault(Call::Read, 1, Moment::Before));
    assert_eq!(site.ledger.head(&production()).await.unwrap().seq, 1);
    let slept: Vec<u128> = site.clock.slept.lock().unwrap().iter().map(Duration::as_millis).collect();
    assert_eq!(slept, [50, 100, 200, 400, 800, 1600, 2000, 2000, 50]);
}

#[tokio::test]
async fn an_outage_that_lasts_is_told_within_the_budget() {
    let site = site();
    site.memory.inject(fault(Call::Append, u32::MAX, Moment::Before));
    let error = append(&site.ledger, &production(), hold("a")).await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.to_string(), "ledger memory is not available");
    let elapsed = site.clock.elapsed();
    assert!(elapsed <= Budget::default().total && elapsed > Duration::from_secs(15), "{elapsed:?}");
}

#[tokio::test]
async fn what_will_not_help_is_not_repeated() {
    let site = site();
    site.memory.inject(Fault { transient: false, ..fault(Call::Append, 1, Moment::Before) });
    append(&site.ledger, &production(), hold("a")).await.unwrap_err();
    append(&site.ledger, &production(), started(1)).await.unwrap_err();
    append(&site.ledger, &releases(), hold("a")).await.unwrap_err();
    assert_eq!(site.clock.elapsed(), Duration::ZERO);
}

/// Once in an outage, however many calls wait, and again in the next one.
#[tokio::test]
async fn who_waits_for_long_hears_why_once() {
    let (memory, clock) = (Arc::new(MemoryLedger::default()), Arc::new(TestClock::default()));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heard);
    let ledger: Arc<dyn Ledger> = Arc::new(
        RetryLedger::new(Arc::clone(&memory) as _, clock, Budget::default())
            .telling(move |text| told.lock().unwrap().push(text.to_owned())),
    );
    let lease = take(&ledger, &production(), "ada").await;
    for outage in 1..=2 {
        memory.inject(fault(Call::Renew, u32::MAX, Moment::Before));
        for _ in 0..3 {
            ledger.renew(&lease, fresh()).await.unwrap_err();
        }
        assert_eq!(heard.lock().unwrap().len(), outage);
        memory.heal();
        ledger.renew(&lease, fresh()).await.unwrap();
    }
    assert!(heard.lock().unwrap()[0].contains("trying again for up to 20 s"));
}
