//! The kernel's locks on an open file: `flock`, and on Linux an open file description lock. On
//! Linux the two do not exclude each other, and some peers use record locks.

use std::fs::{File, TryLockError};

use rustix::io::{Errno, Result};

/// Acquires the kernel's locks on the whole file without waiting.
///
/// # Errors
///
/// [`Errno::WOULDBLOCK`] if another open file has one of them.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to the kernel's locks"
)]
pub(crate) fn try_lock(file: &File) -> Result<()> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Errno::WOULDBLOCK),
        Err(TryLockError::Error(error)) => {
            return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
        }
    }
    match set_ofd_lock(file, OfdLock::Exclusive) {
        Err(nix::Error::EAGAIN | nix::Error::EACCES) => {
            let _ = file.unlock();
            Err(Errno::WOULDBLOCK)
        }
        // Where `flock` works, a missing record lock keeps nobody in that `flock` lets in.
        _ => Ok(()),
    }
}

/// Releases the kernel's locks on the file.
pub(crate) fn unlock(file: &File) {
    let _ = set_ofd_lock(file, OfdLock::Released);
    let _ = file.unlock();
}

/// The state that an open file description lock is set to.
#[derive(Clone, Copy)]
enum OfdLock {
    Exclusive,
    Released,
}

/// Sets the open file description lock, which rustix does not have.
#[cfg(target_os = "linux")]
fn set_ofd_lock(file: &File, state: OfdLock) -> nix::Result<()> {
    let kind = match state {
        OfdLock::Exclusive => nix::libc::F_WRLCK,
        OfdLock::Released => nix::libc::F_UNLCK,
    };
    let whole_file = nix::libc::flock {
        l_type: nix::libc::c_short::try_from(kind).unwrap_or_default(),
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_OFD_SETLK(&whole_file)).map(drop)
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
fn set_ofd_lock(_file: &File, _state: OfdLock) -> nix::Result<()> {
    Ok(())
}
