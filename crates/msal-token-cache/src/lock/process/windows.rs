use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{ERROR_INVALID_PARAMETER, WAIT_OBJECT_0};
use windows_sys::Win32::System::Threading::{
    OpenProcess, PROCESS_SYNCHRONIZE, WaitForSingleObject,
};

use super::PidScope;

/// Returns `None`: a program of the Linux subsystem, which has other ids, may use the same file.
pub(crate) fn pid_scope() -> Option<PidScope> {
    None
}

/// Returns `true` if a process of this id runs.
pub(crate) fn is_running(pid: u32) -> bool {
    match open(pid) {
        Ok(process) => !has_ended(&process),
        // A process that may not be opened runs.
        Err(error) => error.raw_os_error() != i32::try_from(ERROR_INVALID_PARAMETER).ok(),
    }
}

#[expect(unsafe_code, reason = "std opens no process but its children")]
fn open(pid: u32) -> io::Result<OwnedHandle> {
    // SAFETY: no pointers are involved.
    let handle = unsafe { OpenProcess(PROCESS_SYNCHRONIZE, 0, pid) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was opened just now, and nobody else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Returns `true` if the process has ended, after which it can be opened as long as a handle to it
/// is open.
#[expect(unsafe_code, reason = "std waits for no process but its children")]
fn has_ended(process: &OwnedHandle) -> bool {
    // SAFETY: the handle is open for as long as `process` is.
    let answer = unsafe { WaitForSingleObject(process.as_raw_handle(), 0) };
    answer == WAIT_OBJECT_0
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_runs_until_it_has_ended() {
        assert!(is_running(std::process::id()));
        // It lists its tests and ends, but not before its output is read.
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program)
            .arg("--list")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child.wait().unwrap();
        // Our handle keeps its id from being given to another one.
        assert!(!is_running(child.id()));
        // Ids are multiples of four.
        assert!(!is_running(0x7FFF_FFFF));
    }
}
