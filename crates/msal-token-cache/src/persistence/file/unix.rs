use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rustix::fs::Stat;
use rustix::io::{Errno, retry_on_intr};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::fs::stamp::Stamp;
use crate::fs::unix::owner::{Owner, is_open_to_others};
use crate::fs::unix::replace::{self, Written};
use crate::fs::unix::safe_open::{Opened, open_for_reading};
use crate::fs::unix::writable::Writable;
use crate::fs::{bounded_read, paths};
use crate::lock::FileLock;
use crate::lock::fairness::Fairness;
use crate::persistence::file::open_handle::OpenHandle;
use crate::persistence::{Loaded, Persistence, StoreLock};
use crate::time::coarse_clock;

/// A cache in a file, in plain text, as the other MSALs keep it on Linux.
///
/// Readers take no lock. A writer holds `<path>.lockfile` in a way that every other MSAL respects,
/// and replaces the file as a whole. The file is readable for its owner only.
///
/// # How soon a change is seen
///
/// A reader looks at the file at most once per tick of the kernel's coarse clock, 1 to 10 ms and
/// mostly 4: within a tick it costs no system call. A change by this process is seen at once, one
/// by another program with the next tick. That a folder on the way was replaced is seen within a
/// second. Where the file is reached over a network, or its path is a symbolic link, each look goes
/// by the path. [`with_strict_freshness`](Self::with_strict_freshness) has every reader look.
///
/// The file that was read last is kept open, because its status is cheaper than that of its path.
/// Its file system cannot be unmounted meanwhile.
///
/// # Who may write
///
/// It writes only a file of its own, in a folder to which nobody else can write. As root it writes
/// only where each folder on the way is root's, too. Reading has no such conditions, but a file of
/// another user is for root only.
///
/// # Limitations
///
/// On Linux before 6.13, changes within one tick have the same time. So content that was read right
/// after a change is read once more 20 ms later. A network file system whose clock is behind ours
/// by more than that can hide one of two changes of equal length in one tick.
///
/// A file that is a mount of its own (a container's single-file bind mount) cannot be replaced. It
/// is written in place, and a kill or an I/O error in that moment may tear it. On file systems
/// without `flock` only the existence of the lock file keeps others out. One that a crash left
/// behind has to be deleted by hand.
pub struct FilePersistence {
    path: PathBuf,
    max_bytes: u64,
    lock_timeout: Duration,
    is_strict: bool,
    handle: OpenHandle,
    fairness: Fairness,
    warned: Once,
}

/// The size up to which reading and parsing take less time than a change of thread.
const QUICK_BYTES: i64 = 256 * 1024;

impl FilePersistence {
    /// Creates the store of a cache at this path; nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_bytes: 16 * 1024 * 1024,
            lock_timeout: Duration::from_secs(12),
            is_strict: false,
            handle: OpenHandle::default(),
            fairness: Fairness::default(),
            warned: Once::default(),
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

    /// Sets whether every reader asks for the file's status, and not the first one in each tick of
    /// a few milliseconds. That costs a third of a microsecond per call. Off by default.
    pub fn with_strict_freshness(mut self, is_strict: bool) -> Self {
        self.is_strict = is_strict;
        self
    }

    /// Returns the path of the file, as given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a file of this length.
    fn read(&self, file: &std::fs::File, length: i64) -> Result<Zeroizing<Vec<u8>>> {
        let length = u64::try_from(length).unwrap_or(0);
        bounded_read::check_length(length, self.max_bytes, &self.path)?;
        bounded_read::read(file, length).map_err(|error| Error::io("reading", &self.path, error))
    }

    /// Sets the time of the file's last change to now, and leaves its content alone; creates an
    /// empty file if it is missing.
    #[allow(dead_code, reason = "for the encrypted stores, which may be left out")]
    pub(crate) fn touch(&self) -> Result<Stamp> {
        let stat = Writable::at(&self.path)?.touch()?;
        Ok(Stamp::of(&stat))
    }

