//! The lock that keeps every other writer of a cache out while we write.
//!
//! The peers have two incompatible kinds of lock on the same `<cache>.lockfile`: some hold it as
//! long as the file exists (Python without portalocker, Node), others as long as they have a
//! `flock` on it (.NET, Go, Python with portalocker). We hold both. On Windows the second kind keeps
//! the file open and does not share that it be written.

mod age;
mod backoff;
mod courtesy;
#[cfg(windows)]
mod delete;
#[cfg_attr(not(any(unix, windows)), path = "no_lease.rs")]
mod lease;
#[cfg(test)]
mod model;
#[cfg(any(unix, windows))]
mod process;
mod protocol;
#[cfg(any(unix, windows))]
mod signature;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub use lease::{Lease, Leases};
#[cfg(unix)]
pub(crate) use unix::FileLock;
#[cfg(windows)]
pub(crate) use windows::FileLock;

pub(crate) use backoff::Backoff;
#[cfg(all(target_os = "linux", feature = "secret-service"))]
pub(crate) use backoff::Stopwatch;
pub(crate) use courtesy::Courtesy;
