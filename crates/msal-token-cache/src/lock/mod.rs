//! The lock that keeps every other writer of a cache out while we write.
//!
//! The peers have two incompatible kinds of lock on the same `<cache>.lockfile`: some hold it as
//! long as the file exists (Python without portalocker, Node), others as long as they have a
//! `flock` on it (.NET, Go, Python with portalocker). We hold both.

mod backoff;
mod courtesy;
#[cfg_attr(not(unix), path = "no_lease.rs")]
mod lease;
#[cfg(test)]
mod model;
mod protocol;
#[cfg(unix)]
mod signature;
#[cfg(unix)]
mod unix;

pub use lease::{Lease, Leases};
#[cfg(unix)]
pub(crate) use unix::FileLock;

pub(crate) use backoff::Backoff;
#[cfg(all(target_os = "linux", feature = "secret-service"))]
pub(crate) use backoff::Stopwatch;
pub(crate) use courtesy::Courtesy;
