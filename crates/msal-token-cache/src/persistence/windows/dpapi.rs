use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use windows_sys::Win32::Foundation::{ERROR_INVALID_DATA, ERROR_INVALID_PARAMETER};

use super::FilePersistence;
use super::data_protection::{protect, unprotect};
use crate::format::not_encrypted_by_windows;
use crate::persistence::{Loaded, Persistence, Stamp, StoreLock};
use crate::{Error, ErrorKind, Result};

/// A cache in a file that Windows encrypts for the current user (DPAPI), as every other MSAL keeps
/// it there.
///
/// The file is read, locked and replaced as [`FilePersistence`] does. Its whole content is one blob
/// of [`CryptProtectData`](https://learn.microsoft.com/windows/win32/api/dpapi/nf-dpapi-cryptprotectdata):
/// for the user, without entropy, and no dialogue is ever shown. Content that this user cannot
/// decrypt is never written over. With the feature `dpapi`, on Windows.
///
/// ```no_run
/// use msal_token_cache::{DpapiPersistence, TokenCache, default_path};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = default_path("msal.cache.nocae").ok_or("LOCALAPPDATA is not set")?;
/// let cache = TokenCache::new(DpapiPersistence::new(path));
/// println!("{} accounts", cache.snapshot()?.accounts().count());
/// # Ok(())
/// # }
/// ```
///
/// # Limitations
///
/// A program that runs as this user can decrypt it, too. So can a service or a remote session only
/// where the user's profile is loaded.
pub struct DpapiPersistence {
    file: FilePersistence,
    /// The stamp of content that is known to be ours: what was decrypted or written last.
    known: Mutex<Option<Stamp>>,
}

/// More than a blob is longer than its content: the header, the salts, the signature and the padding
/// take about 250 bytes.
const BLOB_OVERHEAD: u64 = 1024;

impl DpapiPersistence {
    /// A cache at this path; nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::in_file(FilePersistence::new(path))
    }

    /// A cache in this file, with its limits.
    pub fn in_file(file: FilePersistence) -> Self {
        Self {
            file,
            known: Mutex::default(),
        }
    }

    /// Where the file is, as given.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    fn learn(&self, stamp: Stamp) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(stamp);
    }

    /// An error if the file holds what is not ours to write over.
    fn check_replaceable(&self) -> Result<()> {
        let now = self.file.stamp()?;
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match now {
            None => Ok(()),
            Some(stamp) if now == known && !stamp.is_young() => Ok(()),
            Some(_) => self.load().map(drop),
        }
    }

    fn undecipherable(&self, content: &[u8], error: io::Error) -> Error {
        const NEXT: &str =
            "it is left as it is: sign in again with the tool that wrote it, or move it away";
        let place = self.location();
        let (kind, text) = if let Some(what) = not_encrypted_by_windows(content) {
            let text = format!(
                "{place} holds {what}, not one that Windows encrypted for this user (DPAPI); {NEXT}"
            );
            (ErrorKind::Foreign, text)
        } else if is_invalid(&error) {
            let text = format!(
                "{place} does not hold what Windows encrypts (DPAPI), or half of it ({error}); {NEXT}"
            );
            (ErrorKind::Corrupt, text)
        } else {
            let text = format!(
                "{place} cannot be decrypted ({error}): Windows encrypted it (DPAPI) for another \
                 user, on another machine, or before this user's password was reset; {NEXT}"
            );
            (ErrorKind::Foreign, text)
        };
        Error::new(kind, text).with_source(error)
    }
}

/// Whether the blob is at fault, and not who asks.
fn is_invalid(error: &io::Error) -> bool {
    let codes = [ERROR_INVALID_DATA, ERROR_INVALID_PARAMETER].map(u32::cast_signed);
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
}

impl Persistence for DpapiPersistence {
    fn location(&self) -> String {
        self.file.location()
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        self.file.stamp()
    }

    fn is_encrypted(&self) -> bool {
        true
    }

    fn tick(&self) -> Option<u64> {
        self.file.tick()
    }

    fn load(&self) -> Result<Option<Loaded>> {
        let Some(Loaded { bytes, stamp }) = self.file.load()? else {
            return Ok(None);
        };
        // An empty file is an empty cache, or one that a peer has just begun to write.
        let bytes = if bytes.is_empty() {
            bytes
        } else {
            unprotect(&bytes).map_err(|error| self.undecipherable(&bytes, error))?
        };
        self.learn(stamp);
        Ok(Some(Loaded { bytes, stamp }))
    }

    fn max_bytes(&self) -> Option<u64> {
        let of_blob = self.file.max_bytes()?;
        Some(of_blob.saturating_sub(BLOB_OVERHEAD))
    }

    fn lock(&self) -> Result<Box<dyn StoreLock>> {
        self.file.lock()
    }

    fn lease_folder(&self) -> Option<PathBuf> {
        self.file.lease_folder()
    }

    fn save(&self, content: &[u8]) -> Result<Stamp> {
        let saved = self.save_if(content, &|| true)?;
        saved.ok_or_else(|| Error::io("writing", self.path(), io::ErrorKind::Other))
    }

    fn save_if(&self, content: &[u8], is_current: &dyn Fn() -> bool) -> Result<Option<Stamp>> {
        self.check_replaceable()?;
        let blob = protect(content).map_err(|error| {
            let text = format!(
                "the content of {} cannot be encrypted ({error}): is this user's profile loaded?",
                self.location()
            );
            Error::new(ErrorKind::Io, text).with_source(error)
        })?;
        let saved = self.file.save_if(&blob, is_current)?;
        if let Some(stamp) = saved {
            self.learn(stamp);
        }
        Ok(saved)
    }
}

impl fmt::Debug for DpapiPersistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpapiPersistence")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
