//! The kernel's coarse clock: it costs a few nanoseconds and no system call, and lags by a few
//! milliseconds at most.
//!
//! It tells when to look at a file again, never whether a token has expired: that is for
//! `token_credential::Clock`.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door to the coarse clock"
)]

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Returns the nanoseconds since the machine was started, in ticks of 1 to 10 ms; `None` where
/// there is no such clock.
#[inline]
pub(crate) fn monotonic() -> Option<u64> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let time = clock_gettime(ClockId::MonotonicCoarse);
        let seconds = u64::try_from(time.tv_sec).ok()?;
        let nanos = u64::try_from(time.tv_nsec).ok()?;
        // Since the machine was started: it does not wrap.
        Some(seconds * 1_000_000_000 + nanos)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        None
    }
}

/// Returns the time of the last change that a file changed now gets, in nanoseconds since the
/// epoch.
pub(crate) fn time_of_day() -> i128 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = ClockId::RealtimeCoarse;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = ClockId::Realtime;
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    i128::from(tv_sec) * 1_000_000_000 + i128::from(tv_nsec)
}
