//! Removes a file through its handle, because its name may lead to another file.

use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::windows::io::AsRawHandle;

use windows_sys::Win32::Storage::FileSystem::{
    FILE_DISPOSITION_INFO, FileDispositionInfo, SetFileInformationByHandle,
};

/// Has the system remove the file when its last handle is closed. This one must have been opened
/// with the right to delete.
#[expect(unsafe_code, reason = "std removes files by name only")]
pub(crate) fn delete_when_closed(file: &File) -> io::Result<()> {
    let delete = FILE_DISPOSITION_INFO { DeleteFile: true };
    let size = u32::try_from(size_of::<FILE_DISPOSITION_INFO>()).unwrap_or(0);
    // SAFETY: the handle is open for as long as `file` is, and the system reads `size` bytes of a
    // structure of the type that belongs to this class.
    let done = unsafe {
        SetFileInformationByHandle(
            file.as_raw_handle(),
            FileDispositionInfo,
            (&raw const delete).cast(),
            size,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
