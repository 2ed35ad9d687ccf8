//! Finds the file that a cache is written to: only its owner writes it, and only where no other
//! user can replace it.

use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::fs::unix::directory::{Directory, Entry, split};
use crate::fs::unix::file_time;
use crate::fs::unix::follow::follow_from;
use crate::fs::unix::owner::{self, Owner, is_link, others_can_change};
use crate::fs::unix::safe_open::regular;
use crate::fs::unix::walk::{Missing, walk};

/// A cache that may be written, in folders that were checked and are open.
#[derive(Debug)]
pub(crate) struct Writable {
    /// The folder of the path itself, where the lock file is.
    folder: Arc<Directory>,
    /// The file that the path means: itself, or the target of a link.
    pub(crate) file: Entry,
}

impl Writable {
    /// Finds the file that a path means. Its folder is created where it is missing.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let (folder, name) = split(path).ok_or_else(|| Error::io("writing", path, Errno::ISDIR))?;
        let insecure = |why: &str| {
            let text = format!("{} is not written, because {why}", path.display());
            Error::new(ErrorKind::Insecure, text)
        };
        let looking = |errno: Errno| Error::io("looking at", path, errno);
        let folder = if is_root() {
            let walked = walk(folder, Missing::Create);
            let walked = walked.map_err(|stray| stray.into_error(path, "written"))?;
            walked.called(folder)
        } else {
            open_or_create(folder)?
        };
        let folder = Arc::new(folder);
        let at_path = folder.stat_of(name).map_err(looking)?;
        let (folder, file, stat) = if at_path.is_some_and(|stat| is_link(&stat)) {
            let (folder, file) = follow_from(path)?;
            let stat = file.stat().map_err(looking)?;
            (folder, file, stat)
        } else {
            (Arc::clone(&folder), Entry::new(folder, name), at_path)
        };
        let its_folder = file.folder().stat().map_err(looking)?;
        if others_can_change(&its_folder) {
            return Err(insecure("others can write to its folder"));
        }
        if let Some(stat) = stat {
            regular(&file.path(), stat.st_mode)?;
            if Owner::of(&stat) != Owner::Us {
                return Err(insecure("it belongs to another user"));
            }
        }
        Ok(Self { folder, file })
    }

    /// Returns a name beside the path, with this ending more than the path's own.
    pub(crate) fn beside(&self, path: &Path, ending: &str) -> Entry {
        let mut name: OsString = path.file_name().unwrap_or_default().to_owned();
        name.push(ending);
        Entry::new(Arc::clone(&self.folder), name)
    }

    /// Sets the time of the file's last change to now; an empty file is created if it is missing.
    #[allow(dead_code, reason = "for the encrypted stores, which may be left out")]
    pub(crate) fn touch(&self) -> Result<rustix::fs::Stat> {
        let path = self.file.path();
        let failed = |errno: Errno| Error::io("touching", &path, errno);
        let opened = self.file.open(OFlags::WRONLY | OFlags::CREATE);
        let file = opened.map_err(failed)?;
        let stat = rustix::fs::fstat(&file).map_err(failed)?;
        regular(&path, stat.st_mode)?;
        if !owner::is_ours(&stat) {
            return Err(failed(Errno::PERM));
        }
        file_time::set_to_now(&file).map_err(failed)?;
        rustix::fs::fstat(&file).map_err(failed)
    }
}

/// The owner that files have in a user namespace that does not know their own.
const OVERFLOW_UID: u32 = 65_534;

/// Returns `true` for the root of the machine, whom every part of the way concerns: it could be led
/// to any file. In a user namespace that does not know the machine's root, its own root has no more
/// rights than the user who made it.
fn is_root() -> bool {
    let is_unknown = || rustix::fs::stat("/").is_ok_and(|stat| stat.st_uid == OVERFLOW_UID);
    rustix::process::geteuid().is_root() && !is_unknown()
}

/// Opens the folder at a path, and creates it for its owner only where it is missing.
fn open_or_create(path: &Path) -> Result<Directory> {
    match Directory::open(path) {
        Err(Errno::NOENT) => {}
        opened => {
            return opened.map_err(|errno| Error::io("looking at the folder", path, errno));
        }
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Error::io("creating the folder", path, error))?;
    Directory::open(path).map_err(|errno| Error::io("looking at the folder", path, errno))
}
