//! Replacing a file as a whole: a reader sees the old content or the new, whenever we die.
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

/// For how long a file that somebody has open is tried to be replaced. Peers read in far less, and
/// wait five seconds for the lock that we hold meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);

/// Replaces the content of `path` and returns the new file's information; `None` if, when all but
/// the replacing is done, what it would replace is not current any more.
///
/// The caller holds the lock: temporaries that are found belong to writers that have died.
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
    // Peers reload when the file is younger than their last look at it, so its time is that of the
    // replacement, not that of the writing. Without it they see it later.
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

/// A file that is not in place yet; it goes away unless it is moved.
struct Temporary(Option<PathBuf>);

impl Temporary {
    /// Writes it, and returns it open for asking and touching: an open file goes where its name
    /// goes, and open for that it is in nobody's way.
    fn write(&self, content: &[u8]) -> io::Result<File> {
        let path = self.0.as_deref().ok_or(io::ErrorKind::NotFound)?;
        let mut file = create(path)?;
        file.write_all(content)?;
        file.sync_all()?;
        // While it is open for writing, whoever does not share that could not read it.
        drop(file);
        open_for_touching(path)
    }

    /// Puts it in place of `target`, at once for whoever looks: where the file system can, also
    /// while the old file is open, if it was opened by somebody who shares that.
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
            // Somebody has the file open and does not share that it goes. Which of the two errors
            // it is differs; the other one also says that it is forbidden.
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

/// Removes what writers left that died between creating their temporary and moving it.
fn sweep(folder: &Path, base: &str) {
    // The folder of a path without one is where we are.
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
