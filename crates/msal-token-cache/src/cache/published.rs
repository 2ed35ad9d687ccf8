//! The snapshot that readers share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use super::observation::Observation;
use crate::seen_tick::SeenTick;
use crate::snapshot::Snapshot;

/// The result of the last read or write.
pub(super) struct State {
    /// `None` until something was read.
    pub(super) snapshot: Option<Arc<Snapshot>>,
    /// The content that the snapshot was made of.
    pub(super) of: Observation,
    /// The content of the last look: newer than the snapshot's if it looked torn.
    pub(super) seen: Observation,
}

impl State {
    /// Returns the state after content was read or written as a whole.
    pub(super) fn of(snapshot: &Arc<Snapshot>, observation: Observation) -> Self {
        Self {
            snapshot: Some(Arc::clone(snapshot)),
            of: observation,
            seen: observation,
        }
    }
}

/// The state that readers use.
pub(super) struct Published {
    state: ArcSwap<State>,
    /// The version of the state's snapshot; [`NO_VERSION`] before. A reader that holds the snapshot
    /// of this version needs no look at the state.
    version: AtomicU64,
    /// The tick in which a reader last found the store as it was seen. A look that was overtaken by
    /// a newer state may set it as well: only within its own tick.
    seen_tick: SeenTick,
    /// Held while state, version and tick change together.
    publishing: Mutex<()>,
}

/// Versions of snapshots begin at 1.
const NO_VERSION: u64 = 0;

impl Published {
    pub(super) fn nothing() -> Self {
        let state = State {
            snapshot: None,
            of: Observation::Unknown,
            seen: Observation::Unknown,
        };
        Self {
            state: ArcSwap::from_pointee(state),
            version: AtomicU64::new(NO_VERSION),
            seen_tick: SeenTick::never(),
            publishing: Mutex::new(()),
        }
    }

    /// Returns the state for a short use.
    pub(super) fn state(&self) -> Guard<Arc<State>> {
        self.state.load()
    }

    /// Returns the state for a long use.
    pub(super) fn state_full(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// Returns `true` if this is the state's snapshot.
    #[inline]
    pub(super) fn is(&self, snapshot: &Snapshot) -> bool {
        self.version.load(Ordering::Acquire) == snapshot.version()
    }

    /// Returns `true` if a reader found the store unchanged in this tick.
    #[inline]
    pub(super) fn is_seen_in(&self, tick: Option<u64>) -> bool {
        self.seen_tick.is(tick)
    }

    /// Notes that a reader found the store unchanged in this tick.
    pub(super) fn set_seen_in(&self, tick: Option<u64>) {
        self.seen_tick.set(tick);
    }

    /// Replaces the state. A state that was read, and not written, goes `over` the one from before
    /// the read: any other one is newer, and stays.
    pub(super) fn publish(&self, state: State, over: Option<&Arc<State>>) {
        let _in_turn = self
            .publishing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if over.is_some_and(|over| !Arc::ptr_eq(over, &self.state.load())) {
            return;
        }
        let snapshot = state.snapshot.as_ref();
        let version = snapshot.map_or(NO_VERSION, |snapshot| snapshot.version());
        self.seen_tick.forget();
        self.state.store(Arc::new(state));
        self.version.store(version, Ordering::Release);
    }
}
