//! Windows' data protection, which encrypts for a user: every program of that user can decrypt.
//! <https://learn.microsoft.com/windows/win32/api/dpapi/>

use std::io;
use std::ptr::{null, null_mut};
use std::slice;

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Cryptography::{
    CRYPT_INTEGER_BLOB, CRYPTPROTECT_UI_FORBIDDEN, CryptProtectData, CryptUnprotectData,
};
use windows_sys::core::{PCWSTR, w};
use zeroize::{Zeroize, Zeroizing};

/// The description that Python's `msal_extensions` gives its blobs. It is no secret and has no
/// effect.
const DESCRIPTION: PCWSTR = w!("python_data");

/// Encrypts for the current user.
pub(super) fn protect(clear: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    convert(clear, Direction::Protect)
}

/// Decrypts a blob that was encrypted for the current user.
pub(super) fn unprotect(blob: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    convert(blob, Direction::Unprotect)
}

#[derive(Clone, Copy)]
enum Direction {
    Protect,
    Unprotect,
}

#[expect(unsafe_code, reason = "nothing safe leads to the data protection")]
fn convert(bytes: &[u8], direction: Direction) -> io::Result<Zeroizing<Vec<u8>>> {
    let input = CRYPT_INTEGER_BLOB {
        cbData: u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?,
        pbData: bytes.as_ptr().cast_mut(),
    };
    let mut output = Output(CRYPT_INTEGER_BLOB::default());
    let out = &raw mut output.0;
    // SAFETY: the input is only read, and it and the description live until the call returns. The
    // output is a structure of the type that it expects, which it fills. What is left out may be
    // null: entropy, prompt, and the description of what is decrypted.
    let done = unsafe {
        match direction {
            Direction::Protect => CryptProtectData(
                &raw const input,
                DESCRIPTION,
                null(),
                null(),
                null(),
                CRYPTPROTECT_UI_FORBIDDEN,
                out,
            ),
            Direction::Unprotect => CryptUnprotectData(
                &raw const input,
                null_mut(),
                null(),
                null(),
                null(),
                CRYPTPROTECT_UI_FORBIDDEN,
                out,
            ),
        }
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Zeroizing::new(output.bytes().to_vec()))
}

/// Memory of the system's that we have to free.
struct Output(CRYPT_INTEGER_BLOB);

impl Output {
    #[expect(
        unsafe_code,
        reason = "the system's memory comes as an address and a length"
    )]
    fn bytes(&mut self) -> &mut [u8] {
        let length = usize::try_from(self.0.cbData).unwrap_or(0);
        if self.0.pbData.is_null() || length == 0 {
            return &mut [];
        }
        // SAFETY: a call that succeeded has left the address of so many bytes, which are ours alone
        // until they are freed; the slice does not outlive the borrow.
        unsafe { slice::from_raw_parts_mut(self.0.pbData, length) }
    }
}

impl Drop for Output {
    #[expect(unsafe_code, reason = "the system's memory is given back to it")]
    fn drop(&mut self) {
        if self.0.pbData.is_null() {
            return;
        }
        self.bytes().zeroize();
        // SAFETY: the call that left this address says to free it so; nobody uses it from here on.
        unsafe { LocalFree(self.0.pbData.cast()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_protected_comes_back_and_nothing_else_does() {
        for clear in [&b"{}"[..], &[0; 10_000]] {
            let blob = protect(clear).unwrap();
            assert_ne!(blob.as_slice(), clear);
            assert_eq!(unprotect(&blob).unwrap().as_slice(), clear);
            assert!(unprotect(&blob[..blob.len() / 2]).is_err());
        }
        for other in [&b""[..], b"{}", &[0; 100]] {
            assert!(unprotect(other).is_err(), "{other:?}");
        }
    }
}
