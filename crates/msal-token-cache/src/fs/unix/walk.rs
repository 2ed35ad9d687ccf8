//! The way to a folder, step by step: nobody else than we and root can change any part of it, so
//! nobody can put another folder in its place. Of an ordinary user, the group counts as the user.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

use crate::error::{Error, ErrorKind};
use crate::fs::unix::directory::Directory;
use crate::fs::unix::owner::{is_link, is_ours, others_can_change};

/// The action for a folder that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Fail,
    /// Create it, for its owner only.
    Create,
}

/// Why a folder was not reached.
#[derive(Debug)]
pub(crate) struct Stray {
    /// The folder or link on the way.
    pub(crate) at: PathBuf,
    pub(crate) why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Others than we and root can change this folder.
    OthersCanWrite,
    /// This link is neither ours nor root's.
    OthersLink,
    Failed(Errno),
}

impl Stray {
    /// Returns why the way is not safe; the errno where it is not that.
    pub(crate) fn insecure(&self) -> Result<&'static str, Errno> {
        match self.why {
            Why::OthersCanWrite => Ok("others can write to a folder on the way"),
            Why::OthersLink => Ok("a link on the way belongs to another user"),
            Why::Failed(errno) => Err(errno),
        }
    }

    /// Returns the error for this path, with the participle of the action that was refused.
    pub(crate) fn into_error(self, path: &Path, what: &str) -> Error {
        match self.insecure() {
            Ok(why) => {
                let (path, at) = (path.display(), self.at.display());
                let text = format!("{path} is not {what}, because {why}: {at}");
                Error::new(ErrorKind::Insecure, text)
            }
            Err(errno) => Error::io("opening the folder of", path, errno),
        }
    }
}

/// The number of links that are followed on one way, as by the kernel.
const MOST_LINKS: usize = 40;

/// Opens the folder at a path. Each folder on the way must be ours or root's, and nobody else may
/// write to it. In a sticky folder such as `/tmp` others can write, but what is ours there is
/// protected. A link is followed if it is ours or root's.
pub(crate) fn walk(path: &Path, missing: Missing) -> Result<Directory, Stray> {
    let rest = path.strip_prefix("/");
    let start = start_at(if rest.is_ok() { "/" } else { "" })?;
    walk_from(start, rest.unwrap_or(path), missing)
}

/// Opens the folder at a path that is relative to one that was reached by a walk.
pub(crate) fn walk_from(
    start: Directory,
    path: &Path,
    missing: Missing,
) -> Result<Directory, Stray> {
    let mut walk = Walk {
        at: start,
        missing,
        links: 0,
    };
    walk.go(path)?;
    Ok(walk.at)
}

struct Walk {
    at: Directory,
    missing: Missing,
    /// The number of links that were followed.
    links: usize,
}

impl Walk {
    fn go(&mut self, path: &Path) -> Result<(), Stray> {
        for component in path.components() {
            match component {
                Component::RootDir => self.at = start_at("/")?,
                Component::CurDir | Component::Prefix(_) => {}
                Component::ParentDir => self.step(OsStr::new(".."))?,
                Component::Normal(name) => self.step(name)?,
            }
        }
        Ok(())
    }

    fn step(&mut self, name: &OsStr) -> Result<(), Stray> {
        let entered = match self.at.enter(name) {
            Err(Errno::NOENT) if self.missing == Missing::Create => {
                let created = self.at.create_folder(name);
                created.and_then(|()| self.at.enter(name))
            }
            entered => entered,
        };
        match entered {
            Ok(folder) => {
                self.at = checked(folder)?;
                Ok(())
            }
            // The kernels differ in what they say of a link.
            Err(errno @ (Errno::NOTDIR | Errno::LOOP | Errno::MLINK)) => self.follow(name, errno),
            Err(errno) => Err(failed(self.at.path().join(name), errno)),
        }
    }

