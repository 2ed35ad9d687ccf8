//! Replaces a file as a whole: a reader sees the old content or the new, also if this process is
//! killed.

use std::io;

use rustix::fs::Stat;
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::fs::unix::directory::Entry;
use crate::fs::unix::replace_steps::ReplaceSteps;
use crate::fs::{size_limit, temp_name};

/// The way in which a file was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// By renaming a complete temporary over it.
    Renamed,
    /// In place, because the file cannot be replaced: a file mounted on its own, for example.
    InPlace,
}

/// Replaces the content of a file, which is not a link, and returns the new file's status. Returns
/// `None` if `is_current` returns `false` right before the file would be replaced.
///
/// The caller holds the lock, so temporaries that are found belong to writers that have died.
pub(crate) fn replace(
    file: &Entry,
    content: &[u8],
    is_current: &dyn Fn() -> bool,
) -> Result<Option<(Written, Stat)>> {
    let path = file.path();
    size_limit::check(&path, content.len())?;
    let name = file.name().to_str();
    let name = name.ok_or_else(|| Error::io("writing", &path, Errno::INVAL))?;
    replace_in(file.folder(), name, content, is_current)
        .map_err(|(what, error)| Error::io(what, &path, error))
}

/// Replaces the content of a file in an open folder. An error comes with the name of the step that
/// failed.
pub(super) fn replace_in(
    folder: &impl ReplaceSteps,
    name: &str,
    content: &[u8],
    is_current: &dyn Fn() -> bool,
) -> Result<Option<(Written, Stat)>, (&'static str, io::Error)> {
    sweep(folder, name);
    let mut temporary = Temporary::write(folder, name, content)
        .map_err(|error| ("writing a temporary beside", error))?;
    if !is_current() {
        return Ok(None);
    }
    match temporary.rename_over(name) {
        Ok(()) => {
            let file = &temporary.file;
            // Peers reload a file that is younger than their last load. So its time is set to that
            // of the replacement; without it they see the change later.
            folder.touch(file);
            let stat = folder.stat(file).map_err(|error| ("looking at", error))?;
            Ok(Some((Written::Renamed, stat)))
        }
        Err(Errno::BUSY | Errno::XDEV) => {
            drop(temporary);
            let stat =
                overwrite(folder, name, content).map_err(|error| ("writing in place to", error))?;
            Ok(Some((Written::InPlace, stat)))
        }
        Err(errno) => Err(("replacing", errno.into())),
    }
}

/// A file that is not in place yet; it is removed unless it is renamed.
struct Temporary<'a, F: ReplaceSteps> {
    folder: &'a F,
    file: F::File,
    /// `None` once it is renamed.
    name: Option<String>,
}

impl<'a, F: ReplaceSteps> Temporary<'a, F> {
    fn write(folder: &'a F, base: &str, content: &[u8]) -> io::Result<Self> {
        let name = temp_name::name(base);
        if let Some(file) = folder.create_unnamed()? {
            fill(folder, &file, content)?;
            // If it cannot be named, one that has a name may still be created.
            if folder.link(&file, &name).is_ok() {
                return Ok(Self {
                    folder,
                    file,
                    name: Some(name),
                });
            }
        }
        let temporary = Self {
            folder,
            file: folder.create(&name)?,
            name: Some(name),
        };
        fill(folder, &temporary.file, content)?;
        Ok(temporary)
    }

    fn rename_over(&mut self, target: &str) -> rustix::io::Result<()> {
        if let Some(name) = &self.name {
            self.folder.rename(name, target)?;
        }
        self.name = None;
        Ok(())
    }
}

fn fill<F: ReplaceSteps>(folder: &F, file: &F::File, content: &[u8]) -> io::Result<()> {
    // The mode at creation went through the umask.
    folder.make_private(file)?;
    folder.write(file, content)?;
    folder.sync(file)
}

impl<F: ReplaceSteps> Drop for Temporary<'_, F> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            self.folder.remove(name);
        }
    }
}

/// Removes the temporaries of writers that died before they renamed them.
fn sweep(folder: &impl ReplaceSteps, base: &str) {
    for name in folder.files_like(|name| temp_name::is_of(base, name)) {
        folder.remove(&name);
    }
}

/// Writes over the file itself. The room is reserved first, so that a full disk leaves the old
/// content untouched. A kill or an I/O error in the middle may tear the content.
fn overwrite(folder: &impl ReplaceSteps, name: &str, content: &[u8]) -> io::Result<Stat> {
    let file = folder.open(name)?;
    // Programs that could read the old content must not read the new one.
    folder.make_private(&file)?;
    folder.reserve(&file, content.len())?;
    folder.write(&file, content)?;
    folder.truncate(&file, content.len())?;
    folder.sync(&file)?;
    folder.stat(&file)
}
