//! Where the bytes of a cache are kept.

#[cfg(unix)]
mod atomic_file;
#[cfg(any(unix, windows))]
mod bounded_read;
#[cfg(unix)]
mod directory;
#[cfg(unix)]
mod file;
#[cfg(unix)]
mod folder;
#[cfg(unix)]
mod follow;
#[cfg(unix)]
mod held_file;
#[cfg(any(
    all(target_os = "linux", feature = "secret-service"),
    all(target_os = "macos", feature = "keychain")
))]
mod item;
#[cfg(all(target_os = "macos", feature = "keychain"))]
mod keychain;
#[cfg(any(
    all(target_os = "linux", feature = "secret-service"),
    all(target_os = "macos", feature = "keychain")
))]
mod loads;
mod memory;
#[cfg(unix)]
mod owner;
#[cfg(any(
    all(target_os = "linux", feature = "secret-service"),
    all(target_os = "macos", feature = "keychain")
))]
mod platform_store;
#[cfg(all(test, unix))]
mod power_loss;
#[cfg(unix)]
mod safe_open;
#[cfg(all(target_os = "linux", feature = "secret-service"))]
mod secret_service;
#[cfg(unix)]
mod size_limit;
mod stamp;
mod temporary;
#[cfg(unix)]
mod ticks;
#[cfg(unix)]
mod walk;
#[cfg(windows)]
mod windows;
#[cfg(unix)]
mod writable;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

#[cfg(unix)]
pub(crate) use directory::{Directory, Entry, is_same_file};
#[cfg(unix)]
pub use file::FilePersistence;
#[cfg(unix)]
pub(crate) use follow::split;
#[cfg(all(target_os = "macos", feature = "keychain"))]
pub use keychain::KeychainPersistence;
pub use memory::MemoryPersistence;
#[cfg(unix)]
pub(crate) use owner::{is_ours, is_own_sole_file, is_writable_by_others};
#[cfg(unix)]
pub(crate) use safe_open::open_entry;
#[cfg(all(target_os = "linux", feature = "secret-service"))]
pub use secret_service::SecretServicePersistence;
#[cfg(unix)]
pub(crate) use size_limit::check as check_size_limit;
pub use stamp::Stamp;
#[cfg(unix)]
pub(crate) use walk::{Missing, walk};
#[cfg(all(windows, feature = "dpapi"))]
pub use windows::DpapiPersistence;
#[cfg(windows)]
pub use windows::FilePersistence;
#[cfg(windows)]
pub(crate) use windows::{FileInformation, Sharing, is_in_use, open_for_asking, open_for_reading};
#[cfg(unix)]
pub(crate) use writable::set_time_to_now;

use crate::Result;

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
    /// [latest](crate::Freshness::Latest) content.
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
    fn glance(&self) -> Result<Option<Stamp>> {
        self.stamp()
    }

    /// Whether what the store holds is encrypted, as far as it is known; not by default.
    fn is_encrypted(&self) -> bool {
        false
    }

    /// Which of several stores this is and why not a better one, for messages; by default there is
    /// nothing to say.
    fn explanation(&self) -> Option<String> {
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
    fn never_waits(&self) -> bool {
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

/// Has a type that wraps a store be one.
#[cfg(any(
    all(target_os = "linux", feature = "secret-service"),
    all(target_os = "macos", feature = "keychain")
))]
macro_rules! stored_by {
    ($wrapper:ty) => {
        impl Persistence for $wrapper {
            fn location(&self) -> String {
                self.0.location()
            }

            fn stamp(&self) -> Result<Option<Stamp>> {
                self.0.stamp()
            }

            fn glance(&self) -> Result<Option<Stamp>> {
                self.0.glance()
            }

            fn is_encrypted(&self) -> bool {
                self.0.is_encrypted()
            }

            fn explanation(&self) -> Option<String> {
                self.0.explanation()
            }

            fn tick(&self) -> Option<u64> {
                self.0.tick()
            }

            fn load(&self) -> Result<Option<Loaded>> {
                self.0.load()
            }

            fn load_quickly(&self) -> Option<Result<Option<Loaded>>> {
                self.0.load_quickly()
            }

            fn max_bytes(&self) -> Option<u64> {
                self.0.max_bytes()
            }

            fn lock(&self) -> Result<Box<dyn StoreLock>> {
                self.0.lock()
            }

            fn save(&self, content: &[u8]) -> Result<Stamp> {
                self.0.save(content)
            }

            fn lease_folder(&self) -> Option<PathBuf> {
                self.0.lease_folder()
            }

            fn save_if(
                &self,
                content: &[u8],
                is_current: &dyn Fn() -> bool,
            ) -> Result<Option<Stamp>> {
                self.0.save_if(content, is_current)
            }
        }
    };
}
#[cfg(any(
    all(target_os = "linux", feature = "secret-service"),
    all(target_os = "macos", feature = "keychain")
))]
use stored_by;

impl<T: Persistence + ?Sized> Persistence for Arc<T> {
    fn location(&self) -> String {
        (**self).location()
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        (**self).stamp()
    }

    fn glance(&self) -> Result<Option<Stamp>> {
        (**self).glance()
    }

    fn is_encrypted(&self) -> bool {
        (**self).is_encrypted()
    }

    fn explanation(&self) -> Option<String> {
        (**self).explanation()
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

    fn never_waits(&self) -> bool {
        (**self).never_waits()
    }

    fn lease_folder(&self) -> Option<PathBuf> {
        (**self).lease_folder()
    }

    fn save_if(&self, content: &[u8], is_current: &dyn Fn() -> bool) -> Result<Option<Stamp>> {
        (**self).save_if(content, is_current)
    }
}