    fn open(&self) -> Result<Option<Opened<'_>>> {
        // Until this one is read only the path can be asked.
        self.handle.release();
        open_for_reading(&self.path)
    }

    fn load_opened(&self, opened: Opened<'_>) -> Result<Loaded> {
        let Opened { file, stat, path } = opened;
        self.check_readable(&stat)?;
        // Its age is that before reading, so that no later change is missed.
        let stamp = Stamp::of(&stat);
        let bytes = self.read(&file, stat.st_size)?;
        let after = rustix::fs::fstat(&file);
        let after = after.map_err(|errno| Error::io("looking at", &path, errno))?;
        if stamp != Stamp::of(&after) || i128::try_from(bytes.len()) != Ok(stamp.file_length()) {
            return Err(bounded_read::changing(&self.location()));
        }
        if *path == *self.path {
            self.handle.keep(file, stamp);
        }
        Ok(Loaded { bytes, stamp })
    }

    /// Returns the status of the file at the path; `None` if it is missing.
    fn stat(&self) -> Result<Option<Stat>> {
        match retry_on_intr(|| rustix::fs::stat(&self.path)) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(Error::io("looking at", &self.path, errno)),
        }
    }

    fn check_readable(&self, stat: &Stat) -> Result<()> {
        match Owner::of(stat) {
            Owner::Us => {}
            Owner::AnotherForRoot => self.warned.once(Warning::Owner, || {
                tracing::warn!(path = %self.path.display(), "reading another user's token cache as root");
            }),
            Owner::Another => {
                let text = format!("{} belongs to another user", self.location());
                return Err(Error::new(ErrorKind::Insecure, text));
            }
        }
        // An empty file has no content to protect: it may be the signal file of an encrypted store.
        if stat.st_size > 0 && is_open_to_others(stat.st_mode) {
            self.warned.once(Warning::Mode, || {
                tracing::warn!(
                    path = %self.path.display(),
                    "others than the owner may read the token cache, until it is saved again"
                );
            });
        }
        Ok(())
    }
}

impl Persistence for FilePersistence {
    fn location(&self) -> String {
        self.path.display().to_string()
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        Ok(self.stat()?.as_ref().map(Stamp::of))
    }

    fn quick_stamp(&self) -> Result<Option<Stamp>> {
        if let Some(stamp) = self.handle.look() {
            return Ok(Some(stamp));
        }
        let before = coarse_clock::monotonic();
        let stamp = self.stamp()?;
        if let Some(stamp) = stamp {
            self.handle.confirm(stamp, before);
        }
        Ok(stamp)
    }

    fn tick(&self) -> Option<u64> {
        if self.is_strict {
            None
        } else {
            coarse_clock::monotonic()
        }
    }

    fn load(&self) -> Result<Option<Loaded>> {
        let opened = self.open()?;
        opened.map(|opened| self.load_opened(opened)).transpose()
    }

    fn load_quickly(&self) -> Option<Result<Option<Loaded>>> {
        match self.open() {
            Ok(Some(opened)) if opened.stat.st_size > QUICK_BYTES => None,
            Ok(Some(opened)) => Some(self.load_opened(opened).map(Some)),
            Ok(None) => Some(Ok(None)),
            Err(error) => Some(Err(error)),
        }
    }

    fn max_bytes(&self) -> Option<u64> {
        Some(self.max_bytes)
    }

    fn lock(&self) -> Result<Box<dyn StoreLock>> {
        let writable = Writable::at(&self.path)?;
        Ok(Box::new(FileLock::acquire(
            writable.beside(&self.path, ".lockfile"),
            &writable.file,
            &self.fairness,
            self.lock_timeout,
        )?))
    }

    fn lease_folder(&self) -> Option<PathBuf> {
        paths::lease_folder(&self.path)
    }

    fn save(&self, content: &[u8]) -> Result<Stamp> {
        let saved = self.save_if(content, &|| true)?;
        saved.ok_or_else(|| Error::io("writing", &self.path, Errno::AGAIN))
    }

    fn save_if(&self, content: &[u8], is_current: &dyn Fn() -> bool) -> Result<Option<Stamp>> {
        let writable = Writable::at(&self.path)?;
        let Some((written, stat)) = replace::replace(&writable.file, content, is_current)? else {
            return Ok(None);
        };
        if written == Written::InPlace {
            self.warned.once(Warning::InPlace, || {
                tracing::warn!(
                    path = %self.path.display(),
                    "the token cache cannot be replaced and is written in place"
                );
            });
        }
        Ok(Some(Stamp::of(&stat)))
    }
}

impl fmt::Debug for FilePersistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilePersistence")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A condition that is warned of once per store.
#[derive(Clone, Copy)]
enum Warning {
    Owner = 1,
    Mode = 2,
    InPlace = 4,
}

/// The conditions that were warned of.
#[derive(Default)]
struct Once(AtomicU8);

impl Once {
    fn once(&self, warning: Warning, warn: impl FnOnce()) {
        let warning = warning as u8;
        if self.0.fetch_or(warning, Ordering::Relaxed) & warning == 0 {
            warn();
        }
    }
}
