use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::is_lease_name;
use crate::lock::unix::kernel;
use crate::persistence::{
    Directory, Entry, Missing, is_ours, is_own_sole_file, is_same_file, is_writable_by_others,
    set_time_to_now, split, walk,
};

/// The file of a lease, locked until it is dropped.
#[derive(Debug)]
pub(super) struct LeaseFile {
    folder: Folder,
    entry: Entry,
    file: File,
    /// The process: a forked child has a copy of this value, but not the lease.
    owner: u32,
}

/// How often a folder or file that others have just removed is looked for again.
const ATTEMPTS: usize = 8;

impl LeaseFile {
    /// Takes the file of this name, if nobody has it.
    pub(super) fn take(folder: &Path, name: &str) -> io::Result<Option<Self>> {
        for _ in 0..ATTEMPTS {
            let Some(folder) = Folder::open_or_create(folder)? else {
                continue;
            };
            let entry = folder.entry(name);
            let Some(file) = open(&entry, OFlags::CREATE)? else {
                continue;
            };
            match kernel::try_lock(&file) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
            // Its holder may have removed it between the two steps.
            if entry.is_at(&file)? {
                // One that a dead holder left is as old as that.
                touch(&file)?;
                folder.sweep(name);
                return Ok(Some(Self {
                    folder,
                    entry,
                    file,
                    owner: std::process::id(),
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
        if std::process::id() != self.owner {
            return;
        }
        remove(&self.entry, &self.file);
        self.folder.remove_if_empty();
    }
}

/// Opens the file that somebody has, to see since when; `None` if nobody has it.
pub(super) fn open_held(path: &Path) -> io::Result<Option<File>> {
    let (folder, name) = split(path).ok_or(io::ErrorKind::InvalidInput)?;
    match Folder::open(folder)? {
        Some(folder) => open(&folder.entry(name), OFlags::empty()),
        None => Ok(None),
    }
}

/// Sets the file's time to now.
pub(super) fn touch(file: &File) -> io::Result<()> {
    Ok(set_time_to_now(file)?)
}

/// The folder of the leases, which is ours alone, and reached by way of folders that nobody else
/// can change: what others put there, or in its place, would be removed as if it were ours.
#[derive(Debug)]
struct Folder {
    parent: Directory,
    name: OsString,
    itself: Arc<Directory>,
}

impl Folder {
    /// Opens the folder, which is created where it is missing; `None` if another process has
    /// removed it again.
    fn open_or_create(path: &Path) -> io::Result<Option<Self>> {
        Self::find(path, Missing::Create)
    }

    /// Opens the folder, if there is one.
    fn open(path: &Path) -> io::Result<Option<Self>> {
        Self::find(path, Missing::Fail)
    }

    fn find(path: &Path, missing: Missing) -> io::Result<Option<Self>> {
        let (parent, name) = split(path).ok_or(io::ErrorKind::InvalidInput)?;
        let parent = walk(parent, Missing::Fail).map_err(|stray| {
            let kind = match stray.insecure() {
                Ok(_) => io::ErrorKind::PermissionDenied,
                Err(errno) => errno.kind(),
            };
            io::Error::new(kind, stray.into_error(path, "used"))
        })?;
        if missing == Missing::Create {
            parent.create_folder(name)?;
        }
        // No link is followed here: the folder is ours to make, and to remove.
        let itself = match parent.enter(name) {
            Ok(itself) => itself,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => return Err(not_private(path)),
            Err(errno) => return Err(errno.into()),
        };
        let stat = itself.stat()?;
        if !is_ours(&stat) || is_writable_by_others(stat.st_mode) {
            return Err(not_private(path));
        }
        Ok(Some(Self {
            parent,
            name: name.to_owned(),
            itself: Arc::new(itself),
        }))
    }

    fn entry(&self, name: impl AsRef<OsStr>) -> Entry {
        Entry::new(Arc::clone(&self.itself), name.as_ref())
    }

    /// Removes what holders left that were killed. Best effort: the next one tries again.
    fn sweep(&self, ours: &str) {
        for name in self.itself.names() {
            let is_another = name
                .to_str()
                .is_some_and(|name| name != ours && is_lease_name(name));
            if !is_another {
                continue;
            }
            let entry = self.entry(name);
            // Devices and the like are not even opened.
            let looks_left = entry.stat();
            if looks_left.is_ok_and(|stat| stat.as_ref().is_some_and(is_lease))
                && let Ok(Some(file)) = open(&entry, OFlags::empty())
                && kernel::try_lock(&file).is_ok()
            {
                remove(&entry, &file);
            }
        }
    }

    /// Removes the folder if this was the last lease.
    fn remove_if_empty(&self) {
        // Another one of this name is not ours.
        if let (Ok(Some(named)), Ok(open)) = (self.parent.stat_of(&*self.name), self.itself.stat())
            && is_same_file(&named, &open)
        {
            let _ = self.parent.remove_folder(&self.name);
        }
    }
}

fn not_private(path: &Path) -> io::Error {
    let text = format!(
        "{} is not a folder that only we can write to",
        path.display()
    );
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

/// Returns `true` for what a lease is: an empty file of ours.
fn is_lease(stat: &rustix::fs::Stat) -> bool {
    is_own_sole_file(stat) && stat.st_size == 0
}

/// Opens a lease; `None` if it, or the folder, has just gone.
fn open(entry: &Entry, more: OFlags) -> io::Result<Option<File>> {
    let file = match entry.open(OFlags::RDWR | more) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    if is_lease(&rustix::fs::fstat(&file)?) {
        return Ok(Some(file));
    }
    let text = format!("{} is not an empty file of ours", entry.path().display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

/// Removes a file that we have locked, and unlocks it: first the name, so that nobody locks a file
/// that is about to vanish. A forked child would keep the lock if it were left to closing the file.
fn remove(entry: &Entry, file: &File) {
    if entry.is_at(file).unwrap_or(false) {
        let _ = entry.remove();
    }
    kernel::unlock(file);
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const NOBODY: u32 = 65_534;

    /// The name of a lease.
    fn lease_name(n: usize) -> String {
        format!("{n:032x}.lease")
    }

    fn take(folder: &Path) -> io::Result<Option<LeaseFile>> {
        LeaseFile::take(folder, &lease_name(0))
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("leases");
        std::fs::create_dir(&folder).unwrap();
        for mode in [0o777, 0o770, 0o1777] {
            std::fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
            assert!(take(&folder).is_err(), "{mode:o}");
        }
        let link = place.path().join("link");
        symlink(place.path(), &link).unwrap();
        assert!(take(&link).is_err());
        let missing = place.path().join("missing").join("leases");
        assert!(take(&missing).is_err());
    }

    #[test]
    fn below_a_folder_that_others_can_write_to_there_are_no_leases() {
        let place = tempfile::tempdir().unwrap();
        let open = place.path().join("open");
        let private = open.join("private");
        std::fs::create_dir_all(&private).unwrap();
        std::fs::set_permissions(&private, Permissions::from_mode(0o700)).unwrap();
        std::fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        for folder in [open.join("leases"), private.join("leases")] {
            let error = take(&folder).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
            assert!(error.to_string().contains("others can write"), "{error}");
            assert!(!folder.exists());
        }
        // As in /tmp, nobody else can take away what is ours.
        std::fs::set_permissions(&open, Permissions::from_mode(0o1777)).unwrap();
        for folder in [open.join("leases"), private.join("leases")] {
            assert!(take(&folder).unwrap().is_some());
            assert!(!folder.exists());
        }
    }

    /// A link of ours on the way is as good as its target; macOS has such a one for `/tmp`.
    #[test]
    fn a_link_of_ours_on_the_way_is_followed() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("real")).unwrap();
        symlink("real", place.path().join("link")).unwrap();
        let folder = place.path().join("link/leases");
        let held = take(&folder).unwrap();
        assert!(held.is_some() && take(&place.path().join("real/leases")).unwrap().is_none());
        symlink("loop", place.path().join("loop")).unwrap();
        assert!(take(&place.path().join("loop/leases")).is_err());
    }

    #[test]
    fn root_leaves_no_lease_in_a_users_folder() {
        if !is_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let (home, link) = (place.path().join("home"), place.path().join("link"));
        let below = home.join("roots");
        std::fs::create_dir_all(&below).unwrap();
        symlink(&below, &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(NOBODY), None).unwrap();
        chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
        // His folder, one of ours below it, a link of his.
        for folder in [&home, &below, &link] {
            let error = take(&folder.join(".leases")).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
        }
        assert_eq!(names(&home), ["roots"]);
        assert_eq!(names(&below), [""; 0]);
    }

    #[test]
    fn what_dead_holders_left_is_swept_by_the_next_and_nothing_else_is() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("leases");
        let living = LeaseFile::take(&folder, &lease_name(1)).unwrap().unwrap();
        let at = |name: &str| folder.join(name);
        for left in [lease_name(2), lease_name(3).replace('.', "-next.")] {
            std::fs::write(at(&left), "").unwrap();
        }
        // Not ours by name: too short, no hexadecimal digits, or in upper case.
        let mut others = vec![
            "stranger".to_owned(),
            "00.lease".to_owned(),
            format!("{}.lease", "x".repeat(32)),
            format!("{}.lease", "A".repeat(32)),
            format!("{}-other.lease", "a".repeat(32)),
        ];
        for other in &others {
            std::fs::write(at(other), "").unwrap();
        }
        // Nor by what they are: not empty, no file, a link, or with a second name.
        let precious = lease_name(4);
        std::fs::write(at(&precious), "precious").unwrap();
        std::fs::create_dir(at(&lease_name(5))).unwrap();
        symlink(place.path().join("elsewhere"), at(&lease_name(6))).unwrap();
        std::fs::write(at(&lease_name(7)), "").unwrap();
        std::fs::hard_link(at(&lease_name(7)), at("second name")).unwrap();
        others.extend([precious, "second name".to_owned()]);
        others.extend([5, 6, 7].map(lease_name));
        if is_root() {
            std::fs::write(at(&lease_name(8)), "").unwrap();
            chown(at(&lease_name(8)), Some(NOBODY), None).unwrap();
            others.push(lease_name(8));
        }
        let held = LeaseFile::take(&folder, &lease_name(9)).unwrap().unwrap();
        others.extend([lease_name(1), lease_name(9)]);
        others.sort();
        assert_eq!(names(&folder), others);
        drop((living, held));
        others.retain(|name| {
            !["1", "9"]
                .map(|n| lease_name(n.parse().unwrap()))
                .contains(name)
        });
        assert_eq!(names(&folder), others);
    }

    /// What is no lease is neither taken nor changed.
    #[test]
    fn what_stands_in_a_leases_place_is_not_touched() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("leases");
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        let path = folder.join(lease_name(0));
        std::fs::write(&path, "precious").unwrap();
        let before = std::fs::metadata(&path).unwrap().modified().unwrap();
        assert!(take(&folder).is_err() && open_held(&path).is_err());
        let after = std::fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(before, after);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    /// The folder is swapped for a link to others' files at any moment, as if that were possible.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_is_swapped_for_a_link_costs_nobody_a_file() {
        use rustix::fs::{CWD, RenameFlags, renameat_with};

        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let (folder, link, private) = (at("leases"), at("link"), at("private"));
        std::fs::create_dir(&private).unwrap();
        symlink(&private, &link).unwrap();
        for n in 0..200 {
            std::fs::write(private.join(lease_name(1_000_000 + n)), "").unwrap();
        }
        let is_over = AtomicBool::new(false);
        let taken = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE);
                }
            });
            let takes = (0..5_000).map(|n| LeaseFile::take(&folder, &lease_name(n)));
            let taken = takes.filter(|taken| matches!(taken, Ok(Some(_)))).count();
            is_over.store(true, Ordering::Relaxed);
            taken
        });
        assert!(taken > 0);
        assert_eq!(names(&private).len(), 200);
    }
}
