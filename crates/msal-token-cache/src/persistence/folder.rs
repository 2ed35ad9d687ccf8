//! What replacing a file needs of the folder it is in, and the real folder: one system call each.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door through which files are written"
)]

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, futimens};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::safe_open::{file_type, open_folder, uninterrupted};
use crate::Result;

/// The mode of a cache: readable and writable for its owner only.
const PRIVATE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// The steps of replacing a file. A test takes them on a disk that loses its power in between.
pub(crate) trait Folder {
    /// An open file.
    type File;

    /// A file without a name, which goes with its descriptor, also when we are killed; `None`
    /// where there is no such thing.
    fn create_unnamed(&self) -> io::Result<Option<Self::File>>;
    /// Gives a file without a name one.
    fn link(&self, file: &Self::File, name: &str) -> nix::Result<()>;
    /// A new file with this name.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// The file of this name, to be written in place.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Lets nobody but the owner at a file, whatever the umask says.
    fn make_private(&self, file: &Self::File) -> io::Result<()>;
    /// Makes sure that there is room for so many bytes.
    fn reserve(&self, file: &Self::File, length: usize) -> io::Result<()>;
    /// Writes from the beginning on.
    fn write(&self, file: &Self::File, content: &[u8]) -> io::Result<()>;
    /// Cuts a file off behind so many bytes.
    fn truncate(&self, file: &Self::File, length: usize) -> io::Result<()>;
    /// Returns when the content will survive a loss of power.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Puts the file of one name in place of that of another.
    fn rename(&self, from: &str, to: &str) -> nix::Result<()>;
    /// Removes a name. That it stays is no failure.
    fn remove(&self, name: &str);
    /// The names of the regular files that are wanted. Those that cannot be found out about are
    /// left out.
    fn files_like(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<String>;
    /// Sets the time of the last change to now. That it stays is no failure.
    fn touch(&self, file: &Self::File);
    /// What the system knows of a file.
    fn stat(&self, file: &Self::File) -> io::Result<FileStat>;
}

/// A folder, opened once, so that nobody can put another in its place meanwhile.
pub(crate) struct Directory(OwnedFd);

impl Directory {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        open_folder(path).map(Self)
    }
}

impl Folder for Directory {
    type File = File;

    #[cfg(target_os = "linux")]
    fn create_unnamed(&self) -> io::Result<Option<File>> {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        match uninterrupted(|| openat(&self.0, ".", flags, PRIVATE)) {
            Ok(fd) => Ok(Some(fd.into())),
            // The file system, or a kernel before 3.11, has none.
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::ENOENT | Errno::EINVAL) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn create_unnamed(&self) -> io::Result<Option<File>> {
        Ok(None)
    }

    /// Fails where `/proc` is not mounted, in some sandboxes.
    #[cfg(target_os = "linux")]
    fn link(&self, file: &File, name: &str) -> nix::Result<()> {
        use std::os::fd::AsRawFd;

        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        let follow = AtFlags::AT_SYMLINK_FOLLOW;
        nix::unistd::linkat(nix::fcntl::AT_FDCWD, &*unnamed, &self.0, name, follow)
    }

    #[cfg(not(target_os = "linux"))]
    fn link(&self, _file: &File, _name: &str) -> nix::Result<()> {
        Err(Errno::ENOTSUP)
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let flags = flags | OFlag::O_NOFOLLOW;
        Ok(uninterrupted(|| openat(&self.0, name, flags, PRIVATE))?.into())
    }

    fn open(&self, name: &str) -> io::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(uninterrupted(|| openat(&self.0, name, flags, Mode::empty()))?.into())
    }

    fn make_private(&self, file: &File) -> io::Result<()> {
        Ok(fchmod(file, PRIVATE)?)
    }

    #[cfg(target_os = "linux")]
    fn reserve(&self, file: &File, length: usize) -> io::Result<()> {
        match nix::fcntl::posix_fallocate(file, 0, i64::try_from(length).unwrap_or(i64::MAX)) {
            // Some network file systems cannot reserve room, and not every libc hides that.
            Ok(()) | Err(Errno::EOPNOTSUPP) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve(&self, _file: &File, _length: usize) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, file: &File, content: &[u8]) -> io::Result<()> {
        file.write_all_at(content, 0)
    }

    fn truncate(&self, file: &File, length: usize) -> io::Result<()> {
        file.set_len(length as u64)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> nix::Result<()> {
        renameat(&self.0, from, &self.0, to)
    }

    fn remove(&self, name: &str) {
        let _ = unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir);
    }

    fn files_like(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let open = || Dir::openat(&self.0, ".", flags, Mode::empty());
        let Ok(mut entries) = uninterrupted(open) else {
            return Vec::new();
        };
        let is_file = |name: &str| {
            fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| file_type(&stat) == SFlag::S_IFREG)
        };
        entries
            .iter()
            // Behind an error there may be nothing but errors, for ever.
            .map_while(std::result::Result::ok)
            .filter_map(|entry| Some(entry.file_name().to_str().ok()?.to_owned()))
            .filter(|name| is_wanted(name) && is_file(name))
            .collect()
    }

    fn touch(&self, file: &File) {
        let _ = futimens(file, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW);
    }

    fn stat(&self, file: &File) -> io::Result<FileStat> {
        Ok(fstat(file)?)
    }
}
