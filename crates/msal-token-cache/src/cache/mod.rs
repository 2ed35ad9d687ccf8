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
use crate::lock::Leases;
use crate::persistence::Persistence;
use crate::snapshot::Snapshot;
use crate::transaction::Transaction;

/// A token cache that other programs share: read without a lock, written as a whole under one.
///
/// Clones share everything. A program that only reads needs [`snapshot`](Self::snapshot); one that
/// writes says in [`modify`](Self::modify) what to change, on top of whatever is there by then.
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
/// What a peer does that ignores every lock can be mended after the fact, not prevented: see
/// [`modify`](Self::modify).
#[derive(Clone)]
pub struct TokenCache(Arc<Shared>);

struct Shared {
    reader: Reader,
    writer: Writer,
}

impl TokenCache {
    /// The cache in this store; nothing is read yet.
    pub fn new(persistence: impl Persistence + 'static) -> Self {
        Self(Arc::new(Shared {
            reader: Reader::new(Guarded::new(persistence)),
            writer: Writer::new(),
        }))
    }

    /// Where the cache is, for messages.
    pub fn location(&self) -> String {
        self.0.reader.store.location()
    }

    /// Whether what the store holds is encrypted, as far as it is known: a store that chooses
    /// between several may have to be read first.
    pub fn is_encrypted(&self) -> bool {
        self.0.reader.store.is_encrypted()
    }

    /// Which store was chosen and why not a better one, for messages; `None` where there was no
    /// choice, or nothing to say about it.
    pub fn explanation(&self) -> Option<String> {
        self.0.reader.store.explanation()
    }

    /// Where this cache's users on this machine agree who does a piece of work for all of them, if
    /// the store has such a place.
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

    /// The cache as it is now; empty where there is none. Reads only what has changed since the
    /// last time, and looks at most once per [tick](Persistence::tick) of the store, a few
    /// milliseconds: what another program writes is seen with the next tick, what is written
    /// through this cache or a clone of it at once.
    ///
    /// Blocks while it reads, up to about 150 ms where the content looks torn; then the last good
    /// snapshot stays in use until the content changes again. Without one, and where the file is
    /// empty or a peer writes all the time, up to about 600 ms. `snapshot_async`, with the feature
    /// `tokio`, does not block.
    ///
    /// # Errors
    ///
    /// There is a cache and it could not be read: [`ErrorKind`](crate::ErrorKind) says why.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>> {
        self.snapshot_with(Freshness::Recent)
    }

    /// Returns the cache as [`snapshot`](Self::snapshot) does, at least this fresh:
    /// [`Freshness::Latest`] is for a caller that has to see what somebody has just written.
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
    /// `edit` may run again on newer content, because a peer that ignores the lock wrote meanwhile;
    /// also after the commit, twice at most, because such a peer may have put old content over it.
    /// It must come to the same end each time; its last result is returned. Mostly the lock is held
    /// while it runs, and other programs wait, so it must not wait itself, nor call `modify` on the
    /// same cache. Blocks; `modify_async`, with the feature `tokio`, does not.
    ///
    /// # Errors
    ///
    /// What `edit` returned; or the store could not be locked, read or written. Content that does
    /// not parse is never written over. [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) if the content would grow to more
    /// than fifteen sixteenths of what [readers take](Persistence::max_bytes).
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
