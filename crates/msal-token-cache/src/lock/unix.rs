use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, lstat, stat};
use nix::unistd::{Pid, UnlinkatFlags, getpid, unlinkat};

use super::backoff::{Backoff, Stopwatch};
use super::courtesy::{COURTESY_IN_SUM, Courtesy};
use super::protocol::{Action, Flock, Holder, Seen, decide};
use super::signature::Signature;
use crate::clock::{Clock, SystemClock};
use crate::persistence::{StoreLock, file_type, open_for_reading, uninterrupted};
use crate::{Error, Result};

/// The lock of one cache, held until it is dropped.
#[derive(Debug)]
pub(crate) struct FileLock {
    path: PathBuf,
    file: File,
    /// A forked child has a copy of this value, but not the lock.
    owner: Pid,
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
        path: &Path,
        cache: &Path,
        courtesy: &Courtesy,
        timeout: Duration,
    ) -> Result<Self> {
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
                rested += rest;
                continue;
            }
            let (file, seen) =
                look(path, created.take()).map_err(|errno| Error::io("locking", path, errno))?;
            let go_on = match decide(seen) {
                Action::Hold | Action::Adopt => {
                    let lock = Self {
                        path: path.to_owned(),
                        file,
                        owner: getpid(),
                        since: Stopwatch::start(),
                        courtesy: courtesy.clone(),
                    };
                    lock.sign()
                        .map_err(|error| Error::io("writing", path, error))?;
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
                return Err(signature(path).in_the_way(path, timeout));
            }
        }
    }

    /// Says who holds the lock: for people, for peers, and for whoever finds it after our death.
    fn sign(&self) -> std::io::Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(Signature::ours().to_text().as_bytes())
    }
}

impl StoreLock for FileLock {
    fn is_held(&self) -> bool {
        is_at(&self.path, &self.file).unwrap_or(false)
    }
}

impl Drop for FileLock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door to the lock file"
    )]
    fn drop(&mut self) {
        if getpid() != self.owner {
            return;
        }
        // First the name, then the lock: nobody can lock a file that is about to vanish. What is
        // not ours any more stays.
        if self.is_held() {
            let _ = unlinkat(nix::fcntl::AT_FDCWD, &self.path, UnlinkatFlags::NoRemoveDir);
        }
        // A forked child would keep the lock if it were left to closing the file.
        kernel::unlock(&self.file);
        self.courtesy.learn(self.since.elapsed());
    }
}

