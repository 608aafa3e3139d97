//! The only place that asks for the time, or for randomness. Everything else is handed a [`Clock`].

use std::time::Duration;

use crate::domain::id::Token;
use crate::domain::time::Timestamp;

/// Time and chance, injected so that tests can pin them.
#[async_trait::async_trait]
pub trait Clock: Send + Sync {
    /// The wall clock. It informs people and never decides an order.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary start that also counts while the machine sleeps.
    fn elapsed(&self) -> Duration;
    /// Waits.
    async fn sleep(&self, duration: Duration);
    /// 128 fresh random bits.
    fn token(&self) -> Token;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait::async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::new(chrono::Utc::now())
    }

    fn elapsed(&self) -> Duration {
        // CLOCK_BOOTTIME goes on while a laptop sleeps; `Instant` does not, and a woken deployer would believe in
        // a lease that is long gone.
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn token(&self) -> Token {
        let mut bits = [0; 16];
        // Without randomness no lease can be told from another: there is nothing sensible to go on with.
        #[expect(clippy::expect_used, reason = "the kernel's random source does not fail once it is up")]
        getrandom::fill(&mut bits).expect("the kernel gives random bytes");
        Token::from_bits(bits)
    }
}
