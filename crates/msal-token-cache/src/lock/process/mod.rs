//! Asks the system about other processes.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(super) use unix::{is_running, pid_scope};
#[cfg(windows)]
pub(super) use windows::{is_running, pid_scope};

/// The scope in which a process id names one process: since this boot, in this pid namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PidScope {
    pub(super) boot: String,
    pub(super) namespace: String,
}
