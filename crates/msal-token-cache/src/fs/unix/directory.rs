//! A folder that is open, and the names in it: a check holds for what is done afterwards, because
//! neither goes by the folder's path.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door to the names in a folder"
)]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, Stat};
use rustix::io::{Errno, Result, retry_on_intr};
use rustix::path::Arg;

/// The mode of what is created here: for its owner only.
pub(crate) const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Opens a folder in which names are looked up, also one that may not be listed.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SEARCH: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SEARCH: OFlags = OFlags::RDONLY;

/// A folder that is open. Whatever becomes of its path, this one is meant.
#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
    /// For messages.
    path: PathBuf,
}

impl Directory {
    /// Opens the folder at a path, as the system finds it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = SEARCH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let existing = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let open = || rustix::fs::open(existing, flags, Mode::empty());
        Ok(Self {
            fd: retry_on_intr(open)?,
            path: path.to_owned(),
        })
    }

    /// Opens a folder in this one, and no link to a folder.
    pub(crate) fn enter(&self, name: &OsStr) -> Result<Self> {
        let flags = SEARCH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self {
            fd: self.openat(name, flags, Mode::empty())?,
            path: self.path.join(name),
        })
    }

    /// Returns another handle of the same folder.
    pub(crate) fn reopen(&self) -> Result<Self> {
        Ok(Self {
            fd: rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)?,
            path: self.path.clone(),
        })
    }

    /// Creates a folder for its owner only; one that is there stays as it is.
    pub(crate) fn create_folder(&self, name: &OsStr) -> Result<()> {
        match retry_on_intr(|| rustix::fs::mkdirat(&self.fd, name, Mode::RWXU)) {
            Err(Errno::EXIST) => Ok(()),
            created => created,
        }
    }

    /// Returns the folder's path, as far as it is known: it may lead elsewhere now.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Names the folder in messages as it was given.
    pub(crate) fn called(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Returns the status of the folder itself.
    pub(crate) fn stat(&self) -> Result<Stat> {
        rustix::fs::fstat(&self.fd)
    }

    /// Returns the status of what has this name, a link for example; `None` if nothing has.
    pub(crate) fn stat_of(&self, name: impl Arg + Copy) -> Result<Option<Stat>> {
        match retry_on_intr(|| rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Opens a file with one of these flags, without following a link or waiting for a FIFO. If
    /// the flags say that it is created, it is for its owner only.
    pub(crate) fn open_file(&self, name: impl Arg + Copy, flags: OFlags) -> Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(self.openat(name, flags, PRIVATE)?.into())
    }

    /// Returns the target of a link.
    pub(crate) fn read_link(&self, name: &OsStr) -> Result<PathBuf> {
        let target = rustix::fs::readlinkat(&self.fd, name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// Gives a file without a name one, through `/proc`, which some sandboxes lack.
    #[cfg(target_os = "linux")]
    pub(crate) fn link_unnamed(&self, file: &File, name: &str) -> Result<()> {
        use std::os::fd::AsRawFd;

        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        let follow = AtFlags::SYMLINK_FOLLOW;
        rustix::fs::linkat(rustix::fs::CWD, &*unnamed, &self.fd, name, follow)
    }

    /// Puts the file of one name in place of that of another.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<()> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to)
    }

    /// Removes the name of a file.
    pub(crate) fn remove(&self, name: impl Arg) -> Result<()> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())
    }

    /// Removes an empty folder.
    pub(crate) fn remove_folder(&self, name: &OsStr) -> Result<()> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)
    }

    /// Returns the names in the folder, as far as they can be read.
    pub(crate) fn names(&self) -> Vec<OsString> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = self.openat(".", flags, Mode::empty()).and_then(Dir::new);
        let Ok(entries) = listed else {
            return Vec::new();
        };
        // Behind an error there may be nothing but errors, for ever.
        let entries = entries.map_while(Result::ok);
        let names = entries.map(|entry| OsString::from_vec(entry.file_name().to_bytes().to_vec()));
        names.filter(|name| name != "." && name != "..").collect()
    }

    fn openat(&self, name: impl Arg + Copy, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        retry_on_intr(|| rustix::fs::openat(&self.fd, name, flags, mode))
    }
}

/// A name in a folder that is open.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    folder: Arc<Directory>,
    name: OsString,
}

impl Entry {
    pub(crate) fn new(folder: Arc<Directory>, name: impl Into<OsString>) -> Self {
        Self {
            folder,
            name: name.into(),
        }
    }

    pub(crate) fn folder(&self) -> &Directory {
        &self.folder
    }

    pub(crate) fn name(&self) -> &OsStr {
        &self.name
    }

    /// Returns the path, for messages.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path.join(&self.name)
    }

    /// Returns the status of what has the name, a link for example; `None` if nothing has.
    pub(crate) fn stat(&self) -> Result<Option<Stat>> {
        self.folder.stat_of(&*self.name)
    }

    /// Opens the file with these flags; see [`Directory::open_file`].
    pub(crate) fn open(&self, flags: OFlags) -> Result<File> {
        self.folder.open_file(&*self.name, flags)
    }

    /// Returns `true` if the name leads to this very file.
    pub(crate) fn is_at(&self, file: &File) -> Result<bool> {
        let Some(named) = self.stat()? else {
            return Ok(false);
        };
        Ok(is_same_file(&named, &rustix::fs::fstat(file)?))
    }

    /// Removes the name.
    pub(crate) fn remove(&self) -> Result<()> {
        self.folder.remove(&*self.name)
    }
}

/// Returns the folder of a path, which is empty for that of the process, and the name in it;
/// `None` for a path that ends in no name, as `/` and `..` do.
pub(crate) fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    Some((path.parent()?, path.file_name()?))
}

/// Returns `true` if both are of one file.
pub(crate) fn is_same_file(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}
