//! What the scenarios stand on.

pub(crate) mod host;
pub(crate) mod lab;
pub(crate) mod load;
pub(crate) mod process;
pub(crate) mod site;
pub(crate) mod watch;

use std::time::{Duration, Instant};

/// Waits until `what` holds; a wait that is too long is a failure that says what was waited for.
pub(crate) fn eventually(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Random hex digits for names that must not meet anything else.
pub(crate) fn random() -> String {
    let mut bits = [0_u8; 16];
    getrandom::fill(&mut bits).expect("the system gives random bits");
    hex::encode(bits)
}
