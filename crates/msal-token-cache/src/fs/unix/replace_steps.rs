//! What replacing a file needs of the folder it is in, and the real folder: one system call each.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{OFlags, Stat};
use rustix::io::Errno;

use crate::fs::unix::directory::{Directory, PRIVATE};
use crate::fs::unix::file_time;
use crate::fs::unix::owner::is_own_file;

/// The steps of replacing a file. A test takes them on a disk that loses its power in between.
pub(crate) trait ReplaceSteps {
    /// An open file.
    type File;

    /// A file without a name, which goes with its descriptor, also when we are killed; `None`
    /// where there is no such thing.
    fn create_unnamed(&self) -> io::Result<Option<Self::File>>;
    /// Gives a file without a name one.
    fn link(&self, file: &Self::File, name: &str) -> rustix::io::Result<()>;
    /// A new file with this name.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// The regular file of ours of this name, to be written in place.
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
    fn rename(&self, from: &str, to: &str) -> rustix::io::Result<()>;
    /// Removes a name. That it stays is no failure.
    fn remove(&self, name: &str);
    /// Returns the names of the regular files of ours that are wanted. Those that cannot be found
    /// out about are left out.
    fn files_like(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<String>;
    /// Sets the time of the last change to now. That it stays is no failure.
    fn touch(&self, file: &Self::File);
    /// What the system knows of a file.
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

/// Appends zeros until a file is so long, so that a full disk is met here and not in the middle of
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
