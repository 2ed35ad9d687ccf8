//! Replaces a file as a whole: a reader sees the old content or the new, also if this process is
//! killed.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door through which files are written"
)]

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::fs::temp_name;
use crate::fs::windows::information::FileInformation;
use crate::fs::windows::open::{create, is_in_use, open_for_touching};
use crate::time::backoff::Backoff;
use token_credential::{Clock, SystemClock};

/// The time for which replacing a file that another program has open is tried again. Peers read in
/// far less, and wait five seconds for the lock that is held meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);

/// Replaces the content of `path` and returns the new file's information. Returns `None` if
/// `is_current` returns `false` right before the file would be replaced.
///
/// The caller holds the lock, so temporaries that are found belong to writers that have died.
pub(crate) fn replace(
    path: &Path,
    content: &[u8],
    is_current: &dyn Fn() -> bool,
) -> Result<Option<FileInformation>> {
    let failed = |what| move |error: io::Error| Error::io(what, path, error);
    let (folder, name) = split(path).map_err(failed("writing"))?;
    sweep(folder, name);
    let temporary = Temporary(Some(folder.join(temp_name::name(name))));
    let file = temporary
        .write(content)
        .map_err(failed("writing a temporary beside"))?;
    if !is_current() {
        return Ok(None);
    }
    temporary.move_over(path)?;
    // Peers reload a file that is younger than their last load. So its time is set to that of the
    // replacement; without it they see the change later.
    let _ = file.set_modified(SystemClock.now());
    FileInformation::of(&file)
        .map(Some)
        .map_err(failed("looking at"))
}

fn split(path: &Path) -> io::Result<(&Path, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    match (path.parent(), name) {
        (Some(folder), Some(name)) => Ok((folder, name)),
        _ => Err(io::ErrorKind::InvalidFilename.into()),
    }
}

/// A file that is not in place yet; it is removed unless it is moved.
struct Temporary(Option<PathBuf>);

impl Temporary {
    /// Writes the file, and returns it open for its information and times. The handle stays that of
    /// the file when it is renamed, and hinders no other program.
    fn write(&self, content: &[u8]) -> io::Result<File> {
        let path = self.0.as_deref().ok_or(io::ErrorKind::NotFound)?;
        let mut file = create(path)?;
        file.write_all(content)?;
        file.sync_all()?;
        // While it is open for writing, programs that do not share that cannot read it.
        drop(file);
        open_for_touching(path)
    }

    /// Moves the file over `target` in one step for every reader. Where the file system can, that
    /// works also while the old file is open and shared for deleting.
    fn move_over(mut self, target: &Path) -> Result<()> {
        let Some(path) = &self.0 else {
            return Ok(());
        };
        let mut backoff = Backoff::new(
            PATIENCE,
            Duration::from_millis(1),
            Duration::from_millis(50),
        );
        loop {
            let error = match std::fs::rename(path, target) {
                Ok(()) => {
                    self.0 = None;
                    return Ok(());
                }
                Err(error) => error,
            };
            // Another program has the file open and does not share it for deleting. The error is
            // one of two; the second one may also mean that it is forbidden.
            let may_pass = is_in_use(&error) || error.kind() == io::ErrorKind::PermissionDenied;
            if !may_pass {
                return Err(Error::io("replacing", target, error));
            }
            if !backoff.wait() {
                return Err(in_use(target, error));
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn in_use(path: &Path, error: io::Error) -> Error {
    let text = format!(
        "{} could not be replaced within {PATIENCE:?} ({error}): another program has it open and does not \
         share it, or its permissions forbid it; nothing was written",
        path.display()
    );
    Error::new(ErrorKind::Locked, text).with_source(error)
}

/// Removes the temporaries of writers that died before they moved them.
fn sweep(folder: &Path, base: &str) {
    // A path without a folder is in the current one.
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    // Behind an error there may be nothing but errors, for ever.
    for entry in entries.map_while(io::Result::ok) {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let name = entry.file_name();
        if is_file
            && name
                .to_str()
                .is_some_and(|name| temp_name::is_of(base, name))
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
