use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{FileType, OFlags, fstat};
use rustix::io::{Errno, Result as SystemResult};

use crate::error::{Error, Result};
use crate::fs::size_limit;
use crate::fs::unix::directory::{Entry, is_same_file};
use crate::fs::unix::file_time::modified_since_1970;
use crate::fs::unix::owner::is_own_sole_file;
use crate::fs::unix::safe_open::open_entry;
use crate::lock::fairness::{Fairness, MOST_REST};
use crate::lock::holder_record::HolderRecord;
use crate::lock::kernel_lock;
use crate::lock::protocol::{Action, Flock, Holder, Seen, decide};
use crate::time::backoff::Backoff;
use crate::time::stopwatch::Stopwatch;
use token_credential::{Clock, SystemClock};

/// The lock of one cache, held until it is dropped.
#[derive(Debug)]
pub(crate) struct FileLock {
    entry: Entry,
    file: File,
    /// The process: a forked child has a copy of this value, but not the lock.
    pid: u32,
    since: Stopwatch,
    fairness: Fairness,
}

/// The number of times that the lock of a created file is asked for after the deadline.
const LAST_QUESTIONS: u32 = 100;

impl FileLock {
    /// Waits for the lock of the file `cache`, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked) names the file and the holder.
    pub(crate) fn acquire(
        entry: Entry,
        cache: &Entry,
        fairness: &Fairness,
        timeout: Duration,
    ) -> Result<Self> {
        let path = entry.path();
        let record = HolderRecord::ours().to_text();
        size_limit::check(&path, record.len())?;
        let mut backoff = Backoff::new(
            timeout,
            Duration::from_millis(5),
            Duration::from_millis(100),
        );
        let mut created = None;
        let mut rested = Duration::ZERO;
        let mut asked_again = 0;
        loop {
            if created.is_none()
                && rested < MOST_REST
                && let Some(rest) = rest(cache, fairness)
                && backoff.rest(rest)
            {
                rested = rested.saturating_add(rest);
                continue;
            }
            let (file, seen) =
                look(&entry, created.take()).map_err(|errno| Error::io("locking", &path, errno))?;
            let go_on = match decide(seen) {
                Action::Hold | Action::Adopt => {
                    let lock = Self {
                        entry,
                        file,
                        pid: std::process::id(),
                        since: Stopwatch::start(),
                        fairness: fairness.clone(),
                    };
                    lock.sign(&record)
                        .map_err(|error| Error::io("writing", &path, error))?;
                    return Ok(lock);
                }
                Action::AskAgain => {
                    created = Some(file);
                    backoff.begin_again();
                    // To give up now would leave a file that keeps everybody out for ten seconds. A
                    // process that only reads it has closed it at the next question.
                    asked_again += 1;
                    backoff.wait() || (asked_again < LAST_QUESTIONS && backoff.wait_a_little())
                }
                Action::StartOver => {
                    kernel_lock::unlock(&file);
                    backoff.has_time()
                }
                Action::Wait => {
                    // While we sleep, the file must be free for everybody else.
                    kernel_lock::unlock(&file);
                    drop(file);
                    backoff.wait()
                }
            };
            if !go_on {
                return Err(record_in(&entry).in_the_way(&path, timeout));
            }
        }
    }

    /// Returns `true` if the lock file's path leads to the locked file. If the folder was replaced,
    /// this lock keeps nobody out any more.
    pub(crate) fn is_held(&self) -> bool {
        let (at_path, open) = (rustix::fs::lstat(self.entry.path()), fstat(&self.file));
        at_path.is_ok_and(|at_path| open.is_ok_and(|open| is_same_file(&at_path, &open)))
    }

    /// Records the holder of the lock: for people, for peers, and for the process that finds it if
    /// this one dies.
    fn sign(&self, record: &str) -> std::io::Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(record.as_bytes())
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if std::process::id() != self.pid {
            return;
        }
        // First the name, then the lock: nobody can lock a file that is about to vanish. A file
        // that is not ours any more stays.
        if self.entry.is_at(&self.file).unwrap_or(false) {
            let _ = self.entry.remove();
        }
        // A forked child would keep the lock if it were left to closing the file.
        kernel_lock::unlock(&self.file);
        self.fairness.learn(self.since.elapsed());
    }
}

/// Observes the lock file: the one that was created before, or the one at the path. If it is
/// missing, it is created.
fn look(entry: &Entry, created: Option<File>) -> SystemResult<(File, Seen)> {
    if let Some(file) = created {
        let flock = take(entry, &file)?;
        return Ok((file, Seen::Created(flock)));
    }
    loop {
        match entry.open(OFlags::RDWR | OFlags::CREATE | OFlags::EXCL) {
            Ok(file) => {
                let flock = take(entry, &file).inspect_err(|_| {
                    // A file without a holder must not keep anybody out.
                    let _ = entry.remove();
                })?;
                return Ok((file, Seen::Created(flock)));
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let file = match entry.open(OFlags::RDWR) {
            Ok(file) => file,
            // Its holder has let go between the two steps.
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno),
        };
        if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(Errno::INVAL);
        }
        let flock = take(entry, &file)?;
        // Its age is read while nobody can sign it: a newer record must not get it.
        let stat = fstat(&file)?;
        let holder = match flock {
            // Another user's, and one that has a second name, are not ours to write to.
            Flock::Ours if is_own_sole_file(&stat) => {
                HolderRecord::in_file(&file).holder(modified_since_1970(&stat))
            }
            // Another process has it, or it may not be read.
            _ => Holder::UNKNOWN,
        };
        return Ok((file, Seen::Found(flock, holder)));
    }
}

