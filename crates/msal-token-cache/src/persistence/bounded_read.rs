//! A file is read as long as it is said to be, and never beyond a limit.

use std::fs::File;
use std::io;

use zeroize::Zeroizing;

use crate::{Error, ErrorKind};

/// Reads an open file that is said to be so long, or one byte more: a file that grew shows it, and
/// so does one that is said to be empty and is not, as those in `/proc`. The end is not looked for,
/// because a look at the file afterwards tells whether its length has changed.
pub(super) fn read(file: &File, length: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let most = length.saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(most).unwrap_or(0)));
    fill(&mut bytes, file, most)?;
    Ok(bytes)
}

/// Mostly one system call, which `read_to_end` is not: it begins with 8 KiB and doubles that.
#[cfg(unix)]
fn fill(bytes: &mut Vec<u8>, file: &File, most: u64) -> io::Result<()> {
    loop {
        match rustix::io::read(file, rustix::buffer::spare_capacity(bytes)) {
            Ok(0) => return Ok(()),
            // What is as long as it is said to be is not asked for more.
            Ok(_) if bytes.len() as u64 + 1 >= most => return Ok(()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(windows)]
fn fill(bytes: &mut Vec<u8>, file: &File, most: u64) -> io::Result<()> {
    io::Read::read_to_end(&mut io::Read::take(file, most), bytes).map(|_| ())
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