    /// Follows what may be a link. Its owner is looked at before its target: a link of ours or of
    /// root's stays what it is, for nobody else can replace it.
    fn follow(&mut self, name: &OsStr, errno: Errno) -> Result<(), Stray> {
        let path = self.at.path().join(name);
        let link = match self.at.stat_of(name) {
            Ok(Some(stat)) if is_link(&stat) => stat,
            Ok(_) => return Err(failed(path, errno)),
            Err(errno) => return Err(failed(path, errno)),
        };
        if !is_ours(&link) && link.st_uid != 0 {
            return Err(stray(path, Why::OthersLink));
        }
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(failed(path, Errno::LOOP));
        }
        match self.at.read_link(name) {
            Ok(target) => self.go(&target),
            Err(errno) => Err(failed(path, errno)),
        }
    }
}

/// Opens the root, or for an empty path the folder of this process.
fn start_at(path: &str) -> Result<Directory, Stray> {
    let path = Path::new(path);
    checked(Directory::open(path).map_err(|errno| failed(path.to_owned(), errno))?)
}

fn checked(folder: Directory) -> Result<Directory, Stray> {
    let at = || folder.path().to_owned();
    match folder.stat() {
        Ok(stat) if others_can_change(&stat) => Err(stray(at(), Why::OthersCanWrite)),
        Ok(_) => Ok(folder),
        Err(errno) => Err(failed(at(), errno)),
    }
}

fn stray(at: PathBuf, why: Why) -> Stray {
    Stray { at, why }
}

fn failed(at: PathBuf, errno: Errno) -> Stray {
    stray(at, Why::Failed(errno))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::fs::unix::directory::is_same_file;

    /// A folder with the folder `a/b` and with links.
    fn place() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("a/b")).unwrap();
        for (target, link) in [
            ("a", "to a"),
            ("to a/b", "to b by a link"),
            ("../a/b", "a/round"),
            ("loop", "loop"),
            ("missing", "dangling"),
        ] {
            symlink(target, place.path().join(link)).unwrap();
        }
        symlink(place.path().join("a"), place.path().join("absolute")).unwrap();
        place
    }

    fn is_led_to(path: &Path, folder: &Path) -> bool {
        let [led, there] = [walk(path, Missing::Fail), walk(folder, Missing::Fail)]
            .map(|walked| walked.unwrap().stat().unwrap());
        is_same_file(&led, &there)
    }

    #[test]
    fn a_way_leads_where_the_system_goes() {
        let place = place();
        let at = |name: &str| place.path().join(name);
        for way in [
            "a/b",
            "a/./b/",
            "to a/b",
            "absolute/b",
            "to b by a link",
            "a/round",
            "a/b/../b",
            "to a/../a/b",
        ] {
            assert!(is_led_to(&at(way), &at("a/b")), "{way}");
        }
        assert!(is_led_to(Path::new("src/../src/."), Path::new("src")));
        assert!(is_led_to(Path::new(""), Path::new(".")));
    }

    #[test]
    fn a_way_that_leads_nowhere_is_told_and_no_part_of_it_is_created() {
        let place = place();
        let at = |name: &str| place.path().join(name);
        fs::copy("Cargo.toml", at("file")).unwrap();
        for (way, errno) in [
            ("missing", Errno::NOENT),
            ("a/missing/b", Errno::NOENT),
            ("dangling/b", Errno::NOENT),
            ("file", Errno::NOTDIR),
            ("file/a", Errno::NOTDIR),
            ("loop/a", Errno::LOOP),
        ] {
            let why = walk(&at(way), Missing::Fail).unwrap_err().why;
            assert_eq!(why, Why::Failed(errno), "{way}");
        }
        assert!(!at("missing").exists() && !at("a/missing").exists());
        walk(&at("a/missing/b"), Missing::Create).unwrap();
        assert!(at("a/missing/b").is_dir());
    }
}
