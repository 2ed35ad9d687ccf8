//! Reads a store that others write. Content that looks torn is read again, while the last good
//! content stays in use.

use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use super::freshness::Freshness;
use super::guarded::Guarded;
use super::observation::Observation;
use super::published::{Published, State};
use crate::content::Content;
use crate::error::{Error, ErrorKind, Result};
use crate::persistence::Loaded;
use crate::snapshot::Snapshot;
use crate::time::backoff::Backoff;

/// The result of one attempt to read.
pub(super) enum Read {
    Whole(Arc<Snapshot>, Observation),
    Empty(Observation),
    Torn(Error, Observation),
}

/// The time for which content that may be torn is read again. A peer that writes in place needs a
/// few milliseconds.
const PATIENCE: Duration = Duration::from_millis(150);
/// The factor on that time if a writer makes no pauses, or does not get the processor.
const BUSY_WRITERS: u32 = 4;

/// A store, and the snapshot of it that readers share.
pub(super) struct Reader {
    pub(super) store: Guarded,
    pub(super) published: Published,
    /// Held by a reader whose read takes long. The others wait for its result.
    turn: Mutex<()>,
}

impl Reader {
    pub(super) fn new(store: Guarded) -> Self {
        Self {
            store,
            published: Published::nothing(),
            turn: Mutex::new(()),
        }
    }

    /// Returns the snapshot of the last read. Looks at nothing.
    pub(super) fn current(&self) -> Option<Arc<Snapshot>> {
        self.published.state().snapshot.clone()
    }

    /// Returns `true` if the store still holds this snapshot in this tick.
    #[inline]
    pub(super) fn is_current(&self, snapshot: &Snapshot, tick: Option<u64>) -> bool {
        self.published.is(snapshot)
            && (self.published.is_seen_in(tick) || self.is_still_current(snapshot, tick))
    }

    /// Looks at the store for [`is_current`](Self::is_current).
    #[cold]
    fn is_still_current(&self, snapshot: &Snapshot, tick: Option<u64>) -> bool {
        let state = self.published.state();
        let is_published = |current: &Arc<Snapshot>| current.version() == snapshot.version();
        state.snapshot.as_ref().is_some_and(is_published)
            && matches!(self.is_as_seen(&state, Freshness::Recent, tick), Ok(true))
    }

    /// Returns the cache. Reads it if it changed.
    pub(super) fn snapshot(&self, freshness: Freshness) -> Result<Arc<Snapshot>> {
        match self.known(freshness)? {
            Some(snapshot) => Ok(snapshot),
            None => self.reload_in_turn(),
        }
    }

    /// Looks at the store.
    pub(super) fn observe(&self) -> Result<Observation> {
        self.store.stamp().map(Observation::Stamped)
    }

    /// Returns the current snapshot, if the store still holds it.
    pub(super) fn known(&self, freshness: Freshness) -> Result<Option<Arc<Snapshot>>> {
        let state = self.published.state();
        let Some(snapshot) = &state.snapshot else {
            return Ok(None);
        };
        let is_current = self.is_as_seen(&state, freshness, self.store.tick())?;
        Ok(is_current.then(|| Arc::clone(snapshot)))
    }

    /// Returns `true` if the store holds the content of the last look. The tick is from before the
    /// look, so that a change right after it belongs to the next.
    fn is_as_seen(&self, state: &State, freshness: Freshness, tick: Option<u64>) -> Result<bool> {
        let now = match freshness {
            Freshness::Recent if self.published.is_seen_in(tick) => return Ok(true),
            Freshness::Recent => Observation::Stamped(self.store.quick_stamp()?),
            Freshness::Latest => self.observe()?,
        };
        let is_as_seen = state.seen.holds_in(now);
        if is_as_seen {
            self.published.set_seen_in(tick);
        }
        Ok(is_as_seen)
    }

    /// Reads the store. If that takes long, other readers wait for the result, and read side by side
    /// only if it does not suit them.
    pub(super) fn reload_in_turn(&self) -> Result<Arc<Snapshot>> {
        if let Some(snapshot) = self.reload_quickly()? {
            return Ok(snapshot);
        }
        let _turn = match self.turn.try_lock() {
            Err(TryLockError::WouldBlock) => {
                drop(self.turn.lock());
                if let Some(snapshot) = self.known(Freshness::Latest)? {
                    return Ok(snapshot);
                }
                None
            }
            // Nothing that a panic could leave half done is behind this lock.
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Ok(turn) => Some(turn),
        };
        self.reload()
    }

    /// Reads the store, if that takes but a moment and the content is whole.
    pub(super) fn reload_quickly(&self) -> Result<Option<Arc<Snapshot>>> {
        let before = self.published.state_full();
        let Some(loaded) = self.store.load_quickly() else {
            return Ok(None);
        };
        let Read::Whole(snapshot, look) = self.take_apart(loaded)? else {
            return Ok(None);
        };
        self.published
            .publish(State::of(&snapshot, look), Some(&before));
        Ok(Some(snapshot))
    }

    fn reload(&self) -> Result<Arc<Snapshot>> {
        // That there was nothing to read is nothing to go on with.
        let before = self.published.state_full();
        let last_good = before.snapshot.clone();
        let last_good = last_good.filter(|snapshot| !snapshot.is_nothing());
        let times = if last_good.is_some() { 1 } else { BUSY_WRITERS };
        let read = self.read_patiently(times)?;
        let (snapshot, of, seen) = match (read, last_good) {
            (Read::Whole(snapshot, look), _) => (snapshot, look, look),
            (Read::Empty(look) | Read::Torn(_, look), Some(last_good)) => {
                let location = self.store.location();
                tracing::debug!(
                    location,
                    "the token cache looks torn; its last good content stays in use"
                );
                (last_good, Observation::Unknown, look)
            }
            (Read::Empty(look), None) => (Arc::new(Snapshot::empty()), look, look),
            (Read::Torn(error, _), None) => return Err(error),
        };
        let state = State {
            snapshot: Some(Arc::clone(&snapshot)),
            of,
            seen,
        };
        self.published.publish(state, Some(&before));
        Ok(snapshot)
    }

