//! Reads the system's coarse clock, which advances in ticks of a few milliseconds.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{monotonic, time_of_day};
#[cfg(windows)]
pub(crate) use windows::monotonic;
