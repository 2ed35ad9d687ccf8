//! A clock that the test sets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use token_credential::Clock;

/// The time of day at which every test begins, in seconds.
const START: u64 = 1_800_000_000;

/// A clock that is only moved by hand, so that no test depends on its own speed.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(START))
    }

    /// Sets the clock to this many seconds after the start, also back.
    pub(crate) fn set(&self, seconds: u64) {
        self.0.store(START + seconds, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// Returns the time of day this many seconds after the start.
pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(START + seconds)
}
