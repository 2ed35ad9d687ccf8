//! The last tick of a coarse clock in which something was seen.

use std::sync::atomic::{AtomicU64, Ordering};

/// The tick of the last look, or none yet. Readers share it without a lock.
///
/// It orders nothing: it only saves a look within the tick that it holds.
#[derive(Debug)]
pub(crate) struct SeenTick(AtomicU64);

/// No clock of this process gets there: it would have to run for 584 years.
const NEVER: u64 = u64::MAX;

impl SeenTick {
    /// Returns one that has seen no tick.
    pub(crate) const fn never() -> Self {
        Self(AtomicU64::new(NEVER))
    }

    /// Returns `true` if this tick was the last one seen. Without a clock nothing was.
    #[inline]
    pub(crate) fn is(&self, tick: Option<u64>) -> bool {
        tick.is_some_and(|tick| tick != NEVER && tick == self.0.load(Ordering::Relaxed))
    }

    /// Sets the tick; `None`, without a clock, forgets the last one.
    pub(crate) fn set(&self, tick: Option<u64>) {
        self.0.store(tick.unwrap_or(NEVER), Ordering::Relaxed);
    }

    /// Forgets the last tick, so that the next reader looks.
    pub(crate) fn forget(&self) {
        self.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_tick_was_seen() {
        let seen = SeenTick::never();
        for tick in [None, Some(0), Some(NEVER)] {
            assert!(!seen.is(tick), "{tick:?}");
        }
        seen.set(Some(7));
        assert!(seen.is(Some(7)) && !seen.is(Some(8)) && !seen.is(None));
        seen.set(None);
        assert!(!seen.is(Some(7)) && !seen.is(None));
        seen.set(Some(8));
        seen.forget();
        assert!(!seen.is(Some(8)));
    }
}
