//! A file is read as long as it is said to be, and not at all if that is beyond a limit.

use std::fs::File;
use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};

/// Reads an open file that is said to be so long. Its end is not looked for, because a look at the
/// file afterwards tells whether its length has changed.
pub(crate) fn read(file: &File, length: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    // What says that it is empty may lie: files of the kernel do.
    let most = length.max(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(most).unwrap_or(0)));
    fill(file, most, &mut bytes)?;
    Ok(bytes)
}

/// Mostly one system call, which `read_to_end` is not: it begins with 8 KiB and doubles that.
#[cfg(unix)]
fn fill(file: &File, most: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    while (bytes.len() as u64) < most {
        match rustix::io::read(file, rustix::buffer::spare_capacity(bytes)) {
            Ok(0) => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

#[cfg(windows)]
fn fill(file: &File, most: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    use io::Read;

    file.take(most).read_to_end(bytes).map(drop)
}

/// An error if a file that is said to be so long is not to be read.
pub(crate) fn check_length(length: u64, max_bytes: u64, path: &Path) -> Result<()> {
    if length <= max_bytes {
        return Ok(());
    }
    let text = format!(
        "{} is larger than {max_bytes} bytes; it was not read (FilePersistence::with_max_bytes sets the limit)",
        path.display()
    );
    Err(Error::new(ErrorKind::TooLarge, text))
}

/// What was read may be of two contents.
pub(crate) fn changing(location: &str) -> Error {
    let text = format!("{location} changed while it was read: try again");
    Error::new(ErrorKind::Corrupt, text)
}
