use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_FLAG_DELETE_ON_CLOSE, FILE_FLAG_OPEN_REPARSE_POINT, FILE_READ_ATTRIBUTES,
    FILE_WRITE_ATTRIBUTES,
};

use crate::fs::windows::open::{Sharing, is_in_use, open_for_asking};
use crate::time::backoff::Backoff;
use token_credential::{Clock, SystemClock};

/// The file of a lease, which nobody else can open until it is dropped. The kernel removes it then,
/// however its holder ends, so there is nothing to sweep.
#[derive(Debug)]
pub(super) struct LeaseFile {
    folder: PathBuf,
    file: Option<File>,
}

/// The time for which a file that is to be deleted is tried again: a process that only read it may
/// still have it open, and on a busy machine closes it late.
const PATIENCE: Duration = Duration::from_millis(500);

impl LeaseFile {
    /// Acquires the file of this name; returns `None` if another holder has it.
    pub(super) fn take(folder: &Path, name: &str) -> io::Result<Option<Self>> {
        let path = folder.join(name);
        let mut backoff = Backoff::new(PATIENCE, PATIENCE / 500, PATIENCE / 50);
        loop {
            make_folder(folder)?;
            match create(&path) {
                Ok(file) => {
                    // A file that was left when the machine lost its power has an old time.
                    touch(&file)?;
                    return Ok(Some(Self {
                        folder: folder.to_owned(),
                        file: Some(file),
                    }));
                }
                Err(error) if is_in_use(&error) => return Ok(None),
                // It, or the folder, is to be deleted, or the folder was just removed.
                Err(error) if is_going(&error) && backoff.wait() => {}
                // Other processes create and remove it all the time.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the time at which it was taken.
    pub(super) fn modified(&self) -> io::Result<SystemTime> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.metadata()?.modified()
    }
}

impl Drop for LeaseFile {
    fn drop(&mut self) {
        // Closing it removes it. While there are others, the folder is not empty.
        drop(self.file.take());
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// Opens the file of another holder, for its time; returns `None` if it is missing.
pub(super) fn open_held(path: &Path) -> io::Result<Option<File>> {
    match open_for_asking(path, FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES) {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_going(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns `true` for the errors of a file that was deleted, or that is deleted once its last
/// handle is closed. A missing permission has the same error.
fn is_going(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    )
}

/// Sets the file's time to now.
pub(super) fn touch(file: &File) -> io::Result<()> {
    file.set_modified(SystemClock.now())
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to the lease files"
)]
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .access_mode(GENERIC_READ | GENERIC_WRITE | DELETE)
        .write(true)
        .create(true)
        .truncate(false)
        .share_mode(Sharing::Nothing.mode())
        .custom_flags(FILE_FLAG_DELETE_ON_CLOSE | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)
}

/// Creates the folder if it is missing.
fn make_folder(folder: &Path) -> io::Result<()> {
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        // It is to be deleted.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        made => made?,
    }
    // A link would lead to leases that others may hold.
    match std::fs::symlink_metadata(folder) {
        Ok(found) if !found.is_dir() => Err(io::ErrorKind::NotADirectory.into()),
        _ => Ok(()),
    }
}
