//! The clock that ticks: it costs a few nanoseconds and no system call, and it is right to within
//! a few milliseconds.
//!
//! It says when to look at a file again, never what time it is for a token: that is
//! [`Clock`](crate::Clock)'s to say.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door to the coarse clock"
)]

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

/// Nanoseconds since some moment, in ticks of 1 to 10 ms; `None` where there is no such clock.
pub(crate) fn monotonic() -> Option<u64> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let time = clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).ok()?;
        // Of a time since the machine was started: it does not wrap.
        #[allow(clippy::cast_sign_loss, reason = "neither part is negative")]
        Some(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        None
    }
}

/// The time that a file gets that changes now, in nanoseconds since the epoch. Where it cannot be
/// told it is the beginning of time: every file then counts as just changed.
pub(crate) fn time_of_day() -> i128 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = ClockId::CLOCK_REALTIME_COARSE;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = ClockId::CLOCK_REALTIME;
    clock_gettime(clock).map_or(i128::MIN / 2, nanoseconds)
}

fn nanoseconds(time: TimeSpec) -> i128 {
    i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec())
}
