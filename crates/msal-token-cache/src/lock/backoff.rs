use std::time::{Duration, Instant};

/// Waiting with growing, jittered pauses until a deadline: the one place that sleeps, always on a
/// thread that may block.
pub(crate) struct Backoff {
    deadline: Instant,
    first: Duration,
    pause: Duration,
    longest: Duration,
}

impl Backoff {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door to the monotonic clock"
    )]
    pub(crate) fn new(timeout: Duration, first: Duration, longest: Duration) -> Self {
        Self {
            deadline: Instant::now() + timeout,
            first,
            pause: first,
            longest,
        }
    }

    /// Whether the deadline is still to come.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door to the monotonic clock"
    )]
    pub(crate) fn has_time(&self) -> bool {
        Instant::now() < self.deadline
    }

    /// Begins with the shortest pause again.
    pub(crate) fn begin_again(&mut self) {
        self.pause = self.first;
    }

    /// Sleeps for the next pause, times 0.5 to 1.5; `false` once the deadline has passed.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door to the monotonic clock"
    )]
    pub(crate) fn wait(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let jittered = self.pause.mul_f64(0.5 + fastrand::f64());
        std::thread::sleep(jittered.min(left));
        self.pause = (self.pause * 2).min(self.longest);
        true
    }
}
