use std::fmt::Write;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, futimens, lstat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Pid, UnlinkatFlags, geteuid, getpid, unlinkat};
use sha2::{Digest, Sha256};

use super::unix::{is_at, kernel};
use crate::clock::{Clock, SystemClock};
use crate::persistence::file_type;

/// Where the processes of one user on one machine agree who does a piece of work for all of them:
/// one of them holds the lease, the others wait and then find what it left.
///
/// A lease is the kernel's lock on an empty file, so it ends with its holder, however that ends.
/// It keeps nobody out of anything: it is for those who ask for it. Nothing of what the work is
/// about can be read from the file's name, which is a hash.
///
/// ```
/// # #[cfg(unix)]
/// # fn main() -> std::io::Result<()> {
/// use msal_token_cache::Leases;
///
/// # let folder = tempfile::tempdir()?;
/// let leases = Leases::in_folder(folder.path().join("leases"));
/// let lease = leases.take(&["redeem", "ada@contoso.com"])?;
/// assert!(lease.is_some());
/// assert!(leases.take(&["redeem", "ada@contoso.com"])?.is_none());
/// drop(lease);
/// assert!(leases.take(&["redeem", "ada@contoso.com"])?.is_some());
/// # Ok(())
/// # }
/// # #[cfg(not(unix))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct Leases {
    folder: PathBuf,
}

/// The right to do a piece of work; ends when dropped.
#[derive(Debug)]
pub struct Lease {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    /// A forked child has a copy of this value, but not the lease.
    owner: Pid,
}

const EXTENSION: &str = "lease";
/// How often a folder or file that others have just removed is looked for again.
const ATTEMPTS: usize = 8;

impl Leases {
    /// Leases in a folder of their own, which is there while one is held.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Takes the lease for the work that these words name, if nobody has it. Does not wait.
    ///
    /// # Errors
    ///
    /// There can be no leases in this folder: it cannot be made or written, is not ours alone, or
    /// its file system has no locks.
    pub fn take(&self, work: &[&str]) -> io::Result<Option<Lease>> {
        self.take_file(self.folder.join(name(work, "")))
    }