/// Asks the kernel for its lock on the file, and whether the name still leads to it.
fn take(entry: &Entry, file: &File) -> SystemResult<Flock> {
    match kernel_lock::try_lock(file) {
        Ok(()) if entry.is_at(file)? => Ok(Flock::Ours),
        Ok(()) => Ok(Flock::OnAnotherFile),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(Flock::Theirs),
        Err(Errno::NOLCK | Errno::NOTSUP | Errno::NOSYS) => {
            static WARNED: AtomicBool = AtomicBool::new(false);
            if !WARNED.swap(true, Ordering::Relaxed) {
                tracing::warn!(path = %entry.path().display(), "no kernel locks here; only the lock file's existence keeps others out");
            }
            Ok(if entry.is_at(file)? {
                Flock::Unsupported
            } else {
                Flock::OnAnotherFile
            })
        }
        Err(errno) => Err(errno),
    }
}

/// Returns the time for which the lock is to stay free after the last write of the cache.
fn rest(cache: &Entry, fairness: &Fairness) -> Option<Duration> {
    let stat = cache.stat().ok()??;
    let written = UNIX_EPOCH.checked_add(modified_since_1970(&stat))?;
    fairness.rest(written, SystemClock.now())
}

/// Returns the record in the lock file, for the error of a waiter.
fn record_in(entry: &Entry) -> HolderRecord {
    match open_entry(entry) {
        Ok(Some(opened)) => HolderRecord::in_file(&opened.file),
        _ => HolderRecord::default(),
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests play peers, who go through no door"
)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fs::unix::directory::Directory;

    fn lock_entry() -> (tempfile::TempDir, Entry) {
        let folder = tempfile::tempdir().unwrap();
        let opened = Arc::new(Directory::open(folder.path()).unwrap());
        (folder, Entry::new(opened, "lockfile"))
    }

    fn opened(entry: &Entry) -> File {
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        options.open(entry.path()).unwrap()
    }

    fn acquire(entry: &Entry) -> Result<FileLock> {
        let fairness = Fairness::default();
        FileLock::acquire(entry.clone(), entry, &fairness, Duration::ZERO)
    }

    #[test]
    fn only_the_file_that_the_path_leads_to_is_the_lock() {
        let (_folder, entry) = lock_entry();
        let file = opened(&entry);
        assert_eq!(take(&entry, &file), Ok(Flock::Ours));
        assert_eq!(take(&entry, &opened(&entry)), Ok(Flock::Theirs));
        std::fs::remove_file(entry.path()).unwrap();
        assert_eq!(take(&entry, &file), Ok(Flock::OnAnotherFile));
        let successor = opened(&entry);
        assert_eq!(take(&entry, &file), Ok(Flock::OnAnotherFile));
        assert_eq!(take(&entry, &successor), Ok(Flock::Ours));
    }

    #[test]
    fn what_we_created_and_lost_for_an_instant_is_asked_for_again() {
        let (_folder, entry) = lock_entry();
        let (created, curious) = (opened(&entry), opened(&entry));
        assert_eq!(take(&entry, &curious), Ok(Flock::Ours));
        let (created, seen) = look(&entry, Some(created)).unwrap();
        assert_eq!(seen, Seen::Created(Flock::Theirs));
        kernel_lock::unlock(&curious);
        let (_, seen) = look(&entry, Some(created)).unwrap();
        assert_eq!(seen, Seen::Created(Flock::Ours));
    }

    /// A waiter that gave up while another process read the file that it had created left that file
    /// behind, which kept everybody out for ten seconds.
    #[test]
    fn who_gives_up_leaves_no_file_behind() {
        let (_folder, entry) = lock_entry();
        let path = entry.path();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    if let Ok(file) = File::open(&path) {
                        let _ = kernel_lock::try_lock(&file);
                    }
                }
            });
            let mut taken = true;
            for _ in 0..2_000 {
                taken &= acquire(&entry).is_ok();
            }
            is_over.store(true, Ordering::Relaxed);
            assert!(taken, "a file was left behind");
        });
    }

    /// As if this process were a child that was forked while the lock was held.
    #[test]
    fn a_childs_copy_does_not_release_its_parents_lock() {
        let (_folder, entry) = lock_entry();
        let mut lock = acquire(&entry).unwrap();
        let parents = lock.file.try_clone().unwrap();
        lock.pid = 1;
        drop(lock);
        assert_eq!(entry.is_at(&parents), Ok(true));
        assert_eq!(take(&entry, &opened(&entry)), Ok(Flock::Theirs));
    }
}
