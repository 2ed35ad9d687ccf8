//! Where the bytes of a cache are kept.

#[cfg(all(windows, feature = "dpapi"))]
pub(crate) mod dpapi;
#[cfg(any(unix, windows))]
pub(crate) mod file;
#[cfg(any(
    all(target_os = "linux", feature = "secret-service"),
    all(target_os = "macos", feature = "keychain")
))]
pub(crate) mod keyring;
pub(crate) mod memory;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::Result;
use crate::fs::stamp::Stamp;

/// A store for the bytes of one cache.
///
/// Object-safe and open: a program may keep its cache where it likes. Every function may block. If
/// one panics, [`TokenCache`](crate::TokenCache) returns an error of the kind
/// [`Io`](crate::ErrorKind::Io), or goes on as with the default where there can be no error.
pub trait Persistence: fmt::Debug + Send + Sync {
    /// Where the store is, for messages: a path, or a name that the user can find it by.
    fn location(&self) -> String;

    /// What tells whether the content has changed; `None` where there is no content. Two contents
    /// never have the same stamp. Writers go by it, and whoever asks for the
    /// [`latest`](crate::TokenCache::latest) content.
    ///
    /// # Errors
    ///
    /// The store could not be found out about.
    fn stamp(&self) -> Result<Option<Stamp>>;

    /// The same for readers, who can do with less: a change of the content shows at once, that the
    /// store as a whole was put elsewhere may show a second later. Called in place by those who
    /// want a token, once per [`tick`](Self::tick): it must be fast. By default it is the
    /// [`stamp`](Self::stamp).
    ///
    /// # Errors
    ///
    /// The store could not be found out about.
    fn quick_stamp(&self) -> Result<Option<Stamp>> {
        self.stamp()
    }

    /// Whether what the store holds is encrypted, as far as it is known; not by default.
    fn is_encrypted(&self) -> bool {
        false
    }

    /// Which of several stores this is and why not a better one, for messages; by default there is
    /// nothing to say.
    fn note(&self) -> Option<String> {
        None
    }

    /// A number that is another one whenever it is time for a reader to look at the store again,
    /// and never one that was there before. Called for every request for a token, so it must cost
    /// next to nothing. `None`, the default, has each of them look.
    fn tick(&self) -> Option<u64> {
        None
    }

    /// Reads the content without a lock, with the stamp that belongs to it; `None` where there is
    /// no content.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    fn load(&self) -> Result<Option<Loaded>>;

    /// [`load`](Self::load), if that takes so little time that an async caller may do it in place;
    /// `None` if it may take more than a change of thread, and that is the default.
    fn load_quickly(&self) -> Option<Result<Option<Loaded>>> {
        None
    }

    /// Returns the length of the content, in bytes, beyond which [`load`](Self::load) refuses it.
    /// A writer lets it grow up to a margin below that. `None`, the default, is no limit.
    fn max_bytes(&self) -> Option<u64> {
        None
    }

    /// Waits until no other program writes, and keeps others from writing until the lock goes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked) if somebody else held it for too long.
    fn lock(&self) -> Result<Box<dyn StoreLock>>;

    /// Replaces the content, as a whole or not at all, and returns its stamp. Only called under
    /// the lock.
    ///
    /// An implementation whose own documentation says so may leave torn content behind after a
    /// crash or an I/O error, as `FilePersistence` does where it writes in place.
    ///
    /// # Errors
    ///
    /// The store could not be written; but for that exception, the content is what it was.
    fn save(&self, content: &[u8]) -> Result<Stamp>;

    /// Whether nothing here waits for a device or another program, so that an async caller may
    /// write in place. By default something may.
    fn is_nonblocking(&self) -> bool {
        false
    }

    /// Where the processes of this machine that share the store keep their
    /// [`Leases`](crate::Leases); the default is nowhere.
    fn lease_folder(&self) -> Option<PathBuf> {
        None
    }

    /// The same, if this still is as it should be at the last moment before the old content goes;
    /// else nothing is saved, and there is no stamp.
    ///
    /// The default asks before it saves. A store that can prepare the content beforehand should do
    /// that first: a peer that ignores the lock may write meanwhile.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save).
    fn save_if(&self, content: &[u8], is_current: &dyn Fn() -> bool) -> Result<Option<Stamp>> {
        if is_current() {
            self.save(content).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// The right to write a store; released when dropped.
pub trait StoreLock: fmt::Debug + Send {
    /// Whether the lock still keeps others out: a peer may have deleted its file.
    fn is_held(&self) -> bool;
}

/// The content of a store and the stamp that belongs to it.
#[derive(Clone)]
pub struct Loaded {
    /// The content, in memory that is overwritten when it goes.
    pub bytes: Zeroizing<Vec<u8>>,
    /// The stamp of this content.
    pub stamp: Stamp,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("len", &self.bytes.len())
            .field("stamp", &self.stamp)
            .finish()
    }
}

impl<T: Persistence + ?Sized> Persistence for Arc<T> {
    fn location(&self) -> String {
        (**self).location()
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        (**self).stamp()
    }

    fn quick_stamp(&self) -> Result<Option<Stamp>> {
        (**self).quick_stamp()
    }

    fn is_encrypted(&self) -> bool {
        (**self).is_encrypted()
    }

    fn note(&self) -> Option<String> {
        (**self).note()
    }

    fn tick(&self) -> Option<u64> {
        (**self).tick()
    }

    fn load(&self) -> Result<Option<Loaded>> {
        (**self).load()
    }

    fn load_quickly(&self) -> Option<Result<Option<Loaded>>> {
        (**self).load_quickly()
    }

    fn max_bytes(&self) -> Option<u64> {
        (**self).max_bytes()
    }

    fn lock(&self) -> Result<Box<dyn StoreLock>> {
        (**self).lock()
    }

    fn save(&self, content: &[u8]) -> Result<Stamp> {
        (**self).save(content)
    }

    fn is_nonblocking(&self) -> bool {
        (**self).is_nonblocking()
    }

    fn lease_folder(&self) -> Option<PathBuf> {
        (**self).lease_folder()
    }

    fn save_if(&self, content: &[u8], is_current: &dyn Fn() -> bool) -> Result<Option<Stamp>> {
        (**self).save_if(content, is_current)
    }
}
