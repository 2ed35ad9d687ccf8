use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::fs::unix::directory::{Directory, Entry, is_same_file, split};
use crate::fs::unix::file_time;
use crate::fs::unix::owner::{is_ours, is_own_sole_file, is_writable_by_others};
use crate::fs::unix::walk::{Missing, walk};
use crate::lease::file_name::is_lease_name;
use crate::lock::kernel_lock;

/// The file of a lease, locked until it is dropped.
#[derive(Debug)]
pub(super) struct LeaseFile {
    folder: Folder,
    entry: Entry,
    file: File,
    /// The process: a forked child has a copy of this value, but not the lease.
    pid: u32,
}

/// The number of attempts if other processes remove the folder or file meanwhile.
const ATTEMPTS: usize = 8;

impl LeaseFile {
    /// Acquires the file of this name; returns `None` if another holder has it.
    pub(super) fn take(folder: &Path, name: &str) -> io::Result<Option<Self>> {
        for _ in 0..ATTEMPTS {
            let Some(folder) = Folder::open_or_create(folder)? else {
                continue;
            };
            let entry = folder.entry(name);
            let Some(file) = open(&entry, OFlags::CREATE)? else {
                continue;
            };
            match kernel_lock::try_lock(&file) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
            // Its holder may have removed it between the two steps.
            if entry.is_at(&file)? {
                // A file that a dead holder left has an old time.
                touch(&file)?;
                folder.sweep(name);
                return Ok(Some(Self {
                    folder,
                    entry,
                    file,
                    pid: std::process::id(),
                }));
            }
        }
        Ok(None)
    }

    /// Returns the time at which it was taken.
    pub(super) fn modified(&self) -> io::Result<SystemTime> {
        self.file.metadata()?.modified()
    }
}

impl Drop for LeaseFile {
    fn drop(&mut self) {
        if std::process::id() != self.pid {
            return;
        }
        remove(&self.entry, &self.file);
        self.folder.remove_if_empty();
    }
}

/// Opens the file of another holder, for its time; returns `None` if it is missing.
pub(super) fn open_held(path: &Path) -> io::Result<Option<File>> {
    let (folder, name) = split(path).ok_or(io::ErrorKind::InvalidInput)?;
    match Folder::open(folder)? {
        Some(folder) => open(&folder.entry(name), OFlags::empty()),
        None => Ok(None),
    }
}

/// Sets the file's time to now.
pub(super) fn touch(file: &File) -> io::Result<()> {
    Ok(file_time::set_to_now(file)?)
}

/// The folder of the leases, which only this user can write to, reached by way of folders that no
/// other user can change: files that others put there, or in its place, would else be removed.
#[derive(Debug)]
struct Folder {
    parent: Directory,
    name: OsString,
    itself: Arc<Directory>,
}

impl Folder {
    /// Opens the folder, and creates it if it is missing; returns `None` if another process has
    /// removed it again.
    fn open_or_create(path: &Path) -> io::Result<Option<Self>> {
        Self::find(path, Missing::Create)
    }

    /// Opens the folder; returns `None` if it is missing.
    fn open(path: &Path) -> io::Result<Option<Self>> {
        Self::find(path, Missing::Fail)
    }

    fn find(path: &Path, missing: Missing) -> io::Result<Option<Self>> {
        let (parent, name) = split(path).ok_or(io::ErrorKind::InvalidInput)?;
        let parent = walk(parent, Missing::Fail).map_err(|stray| {
            let kind = match stray.insecure() {
                Ok(_) => io::ErrorKind::PermissionDenied,
                Err(errno) => errno.kind(),
            };
            io::Error::new(kind, stray.into_error(path, "used"))
        })?;
        if missing == Missing::Create {
            parent.create_folder(name)?;
        }
        // No link is followed here: the folder is ours to make, and to remove.
        let itself = match parent.enter(name) {
            Ok(itself) => itself,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => return Err(not_private(path)),
            Err(errno) => return Err(errno.into()),
        };
        let stat = itself.stat()?;
        if !is_ours(&stat) || is_writable_by_others(stat.st_mode) {
            return Err(not_private(path));
        }
        Ok(Some(Self {
            parent,
            name: name.to_owned(),
            itself: Arc::new(itself),
        }))
    }

    fn entry(&self, name: impl AsRef<OsStr>) -> Entry {
        Entry::new(Arc::clone(&self.itself), name.as_ref())
    }

    /// Removes the files of holders that were killed. Best effort: the next holder tries again.
    fn sweep(&self, ours: &str) {
        for name in self.itself.names() {
            let is_another = name
                .to_str()
                .is_some_and(|name| name != ours && is_lease_name(name));
            if !is_another {
                continue;
            }
            let entry = self.entry(name);
            // Devices and the like are not even opened.
            let looks_left = entry.stat();
            if looks_left.is_ok_and(|stat| stat.as_ref().is_some_and(is_lease))
                && let Ok(Some(file)) = open(&entry, OFlags::empty())
                && kernel_lock::try_lock(&file).is_ok()
            {
                remove(&entry, &file);
            }
        }
    }

    /// Removes the folder if this was the last lease.
    fn remove_if_empty(&self) {
        // Another one of this name is not ours.
        if let (Ok(Some(named)), Ok(open)) = (self.parent.stat_of(&*self.name), self.itself.stat())
            && is_same_file(&named, &open)
        {
            let _ = self.parent.remove_folder(&self.name);
        }
    }
}

fn not_private(path: &Path) -> io::Error {
    let text = format!(
        "{} is not a folder that only we can write to",
        path.display()
    );
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

/// Returns `true` for an empty file of this user, as the file of a lease is.
fn is_lease(stat: &rustix::fs::Stat) -> bool {
    is_own_sole_file(stat) && stat.st_size == 0
}

/// Opens the file of a lease; returns `None` if it, or the folder, was just removed.
fn open(entry: &Entry, more: OFlags) -> io::Result<Option<File>> {
    let file = match entry.open(OFlags::RDWR | more) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    if is_lease(&rustix::fs::fstat(&file)?) {
        return Ok(Some(file));
    }
    let text = format!("{} is not an empty file of ours", entry.path().display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

/// Removes a file that we have locked, and unlocks it: first the name, so that nobody locks a file
/// that is about to vanish. A forked child would keep the lock if it were left to closing the file.
fn remove(entry: &Entry, file: &File) {
    if entry.is_at(file).unwrap_or(false) {
        let _ = entry.remove();
    }
    kernel_lock::unlock(file);
}

#[cfg(test)]
mod tests;
