//! The stores for the bytes of a cache.

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
/// Object-safe and open: a program may keep its cache in a store of its own. Every function may
/// block. If one panics, [`TokenCache`](crate::TokenCache) returns an error of the kind
/// [`Io`](crate::ErrorKind::Io), or goes on as with the default where there can be no error.
pub trait Persistence: fmt::Debug + Send + Sync {
    /// Returns the location of the store, for messages: a path, or a name that the user can find it
    /// by.
    fn location(&self) -> String;

    /// Returns the stamp of the content; `None` if there is no content. Two contents never have the
    /// same stamp. Writers compare it, and readers of the [latest](crate::Freshness::Latest)
    /// content.
    ///
    /// # Errors
    ///
    /// The status of the store could not be read.
    fn stamp(&self) -> Result<Option<Stamp>>;

    /// Returns the stamp for readers. A change of the content shows at once; that the store as a
    /// whole was moved may show a second later. Called in place by callers that want a token, once
    /// per [`tick`](Self::tick), so it must be fast. By default it is the [`stamp`](Self::stamp).
    ///
    /// # Errors
    ///
    /// The store could not be found out about.
    fn quick_stamp(&self) -> Result<Option<Stamp>> {
        self.stamp()
    }

    /// Returns `true` if the content is known to be encrypted; `false` by default.
    fn is_encrypted(&self) -> bool {
        false
    }

    /// Returns a note for messages on which of several stores was chosen and why; `None` by
    /// default.
    fn note(&self) -> Option<String> {
        None
    }

    /// Returns a coarse monotonic counter: readers reuse the last stamp until it changes. Called
    /// for every request for a token, so it must cost next to nothing. With `None`, the default,
    /// each request reads the stamp.
    fn tick(&self) -> Option<u64> {
        None
    }

    /// Reads the content and its stamp without a lock; returns `None` if there is no content.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    fn load(&self) -> Result<Option<Loaded>>;

    /// Calls [`load`](Self::load) if an async caller may do that in place. Returns `None`, the
    /// default, if it may take longer than a change of thread.
    fn load_quickly(&self) -> Option<Result<Option<Loaded>>> {
        None
    }

    /// Returns the length of the content, in bytes, beyond which [`load`](Self::load) refuses it. A
    /// writer lets it grow up to a margin below that. With `None`, the default, there is no limit.
    fn max_bytes(&self) -> Option<u64> {
        None
    }

    /// Acquires the lock, which keeps other programs from writing until it is dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked) if another process held it until the
    /// timeout.
    fn lock(&self) -> Result<Box<dyn StoreLock>>;

    /// Replaces the content, as a whole or not at all, and returns its stamp. Only called under
    /// the lock.
    ///
    /// An implementation may document that a crash or an I/O error can leave torn content behind,
    /// as `FilePersistence` does where it writes in place.
    ///
    /// # Errors
    ///
    /// The store could not be written; but for that exception, the content is what it was.
    fn save(&self, content: &[u8]) -> Result<Stamp>;

    /// Returns `true` if no function waits for a device or another program, so that an async caller
    /// may write in place; `false` by default.
    fn is_nonblocking(&self) -> bool {
        false
    }

    /// Returns the folder of the [`Leases`](crate::Leases) of the processes on this machine that
    /// share the store; `None` by default.
    fn lease_folder(&self) -> Option<PathBuf> {
        None
    }

    /// Saves the content if `is_current` returns `true` right before the old content is replaced;
    /// else saves nothing and returns `None`.
    ///
    /// The default calls `is_current` before [`save`](Self::save). A store that can prepare the
    /// content should do that first, because a peer that ignores the lock may write meanwhile.
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
    /// Returns `true` if the lock still keeps others out: a peer may have deleted its file.
    fn is_held(&self) -> bool;
}

/// The content of a store and the stamp that belongs to it.
#[derive(Clone)]
pub struct Loaded {
    /// The content, in memory that is overwritten when it is dropped.
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
