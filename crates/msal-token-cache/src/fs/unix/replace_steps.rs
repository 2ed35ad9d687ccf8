//! The steps of replacing a file, as one system call each on a folder.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{OFlags, Stat};
use rustix::io::Errno;

use crate::fs::unix::directory::{Directory, PRIVATE};
use crate::fs::unix::file_time;
use crate::fs::unix::owner::is_own_file;

/// The steps of replacing a file in a folder. A test implements them for a disk that loses its
/// power between two steps.
pub(crate) trait ReplaceSteps {
    /// An open file.
    type File;

    /// Creates a file without a name, which ends with its descriptor, also if this process is
    /// killed. Returns `None` where the system has no such files.
    fn create_unnamed(&self) -> io::Result<Option<Self::File>>;
    /// Links a file without a name under this name.
    fn link(&self, file: &Self::File, name: &str) -> rustix::io::Result<()>;
    /// Creates a file with this name.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// Opens the regular file of this name, which belongs to this user, to write it in place.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Sets the mode of a file so that only its owner may use it, regardless of the umask.
    fn make_private(&self, file: &Self::File) -> io::Result<()>;
    /// Reserves room for so many bytes.
    fn reserve(&self, file: &Self::File, length: usize) -> io::Result<()>;
    /// Writes the content at the beginning of a file.
    fn write(&self, file: &Self::File, content: &[u8]) -> io::Result<()>;
    /// Truncates a file to so many bytes.
    fn truncate(&self, file: &Self::File, length: usize) -> io::Result<()>;
    /// Returns once the content would survive a loss of power.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Puts the file of one name in place of that of another.
    fn rename(&self, from: &str, to: &str) -> rustix::io::Result<()>;
    /// Removes a name. A failure is ignored.
    fn remove(&self, name: &str);
    /// Returns the names of the wanted regular files that belong to this user, except those whose
    /// status cannot be read.
    fn files_like(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<String>;
    /// Sets the time of the last change to now. A failure is ignored.
    fn touch(&self, file: &Self::File);
    /// Returns the status of a file.
    fn stat(&self, file: &Self::File) -> io::Result<Stat>;
}

impl ReplaceSteps for Directory {
    type File = File;

    #[cfg(target_os = "linux")]
    fn create_unnamed(&self) -> io::Result<Option<File>> {
        match self.open_file(".", OFlags::TMPFILE | OFlags::RDWR) {
            Ok(file) => Ok(Some(file)),
            // The file system, or a kernel before 3.11, has none.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn create_unnamed(&self) -> io::Result<Option<File>> {
        Ok(None)
    }

    /// Fails where `/proc` is not mounted, in some sandboxes.
    #[cfg(target_os = "linux")]
    fn link(&self, file: &File, name: &str) -> rustix::io::Result<()> {
        self.link_unnamed(file, name)
    }

    #[cfg(not(target_os = "linux"))]
    fn link(&self, _file: &File, _name: &str) -> rustix::io::Result<()> {
        Err(Errno::NOTSUP)
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        Ok(self.open_file(name, flags)?)
    }

    fn open(&self, name: &str) -> io::Result<File> {
        let file = self.open_file(name, OFlags::RDWR)?;
        if is_own_file(&rustix::fs::fstat(&file)?) {
            Ok(file)
        } else {
            Err(Errno::PERM.into())
        }
    }

    fn make_private(&self, file: &File) -> io::Result<()> {
        Ok(rustix::fs::fchmod(file, PRIVATE)?)
    }

    #[cfg(target_os = "linux")]
    fn reserve(&self, file: &File, length: usize) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};

        match fallocate(file, FallocateFlags::empty(), 0, length as u64) {
            Ok(()) => Ok(()),
            // Some file systems, many of them on a network, cannot reserve room.
            Err(Errno::OPNOTSUPP) => extend(file, length as u64),
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

    fn rename(&self, from: &str, to: &str) -> rustix::io::Result<()> {
        Self::rename(self, from, to)
    }

    fn remove(&self, name: &str) {
        let _ = Self::remove(self, name);
    }

    fn files_like(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let is_ours = |name: &str| {
            let stat = self.stat_of(name);
            stat.is_ok_and(|stat| stat.as_ref().is_some_and(is_own_file))
        };
        let names = self.names().into_iter();
        names
            .filter_map(|name| name.into_string().ok())
            .filter(|name| is_wanted(name) && is_ours(name))
            .collect()
    }

    fn touch(&self, file: &File) {
        let _ = file_time::set_to_now(file);
    }

    fn stat(&self, file: &File) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(file)?)
    }
}

/// Appends zeros until a file has this length. A full disk fails here, and not in the middle of
/// writing over the content.
#[cfg(target_os = "linux")]
fn extend(file: &File, length: u64) -> io::Result<()> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut end = file.metadata()?.len();
    while end < length {
        let missing = usize::try_from(length.saturating_sub(end)).unwrap_or(usize::MAX);
        let zeros = &ZEROS[..missing.min(ZEROS.len())];
        file.write_all_at(zeros, end)?;
        end = end.saturating_add(zeros.len() as u64);
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn room_is_made_behind_the_content_alone() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all_at(b"content", 0).unwrap();
        extend(&file, 3).unwrap();
        extend(&file, 10_000).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        assert_eq!(content.len(), 10_000);
        assert!(content.starts_with(b"content\0") && content.ends_with(&[0; 9_993]));
    }
}
