mod guarded;
mod limit;
mod reading;
#[cfg(feature = "tokio")]
mod tokio;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use self::guarded::Guarded;
use self::reading::Read;
use crate::persistence::{Persistence, Stamp};
use crate::{Error, ErrorKind, Leases, Result, Snapshot, Transaction};

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
    persistence: Guarded,
    state: ArcSwap<State>,
    /// The address of the state's snapshot. Whoever holds a snapshot of this address holds that
    /// one, and knows so without a look at the state.
    published: AtomicUsize,
    /// The tick in which a reader last found the store as it was seen; [`NEVER`] before. A look
    /// that was overtaken by a newer state may tell of it as well: only within its own tick.
    looked: AtomicU64,
    /// Held while state, address and look change together.
    publishing: Mutex<()>,
    /// Held while what takes long is read.
    reader: Mutex<()>,
    /// One writer of this process at a time; the store's lock is for the others.
    writer: Mutex<()>,
}

/// What was read last.
struct State {
    /// `None` until something was read.
    snapshot: Option<Arc<Snapshot>>,
    /// The content that the snapshot was made of.
    of: Look,
    /// The content that was looked at last: newer than the snapshot's where that looked torn.
    seen: Look,
}

impl State {
    /// What was read or written as a whole.
    fn of(snapshot: &Arc<Snapshot>, look: Look) -> Self {
        Self {
            snapshot: Some(Arc::clone(snapshot)),
            of: look,
            seen: look,
        }
    }
}

const NEVER: u64 = u64::MAX;

/// A look at the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// None was taken, or the content was changing under it.
    Unsure,
    /// The stamp of the content, or that there was none.
    At(Option<Stamp>),
}

impl Look {
    /// Whether content that was seen in the one look is what is there in the other. What was seen
    /// right after a change has to be seen again: the next change may have looked the same.
    fn holds_in(self, now: Self) -> bool {
        let is_young = |look| matches!(look, Self::At(Some(stamp)) if Stamp::is_young(&stamp));
        self == now && (!is_young(self) || is_young(now))
    }
}

/// How closely a reader looks.
#[derive(Clone, Copy)]
enum Freshness {
    /// Once per tick.
    Recent,
    /// Now, whatever it costs.
    Latest,
}

/// How often a modification is put on top of content that changed meanwhile.
const ATTEMPTS: usize = 5;
/// How often a write that a peer has overwritten is repeated.
const REPAIRS: usize = 2;

impl TokenCache {
    /// The cache in this store; nothing is read yet.
    pub fn new(persistence: impl Persistence + 'static) -> Self {
        let state = State {
            snapshot: None,
            of: Look::Unsure,
            seen: Look::Unsure,
        };
        Self(Arc::new(Shared {
            persistence: Guarded::new(persistence),
            state: ArcSwap::from_pointee(state),
            published: AtomicUsize::new(0),
            looked: AtomicU64::new(NEVER),
            publishing: Mutex::new(()),
            reader: Mutex::new(()),
            writer: Mutex::new(()),
        }))
    }

    /// Where the cache is, for messages.
    pub fn location(&self) -> String {
        self.0.persistence.location()
    }

    /// Whether what the store holds is encrypted, as far as it is known: a store that chooses
    /// between several may have to be read first.
    pub fn is_encrypted(&self) -> bool {
        self.0.persistence.is_encrypted()
    }

    /// Which store was chosen and why not a better one, for messages; `None` where there was no
    /// choice, or nothing to say about it.
    pub fn explanation(&self) -> Option<String> {
        self.0.persistence.explanation()
    }

    /// Where this cache's users on this machine agree who does a piece of work for all of them, if
    /// the store has such a place.
    pub fn leases(&self) -> Option<Leases> {
        self.0.persistence.lease_folder().map(Leases::in_folder)
    }

    /// What was read last, if anything was. Never blocks and looks at nothing.
    pub fn current(&self) -> Option<Arc<Snapshot>> {
        self.0.state.load().snapshot.clone()
    }

    /// The store's present [tick](Persistence::tick).
    #[inline]
    pub fn tick(&self) -> Option<u64> {
        self.0.persistence.tick()
    }

    /// Whether this snapshot is the cache as it is in this tick, which is the present one, as
    /// closely as [`snapshot`](Self::snapshot) knows it. Never waits and reads nothing; where a look
    /// is needed and fails it is not.
    #[inline]
    pub fn is_current(&self, snapshot: &Arc<Snapshot>, tick: Option<u64>) -> bool {
        // The caller's keeps the address from being another one's.
        self.0.published.load(Ordering::Acquire) == Arc::as_ptr(snapshot).addr()
            && (self.has_looked(tick) || self.is_still_current(snapshot, tick))
    }

    /// The same, with a look.
    #[cold]
    fn is_still_current(&self, snapshot: &Arc<Snapshot>, tick: Option<u64>) -> bool {
        let state = self.0.state.load();
        let is_published = |current| Arc::ptr_eq(current, snapshot);
        state.snapshot.as_ref().is_some_and(is_published)
            && matches!(self.is_as_seen(&state, Freshness::Recent, tick), Ok(true))
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
    /// There is a cache and it could not be read: [`ErrorKind`] says why.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>> {
        match self.known(Freshness::Recent)? {
            Some(snapshot) => Ok(snapshot),
            None => self.reload_in_turn(),
        }
    }

