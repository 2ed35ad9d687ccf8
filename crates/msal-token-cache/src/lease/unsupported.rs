//! Where there are no leases yet, everybody works alone.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Where the processes of one user on one machine agree who does a piece of work for all of them.
/// Not on this platform yet: nobody gets a lease.
#[derive(Clone, Debug)]
pub struct Leases(());

/// The right to do a piece of work; there is none on this platform yet.
#[derive(Debug)]
pub struct Lease(Infallible);

impl Leases {
    /// Leases in a folder of their own.
    pub fn in_folder(_: impl Into<PathBuf>) -> Self {
        Self(())
    }

    /// Takes the lease for the work that these words name.
    ///
    /// # Errors
    ///
    /// Always: there are no leases on this platform yet.
    pub fn take(&self, _: &[&str]) -> io::Result<Option<Lease>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether to do this work although somebody has the lease.
    ///
    /// # Errors
    ///
    /// Always: there are no leases on this platform yet.
    pub fn try_take_over(&self, _: &[&str], _: Duration) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
