use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::fs::stamp::Stamp;
use crate::fs::windows::information::FileInformation;
use crate::fs::windows::open::{self, open_for_reading};
use crate::fs::windows::replace;
use crate::fs::{bounded_read, paths};
use crate::lock::FileLock;
use crate::lock::fairness::Fairness;
use crate::persistence::{Loaded, Persistence, StoreLock};
use crate::time::coarse_clock;

/// A cache in a file, in plain text. Other programs encrypt their cache on Windows: see
/// `DpapiPersistence`, with the feature `dpapi`.
///
/// Readers take no lock, and share the file with everybody while they read. A writer holds
/// `<path>.lockfile` in a way that every other MSAL respects, and replaces the file as a whole.
///
/// # How soon a change is seen
///
/// A reader looks at the file at most once per tick of the system's clock, 10 to 16 ms: within a
/// tick it costs no system call. A change by this process is seen at once, one by another program
/// with the next tick. [`with_strict_freshness`](Self::with_strict_freshness) has every reader look.
///
/// # Limitations
///
/// A writer waits up to a second for a program that has the file open and does not share it for
/// deleting. Python's `open` does that while it reads.
///
/// The file has the permissions that its folder gives to every new file, also after one with others
/// was replaced. A link at the path is not followed, and neither is another reparse point.
///
/// A volume whose times are in whole seconds, as FAT's, has content that was read right after a
/// change read once more four seconds later.
pub struct FilePersistence {
    path: PathBuf,
    max_bytes: u64,
    lock_timeout: Duration,
    is_strict: bool,
    fairness: Fairness,
}

/// The size up to which reading and parsing take less time than a change of thread.
const QUICK_BYTES: i128 = 256 * 1024;

impl FilePersistence {
    /// Creates the store of a cache at this path; nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_bytes: 16 * 1024 * 1024,
            lock_timeout: Duration::from_secs(12),
            is_strict: false,
            fairness: Fairness::default(),
        }
    }

    /// Sets the size in bytes beyond which the file is not read; 16 MiB by default. A write lets it
    /// grow up to fifteen sixteenths of that.
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Sets how long a writer waits for another one; 12 s by default.
    pub fn with_lock_timeout(mut self, lock_timeout: Duration) -> Self {
        self.lock_timeout = lock_timeout;
        self
    }

    /// Sets whether every reader asks for the file's information, and not the first one in each
    /// tick of a few milliseconds. Off by default.
    pub fn with_strict_freshness(mut self, is_strict: bool) -> Self {
        self.is_strict = is_strict;
        self
    }

    /// Returns the path of the file, as given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn lock_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".lockfile");
        path.into()
    }

    /// Reads a file of this length.
    fn read(&self, file: &File, length: u64) -> Result<Zeroizing<Vec<u8>>> {
        bounded_read::check_length(length, self.max_bytes, &self.path)?;
        bounded_read::read(file, length).map_err(|error| {
            // A peer has locked a part of it, as some do while they write.
            if open::is_in_use(&error) {
                return bounded_read::changing(&self.location());
            }
            Error::io("reading", &self.path, error)
        })
    }
}

/// Creates the folder if it is missing. Returns an error unless the path is free or leads to a file
/// that may be written.
fn check_writable(path: &Path) -> Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder)
            .map_err(|error| Error::io("creating the folder", folder, error))?;
    }
    let Some(information) = open::information(path)? else {
        return Ok(());
    };
    open::regular(path, &information)?;
    if information.is_read_only() {
        let text = format!("{} is not written, because it is read-only", path.display());
        return Err(Error::new(ErrorKind::Insecure, text));
    }
    Ok(())
}

impl Persistence for FilePersistence {
    fn location(&self) -> String {
        self.path.display().to_string()
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        let information = open::information(&self.path)?;
        Ok(information.as_ref().map(Stamp::of))
    }

    fn tick(&self) -> Option<u64> {
        (!self.is_strict).then(coarse_clock::monotonic)
    }

    fn load(&self) -> Result<Option<Loaded>> {
        let Some((file, before)) = open_for_reading(&self.path)? else {
            return Ok(None);
        };
        // Its age is that before reading, so that no later change is missed.
        let stamp = Stamp::of(&before);
        let bytes = self.read(&file, before.length)?;
        let after = FileInformation::of(&file)
            .map_err(|error| Error::io("looking at", &self.path, error))?;
        if stamp != Stamp::of(&after) || i128::try_from(bytes.len()) != Ok(stamp.file_length()) {
            return Err(bounded_read::changing(&self.location()));
        }
        Ok(Some(Loaded { bytes, stamp }))
    }

    fn load_quickly(&self) -> Option<Result<Option<Loaded>>> {
        match self.stamp() {
            Ok(Some(stamp)) if stamp.file_length() > QUICK_BYTES => None,
            _ => Some(self.load()),
        }
    }

    fn max_bytes(&self) -> Option<u64> {
        Some(self.max_bytes)
    }

    fn lock(&self) -> Result<Box<dyn StoreLock>> {
        check_writable(&self.path)?;
        Ok(Box::new(FileLock::acquire(
            &self.lock_path(),
            &self.path,
            &self.fairness,
            self.lock_timeout,
        )?))
    }

    fn lease_folder(&self) -> Option<PathBuf> {
        paths::lease_folder(&self.path)
    }

    fn save(&self, content: &[u8]) -> Result<Stamp> {
        let saved = self.save_if(content, &|| true)?;
        saved.ok_or_else(|| Error::io("writing", &self.path, io::ErrorKind::Other))
    }

    fn save_if(&self, content: &[u8], is_current: &dyn Fn() -> bool) -> Result<Option<Stamp>> {
        check_writable(&self.path)?;
        let saved = replace::replace(&self.path, content, is_current)?;
        Ok(saved.as_ref().map(Stamp::of))
    }
}

impl fmt::Debug for FilePersistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilePersistence")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
