use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_FLAG_DELETE_ON_CLOSE, FILE_FLAG_OPEN_REPARSE_POINT, FILE_READ_ATTRIBUTES,
};

use crate::error::{Error, Result};
use crate::fs::windows::delete::delete_when_closed;
use crate::fs::windows::information::FileInformation;
use crate::fs::windows::open::{Sharing, is_in_use, open_for_asking, open_for_reading};
use crate::lock::fairness::{Fairness, MOST_REST};
use crate::lock::holder_record::HolderRecord;
use crate::lock::protocol::{Action, Flock, Holder, Seen, decide};
use crate::time::backoff::Backoff;
use crate::time::stopwatch::Stopwatch;
use token_credential::{Clock, SystemClock};

/// The lock of one cache, held until it is dropped.
///
/// It is a file that is open to write and shared for reading only: meanwhile nobody can create,
/// write or delete it. The kernel removes it when it is closed, however this process ends.
#[derive(Debug)]
pub(crate) struct FileLock {
    path: PathBuf,
    file: File,
    /// A file that was found is removed through its handle: if this process dies it stays, as it
    /// was.
    is_adopted: bool,
    since: Stopwatch,
    fairness: Fairness,
}

/// The number of times that a file which may be deleted soon is tried again: a missing permission
/// has the same error.
const DENIALS: u32 = 50;

impl FileLock {
    /// Waits for the lock of the file `cache`, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked) names the file and the holder.
    pub(crate) fn acquire(
        path: &Path,
        cache: &Path,
        fairness: &Fairness,
        timeout: Duration,
    ) -> Result<Self> {
        let mut backoff = Backoff::new(
            timeout,
            Duration::from_millis(5),
            Duration::from_millis(100),
        );
        let mut rested = Duration::ZERO;
        let mut denials = 0;
        loop {
            if rested < MOST_REST
                && let Some(rest) = rest(cache, fairness)
                && backoff.rest(rest)
            {
                rested = rested.saturating_add(rest);
                continue;
            }
            let (file, seen) = match look(path) {
                Ok(looked) => looked,
                Err(error)
                    if error.kind() == io::ErrorKind::PermissionDenied && denials < DENIALS =>
                {
                    denials += 1;
                    (None, Seen::Found(Flock::Theirs, Holder::UNKNOWN))
                }
                Err(error) => return Err(Error::io("locking", path, error)),
            };
            let action = decide(seen);
            if let (Action::Hold | Action::Adopt, Some(file)) = (action, file) {
                let lock = Self {
                    path: path.to_owned(),
                    file,
                    is_adopted: action == Action::Adopt,
                    since: Stopwatch::start(),
                    fairness: fairness.clone(),
                };
                lock.sign()
                    .map_err(|error| Error::io("writing", path, error))?;
                return Ok(lock);
            }
            let go_on = if action == Action::StartOver {
                backoff.has_time()
            } else {
                backoff.wait()
            };
            if !go_on {
                return Err(record_at(path).in_the_way(path, timeout));
            }
        }
    }

    /// Returns `true` if the lock file's path leads to the locked file.
    pub(crate) fn is_held(&self) -> bool {
        is_at(&self.path, &self.file).unwrap_or(false)
    }

    /// Records the holder of the lock: for people, for peers, and for the process that finds it if
    /// this one dies.
    fn sign(&self) -> io::Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(HolderRecord::ours().to_text().as_bytes())
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing it removes and unlocks it. It is not removed by its name, which may lead to
        // another file.
        if self.is_adopted {
            let _ = delete_when_closed(&self.file);
        }
        self.fairness.learn(self.since.elapsed());
    }
}

/// Observes the lock file, and returns the file itself where it may become the lock. If it is
/// missing, it is created.
fn look(path: &Path) -> io::Result<(Option<File>, Seen)> {
    let looked = match create(path) {
        Ok(file) => return Ok((Some(file), Seen::Created(Flock::Ours))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => look_at_found(path),
        Err(error) if is_in_use(&error) => Err(error),
        Err(error) => return Err(error),
    };
    match looked {
        // Its holder has let go between two steps.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok((None, Seen::Found(Flock::OnAnotherFile, Holder::UNKNOWN)))
        }
        Err(error) if is_in_use(&error) => Ok((None, Seen::Found(Flock::Theirs, Holder::UNKNOWN))),
        looked => looked,
    }
}

fn look_at_found(path: &Path) -> io::Result<(Option<File>, Seen)> {
    // First its record, with an access that hinders nobody: a holder by existence must be able to
    // delete it meanwhile.
    let seen = Seen::Found(Flock::Ours, holder(&open_to_look(path)?)?);
    if decide(seen) != Action::Adopt {
        return Ok((None, seen));
    }
    // Its holder has died. Nobody has it open if it can be opened as its holder does.
    let file = open_to_hold(path)?;
    let holder = holder(&file)?;
    Ok((Some(file), Seen::Found(Flock::Ours, holder)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to the lock file"
)]
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .access_mode(GENERIC_READ | GENERIC_WRITE | DELETE)
        .write(true)
        .create_new(true)
        .share_mode(Sharing::Reading.mode())
        .custom_flags(FILE_FLAG_DELETE_ON_CLOSE)
        .open(path)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to the lock file"
)]
fn open_to_look(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .share_mode(Sharing::All.mode())
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)
}

/// Opens the lock file as its holder does. Fails while another process has it open to write, or
/// does not share that.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to the lock file"
)]
fn open_to_hold(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .access_mode(GENERIC_READ | GENERIC_WRITE | DELETE)
        .share_mode(Sharing::Reading.mode())
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)
}

fn holder(file: &File) -> io::Result<Holder> {
    let information = FileInformation::of(file)?;
    Ok(HolderRecord::in_file(file).holder(information.written_since_1970()))
}

/// Returns the time for which the lock is to stay free after the last write of the cache.
fn rest(cache: &Path, fairness: &Fairness) -> Option<Duration> {
    let file = open_for_asking(cache, FILE_READ_ATTRIBUTES).ok()?;
    let written = FileInformation::of(&file).ok()?.written_since_1970();
    fairness.rest(UNIX_EPOCH.checked_add(written)?, SystemClock.now())
}

fn is_at(path: &Path, file: &File) -> io::Result<bool> {
    let at_path = match open_for_asking(path, FILE_READ_ATTRIBUTES) {
        Ok(file) => FileInformation::of(&file)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(at_path.is_same_file(&FileInformation::of(file)?))
}

/// Returns the record in the lock file, for the error of a waiter.
fn record_at(path: &Path) -> HolderRecord {
    match open_for_reading(path) {
        Ok(Some((file, _))) => HolderRecord::in_file(&file),
        _ => HolderRecord::default(),
    }
}
