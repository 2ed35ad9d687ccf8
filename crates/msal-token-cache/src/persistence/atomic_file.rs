//! Replacing a file as a whole: a reader sees the old content or the new, whenever we die.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door through which files are written"
)]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, futimens};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::safe_open::{file_type, open_folder, uninterrupted};
use crate::{Error, Result};

/// What the names of our temporaries end with; nobody else's do.
const SUFFIX: &str = ".msal-token-cache-tmp";

/// The mode of a cache: readable and writable for its owner only.
const PRIVATE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// How the content came into the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// By renaming a complete temporary over it.
    Renamed,
    /// In place, because the file cannot be replaced: a file mounted on its own, for example.
    InPlace,
}

/// Replaces the content of `path`, which is not a link, and returns the new file's status.
///
/// The caller holds the lock: temporaries that are found belong to writers that have died.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(Written, FileStat)> {
    let (folder, name) = split(path)?;
    let folder = open_folder(folder)?;
    sweep(&folder, name);
    let mut temporary = Temporary::write(&folder, name, content)
        .map_err(|error| Error::io("writing a temporary beside", path, error))?;
    match temporary.rename_over(name) {
        Ok(()) => {
            let file = &temporary.file;
            // Peers reload when the file is younger than their last look at it, so its time is
            // that of the replacement, not that of the writing. Without it they see it later.
            let _ = futimens(file, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW);
            let stat = fstat(file).map_err(|errno| Error::io("looking at", path, errno))?;
            Ok((Written::Renamed, stat))
        }
        Err(Errno::EBUSY | Errno::EXDEV) => {
            drop(temporary);
            let stat = overwrite(&folder, name, content)
                .map_err(|error| Error::io("writing in place to", path, error))?;
            Ok((Written::InPlace, stat))
        }
        Err(errno) => Err(Error::io("replacing", path, errno)),
    }
}

fn split(path: &Path) -> Result<(&Path, &str)> {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Err(Error::io("writing", path, Errno::EISDIR)),
    };
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok((folder, name)),
        None => Err(Error::io("writing", path, Errno::EINVAL)),
    }
}

/// A file that is not in place yet; it goes away unless it is renamed.
struct Temporary<'a> {
    folder: &'a OwnedFd,
    file: File,
    /// `None` once it is renamed.
    name: Option<PathBuf>,
}

impl<'a> Temporary<'a> {
    fn write(folder: &'a OwnedFd, base: &str, content: &[u8]) -> io::Result<Self> {
        let name = temporary_name(base);
        #[cfg(target_os = "linux")]
        if let Some(file) = unnamed::create(folder)? {
            fill(&file, content)?;
            // Whatever is in the way of naming it may not be in the way of one with a name.
            if unnamed::link(&file, folder, &name).is_ok() {
                return Ok(Self {
                    folder,
                    file,
                    name: Some(name),
                });
            }
        }
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let flags = flags | OFlag::O_NOFOLLOW;
        let file = uninterrupted(|| openat(folder, &name, flags, PRIVATE))?.into();
        let temporary = Self {
            folder,
            file,
            name: Some(name),
        };
        fill(&temporary.file, content)?;
        Ok(temporary)
    }

    fn rename_over(&mut self, target: &str) -> nix::Result<()> {
        if let Some(name) = &self.name {
            renameat(self.folder, name, self.folder, target)?;
        }
        self.name = None;
        Ok(())
    }
}

fn fill(mut file: &File, content: &[u8]) -> io::Result<()> {
    // The mode at creation went through the umask.
    fchmod(file, PRIVATE)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Files that have no name while they are written: they go with their descriptor, also when we
/// are killed.
#[cfg(target_os = "linux")]
mod unnamed {
    use std::os::fd::AsRawFd;
    use std::path::Path;

    use nix::fcntl::AT_FDCWD;
    use nix::unistd::linkat;

    use super::{AtFlags, Errno, File, OFlag, OwnedFd, PRIVATE, openat, uninterrupted};

    /// `None` where the file system, or a kernel before 3.11, has no such files.
    pub(super) fn create(folder: &OwnedFd) -> nix::Result<Option<File>> {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        match uninterrupted(|| openat(folder, ".", flags, PRIVATE)) {
            Ok(fd) => Ok(Some(fd.into())),
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::ENOENT | Errno::EINVAL) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Gives the file a name. Fails where `/proc` is not mounted, in some sandboxes.
    pub(super) fn link(file: &File, folder: &OwnedFd, name: &Path) -> nix::Result<()> {
        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        let follow = AtFlags::AT_SYMLINK_FOLLOW;
        linkat(AT_FDCWD, &*unnamed, folder, name, follow)
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = unlinkat(self.folder, name, UnlinkatFlags::NoRemoveDir);
        }
    }
}

fn temporary_name(base: &str) -> PathBuf {
    format!("{base}.{:016x}{SUFFIX}", fastrand::u64(..)).into()
}

/// Whether this is a temporary of the file `base`, and not of another one beside it: the name of
/// one cache may begin with that of another, and each has a lock of its own.
fn is_temporary_of(base: &str, name: &str) -> bool {
    name.strip_prefix(base)
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.strip_suffix(SUFFIX))
        .is_some_and(|random| random.len() == 16 && random.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Removes what writers left that died between naming their temporary and renaming it.
fn sweep(folder: &OwnedFd, base: &str) {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(mut entries) = uninterrupted(|| Dir::openat(folder, ".", flags, Mode::empty())) else {
        return;
    };
    let names: Vec<_> = entries
        .iter()
        .flatten()
        .map(|entry| entry.file_name().to_owned())
        .collect();
    for name in names {
        let is_ours = name.to_str().is_ok_and(|name| is_temporary_of(base, name));
        let is_file = || {
            fstatat(folder, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| file_type(&stat) == SFlag::S_IFREG)
        };
        if is_ours && is_file() {
            let _ = unlinkat(folder, name.as_c_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// Writes over the file itself. The room is reserved first, so that a full disk is met before the
/// old content is touched; being killed or an I/O error in the middle is not survived.
fn overwrite(folder: &OwnedFd, name: &str, content: &[u8]) -> io::Result<FileStat> {
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = File::from(uninterrupted(|| {
        openat(folder, name, flags, Mode::empty())
    })?);
    // Whoever could read the old content gets no new one.
    fchmod(&file, PRIVATE)?;
    #[cfg(target_os = "linux")]
    match nix::fcntl::posix_fallocate(&file, 0, i64::try_from(content.len()).unwrap_or(i64::MAX)) {
        // Some network file systems cannot reserve room, and not every libc hides that.
        Ok(()) | Err(Errno::EOPNOTSUPP) => {}
        Err(errno) => return Err(errno.into()),
    }
    file.write_all_at(content, 0)?;
    file.set_len(content.len() as u64)?;
    file.sync_all()?;
    Ok(fstat(&file)?)
}