    /// Returns the content that a writer edits: the present one, and never the last good one.
    pub(super) fn read_for_writing(&self) -> Result<(Arc<Snapshot>, Observation)> {
        let look = self.observe()?;
        let state = self.published.state();
        if let Some(snapshot) = state.snapshot.as_ref().filter(|_| state.of.holds_in(look)) {
            return Ok((Arc::clone(snapshot), look));
        }
        match self.read_patiently(BUSY_WRITERS)? {
            Read::Whole(snapshot, look) => Ok((snapshot, look)),
            // Somebody emptied it and did not go on: readers stay with the last good content, and a
            // writer that took this for a sign-out would undo one.
            Read::Empty(_) if self.current().is_some_and(|last| !last.is_nothing()) => {
                let text = format!(
                    "{} is empty; its last good content stays in use",
                    self.store.location()
                );
                Err(Error::new(ErrorKind::Corrupt, text))
            }
            Read::Empty(look) => Ok((Arc::new(Snapshot::empty()), look)),
            Read::Torn(error, _) => Err(error),
        }
    }

    /// Reads, and reads again while the content may be torn.
    ///
    /// It waits `times` as long for content that also changes all the time, and for an empty file.
    /// On a busy machine its writer may not get the processor for long, and the file must not be
    /// taken for a cache without accounts.
    fn read_patiently(&self, times: u32) -> Result<Read> {
        let mut round = 1;
        loop {
            let mut backoff = Backoff::new(PATIENCE, PATIENCE / 150, PATIENCE / 5);
            let mut seen = None;
            let mut is_changing = false;
            let last = loop {
                let read = self.read_once()?;
                let (Read::Empty(look) | Read::Torn(_, look)) = read else {
                    return Ok(read);
                };
                is_changing |=
                    look == Observation::Unknown || seen.is_some_and(|seen| seen != look);
                seen = Some(look);
                if !backoff.wait() {
                    break read;
                }
            };
            match last {
                Read::Torn(..) if !is_changing => return Ok(last),
                _ if round < times => round += 1,
                Read::Empty(_) if is_changing => {
                    let text = format!("{} changed whenever it was read", self.store.location());
                    let error = Error::new(ErrorKind::Corrupt, text);
                    return Ok(Read::Torn(error, Observation::Unknown));
                }
                last => return Ok(last),
            }
        }
    }

    pub(super) fn read_once(&self) -> Result<Read> {
        self.take_apart(self.store.load())
    }

    fn take_apart(&self, loaded: Result<Option<Loaded>>) -> Result<Read> {
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                return Ok(Read::Torn(error, Observation::Unknown));
            }
            Err(error) => return Err(error),
        };
        let Some(Loaded { bytes, stamp }) = loaded else {
            return Ok(Read::Whole(
                Arc::new(Snapshot::empty()),
                Observation::Stamped(None),
            ));
        };
        let look = Observation::Stamped(Some(stamp));
        // Touched, or written again as it was: the snapshot stays, and what was made of it.
        if let Some(last) = self.current().filter(|last| {
            !bytes.is_empty() && last.document().text().as_bytes() == bytes.as_slice()
        }) {
            return Ok(Read::Whole(last, look));
        }
        Ok(match Content::read(bytes, || self.store.location())? {
            Content::Cache(snapshot) => Read::Whole(snapshot, look),
            Content::Empty => Read::Empty(look),
            Content::Torn(why) => {
                let text = format!(
                    "{} is not a token cache ({why}); it is left as it is: sign in again with the \
                     tool that wrote it, or move it away",
                    self.store.location()
                );
                Read::Torn(Error::new(ErrorKind::Corrupt, text), look)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::cache::TokenCache;
    use crate::fs::stamp::Stamp;
    use crate::persistence::memory::MemoryPersistence;
    use crate::persistence::{Persistence, StoreLock};

    /// A store that takes its time, and counts.
    #[derive(Debug, Default)]
    struct Slow(MemoryPersistence, Arc<AtomicUsize>);

    impl Persistence for Slow {
        fn location(&self) -> String {
            self.0.location()
        }

        fn stamp(&self) -> Result<Option<Stamp>> {
            self.0.stamp()
        }

        #[expect(clippy::disallowed_methods, reason = "a slow store takes its time")]
        fn load(&self) -> Result<Option<Loaded>> {
            self.1.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(200));
            self.0.load()
        }

        fn lock(&self) -> Result<Box<dyn StoreLock>> {
            self.0.lock()
        }

        fn save(&self, content: &[u8]) -> Result<Stamp> {
            self.0.save(content)
        }
    }

    /// With a poisoned lock that was taken for a busy one, each reader read for itself.
    #[test]
    fn a_poisoned_lock_makes_no_difference_to_readers() {
        let store = Slow(MemoryPersistence::holding("{}"), Arc::default());
        let loads = Arc::clone(&store.1);
        let cache = TokenCache::new(store);
        std::thread::scope(|scope| {
            let poisoning = scope.spawn(|| {
                let _turn = cache.0.reader.turn.lock();
                panic!("on purpose");
            });
            assert!(poisoning.join().is_err());
        });
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| cache.snapshot().unwrap());
            }
        });
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }
}