    /// The same, but it looks in any case: for whoever knows that somebody has just written.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    pub fn latest(&self) -> Result<Arc<Snapshot>> {
        match self.known(Freshness::Latest)? {
            Some(snapshot) => Ok(snapshot),
            None => self.reload_in_turn(),
        }
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
    /// not parse is never written over. [`ErrorKind::TooLarge`] if the content would grow to more
    /// than fifteen sixteenths of what [readers take](Persistence::max_bytes).
    pub fn modify<T>(&self, mut edit: impl FnMut(&mut Transaction) -> Result<T>) -> Result<T> {
        // Nothing that a panic could leave half done is behind this lock.
        let _one_at_a_time = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut answer, mut committed) = self.commit(&mut edit)?;
        for _ in 0..REPAIRS {
            let repaired = match self.look() {
                Ok(look) if look == committed => break,
                // Mostly that was a good neighbour, who built upon ours. The lock is asked for
                // only if not: among busy writers everybody would take it twice.
                Ok(_) => match self.standing(&mut edit) {
                    Some(newer) => Ok(newer),
                    None => self.commit(&mut edit),
                },
                Err(error) => Err(error),
            };
            match repaired {
                Ok(newer) => (answer, committed) = newer,
                Err(error) => {
                    // The commit stands all the same.
                    tracing::debug!(%error, "the token cache could not be looked at after a write");
                    break;
                }
            }
        }
        Ok(answer)
    }

    /// One modification, and the content that it left behind.
    fn commit<T>(&self, edit: &mut impl FnMut(&mut Transaction) -> Result<T>) -> Result<(T, Look)> {
        for _ in 0..ATTEMPTS {
            let guard = self.0.persistence.lock()?;
            let (snapshot, look) = self.read_for_writing()?;
            let before = snapshot.document().text().len();
            let mut transaction = Transaction::on(snapshot);
            let answer = edit(&mut transaction)?;
            let edited = transaction.snapshot();
            if !transaction.is_changed() {
                // Not published: over content that looks torn, readers keep the last good one.
                return Ok((answer, look));
            }
            // The last look: a peer may have written without the lock, or deleted our lock file.
            let is_current = || guard.is_held() && self.look().is_ok_and(|now| now == look);
            let text = edited.document().text();
            let max_bytes = self.0.persistence.max_bytes();
            limit::check(before, text.len(), max_bytes, || self.location())?;
            let saved = self.0.persistence.save_if(text.as_bytes(), &is_current)?;
            if let Some(stamp) = saved {
                let saved = Look::At(Some(stamp));
                self.publish(State::of(edited, saved), None);
                return Ok((answer, saved));
            }
        }
        Err(Error::new(
            ErrorKind::Locked,
            format!(
                "{} kept changing under its lock; nothing was written",
                self.location()
            ),
        ))
    }

    /// What the modification comes to on the content that is there now, if it is in there already.
    fn standing<T>(
        &self,
        edit: &mut impl FnMut(&mut Transaction) -> Result<T>,
    ) -> Option<(T, Look)> {
        let Ok(Read::Whole(snapshot, look)) = self.read_once() else {
            return None;
        };
        let mut transaction = Transaction::on(snapshot);
        let answer = edit(&mut transaction).ok()?;
        (!transaction.is_changed()).then_some((answer, look))
    }

    fn look(&self) -> Result<Look> {
        self.0.persistence.stamp().map(Look::At)
    }

    /// The current snapshot, if there is one and it is still what the store holds.
    fn known(&self, freshness: Freshness) -> Result<Option<Arc<Snapshot>>> {
        let state = self.0.state.load();
        let Some(snapshot) = &state.snapshot else {
            return Ok(None);
        };
        let is_current = self.is_as_seen(&state, freshness, self.tick())?;
        Ok(is_current.then(|| Arc::clone(snapshot)))
    }

    /// Whether the store holds what was seen last. The tick is from before the look, so that what
    /// changes right after it belongs to the next.
    fn is_as_seen(&self, state: &State, freshness: Freshness, tick: Option<u64>) -> Result<bool> {
        let look = match freshness {
            Freshness::Recent if self.has_looked(tick) => return Ok(true),
            Freshness::Recent => Look::At(self.0.persistence.glance()?),
            Freshness::Latest => self.look()?,
        };
        let is_as_seen = state.seen.holds_in(look);
        if is_as_seen {
            self.0
                .looked
                .store(tick.unwrap_or(NEVER), Ordering::Relaxed);
        }
        Ok(is_as_seen)
    }

    #[inline]
    fn has_looked(&self, tick: Option<u64>) -> bool {
        tick.is_some_and(|tick| tick == self.0.looked.load(Ordering::Relaxed))
    }

    /// Has readers use this from now on. What was read, and not written, goes `over` the state that
    /// was there before it was read: if another one has come meanwhile, that one is newer.
    fn publish(&self, state: State, over: Option<&Arc<State>>) {
        let _in_turn = self
            .0
            .publishing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if over.is_some_and(|over| !Arc::ptr_eq(over, &self.0.state.load())) {
            return;
        }
        let address = state
            .snapshot
            .as_ref()
            .map_or(0, |it| Arc::as_ptr(it).addr());
        self.0.looked.store(NEVER, Ordering::Relaxed);
        self.0.state.store(Arc::new(state));
        self.0.published.store(address, Ordering::Release);
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("persistence", &self.0.persistence)
            .finish_non_exhaustive()
    }
}
