//! A file is read as long as it is said to be, and never beyond a limit.

use std::fs::File;
use std::io;

use zeroize::Zeroizing;

use crate::{Error, ErrorKind};

/// Reads an open file that is said to be so long. Its end is not looked for, because a look at the
/// file afterwards tells whether its length has changed.
pub(super) fn read(file: &File, length: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0)));
    fill(&mut bytes, file, length)?;
    Ok(bytes)
}

/// Mostly one system call, which `read_to_end` is not: it begins with 8 KiB and doubles that.
#[cfg(unix)]
fn fill(bytes: &mut Vec<u8>, file: &File, length: u64) -> io::Result<()> {
    while (bytes.len() as u64) < length {
        match rustix::io::read(file, rustix::buffer::spare_capacity(bytes)) {
            Ok(0) => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

#[cfg(windows)]
fn fill(bytes: &mut Vec<u8>, file: &File, length: u64) -> io::Result<()> {
    io::Read::read_to_end(&mut io::Read::take(file, length), bytes).map(|_| ())
}

/// What is longer than the limit is not read at all.
pub(super) fn too_large(location: &str, max_bytes: u64) -> Error {
    let text = format!(
        "{location} is larger than {max_bytes} bytes; it was not read (FilePersistence::with_max_bytes sets the limit)"
    );
    Error::new(ErrorKind::TooLarge, text)
}

/// What was read may be of two contents.
pub(super) fn changing(location: &str) -> Error {
    let text = format!("{location} changed while it was read: try again");
    Error::new(ErrorKind::Corrupt, text)
}
