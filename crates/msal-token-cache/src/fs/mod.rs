//! Files and folders: the only doors through which this crate opens, reads, replaces and removes
//! them, and the checks that each door makes.

#[cfg(any(unix, windows))]
pub(crate) mod bounded_read;
pub(crate) mod paths;
#[cfg(unix)]
pub(crate) mod size_limit;
pub(crate) mod stamp;
#[cfg(any(unix, windows))]
mod temp_name;
#[cfg(unix)]
pub(crate) mod unix;
#[cfg(windows)]
pub(crate) mod windows;
