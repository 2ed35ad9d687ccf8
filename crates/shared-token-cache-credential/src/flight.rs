//! One piece of work for all who want the same at the same time.
//!
//! Knows nothing of runtimes: whoever comes first gets a [`Leader`] and does the work, wherever that
//! is; everybody, the first included, gets a [`Waiter`] for its end.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use crate::sync::{Arc, Mutex, MutexGuard};

/// The work under way, by what it is for. A key is there for as long as its work.
#[derive(Debug)]
pub(crate) struct Flights<K, T>(Arc<Mutex<HashMap<K, Arc<Flight<T>>>>>);

/// The duty to do the work, and to say how it ended.
#[derive(Debug)]
pub(crate) struct Leader<K: Eq + Hash, T> {
    key: K,
    flights: Arc<Mutex<HashMap<K, Arc<Flight<T>>>>>,
    flight: Arc<Flight<T>>,
}

/// Waits for the end. Dropping it leaves the work alone.
#[derive(Debug)]
pub(crate) struct Waiter<T> {
    flight: Arc<Flight<T>>,
    /// Where its waker is.
    place: Option<u64>,
}

/// How the work ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End<T> {
    Done(T),
    /// The leader panicked.
    Panicked,
    /// The leader went before it was done: its runtime ended.
    Abandoned,
}

#[derive(Debug)]
struct Flight<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    end: Option<End<T>>,
    /// In order, so that nothing depends on chance.
    wakers: BTreeMap<u64, Waker>,
    next_place: u64,
}

impl<K: Clone + Eq + Hash, T: Clone> Flights<K, T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(HashMap::new())))
    }

    /// Joins the work for this key; the first one is to lead it.
    pub(crate) fn join(&self, key: K) -> (Option<Leader<K, T>>, Waiter<T>) {
        let mut flights = lock(&self.0);
        if let Some(flight) = flights.get(&key) {
            return (None, Waiter::new(flight));
        }
        let flight = Arc::new(Flight(Mutex::new(State {
            end: None,
            wakers: BTreeMap::new(),
            next_place: 0,
        })));
        flights.insert(key.clone(), Arc::clone(&flight));
        let waiter = Waiter::new(&flight);
        let leader = Leader {
            key,
            flights: Arc::clone(&self.0),
            flight,
        };
        (Some(leader), waiter)
    }

    /// How many pieces of work are under way.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

impl<K: Eq + Hash, T> Leader<K, T> {
    /// Tells everybody the result.
    pub(crate) fn done(self, result: T) {
        self.end(End::Done(result));
    }

    fn end(&self, end: End<T>) {
        let wakers = {
            let mut state = lock(&self.flight.0);
            if state.end.is_some() {
                // The key may be another flight's by now.
                return;
            }
            state.end = Some(end);
            std::mem::take(&mut state.wakers)
        };
        lock(&self.flights).remove(&self.key);
        wakers.into_values().for_each(Waker::wake);
    }
}

impl<K: Eq + Hash, T> Drop for Leader<K, T> {
    /// Nobody waits for one that has gone.
    fn drop(&mut self) {
        self.end(if std::thread::panicking() {
            End::Panicked
        } else {
            End::Abandoned
        });
    }
}

impl<T> Waiter<T> {
    fn new(flight: &Arc<Flight<T>>) -> Self {
        Self {
            flight: Arc::clone(flight),
            place: None,
        }
    }

    /// How many are waiting.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.flight.0).wakers.len()
    }
}

impl<T: Clone> Future for Waiter<T> {
    type Output = End<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End<T>> {
        let this = &mut *self;
        let mut state = lock(&this.flight.0);
        if let Some(end) = &state.end {
            return Poll::Ready(end.clone());
        }
        let place = *this.place.get_or_insert_with(|| {
            state.next_place += 1;
            state.next_place
        });
        state.wakers.insert(place, cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Waiter<T> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            lock(&self.flight.0).wakers.remove(&place);
        }
    }
}

/// No invariant spans a panic here, so a poisoned lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
