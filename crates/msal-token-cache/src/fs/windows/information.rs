//! The information of an open file.

use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::windows::io::AsRawHandle;
use std::ptr::from_mut;
use std::time::{Duration, UNIX_EPOCH};

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_READONLY,
    FILE_ATTRIBUTE_REPARSE_POINT, FILE_BASIC_INFO, FILE_TYPE_DISK, FileBasicInfo,
    GetFileInformationByHandle, GetFileInformationByHandleEx, GetFileType,
};

use token_credential::{Clock, SystemClock};

/// A file's identity, size and times.
///
/// Asked of an open file: what a folder's listing says of its files may be old on NTFS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileInformation {
    volume: u32,
    /// Unique on its volume while the file is there; on `ReFS` the lower half of its id.
    pub(crate) index: u64,
    pub(crate) length: u64,
    /// The time of the last change of the content, in units of 100 ns since 1601.
    pub(crate) written: i64,
    /// The time of the last change of content or attributes.
    pub(crate) changed: i64,
    attributes: u32,
}

/// The kind of file at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    /// A link, or another file that a driver makes something else of.
    ReparsePoint,
}

impl FileInformation {
    /// # Errors
    ///
    /// The system does not say, or this is no file of a disk but a device or a pipe.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        if !is_on_disk(file) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let by_handle = by_handle(file)?;
        let high_and_low = |high, low| (u64::from(high) << 32) | u64::from(low);
        Ok(Self {
            volume: by_handle.dwVolumeSerialNumber,
            index: high_and_low(by_handle.nFileIndexHigh, by_handle.nFileIndexLow),
            length: high_and_low(by_handle.nFileSizeHigh, by_handle.nFileSizeLow),
            written: time(by_handle.ftLastWriteTime),
            changed: basic(file)?.ChangeTime,
            attributes: by_handle.dwFileAttributes,
        })
    }

    /// Returns the time of the last change that a file changed now gets, or a time one tick later.
    pub(crate) fn now() -> i64 {
        let since = SystemClock.now().duration_since(UNIX_EPOCH);
        let units = since.unwrap_or_default().as_nanos() / 100;
        OF_1970.saturating_add(i64::try_from(units).unwrap_or(i64::MAX))
    }

    pub(crate) fn kind(&self) -> Kind {
        if self.attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
            Kind::ReparsePoint
        } else if self.attributes & FILE_ATTRIBUTE_DIRECTORY != 0 {
            Kind::Folder
        } else {
            Kind::File
        }
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.attributes & FILE_ATTRIBUTE_READONLY != 0
    }

    /// Returns `true` if both are of one file.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        (self.volume, self.index) == (other.volume, other.index)
    }

    /// Returns the time of the last change of the content, since 1970.
    pub(crate) fn written_since_1970(&self) -> Duration {
        since_1970(self.written)
    }
}

/// The beginning of 1970 in units of 100 ns since 1601.
const OF_1970: i64 = 116_444_736_000_000_000;

/// Converts a time in units of 100 ns since 1601.
fn since_1970(time: i64) -> Duration {
    let units = u64::try_from(time.saturating_sub(OF_1970)).unwrap_or(0);
    let rest = Duration::from_nanos(units % 10_000_000 * 100);
    Duration::from_secs(units / 10_000_000).saturating_add(rest)
}

fn time(time: FILETIME) -> i64 {
    (i64::from(time.dwHighDateTime) << 32) | i64::from(time.dwLowDateTime)
}

#[expect(unsafe_code, reason = "std has no name for the type of a handle")]
fn is_on_disk(file: &File) -> bool {
    // SAFETY: the handle is open for as long as `file` is.
    let kind = unsafe { GetFileType(file.as_raw_handle()) };
    kind == FILE_TYPE_DISK
}

#[expect(unsafe_code, reason = "std does not show a file's id in stable Rust")]
fn by_handle(file: &File) -> io::Result<BY_HANDLE_FILE_INFORMATION> {
    let mut information = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open for as long as `file` is, and the system writes into a structure
    // of the type that it expects.
    let done = unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut information) };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(information)
}

#[expect(
    unsafe_code,
    reason = "std does not show the time of the last change in stable Rust"
)]
fn basic(file: &File) -> io::Result<FILE_BASIC_INFO> {
    let mut information = FILE_BASIC_INFO::default();
    let size = u32::try_from(size_of::<FILE_BASIC_INFO>()).unwrap_or(0);
    // SAFETY: the handle is open for as long as `file` is, and the system writes at most `size`
    // bytes, into a structure of the type that belongs to this class.
    let done = unsafe {
        GetFileInformationByHandleEx(
            file.as_raw_handle(),
            FileBasicInfo,
            from_mut(&mut information).cast(),
            size,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(information)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_1970() {
        // 2001-09-09 01:46:40.
        assert_eq!(
            since_1970(126_444_736_000_000_001),
            Duration::new(1_000_000_000, 100)
        );
        assert_eq!(since_1970(0), Duration::ZERO);
    }

    #[test]
    fn a_file_is_itself_and_no_other() {
        let of = |file: &tempfile::NamedTempFile| FileInformation::of(file.as_file()).unwrap();
        let [one, other] = [(); 2].map(|()| tempfile::NamedTempFile::new().unwrap());
        assert!(of(&one).is_same_file(&of(&one)) && !of(&one).is_same_file(&of(&other)));
        assert_eq!(of(&one).kind(), Kind::File);
        one.as_file().set_len(7).unwrap();
        assert_eq!(of(&one).length, 7);
    }
}
