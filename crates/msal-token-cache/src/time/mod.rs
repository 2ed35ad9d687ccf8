//! The doors to time: pauses, the coarse clock and ages. `Clock` of `token_credential` tells the
//! time of day.

#[cfg(any(unix, windows))]
pub(crate) mod age;
pub(crate) mod backoff;
#[cfg(any(unix, windows))]
pub(crate) mod coarse_clock;
#[cfg(any(unix, windows))]
pub(crate) mod stopwatch;