    /// Whether to do this work although somebody has the lease, who may be stopped: true for one of
    /// all who ask, once in this time since the lease was taken or the last one was told so.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub fn succeed(&self, work: &[&str], after: Duration) -> io::Result<bool> {
        let lease = self.folder.join(name(work, ""));
        let Some(held) = open_file(&lease, OFlag::empty())? else {
            // It is free by now.
            return Ok(false);
        };
        // A clock that was set back must hold up nobody.
        let is_time = |now: SystemTime| -> io::Result<bool> {
            let since = now.duration_since(held.metadata()?.modified()?);
            Ok(since.map_or(true, |since| since >= after))
        };
        if !is_time(SystemClock.now())? {
            return Ok(false);
        }
        // One at a time: who is told so says that in the file before the next one looks.
        let Some(turn) = self.take_file(self.folder.join(name(work, "-next")))? else {
            return Ok(false);
        };
        // By the time of this file system, which has just put it there.
        let is_time = is_time(turn.file.metadata()?.modified()?)?;
        if is_time {
            touch(&held)?;
        }
        Ok(is_time)
    }

    fn take_file(&self, path: PathBuf) -> io::Result<Option<Lease>> {
        for _ in 0..ATTEMPTS {
            make_private(&self.folder)?;
            let Some(file) = open_or_create(&path)? else {
                continue;
            };
            match kernel::try_lock(&file) {
                Ok(()) => {}
                Err(Errno::EWOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
            // Its holder may have removed it between the two steps.
            if is_at(&path, &file)? {
                // One that a dead holder left is as old as that.
                touch(&file)?;
                let lease = Lease {
                    folder: self.folder.clone(),
                    path,
                    file,
                    owner: getpid(),
                };
                self.sweep(&lease.path);
                return Ok(Some(lease));
            }
        }
        Ok(None)
    }

    /// Removes what holders left that were killed. Best effort: the next one tries again.
    fn sweep(&self, ours: &Path) {
        let Ok(files) = std::fs::read_dir(&self.folder) else {
            return;
        };
        for path in files.flatten().map(|file| file.path()) {
            if path == ours || path.extension() != Some(EXTENSION.as_ref()) {
                continue;
            }
            if let Ok(Some(file)) = open_file(&path, OFlag::empty())
                && kernel::try_lock(&file).is_ok()
            {
                remove(&path, &file);
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if getpid() != self.owner {
            return;
        }
        remove(&self.path, &self.file);
        // While there are others, it is not empty.
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// Removes a file that we have locked, and unlocks it: first the name, so that nobody locks a file
/// that is about to vanish. A forked child would keep the lock if it were left to closing the file.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to the lease files"
)]
fn remove(path: &Path, file: &File) {
    if is_at(path, file).unwrap_or(false) {
        let _ = unlinkat(nix::fcntl::AT_FDCWD, path, UnlinkatFlags::NoRemoveDir);
    }
    kernel::unlock(file);
}

/// Sets the file's time to now.
fn touch(file: &File) -> nix::Result<()> {
    futimens(file, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW)
}

fn name(work: &[&str], what: &str) -> String {
    let mut hash = Sha256::new();
    for word in work {
        // With its length, so that no two lists of words are the same text.
        hash.update((word.len() as u64).to_le_bytes());
        hash.update(word.as_bytes());
    }
    let hash = hash.finalize();
    let mut name = String::new();
    for byte in &hash[..16] {
        let _ = write!(name, "{byte:02x}");
    }
    name + what + "." + EXTENSION
}

/// Makes the folder where it is missing, and says whether nobody else can write there.
fn make_private(folder: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let stat = match lstat(folder) {
        Ok(stat) => stat,
        // The last holder has just removed it.
        Err(Errno::ENOENT) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    };
    let is_ours = file_type(&stat) == SFlag::S_IFDIR
        && stat.st_uid == geteuid().as_raw()
        && stat.st_mode & 0o022 == 0;
    if is_ours {
        return Ok(());
    }
    let text = format!(
        "{} is not a folder that only we can write to",
        folder.display()
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

/// `None` if the folder has just gone.
fn open_or_create(path: &Path) -> nix::Result<Option<File>> {
    open_file(path, OFlag::O_CREAT)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to the lease files"
)]
fn open_file(path: &Path, more: OFlag) -> nix::Result<Option<File>> {
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    match open(path, flags | more, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(fd) => Ok(Some(File::from(fd))),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORK: [&str; 2] = ["a", "b"];

    fn leases() -> (tempfile::TempDir, Leases) {
        let folder = tempfile::tempdir().unwrap();
        let leases = Leases::in_folder(folder.path().join("leases"));
        (folder, leases)
    }

    #[test]
    fn a_lease_is_one_holders_and_leaves_nothing() {
        let (folder, leases) = leases();
        let held = leases.take(&WORK).unwrap();
        assert!(held.is_some() && leases.take(&WORK).unwrap().is_none());
        // Other work is another lease.
        for work in [&["ab"][..], &["a"], &["b", "a"]] {
            assert!(leases.take(work).unwrap().is_some(), "{work:?}");
        }
        drop(held);
        assert!(leases.take(&WORK).unwrap().is_some());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    /// The file of the lease, made where it is missing.
    fn lease_file(leases: &Leases) -> File {
        let path = leases.folder.join(name(&WORK, ""));
        open_or_create(&path).unwrap().unwrap()
    }

    /// Makes the file of the lease older by that.
    fn age(leases: &Leases, by: Duration) {
        let held = lease_file(leases);
        let time = held.metadata().unwrap().modified().unwrap();
        held.set_modified(time - by).unwrap();
    }

    #[test]
    fn a_holder_without_progress_has_one_successor_in_a_while() {
        let after = Duration::from_secs(2);
        let (folder, leases) = leases();
        // There is nobody to succeed.
        assert!(!leases.succeed(&WORK, after).unwrap());
        let held = leases.take(&WORK).unwrap();
        for _ in 0..3 {
            assert!(!leases.succeed(&WORK, after).unwrap());
            age(&leases, after);
            let succeeding: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8)
                    .map(|_| scope.spawn(|| leases.succeed(&WORK, after).unwrap()))
                    .collect();
                let results = threads.into_iter().map(|thread| thread.join().unwrap());
                results.filter(|is_time| *is_time).collect()
            });
            // None if each saw another one at it: then it is still time.
            if succeeding.is_empty() {
                assert!(leases.succeed(&WORK, after).unwrap());
            }
            assert!(succeeding.len() <= 1);
            assert!(leases.take(&WORK).unwrap().is_none());
        }
        // The clock was set back.
        let held_file = lease_file(&leases);
        let time = held_file.metadata().unwrap().modified().unwrap();
        held_file
            .set_modified(time + Duration::from_secs(3600))
            .unwrap();
        assert!(leases.succeed(&WORK, after).unwrap());
        assert!(!leases.succeed(&WORK, after).unwrap());
        drop(held);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn who_takes_over_from_a_dead_holder_has_its_own_time() {
        let (_folder, leases) = leases();
        let after = Duration::from_secs(2);
        make_private(&leases.folder).unwrap();
        lease_file(&leases);
        age(&leases, Duration::from_secs(3600));
        let held = leases.take(&WORK).unwrap();
        assert!(held.is_some() && !leases.succeed(&WORK, after).unwrap());
    }

    #[test]
    fn what_dead_holders_left_is_swept_by_the_next_and_nothing_else_is() {
        let (_folder, leases) = leases();
        let living = leases.take(&["living"]).unwrap().unwrap();
        let stranger = leases.folder.join("stranger");
        for left in [&leases.folder.join("00.lease"), &stranger] {
            open_or_create(left).unwrap().unwrap();
        }
        let held = leases.take(&WORK).unwrap().unwrap();
        let mut there: Vec<_> = std::fs::read_dir(&leases.folder)
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        there.sort();
        let mut expected = vec![held.path.clone(), living.path.clone(), stranger];
        expected.sort();
        assert_eq!(there, expected);
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let (folder, leases) = leases();
        std::fs::create_dir(&leases.folder).unwrap();
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&leases.folder, mode(0o777)).unwrap();
        assert!(leases.take(&WORK).is_err());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert!(Leases::in_folder(link).take(&WORK).is_err());
        let missing = folder.path().join("missing").join("leases");
        assert!(Leases::in_folder(missing).take(&WORK).is_err());
    }

    #[test]
    fn many_threads_never_hold_one_lease_at_once() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        let (folder, leases) = leases();
        let (holders, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while taken.load(Ordering::Relaxed) < 2_000 {
                        if let Some(lease) = leases.take(&WORK).unwrap() {
                            assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                            taken.fetch_add(1, Ordering::Relaxed);
                            holders.fetch_sub(1, Ordering::SeqCst);
                            drop(lease);
                        }
                    }
                });
            }
        });
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
