mod file_name;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

#[cfg(unix)]
use self::unix::{LeaseFile, open_held, touch};
#[cfg(windows)]
use self::windows::{LeaseFile, open_held, touch};
use crate::lease::file_name::{SUCCESSOR, file_name};
use crate::time::age::age;
use token_credential::{Clock, SystemClock};

/// Leases by which the processes of one user on one machine agree on the one that does a piece of
/// work for all: it holds the lease, the others wait and then find its result.
///
/// A lease is the kernel's lock on an empty file (on Windows an open file that is not shared). So
/// it ends with its holder, however that ends. It is advisory: it keeps out only processes that ask
/// for it. The file's name is a hash, from which nothing about the work can be read.
///
/// ```
/// # #[cfg(any(unix, windows))]
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
/// # #[cfg(not(any(unix, windows)))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct Leases {
    folder: PathBuf,
}

/// The right to do a piece of work, released when dropped.
#[derive(Debug)]
pub struct Lease {
    #[expect(dead_code, reason = "it is held, and goes with the lease")]
    file: LeaseFile,
}

impl Leases {
    /// Creates leases in a folder of their own, which exists while one is held.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Acquires the lease for the work that these words name, without waiting; returns `None` if
    /// another holder has it.
    ///
    /// # Errors
    ///
    /// The folder cannot hold leases: it cannot be created or written, other users can write to it,
    /// or its file system has no locks. On Unix also if others than this user, the user's group and
    /// root can change a folder on the way.
    pub fn take(&self, work: &[&str]) -> io::Result<Option<Lease>> {
        let file = LeaseFile::take(&self.folder, &file_name(work, ""))?;
        Ok(file.map(|file| Lease { file }))
    }

    /// Elects one waiter to proceed without the lease, at most once per `after` since the lease was
    /// taken. The holder may be a stopped process, whose lock the kernel keeps.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub fn try_take_over(&self, work: &[&str], after: Duration) -> io::Result<bool> {
        let lease = self.folder.join(file_name(work, ""));
        let Some(held) = open_held(&lease)? else {
            // It was released.
            return Ok(false);
        };
        let is_time = |now: SystemTime| -> io::Result<bool> {
            Ok(age(held.metadata()?.modified()?, now) >= after)
        };
        if !is_time(SystemClock.now())? {
            return Ok(false);
        }
        // One at a time: an elected waiter sets the file's time before the next one reads it.
        let Some(turn) = LeaseFile::take(&self.folder, &file_name(work, SUCCESSOR))? else {
            return Ok(false);
        };
        // By the clock of this file system, which has just created the file.
        let is_time = is_time(turn.modified()?)?;
        if is_time {
            touch(&held)?;
        }
        Ok(is_time)
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests play holders that have died"
)]
mod tests {
    use std::fs::File;

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

    /// The file of the lease that somebody has.
    fn lease_file(leases: &Leases) -> File {
        let path = leases.folder.join(file_name(&WORK, ""));
        open_held(&path).unwrap().unwrap()
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
        assert!(!leases.try_take_over(&WORK, after).unwrap());
        let held = leases.take(&WORK).unwrap();
        for _ in 0..3 {
            assert!(!leases.try_take_over(&WORK, after).unwrap());
            age(&leases, after);
            let succeeding: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8)
                    .map(|_| scope.spawn(|| leases.try_take_over(&WORK, after).unwrap()))
                    .collect();
                let results = threads.into_iter().map(|thread| thread.join().unwrap());
                results.filter(|is_time| *is_time).collect()
            });
            // None if each saw another one at it: then it is still time.
            if succeeding.is_empty() {
                assert!(leases.try_take_over(&WORK, after).unwrap());
            }
            assert!(succeeding.len() <= 1);
            assert!(leases.take(&WORK).unwrap().is_none());
        }
        // The clock was set back, by little and by much.
        for (back, is_time) in [(1, false), (3_600, true)] {
            let held_file = lease_file(&leases);
            let time = SystemClock.now().checked_add(Duration::from_secs(back));
            held_file.set_modified(time.unwrap()).unwrap();
            drop(held_file);
            assert_eq!(
                leases.try_take_over(&WORK, after).unwrap(),
                is_time,
                "{back} s"
            );
            assert!(!leases.try_take_over(&WORK, after).unwrap());
        }
        drop(held);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn who_takes_over_from_a_dead_holder_has_its_own_time() {
        let (_folder, leases) = leases();
        let after = Duration::from_secs(2);
        // As its holder made it, until it died with its machine.
        std::fs::create_dir(&leases.folder).unwrap();
        File::create(leases.folder.join(file_name(&WORK, ""))).unwrap();
        age(&leases, Duration::from_secs(3600));
        let held = leases.take(&WORK).unwrap();
        assert!(held.is_some() && !leases.try_take_over(&WORK, after).unwrap());
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
