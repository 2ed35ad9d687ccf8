use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use security_framework::base::Error as KeychainError;
use security_framework::passwords::{PasswordOptions, generic_password, set_generic_password};
use zeroize::Zeroizing;

use super::item::{Item, LoadOutcome};
use super::{KeyringPersistence, delegate_persistence};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::stamp::Stamp;
use crate::persistence::{Loaded, Persistence, StoreLock};

/// A cache that the Keychain of macOS keeps encrypted, as the SDKs for Python do.
///
/// The cache is the generic password of the service `Microsoft.Developer.IdentityService` whose
/// account is `MSALCache` for `msal.cache.nocae`, else the name of the cache. The file at the given
/// path stays empty: it is touched after each save, and its stamp says when to ask the Keychain
/// again. The lock is `<path>.lockfile`, as for [`FilePersistence`](crate::FilePersistence).
///
/// ```no_run
/// use msal_token_cache::{KeychainPersistence, TokenCache, default_path};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = default_path("msal.cache.nocae").ok_or("no home folder")?;
/// let cache = TokenCache::new(KeychainPersistence::new(path));
/// println!("{} accounts", cache.snapshot()?.accounts().count());
/// # Ok(())
/// # }
/// ```
///
/// # Limitations
///
/// - Compiled and linted for macOS, but not run there yet.
/// - The item belongs to the program that made it. When another one reads it for the first time,
///   macOS asks the user, and the calling thread waits for the answer; without a desktop, over SSH
///   for example, it is an error of the kind [`KeyringLocked`](ErrorKind::KeyringLocked).
/// - A program that changes the item and does not touch the file is seen only at the next change of
///   the file.
///
/// The calls are documented in [Keychain services].
///
/// [Keychain services]: https://developer.apple.com/documentation/security/keychain-services
pub struct KeychainPersistence(KeyringPersistence<KeychainItem>);

impl KeychainPersistence {
    /// Creates the store of the cache whose signal file is at this path; the file's name is the
    /// cache's. Nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let account = match path.file_name().unwrap_or_default().to_string_lossy() {
            name if name == DEFAULT_CACHE => DEFAULT_ACCOUNT.to_owned(),
            name => name.into_owned(),
        };
        Self(KeyringPersistence::new(KeychainItem { account }, path))
    }

    /// Sets how long a writer waits for another one; 12 s by default.
    pub fn with_lock_timeout(self, lock_timeout: Duration) -> Self {
        Self(self.0.with_lock_timeout(lock_timeout))
    }
}

delegate_persistence!(KeychainPersistence);

impl fmt::Debug for KeychainPersistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeychainPersistence").field(&self.0).finish()
    }
}

const SERVICE: &str = "Microsoft.Developer.IdentityService";
const DEFAULT_CACHE: &str = "msal.cache.nocae";
const DEFAULT_ACCOUNT: &str = "MSALCache";
const NO_KEYCHAIN: &str = "this user has no keychain";

/// The generic password of one cache.
#[derive(Debug)]
struct KeychainItem {
    account: String,
}

impl KeychainItem {
    fn error(&self, what: &str, error: KeychainError) -> Error {
        let (kind, why, next) = match error.code() {
            INTERACTION_NOT_ALLOWED => (
                ErrorKind::KeyringLocked,
                "macOS would have to ask the user, and cannot here".to_owned(),
                "run this on the desktop, or unlock the keychain with `security unlock-keychain`",
            ),
            USER_CANCELED | AUTH_FAILED => (
                ErrorKind::KeyringLocked,
                "the user did not allow it".to_owned(),
                "allow it when macOS asks",
            ),
            NOT_AVAILABLE | NO_SUCH_KEYCHAIN | NO_DEFAULT_KEYCHAIN => (
                ErrorKind::Unavailable,
                NO_KEYCHAIN.to_owned(),
                "make one with Keychain Access",
            ),
            code => (
                ErrorKind::Io,
                format!("the Keychain answered {code}"),
                "see what `security error` says to that number",
            ),
        };
        let location = self.location();
        let text = format!("{location} cannot be {what}: {why}; {next}");
        Error::new(kind, text).with_source(error)
    }
}

// The result codes of SecBase.h that have no name in security-framework-sys.
const USER_CANCELED: i32 = -128;
const NOT_AVAILABLE: i32 = -25291;
const AUTH_FAILED: i32 = -25293;
const NO_SUCH_KEYCHAIN: i32 = -25294;
const ITEM_NOT_FOUND: i32 = -25300;
const NO_DEFAULT_KEYCHAIN: i32 = -25307;
const INTERACTION_NOT_ALLOWED: i32 = -25308;

impl Item for KeychainItem {
    fn location(&self) -> String {
        format!("{} in the Keychain", self.account)
    }

    fn load(&self) -> Result<LoadOutcome> {
        let wanted = PasswordOptions::new_generic_password(SERVICE, &self.account);
        match generic_password(wanted) {
            Ok(content) => Ok(LoadOutcome::Content(Zeroizing::new(content))),
            Err(error) if error.code() == ITEM_NOT_FOUND => Ok(LoadOutcome::NoItem),
            Err(error) => match self.error("read", error) {
                error if error.kind() == ErrorKind::Unavailable => {
                    Ok(LoadOutcome::NoStore(NO_KEYCHAIN.to_owned(), error))
                }
                error => Err(error),
            },
        }
    }

    fn save_if(&self, content: &[u8], is_current: &dyn Fn() -> bool) -> Result<bool> {
        if !is_current() {
            return Ok(false);
        }
        set_generic_password(SERVICE, &self.account, content)
            .map_err(|error| self.error("written", error))?;
        Ok(true)
    }
}
