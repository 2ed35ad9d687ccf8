//! The shared cache itself: a store, the snapshot that its readers share, and its one writer.

mod freshness;
mod guarded;
mod limit;
mod observation;
mod published;
mod reading;
#[cfg(feature = "tokio")]
mod tokio;
mod writing;

use std::fmt;
use std::sync::Arc;

pub use self::freshness::Freshness;
use self::guarded::Guarded;
use self::reading::Reader;
use self::writing::Writer;
use crate::error::Result;
use crate::lease::Leases;
use crate::persistence::Persistence;
use crate::snapshot::Snapshot;
use crate::transaction::Transaction;

/// A token cache that other programs share: read without a lock, written as a whole under one.
///
/// Clones share everything. [`snapshot`](Self::snapshot) reads it, and [`modify`](Self::modify)
/// changes the latest content.
///
/// ```
/// # #[cfg(any(unix, windows))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use msal_token_cache::{FilePersistence, TokenCache};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("msal.cache.nocae");
/// let cache = TokenCache::new(FilePersistence::new(path));
/// for account in cache.snapshot()?.accounts() {
///     println!("{} in {}", account.home_account_id(), account.environment());
/// }
/// # Ok(())
/// # }
/// # #[cfg(not(any(unix, windows)))]
/// # fn main() {}
/// ```
///
/// # Limitations
///
/// A peer that ignores every lock can undo a write. That can be mended after the fact, not
/// prevented: see [`modify`](Self::modify).
#[derive(Clone)]
pub struct TokenCache(Arc<Shared>);

struct Shared {
    reader: Reader,
    writer: Writer,
}

impl TokenCache {
    /// Returns the cache in this store. Reads nothing yet.
    pub fn new(persistence: impl Persistence + 'static) -> Self {
        Self(Arc::new(Shared {
            reader: Reader::new(Guarded::new(persistence)),
            writer: Writer::new(),
        }))
    }

    /// Returns the place of the cache, for messages.
    pub fn location(&self) -> String {
        self.0.reader.store.location()
    }

    /// Returns `true` if the content of the store is known to be encrypted. A store that chooses
    /// between several may have to be read first.
    pub fn is_encrypted(&self) -> bool {
        self.0.reader.store.is_encrypted()
    }

    /// Returns the store that was chosen and the reason why not a better one, for messages. Returns
    /// `None` if there was no choice.
    pub fn note(&self) -> Option<String> {
        self.0.reader.store.note()
    }

    /// Returns the leases by which this cache's users on this machine elect one of them for a piece of
    /// work, if the store has a place for leases.
    pub fn leases(&self) -> Option<Leases> {
        self.0.reader.store.lease_folder().map(Leases::in_folder)
    }

    /// Returns the snapshot of the last read, if there was one. Never blocks and looks at nothing.
    pub fn current(&self) -> Option<Arc<Snapshot>> {
        self.0.reader.current()
    }

    /// Returns the store's present [tick](Persistence::tick).
    #[inline]
    pub fn tick(&self) -> Option<u64> {
        self.0.reader.store.tick()
    }

    /// Returns `true` if this snapshot is the cache as it is in this tick, which is the present one,
    /// as closely as [`snapshot`](Self::snapshot) tells. Never waits and reads nothing. Returns
    /// `false` if a look is needed and fails.
    #[inline]
    pub fn is_current(&self, snapshot: &Snapshot, tick: Option<u64>) -> bool {
        self.0.reader.is_current(snapshot, tick)
    }

    /// Returns the cache; an empty one if there is no content. It is [recent](Freshness::Recent):
    /// it looks at most once per [tick](Persistence::tick) of the store, a few milliseconds, and
    /// reads only if the content changed. So another program's change shows in the next tick, and a
    /// change through this cache or a clone at once.
    ///
    /// Blocks while it reads, up to about 150 ms if the content looks torn; then the last good
    /// snapshot stays in use until the content changes again. Without one, and if the file is empty
    /// or a peer writes all the time, it blocks up to about 600 ms. `snapshot_async`, with the
    /// feature `tokio`, does not block.
    ///
    /// # Errors
    ///
    /// Fails if there is a cache and it cannot be read, with the [`ErrorKind`](crate::ErrorKind) of the
    /// cause.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>> {
        self.snapshot_with(Freshness::Recent)
    }

    /// Returns the cache, at least this fresh. [`Freshness::Latest`] always looks: for a caller that
    /// must not miss another program's last write.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    pub fn snapshot_with(&self, freshness: Freshness) -> Result<Arc<Snapshot>> {
        self.0.reader.snapshot(freshness)
    }

    /// Changes the cache: waits for the lock, reads the latest content, lets `edit` change it and
    /// replaces the store's content as a whole. Without a change nothing is written.
    ///
    /// `edit` runs again if a peer that ignores the lock wrote meanwhile. It runs at most twice after
    /// the commit, because such a peer may have put old content over it. It must have the same
    /// effect each time; its last result is returned. Mostly the lock is held while it runs, and
    /// other programs wait, so it must not wait itself, nor call `modify` on the same cache. Blocks;
    /// `modify_async`, with the feature `tokio`, does not.
    ///
    /// # Errors
    ///
    /// Returns the error of `edit`, or fails if the store cannot be locked, read or written. Content
    /// that does not parse is never written over.
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) if the content would grow to more than
    /// fifteen sixteenths of the [readers' limit](Persistence::max_bytes).
    pub fn modify<T>(&self, edit: impl FnMut(&mut Transaction) -> Result<T>) -> Result<T> {
        self.0.writer.modify(&self.0.reader, edit)
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("persistence", &self.0.reader.store)
            .finish_non_exhaustive()
    }
}
