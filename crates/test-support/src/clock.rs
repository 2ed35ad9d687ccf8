use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use token_credential::Clock;

/// A clock that moves only when it is told to. Clones share the time.
///
/// # Limitations
///
/// Unit tests inside `msal-token-cache` see two copies of that crate, and this type implements the
/// other one's `Clock`; they need a clock of their own.
///
/// ```
/// use std::time::Duration;
/// use test_support::TestClock;
///
/// let clock = TestClock::at(1_700_000_000);
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.unix_seconds(), 1_700_000_060);
/// ```
#[derive(Clone, Debug)]
pub struct TestClock(Arc<Mutex<SystemTime>>);

impl TestClock {
    /// A clock that stands at this time.
    pub fn at(unix_seconds: u64) -> Self {
        Self(Arc::new(Mutex::new(after_epoch(unix_seconds))))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }

    /// Moves the clock to this time, be it the future or the past.
    pub fn set(&self, unix_seconds: u64) {
        *self.0.lock().unwrap() = after_epoch(unix_seconds);
    }

    /// The time at which the clock stands, in whole seconds.
    pub fn unix_seconds(&self) -> u64 {
        unix_seconds(self.now())
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

fn after_epoch(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .expect("no test goes back before 1970")
        .as_secs()
}
