//! The system's tick count: it costs a few nanoseconds and no system call.
//!
//! It tells when to look at a file again, never whether a token has expired: that is for
//! `token_credential::Clock`.

use windows_sys::Win32::System::SystemInformation::GetTickCount64;

/// Returns the milliseconds since the machine was started, in ticks of 10 to 16 ms.
#[expect(
    unsafe_code,
    reason = "std's monotonic clock is the performance counter, which costs ten times as much"
)]
pub(crate) fn monotonic() -> u64 {
    // SAFETY: it has no parameters and cannot fail.
    unsafe { GetTickCount64() }
}