/// One look at the lock file: at the one that we created before, or at what is there now. If
/// nothing is, it is created.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to the lock file"
)]
fn look(path: &Path, created: Option<File>) -> nix::Result<(File, Seen)> {
    if let Some(file) = created {
        let flock = take(path, &file)?;
        return Ok((file, Seen::Created(flock)));
    }
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    loop {
        match uninterrupted(|| open(path, flags | OFlag::O_CREAT | OFlag::O_EXCL, mode)) {
            Ok(fd) => {
                let file = File::from(fd);
                let flock = take(path, &file).inspect_err(|_| {
                    // What nobody holds must not keep anybody out.
                    let _ = unlinkat(nix::fcntl::AT_FDCWD, path, UnlinkatFlags::NoRemoveDir);
                })?;
                return Ok((file, Seen::Created(flock)));
            }
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
        let file = match uninterrupted(|| open(path, flags, Mode::empty())) {
            Ok(fd) => File::from(fd),
            // Its holder has let go between the two steps.
            Err(Errno::ENOENT) => continue,
            Err(errno) => return Err(errno),
        };
        if file_type(&fstat(&file)?) != SFlag::S_IFREG {
            return Err(Errno::EINVAL);
        }
        let flock = take(path, &file)?;
        let holder = match flock {
            // Its age is looked at while nobody can sign it: that of an older signature is none.
            Flock::Ours => Signature::in_file(&file).holder(changed(&fstat(&file)?)),
            // Whoever it is, it is there.
            _ => Holder::UNKNOWN,
        };
        return Ok((file, Seen::Found(flock, holder)));
    }
}

/// Asks the kernel for its lock on the file, and whether the path still leads to it.
fn take(path: &Path, file: &File) -> nix::Result<Flock> {
    match kernel::try_lock(file) {
        Ok(()) if is_at(path, file)? => Ok(Flock::Ours),
        Ok(()) => Ok(Flock::OnAnotherFile),
        Err(Errno::EWOULDBLOCK | Errno::EINTR) => Ok(Flock::Theirs),
        Err(Errno::ENOLCK | Errno::ENOTSUP | Errno::ENOSYS) => {
            static WARNED: AtomicBool = AtomicBool::new(false);
            if !WARNED.swap(true, Ordering::Relaxed) {
                tracing::warn!(path = %path.display(), "no kernel locks here; only the lock file's existence keeps others out");
            }
            Ok(if is_at(path, file)? {
                Flock::Unsupported
            } else {
                Flock::OnAnotherFile
            })
        }
        Err(errno) => Err(errno),
    }
}

/// For how long the lock is to be left to others, because the cache was written just now.
fn rest(cache: &Path, courtesy: &Courtesy) -> Option<Duration> {
    let stat = stat(cache).ok()?;
    let written = UNIX_EPOCH.checked_add(changed(&stat))?;
    courtesy.rest(written, SystemClock.now())
}

/// When a file was changed last, since 1970.
fn changed(stat: &FileStat) -> Duration {
    Duration::new(
        u64::try_from(stat.st_mtime).unwrap_or(0),
        u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
    )
}

pub(super) fn is_at(path: &Path, file: &File) -> nix::Result<bool> {
    let at_path = match lstat(path) {
        Ok(stat) => stat,
        Err(Errno::ENOENT) => return Ok(false),
        Err(errno) => return Err(errno),
    };
    let open = fstat(file)?;
    Ok((at_path.st_dev, at_path.st_ino) == (open.st_dev, open.st_ino))
}

/// What the lock file says to whoever could not have it.
fn signature(path: &Path) -> Signature {
    match open_for_reading(path) {
        Ok(Some(opened)) => Signature::in_file(&opened.file),
        _ => Signature::default(),
    }
}

/// The kernel's locks on an open file: `flock` for the peers that use it and, on Linux, where the
/// two do not see each other, an open file description lock for those that use record locks.
pub(super) mod kernel {
    use super::{Errno, File};

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door to the kernel's locks"
    )]
    pub(in super::super) fn try_lock(file: &File) -> nix::Result<()> {
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(Errno::EWOULDBLOCK),
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw));
            }
        }
        match record(file, Record::Lock) {
            Err(Errno::EAGAIN | Errno::EACCES) => {
                let _ = file.unlock();
                Err(Errno::EWOULDBLOCK)
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
    use super::*;

    fn lock_path() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lockfile");
        (folder, path)
    }

    fn opened(path: &Path) -> File {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT;
        open(path, flags, Mode::S_IRWXU).unwrap().into()
    }

    #[test]
    fn only_the_file_that_the_path_leads_to_is_the_lock() {
        let (_folder, path) = lock_path();
        let file = opened(&path);
        assert_eq!(take(&path, &file), Ok(Flock::Ours));
        assert_eq!(take(&path, &opened(&path)), Ok(Flock::Theirs));
        unlinkat(nix::fcntl::AT_FDCWD, &path, UnlinkatFlags::NoRemoveDir).unwrap();
        assert_eq!(take(&path, &file), Ok(Flock::OnAnotherFile));
        let successor = opened(&path);
        assert_eq!(take(&path, &file), Ok(Flock::OnAnotherFile));
        assert_eq!(take(&path, &successor), Ok(Flock::Ours));
    }

    #[test]
    fn what_we_created_and_lost_for_an_instant_is_asked_for_again() {
        let (_folder, path) = lock_path();
        let (created, curious) = (opened(&path), opened(&path));
        assert_eq!(take(&path, &curious), Ok(Flock::Ours));
        let (created, seen) = look(&path, Some(created)).unwrap();
        assert_eq!(seen, Seen::Created(Flock::Theirs));
        kernel::unlock(&curious);
        let (_, seen) = look(&path, Some(created)).unwrap();
        assert_eq!(seen, Seen::Created(Flock::Ours));
    }

    /// One that gave up while somebody only looked at the file that it had created left that file
    /// behind, and kept everybody out for ten seconds.
    #[test]
    fn who_gives_up_leaves_no_file_behind() {
        let (_folder, path) = lock_path();
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
                let courtesy = Courtesy::default();
                taken &= FileLock::acquire(&path, &path, &courtesy, Duration::ZERO).is_ok();
            }
            is_over.store(true, Ordering::Relaxed);
            assert!(taken, "a file was left behind");
        });
    }

    /// As if this process were a child that was forked while the lock was held.
    #[test]
    fn a_childs_copy_does_not_release_its_parents_lock() {
        let (_folder, path) = lock_path();
        let mut lock =
            FileLock::acquire(&path, &path, &Courtesy::default(), Duration::ZERO).unwrap();
        let parents = lock.file.try_clone().unwrap();
        lock.owner = Pid::from_raw(1);
        drop(lock);
        assert_eq!(is_at(&path, &parents), Ok(true));
        assert_eq!(take(&path, &opened(&path)), Ok(Flock::Theirs));
    }
}
