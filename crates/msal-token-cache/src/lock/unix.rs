use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{FileType, OFlags, Stat, fstat};
use rustix::io::{Errno, Result as SystemResult};

use super::backoff::{Backoff, Stopwatch};
use super::courtesy::{COURTESY_IN_SUM, Courtesy};
use super::protocol::{Action, Flock, Holder, Seen, decide};
use super::signature::Signature;
use crate::persistence::{
    Entry, StoreLock, check_size_limit, is_own_sole_file, is_same_file, open_entry,
};
use crate::{Error, Result};
use token_credential::{Clock, SystemClock};

/// The lock of one cache, held until it is dropped.
#[derive(Debug)]
pub(crate) struct FileLock {
    entry: Entry,
    file: File,
    /// The process: a forked child has a copy of this value, but not the lock.
    owner: u32,
    since: Stopwatch,
    courtesy: Courtesy,
}

/// So often is asked for the lock of a file that we created, although the time is over.
const LAST_QUESTIONS: u32 = 100;

impl FileLock {
    /// Waits for the lock of the file `cache`, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked) names the file and who is in it.
    pub(crate) fn acquire(
        entry: Entry,
        cache: &Entry,
        courtesy: &Courtesy,
        timeout: Duration,
    ) -> Result<Self> {
        let path = entry.path();
        let signature = Signature::ours().to_text();
        check_size_limit(&path, signature.len())?;
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
                && rested < COURTESY_IN_SUM
                && let Some(rest) = rest(cache, courtesy)
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
                        owner: std::process::id(),
                        since: Stopwatch::start(),
                        courtesy: courtesy.clone(),
                    };
                    lock.sign(&signature)
                        .map_err(|error| Error::io("writing", &path, error))?;
                    return Ok(lock);
                }
                Action::AskAgain => {
                    created = Some(file);
                    backoff.begin_again();
                    // To give up now would leave a file that keeps everybody out for ten seconds.
                    // Who only looks at it is gone by the next question.
                    asked_again += 1;
                    backoff.wait() || (asked_again < LAST_QUESTIONS && backoff.wait_a_little())
                }
                Action::StartOver => {
                    kernel::unlock(&file);
                    backoff.has_time()
                }
                Action::Wait => {
                    // While we sleep, the file must be free for everybody else.
                    kernel::unlock(&file);
                    drop(file);
                    backoff.wait()
                }
            };
            if !go_on {
                return Err(signature_in(&entry).in_the_way(&path, timeout));
            }
        }
    }

    /// Says who holds the lock: for people, for peers, and for whoever finds it after our death.
    fn sign(&self, signature: &str) -> std::io::Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(signature.as_bytes())
    }
}

impl StoreLock for FileLock {
    /// Goes by the path: if the folder was replaced, this lock keeps nobody out any more.
    fn is_held(&self) -> bool {
        let (at_path, open) = (rustix::fs::lstat(self.entry.path()), fstat(&self.file));
        at_path.is_ok_and(|at_path| open.is_ok_and(|open| is_same_file(&at_path, &open)))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if std::process::id() != self.owner {
            return;
        }
        // First the name, then the lock: nobody can lock a file that is about to vanish. What is
        // not ours any more stays.
        if self.entry.is_at(&self.file).unwrap_or(false) {
            let _ = self.entry.remove();
        }
        // A forked child would keep the lock if it were left to closing the file.
        kernel::unlock(&self.file);
        self.courtesy.learn(self.since.elapsed());
    }
}

