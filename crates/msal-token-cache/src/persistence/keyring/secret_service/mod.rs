//! The Secret Service of freedesktop.org, which gnome-keyring, `KWallet` and `KeePassXC` implement.

mod failure;
mod service_item;
mod session;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use self::service_item::ServiceItem;
use super::{KeyringPersistence, delegate_persistence};
use crate::error::Result;
use crate::fs::stamp::Stamp;
use crate::persistence::{Loaded, Persistence, StoreLock};

/// A cache that the [Secret Service] of a Linux desktop keeps encrypted, as the SDKs for Python do.
///
/// The cache is the item with the schema (attribute `xdg:schema`) of the cache's name and the
/// attribute `MsalClientID`, wherever among the keyrings it is; of several that match it is the one
/// that libsecret would read, and the others are left alone. A new item is made in the default
/// keyring. The file at the given path stays empty: it is touched after each save, and its stamp
/// tells when to ask the service again. So an unchanged cache costs no D-Bus call. The lock is
/// `<path>.lockfile`, as for [`FilePersistence`](crate::FilePersistence).
///
/// ```no_run
/// use msal_token_cache::{SecretServicePersistence, TokenCache, default_path};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = default_path("msal.cache.nocae").ok_or("no home folder")?;
/// let cache = TokenCache::new(SecretServicePersistence::new(path));
/// println!("{} accounts", cache.snapshot()?.accounts().count());
/// # Ok(())
/// # }
/// ```
///
/// # What it does to the desktop
///
/// It never has a keyring unlocked and never asks the user, unless
/// [`with_unlock_prompt`](Self::with_unlock_prompt) says so, and it stores nothing to try the
/// service out. Each load and each save has a connection, an encrypted session and a thread of its
/// own. It takes 3 s at most, while the calling thread waits. After a timeout the service is left
/// alone for a second, in which callers get the same error at once.
///
/// # Limitations
///
/// - A program that changes the item and does not touch the file is seen only at the next change
///   of the file.
/// - What passes through the D-Bus library stays in this process's memory until that is used for
///   something else; it is encrypted there for all but a moment.
/// - A service that needs seconds for each answer can make a writer hold the lock for 4.5 s.
///
/// [Secret Service]: https://specifications.freedesktop.org/secret-service-spec/latest/
pub struct SecretServicePersistence(KeyringPersistence<ServiceItem>);

impl SecretServicePersistence {
    /// Creates the store of the cache whose signal file is at this path; the file's name is the
    /// cache's. Nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let item = ServiceItem::new(&name);
        Self(KeyringPersistence::new(item, path))
    }

    /// Allows to ask the user to unlock a locked keyring, and sets how long to wait for the answer.
    /// By default the user is not asked.
    ///
    /// If the desktop cannot ask, as in a session over SSH, the user counts as having declined.
    pub fn with_unlock_prompt(self, patience: Duration) -> Self {
        Self(self.0.with_item(|item| item.with_unlock_prompt(patience)))
    }

    /// Sets whether the file itself is used, in plain text, if there is no Secret Service or no
    /// such item in it. Off by default.
    ///
    /// Both are looked for whenever the file has changed. After an item was read, the file is not
    /// read any more; an empty file is never written to in plain text.
    pub fn with_plain_text(self, allow: bool) -> Self {
        Self(self.0.with_plain_text(allow))
    }

    /// Sets how long a writer waits for another one; 12 s by default.
    pub fn with_lock_timeout(self, lock_timeout: Duration) -> Self {
        Self(self.0.with_lock_timeout(lock_timeout))
    }

    /// Sets the address of the bus that the service is on. The default is that of the user's
    /// session, from the variable `DBUS_SESSION_BUS_ADDRESS`.
    pub fn with_bus_address(self, address: impl Into<String>) -> Self {
        Self(
            self.0
                .with_item(|item| item.with_bus_address(address.into())),
        )
    }
}

delegate_persistence!(SecretServicePersistence);

impl fmt::Debug for SecretServicePersistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretServicePersistence")
            .field(&self.0)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, TokenCache};

    const NO_BUS: &str = "unix:path=/nonexistent/bus";

    /// The rest needs a keyring: it is in a suite of its own.
    #[test]
    fn without_a_bus_there_is_no_such_store_and_plain_text_may_serve() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine");
        for address in [NO_BUS, "tcp:host=", "no address"] {
            let store = SecretServicePersistence::new(&path).with_bus_address(address);
            let error = store.load().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            let text = "mine in the Secret Service cannot be read: no D-Bus session answers; run \
                        this in the user's session, where DBUS_SESSION_BUS_ADDRESS is set";
            assert_eq!(error.to_string(), text);

            let cache = TokenCache::new(store.with_plain_text(true));
            assert_eq!(cache.snapshot().unwrap().accounts().count(), 0);
            assert_eq!(cache.location(), path.display().to_string());
            let why = "in plain text, because no D-Bus session answers";
            assert_eq!(cache.note().as_deref(), Some(why));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn it_may_be_called_on_an_executor() {
        let folder = tempfile::tempdir().unwrap();
        let store = SecretServicePersistence::new(folder.path().join("mine"));
        let store = store.with_bus_address(NO_BUS);
        assert_eq!(store.load().unwrap_err().kind(), ErrorKind::Unavailable);
        let error = TokenCache::new(store).modify(|_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
