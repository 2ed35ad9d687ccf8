//! The file that a symbolic link at the cache's path means.

use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::fs::unix::directory::{Directory, Entry, split};
use crate::fs::unix::owner::{is_link, is_ours};
use crate::fs::unix::walk::{Missing, Stray, walk, walk_from};

/// Returns the target of a symbolic link if link and target are ours and nobody else can put
/// another file there. A chain of links is not followed.
pub(crate) fn follow(path: &Path) -> Result<Entry> {
    let (_, target) = follow_from(path)?;
    Ok(target)
}

/// Returns the target, and the folder of the link.
pub(crate) fn follow_from(path: &Path) -> Result<(Arc<Directory>, Entry)> {
    let refuse = |why: &str| {
        let text = format!(
            "{} is a symbolic link that is not followed, because {why}; put the file itself there",
            path.display()
        );
        Error::new(ErrorKind::Insecure, text)
    };
    let not_found = || refuse("its target cannot be found");
    let astray = |stray: Stray| match stray.insecure() {
        Ok(why) => refuse(why),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => not_found(),
        Err(errno) => Error::io("following the link", path, errno),
    };
    let looking = |errno: Errno| Error::io("looking at", path, errno);

    let (folder, name) = split(path).ok_or_else(not_found)?;
    let folder = Arc::new(walk(folder, Missing::Fail).map_err(astray)?.called(folder));
    let link = match folder.stat_of(name).map_err(looking)? {
        Some(stat) if is_link(&stat) => stat,
        // It was one a moment ago.
        _ => return Ok((Arc::clone(&folder), Entry::new(folder, name))),
    };
    if !is_ours(&link) {
        return Err(refuse("it belongs to another user"));
    }
    let target = folder.read_link(name).map_err(looking)?;
    let (way, name) = split(&target).ok_or_else(not_found)?;
    let start = folder.reopen().map_err(looking)?;
    let target = walk_from(start, way, Missing::Fail).map_err(astray)?;
    let target = Entry::new(Arc::new(target), name);
    match target.stat().map_err(looking)? {
        None => Err(not_found()),
        Some(stat) if is_link(&stat) => Err(refuse("its target is a link too")),
        Some(stat) if !is_ours(&stat) => Err(refuse("its target belongs to another user")),
        Some(_) => Ok((folder, target)),
    }
}
