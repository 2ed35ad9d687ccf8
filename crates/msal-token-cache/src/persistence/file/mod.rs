//! The store in a file, in plain text.

#[cfg(unix)]
mod open_handle;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::FilePersistence;
#[cfg(windows)]
pub use windows::FilePersistence;

use crate::lock::FileLock;
use crate::persistence::StoreLock;

impl StoreLock for FileLock {
    fn is_held(&self) -> bool {
        Self::is_held(self)
    }
}
