//! The process's limit on the size of its files. The system ends a process that writes beyond it,
//! unless that ignores the signal SIGXFSZ, which is for the program to decide.

use std::path::Path;

use rustix::process::{Resource, getrlimit};

use crate::error::{Error, ErrorKind, Result};

/// Returns an error if a file at this path must not become so long.
pub(crate) fn check(path: &Path, length: usize) -> Result<()> {
    let limit = getrlimit(Resource::Fsize).current;
    let Some(limit) = limit.filter(|limit| *limit < length as u64) else {
        return Ok(());
    };
    let text = format!(
        "{} is not written, because this process may write no more than {limit} bytes to a file \
         (RLIMIT_FSIZE, `ulimit -f`)",
        path.display()
    );
    let error = std::io::Error::from(rustix::io::Errno::FBIG);
    Err(Error::new(ErrorKind::Io, text).with_source(error))
}
