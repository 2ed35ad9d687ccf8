//! Reads files within a limit on their length.

use std::fs::File;
use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};

/// Reads as many bytes of an open file as its status says that it has. Its end is not looked for,
/// because its status afterwards tells whether its length has changed.
pub(crate) fn read(file: &File, length: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    // A length of zero may be wrong: files of the kernel have it.
    let most = length.max(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(most).unwrap_or(0)));
    fill(file, most, &mut bytes)?;
    Ok(bytes)
}

/// Reads mostly with one system call; `read_to_end` begins with 8 KiB and doubles that.
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

/// Returns an error if the length of a file is beyond the limit.
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

/// Returns the error for a file that changed while it was read: the bytes may be of two contents.
pub(crate) fn changing(location: &str) -> Error {
    let text = format!("{location} changed while it was read: try again");
    Error::new(ErrorKind::Corrupt, text)
}
