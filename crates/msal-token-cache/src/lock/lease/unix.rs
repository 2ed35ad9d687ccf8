use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, futimens, lstat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Pid, UnlinkatFlags, geteuid, getpid, unlinkat};

use super::EXTENSION;
use crate::lock::unix::{is_at, kernel};
use crate::persistence::file_type;

/// The file of a lease, locked until it is dropped.
#[derive(Debug)]
pub(super) struct LeaseFile {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    /// A forked child has a copy of this value, but not the lease.
    owner: Pid,
}

/// How often a folder or file that others have just removed is looked for again.
const ATTEMPTS: usize = 8;

impl LeaseFile {
    /// Takes the file of this name, if nobody has it.
    pub(super) fn take(folder: &Path, name: &str) -> io::Result<Option<Self>> {
        let path = folder.join(name);
        for _ in 0..ATTEMPTS {
            make_private(folder)?;
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
                sweep(folder, &path);
                return Ok(Some(Self {
                    folder: folder.to_owned(),
                    path,
                    file,
                    owner: getpid(),
                }));
            }
        }
        Ok(None)
    }

    /// When it was taken.
    pub(super) fn modified(&self) -> io::Result<SystemTime> {
        self.file.metadata()?.modified()
    }
}

impl Drop for LeaseFile {
    fn drop(&mut self) {
        if getpid() != self.owner {
            return;
        }
        remove(&self.path, &self.file);
        // While there are others, it is not empty.
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// Opens the file that somebody has, to see since when; `None` if nobody has it.
pub(super) fn open_held(path: &Path) -> io::Result<Option<File>> {
    Ok(open_file(path, OFlag::empty())?)
}

/// Sets the file's time to now.
pub(super) fn touch(file: &File) -> io::Result<()> {
    Ok(futimens(file, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW)?)
}

/// Removes what holders left that were killed. Best effort: the next one tries again.
fn sweep(folder: &Path, ours: &Path) {
    let Ok(files) = std::fs::read_dir(folder) else {
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
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn taken(folder: &Path) -> io::Result<bool> {
        Ok(LeaseFile::take(folder, "00.lease")?.is_some())
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("leases");
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        assert!(taken(&folder).is_err());
        let link = place.path().join("link");
        std::os::unix::fs::symlink(place.path(), &link).unwrap();
        assert!(taken(&link).is_err());
        let missing = place.path().join("missing").join("leases");
        assert!(taken(&missing).is_err());
    }

    #[test]
    fn what_dead_holders_left_is_swept_by_the_next_and_nothing_else_is() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("leases");
        let living = LeaseFile::take(&folder, "01.lease").unwrap().unwrap();
        for left in ["00.lease", "stranger"] {
            open_or_create(&folder.join(left)).unwrap().unwrap();
        }
        let held = LeaseFile::take(&folder, "02.lease").unwrap().unwrap();
        let files = std::fs::read_dir(&folder).unwrap();
        let mut there: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        there.sort();
        let stranger = folder.join("stranger");
        assert_eq!(there, [living.path.clone(), held.path.clone(), stranger]);
    }
}
