//! The lock that keeps every other writer of a cache out while we write.
//!
//! The peers have two incompatible kinds of lock on the same `<cache>.lockfile`: some hold it as
//! long as the file exists (Python without portalocker, Node), others as long as they have a
//! `flock` on it (.NET, Go, Python with portalocker). We hold both. On Windows the second kind keeps
//! the file open and does not share that it be written.

pub(crate) mod fairness;
mod holder_record;
#[cfg(unix)]
pub(crate) mod kernel_lock;
#[cfg(test)]
mod model_check;
mod process;
mod protocol;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::FileLock;
#[cfg(windows)]
pub(crate) use windows::FileLock;