/// One look at the lock file: at the one that we created before, or at what is there now. If
/// nothing is, it is created.
fn look(entry: &Entry, created: Option<File>) -> SystemResult<(File, Seen)> {
    if let Some(file) = created {
        let flock = take(entry, &file)?;
        return Ok((file, Seen::Created(flock)));
    }
    loop {
        match entry.open(OFlags::RDWR | OFlags::CREATE | OFlags::EXCL) {
            Ok(file) => {
                let flock = take(entry, &file).inspect_err(|_| {
                    // What nobody holds must not keep anybody out.
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
        // Its age is read while nobody can sign it: a newer signature must not get it.
        let stat = fstat(&file)?;
        let holder = match flock {
            // Another user's, and one that has a second name, are not ours to write to.
            Flock::Ours if is_own_sole_file(&stat) => {
                Signature::in_file(&file).holder(changed(&stat))
            }
            // Whoever it is, it is there.
            _ => Holder::UNKNOWN,
        };
        return Ok((file, Seen::Found(flock, holder)));
    }
}

/// Asks the kernel for its lock on the file, and whether the name still leads to it.
fn take(entry: &Entry, file: &File) -> SystemResult<Flock> {
    match kernel::try_lock(file) {
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

/// For how long the lock is to be left to others, because the cache was written just now.
fn rest(cache: &Entry, courtesy: &Courtesy) -> Option<Duration> {
    let stat = cache.stat().ok()??;
    let written = UNIX_EPOCH.checked_add(changed(&stat))?;
    courtesy.rest(written, SystemClock.now())
}

/// When a file was changed last, since 1970.
fn changed(stat: &Stat) -> Duration {
    Duration::new(
        u64::try_from(stat.st_mtime).unwrap_or(0),
        u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
    )
}

/// What the lock file says to whoever could not have it.
fn signature_in(entry: &Entry) -> Signature {
    match open_entry(entry) {
        Ok(Some(opened)) => Signature::in_file(&opened.file),
        _ => Signature::default(),
    }
}

/// The kernel's locks on an open file: `flock` for the peers that use it and, on Linux, where the
/// two do not see each other, an open file description lock for those that use record locks.
pub(super) mod kernel {
    use super::{Errno, File, SystemResult};

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door to the kernel's locks"
    )]
    pub(in super::super) fn try_lock(file: &File) -> SystemResult<()> {
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(Errno::WOULDBLOCK),
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
            }
        }
        match record(file, Record::Lock) {
            Err(nix::Error::EAGAIN | nix::Error::EACCES) => {
                let _ = file.unlock();
                Err(Errno::WOULDBLOCK)
            }
            // Where `flock` works, a missing record lock keeps nobody in that `flock` lets in.
            _ => Ok(()),
        }
    }

    pub(in super::super) fn unlock(file: &File) {
        let _ = record(file, Record::Unlock);
        let _ = file.unlock();
    }

    #[derive(Clone, Copy)]
    enum Record {
        Lock,
        Unlock,
    }

    #[cfg(target_os = "linux")]
    fn record(file: &File, what: Record) -> nix::Result<()> {
        let kind = match what {
            Record::Lock => nix::libc::F_WRLCK,
            Record::Unlock => nix::libc::F_UNLCK,
        };
        let whole_file = nix::libc::flock {
            l_type: nix::libc::c_short::try_from(kind).unwrap_or_default(),
            l_whence: 0,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_OFD_SETLK(&whole_file)).map(drop)
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
    fn record(_file: &File, _what: Record) -> nix::Result<()> {
        Ok(())
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
    use crate::persistence::Directory;

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
        let courtesy = Courtesy::default();
        FileLock::acquire(entry.clone(), entry, &courtesy, Duration::ZERO)
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
        kernel::unlock(&curious);
        let (_, seen) = look(&entry, Some(created)).unwrap();
        assert_eq!(seen, Seen::Created(Flock::Ours));
    }

    /// One that gave up while somebody only looked at the file that it had created left that file
    /// behind, and kept everybody out for ten seconds.
    #[test]
    fn who_gives_up_leaves_no_file_behind() {
        let (_folder, entry) = lock_entry();
        let path = entry.path();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    if let Ok(file) = File::open(&path) {
                        let _ = kernel::try_lock(&file);
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
        lock.owner = 1;
        drop(lock);
        assert_eq!(entry.is_at(&parents), Ok(true));
        assert_eq!(take(&entry, &opened(&entry)), Ok(Flock::Theirs));
    }
}
