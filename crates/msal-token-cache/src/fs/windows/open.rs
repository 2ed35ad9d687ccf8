//! Opens the files of a cache, and checks each file that it opened.
//!
//! Other programs may read, write, replace and delete an open file meanwhile, so that no peer fails
//! because of a reader.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door through which files are opened"
)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION, ERROR_USER_MAPPED_FILE,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_READ_ATTRIBUTES,
    FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_WRITE_ATTRIBUTES,
    SECURITY_IDENTIFICATION,
};

use crate::error::{Error, ErrorKind, Result};
use crate::fs::windows::information::{FileInformation, Kind};
use crate::time::backoff::Backoff;

/// The access that other programs have to a file while it is open here.
#[derive(Clone, Copy)]
pub(crate) enum Sharing {
    /// Everything.
    All,
    /// Read it.
    Reading,
    /// Nothing.
    Nothing,
}

impl Sharing {
    pub(crate) fn mode(self) -> u32 {
        match self {
            Self::All => FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
            Self::Reading => FILE_SHARE_READ,
            Self::Nothing => 0,
        }
    }
}

/// The time for which a file that another program does not share is tried again, in sum.
const PATIENCE: Duration = Duration::from_millis(150);

/// Returns `true` if another program has the file open and does not share the access.
pub(crate) fn is_in_use(error: &io::Error) -> bool {
    const IN_USE: [u32; 3] = [
        ERROR_SHARING_VIOLATION,
        ERROR_LOCK_VIOLATION,
        ERROR_USER_MAPPED_FILE,
    ];
    let code = error.raw_os_error().and_then(|code| code.try_into().ok());
    code.is_some_and(|code| IN_USE.contains(&code))
}

/// Opens a regular file for reading; returns `None` if it is missing. Never follows a link.
pub(crate) fn open_for_reading(path: &Path) -> Result<Option<(File, FileInformation)>> {
    let mut backoff = Backoff::new(PATIENCE, PATIENCE / 150, PATIENCE / 5);
    loop {
        let opened = OpenOptions::new()
            .read(true)
            .share_mode(Sharing::All.mode())
            .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
            // The server of a pipe at this path may identify this user, but not impersonate it.
            .security_qos_flags(SECURITY_IDENTIFICATION)
            .open(path);
        let error = match opened {
            Ok(file) => {
                let information = look_at(path, &file)?;
                regular(path, &information)?;
                return Ok(Some((file, information)));
            }
            Err(error) => error,
        };
        if error.kind() == io::ErrorKind::NotFound {
            return Ok(None);
        }
        if error.kind() == io::ErrorKind::PermissionDenied
            && let Ok(Some(information)) = information(path)
        {
            // A folder cannot be opened for reading, with the same error.
            regular(path, &information)?;
        }
        // Nor can a file that is to be deleted, until its last handle is closed.
        let may_pass = is_in_use(&error) || error.kind() == io::ErrorKind::PermissionDenied;
        if !may_pass || !backoff.wait() {
            return Err(Error::io("opening", path, error));
        }
    }
}

/// Returns the information of the file at the path; `None` if it is missing. A link is not
/// followed.
pub(crate) fn information(path: &Path) -> Result<Option<FileInformation>> {
    match open_for_asking(path, FILE_READ_ATTRIBUTES) {
        Ok(file) => look_at(path, &file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("looking at", path, error)),
    }
}

/// Opens a file or folder for its information alone, for which no share mode matters.
pub(crate) fn open_for_asking(path: &Path, access: u32) -> io::Result<File> {
    OpenOptions::new()
        .access_mode(access)
        .share_mode(Sharing::All.mode())
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS)
        .security_qos_flags(SECURITY_IDENTIFICATION)
        .open(path)
}

/// Opens a file or folder for its information and to set its times.
pub(crate) fn open_for_touching(path: &Path) -> io::Result<File> {
    open_for_asking(path, FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES)
}

/// Creates a file at this path.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .share_mode(Sharing::Nothing.mode())
        .open(path)
}

fn look_at(path: &Path, file: &File) -> Result<FileInformation> {
    FileInformation::of(file).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => not_regular(path, "a device or pipe"),
        _ => Error::io("looking at", path, error),
    })
}

/// Returns an error unless this is a regular file.
pub(crate) fn regular(path: &Path, information: &FileInformation) -> Result<()> {
    match information.kind() {
        Kind::File => Ok(()),
        Kind::Folder => Err(not_regular(path, "a folder")),
        Kind::ReparsePoint => Err(not_regular(path, "a link")),
    }
}

fn not_regular(path: &Path, what: &str) -> Error {
    let text = format!("{} is {what}, not a regular file", path.display());
    Error::new(ErrorKind::Insecure, text)
}
