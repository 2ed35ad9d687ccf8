//! Opens the files of a cache for reading: the one place that does, and checks each file that it
//! opened.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door through which files are opened"
)]

use std::borrow::Cow;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, RawMode, Stat};
use rustix::io::{Errno, retry_on_intr};

use crate::error::{Error, ErrorKind, Result};
use crate::fs::unix::directory::Entry;
use crate::fs::unix::follow::follow;

/// A regular file that was opened for reading.
pub(crate) struct Opened<'p> {
    pub(crate) file: File,
    pub(crate) stat: Stat,
    /// The path of the file itself, behind a link.
    pub(crate) path: Cow<'p, Path>,
}

/// Opens a regular file for reading; `None` if it is missing. Never blocks, on a FIFO for example.
/// A symbolic link is followed as [`follow`] says.
pub(crate) fn open_for_reading(path: &Path) -> Result<Option<Opened<'_>>> {
    match open_unfollowed(path) {
        // Mostly it is no link: to ask beforehand would cost more than to be told.
        Err(Errno::LOOP) => {
            let target = follow(path)?;
            open_entry(&target)
        }
        fd => opened(fd.map(File::from), path.into()),
    }
}

/// Opens the regular file of a name for reading, in the same way, and never follows a link.
pub(crate) fn open_entry(entry: &Entry) -> Result<Option<Opened<'static>>> {
    opened(entry.open(OFlags::RDONLY), entry.path().into())
}

fn open_unfollowed(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))
}

fn opened(file: rustix::io::Result<File>, path: Cow<'_, Path>) -> Result<Option<Opened<'_>>> {
    let file = match file {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(not_regular(&path, "a symbolic link")),
        Err(errno) => return Err(Error::io("opening", &path, errno)),
    };
    let stat = rustix::fs::fstat(&file).map_err(|errno| Error::io("looking at", &path, errno))?;
    regular(&path, stat.st_mode)?;
    Ok(Some(Opened { file, stat, path }))
}

/// Returns an error unless this is the mode of a regular file.
pub(crate) fn regular(path: &Path, mode: RawMode) -> Result<()> {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(not_regular(path, "a folder")),
        FileType::Symlink => Err(not_regular(path, "a symbolic link")),
        FileType::Fifo => Err(not_regular(path, "a FIFO")),
        _ => Err(not_regular(path, "a device or socket")),
    }
}

fn not_regular(path: &Path, what: &str) -> Error {
    let text = format!("{} is {what}, not a regular file", path.display());
    Error::new(ErrorKind::Insecure, text)
}
