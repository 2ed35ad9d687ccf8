//! Leases for platforms that do not support them yet.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Leases by which the processes of one user on one machine agree on the one that does a piece of
/// work for all. This platform does not support them yet.
#[derive(Clone, Debug)]
pub struct Leases(());

/// The right to do a piece of work, which this platform does not support yet.
#[derive(Debug)]
pub struct Lease(Infallible);

impl Leases {
    /// Creates leases in a folder of their own.
    pub fn in_folder(_: impl Into<PathBuf>) -> Self {
        Self(())
    }

    /// Acquires the lease for the work that these words name.
    ///
    /// # Errors
    ///
    /// Always: this platform does not support leases yet.
    pub fn take(&self, _: &[&str]) -> io::Result<Option<Lease>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Elects one waiter to proceed without the lease.
    ///
    /// # Errors
    ///
    /// Always: this platform does not support leases yet.
    pub fn try_take_over(&self, _: &[&str], _: Duration) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
