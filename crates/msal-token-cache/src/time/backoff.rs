use std::time::{Duration, Instant};

/// Waits with growing, jittered pauses until a deadline: the one place that sleeps, always on a
/// thread that may block.
///
/// After a long wait the pauses become shorter again, so that among many waiters none starves.
pub(crate) struct Backoff {
    /// `None` if it is later than the clock can count.
    deadline: Option<Instant>,
    first: Duration,
    pause: Duration,
    longest: Duration,
    waits: u32,
}

/// The number of pauses after which they become shorter: with 5 to 100 ms that is after half a
/// second.
const PATIENT_WAITS: u32 = 8;

impl Backoff {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door to the monotonic clock"
    )]
    pub(crate) fn new(timeout: Duration, first: Duration, longest: Duration) -> Self {
        Self {
            deadline: Instant::now().checked_add(timeout),
            first,
            pause: first,
            longest,
            waits: 0,
        }
    }

    /// Returns `true` if the deadline is still to come.
    #[cfg(any(unix, windows))]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door to the monotonic clock"
    )]
    pub(crate) fn has_time(&self) -> bool {
        self.deadline
            .is_none_or(|deadline| Instant::now() < deadline)
    }

    /// Returns the time until the deadline.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door to the monotonic clock"
    )]
    fn left(&self) -> Duration {
        self.deadline.map_or(Duration::MAX, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        })
    }

    /// Sleeps for the pause, times 1 to 1.5; returns `false` at once if the deadline is before that.
    #[cfg(any(unix, windows))]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door to the monotonic clock"
    )]
    pub(crate) fn rest(&self, pause: Duration) -> bool {
        let jittered = pause.mul_f64(1.0 + fastrand::f64() / 2.0);
        if self.left() <= jittered {
            return false;
        }
        std::thread::sleep(jittered);
        true
    }

    /// Sleeps for a millisecond, also after the deadline.
    #[cfg(unix)]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door to the monotonic clock"
    )]
    #[expect(clippy::unused_self, reason = "the others that sleep are methods, too")]
    pub(crate) fn wait_a_little(&self) -> bool {
        std::thread::sleep(Duration::from_millis(1));
        true
    }

    /// Resets the pause to the shortest one.
    #[cfg(unix)]
    pub(crate) fn begin_again(&mut self) {
        self.pause = self.first;
    }

    /// Sleeps for the next pause, times 0.5 to 1.5; returns `false` once the deadline has passed.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door to the monotonic clock"
    )]
    pub(crate) fn wait(&mut self) -> bool {
        let left = self.left();
        if left.is_zero() {
            return false;
        }
        let jittered = self.pause.mul_f64(0.5 + fastrand::f64());
        std::thread::sleep(jittered.min(left));
        self.waits = self.waits.saturating_add(1);
        self.pause = if self.waits < PATIENT_WAITS {
            self.pause.saturating_mul(2).min(self.longest)
        } else {
            self.pause.mul_f64(0.75).max(self.first.saturating_mul(2))
        };
        true
    }
}
