//! What the system says of other processes.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(super) use unix::{is_running, place};
#[cfg(windows)]
pub(super) use windows::{is_running, place};

/// What tells whether a process id means anything here: it was given since this start of the
/// machine, among these processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) boot: String,
    pub(super) namespace: String,
}
