use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::time::age::age;

/// Leaves the lock free for as long as a write takes after each write. A peer that tries it four
/// times a second, and gives up after five seconds, else might never find it free.
///
/// Clones share the measured time.
#[derive(Clone, Debug)]
pub(crate) struct Fairness {
    /// The time for which the lock was held last, in microseconds.
    held: Arc<AtomicU64>,
}

/// The time that a write takes on a usual disk, until one was measured.
const USUAL: Duration = Duration::from_millis(5);
/// The longest rest after one write, however slow the disk is.
const LONGEST: Duration = Duration::from_millis(50);
/// The longest rest of one waiter in sum: a peer that writes without a pause would else keep it
/// out.
pub(super) const MOST_REST: Duration = Duration::from_millis(200);

impl Default for Fairness {
    fn default() -> Self {
        let usual = u64::try_from(USUAL.as_micros()).unwrap_or_default();
        Self {
            held: Arc::new(AtomicU64::new(usual)),
        }
    }
}

impl Fairness {
    /// Stores the time for which the lock was held.
    pub(crate) fn learn(&self, held: Duration) {
        let micros = u64::try_from(held.min(LONGEST).as_micros()).unwrap_or(u64::MAX);
        self.held.store(micros, Ordering::Relaxed);
    }

    /// Returns the time for which the lock is to stay free after a write at `written`; `None` if it
    /// is over.
    pub(crate) fn rest(&self, written: SystemTime, now: SystemTime) -> Option<Duration> {
        let rest = Duration::from_micros(self.held.load(Ordering::Relaxed));
        let left = rest.checked_sub(age(written, now))?;
        Some(left).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_long_as_a_write_took_and_no_longer() {
        let fairness = Fairness::default();
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let after = |millis| fairness.rest(written, written + Duration::from_millis(millis));
        assert_eq!(after(1), Some(Duration::from_millis(4)));
        assert_eq!(after(5), None);
        fairness.learn(Duration::from_millis(20));
        assert_eq!(after(5), Some(Duration::from_millis(15)));
        fairness.learn(Duration::from_secs(3_600));
        assert_eq!(after(0), Some(LONGEST));
        assert_eq!(after(50), None);
        let before = |millis| {
            let now = written.checked_sub(Duration::from_millis(millis));
            fairness.rest(written, now.unwrap())
        };
        assert_eq!(before(60_000), None, "of a server with another clock");
        assert_eq!(before(20), Some(Duration::from_millis(30)));
    }
}
