//! The one place that opens files of the cache: what is opened is looked at before it is trusted.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door through which files are opened"
)]

use std::borrow::Cow;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, futimens, lstat, mode_t, stat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Uid, geteuid};
use rustix::fs::Stat;

use crate::{Error, ErrorKind, Result};

/// Makes a call again for as long as a signal comes between: opening a file on a network file
/// system can be interrupted.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            done => return done,
        }
    }
}

/// A regular file that was opened for reading.
pub(crate) struct Opened<'p> {
    pub(crate) file: File,
    pub(crate) stat: Stat,
    /// Where it is itself.
    pub(crate) path: Cow<'p, Path>,
}

/// Opens a regular file for reading; `None` if there is none. Never blocks, on a FIFO for example,
/// and never follows a link.
pub(crate) fn open_for_reading(path: &Path) -> Result<Option<Opened<'_>>> {
    opened(open_unfollowed(path), path.into())
}

/// The same, for the file that a path means, as [`resolve`] says.
pub(crate) fn open_resolved(path: &Path) -> Result<Option<Opened<'_>>> {
    match open_unfollowed(path) {
        // Mostly it is none: to ask beforehand would cost more than to be told.
        Err(Errno::ELOOP) => {
            let target = resolve(path)?;
            opened(open_unfollowed(&target), target.into())
        }
        fd => opened(fd, path.into()),
    }
}

fn open_unfollowed(path: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    uninterrupted(|| open(path, flags, Mode::empty()))
}

fn opened(fd: nix::Result<OwnedFd>, path: Cow<'_, Path>) -> Result<Option<Opened<'_>>> {
    let fd = match fd {
        Ok(fd) => fd,
        Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::ELOOP) => return Err(not_regular(&path, "a symbolic link")),
        Err(errno) => return Err(Error::io("opening", &path, errno)),
    };
    let stat = rustix::fs::fstat(&fd).map_err(|errno| Error::io("looking at", &path, errno))?;
    regular(&path, stat.st_mode)?;
    let file = File::from(fd);
    Ok(Some(Opened { file, stat, path }))
}

/// Sets the time of a regular file's last change to now; an empty file is created if there is none.
#[allow(dead_code, reason = "for the encrypted stores, which may be left out")]
pub(crate) fn touch(path: &Path) -> Result<FileStat> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let flags = flags | OFlag::O_CLOEXEC;
    let private = Mode::S_IRUSR | Mode::S_IWUSR;
    let failed = |errno: Errno| Error::io("touching", path, errno);
    let file = uninterrupted(|| open(path, flags, private)).map_err(failed)?;
    regular(path, fstat(&file).map_err(failed)?.st_mode)?;
    futimens(&file, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW).map_err(failed)?;
    fstat(&file).map_err(failed)
}

/// Opens a folder, to do something in it without going through its path again.
pub(crate) fn open_folder(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    uninterrupted(|| open(path, flags, Mode::empty()))
        .map_err(|errno| Error::io("opening the folder", path, errno))
}

/// An error unless this is the mode of a regular file.
pub(crate) fn regular(path: &Path, mode: mode_t) -> Result<()> {
    match type_in(mode) {
        SFlag::S_IFREG => Ok(()),
        SFlag::S_IFDIR => Err(not_regular(path, "a folder")),
        SFlag::S_IFLNK => Err(not_regular(path, "a symbolic link")),
        SFlag::S_IFIFO => Err(not_regular(path, "a FIFO")),
        _ => Err(not_regular(path, "a device or socket")),
    }
}

fn not_regular(path: &Path, what: &str) -> Error {
    let text = format!("{} is {what}, not a regular file", path.display());
    Error::new(ErrorKind::Insecure, text)
}

/// Whether this is a file, a folder, a link and so on.
pub(crate) fn file_type(stat: &FileStat) -> SFlag {
    type_in(stat.st_mode)
}

fn type_in(mode: mode_t) -> SFlag {
    SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits())
}

fn is_link(stat: &FileStat) -> bool {
    file_type(stat) == SFlag::S_IFLNK
}

/// The file that a path means: itself, or the target of a symbolic link when link and target are
/// ours and nobody else can put another file there. A chain of links is not followed.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf> {
    let link = match lstat(path) {
        Ok(stat) => stat,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(path.to_owned()),
        Err(errno) => return Err(Error::io("looking at", path, errno)),
    };
    if !is_link(&link) {
        return Ok(path.to_owned());
    }
    let refuse = |why: &str| {
        let text = format!(
            "{} is a symbolic link that is not followed, because {why}; put the file itself there",
            path.display()
        );
        Err(Error::new(ErrorKind::Insecure, text))
    };
    let us = geteuid();
    if Uid::from_raw(link.st_uid) != us {
        return refuse("it belongs to another user");
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let (Ok(folder), Ok(target)) = (folder.canonicalize(), path.read_link()) else {
        return refuse("its target cannot be found");
    };
    let target = folder.join(target);
    if lstat(&target).is_ok_and(|stat| is_link(&stat)) {
        return refuse("its target is a link too");
    }
    let Ok(target) = target.canonicalize() else {
        return refuse("its target cannot be found");
    };
    match stat(&target) {
        Ok(stat) if Uid::from_raw(stat.st_uid) == us => {}
        _ => return refuse("its target belongs to another user"),
    }
    for folder in folder.ancestors().chain(target.ancestors().skip(1)) {
        match stat(folder) {
            Ok(stat) if !writable_by_others(&stat) => {}
            _ => return refuse("others can write to a folder on the way"),
        }
    }
    Ok(target)
}

/// Whether somebody else than we and root may put files into a folder or take ours out: its owner
/// or, unless the sticky bit protects them, everybody.
pub(crate) fn writable_by_others(folder: &FileStat) -> bool {
    let mode = Mode::from_bits_truncate(folder.st_mode);
    let owner = Uid::from_raw(folder.st_uid);
    (owner != geteuid() && !owner.is_root())
        || (mode.contains(Mode::S_IWOTH) && !mode.contains(Mode::S_ISVTX))
}

/// Whether a file's mode lets others than the owner at it.
pub(crate) fn open_to_others(mode: mode_t) -> bool {
    Mode::from_bits_truncate(mode).intersects(Mode::S_IRWXG | Mode::S_IRWXO)
}

/// Who owns a file, compared with who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Us,
    /// Somebody else, and we are root, who may read it.
    AnotherForRoot,
    Another,
}

impl Owner {
    pub(crate) fn of(uid: u32) -> Self {
        match geteuid() {
            us if us == Uid::from_raw(uid) => Self::Us,
            us if us.is_root() => Self::AnotherForRoot,
            _ => Self::Another,
        }
    }
}
