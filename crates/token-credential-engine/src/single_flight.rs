//! One piece of work for all callers that ask for the same at the same time.
//!
//! Uses no runtime: the first caller gets a [`Leader`] and does the work wherever it likes. Every
//! caller, the first included, gets a [`Waiter`] for the outcome.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use crate::sync::{Arc, Mutex, MutexGuard};

/// The work under way, by its key. A key is present for as long as its work.
#[derive(Debug)]
pub(crate) struct SingleFlight<K, T>(Arc<Mutex<HashMap<K, Arc<Flight<T>>>>>);

/// The duty to do the work and to report its outcome.
#[derive(Debug)]
pub(crate) struct Leader<K: Eq + Hash, T> {
    key: K,
    flights: Arc<Mutex<HashMap<K, Arc<Flight<T>>>>>,
    flight: Arc<Flight<T>>,
}

/// Waits for the outcome. Dropping it leaves the work alone.
#[derive(Debug)]
pub(crate) struct Waiter<T> {
    flight: Arc<Flight<T>>,
    /// The key of its waker.
    place: Option<u64>,
}

/// The outcome of the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome<T> {
    /// The result.
    Done(T),
    /// The leader panicked.
    Panicked,
    /// The leader was dropped before it was done: its runtime ended.
    Abandoned,
}

#[derive(Debug)]
struct Flight<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    outcome: Option<Outcome<T>>,
    /// In order, so that nothing depends on chance.
    wakers: BTreeMap<u64, Waker>,
    next_place: u64,
}

impl<K: Clone + Eq + Hash, T: Clone> SingleFlight<K, T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(HashMap::new())))
    }

    /// Joins the work for this key. The first caller gets its lead.
    pub(crate) fn join(&self, key: K) -> (Option<Leader<K, T>>, Waiter<T>) {
        let mut flights = lock(&self.0);
        if let Some(flight) = flights.get(&key) {
            return (None, Waiter::new(flight));
        }
        let flight = Arc::new(Flight(Mutex::new(State {
            outcome: None,
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

    /// Returns the number of pieces of work under way.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

impl<K: Eq + Hash, T> Leader<K, T> {
    /// Gives the result to every waiter.
    pub(crate) fn done(self, result: T) {
        self.end(Outcome::Done(result));
    }

    fn end(&self, outcome: Outcome<T>) {
        let wakers = {
            let mut state = lock(&self.flight.0);
            if state.outcome.is_some() {
                // The key may be another flight's already.
                return;
            }
            state.outcome = Some(outcome);
            std::mem::take(&mut state.wakers)
        };
        lock(&self.flights).remove(&self.key);
        wakers.into_values().for_each(Waker::wake);
    }
}

impl<K: Eq + Hash, T> Drop for Leader<K, T> {
    /// Releases the waiters of a leader that panicked or was dropped.
    fn drop(&mut self) {
        self.end(if std::thread::panicking() {
            Outcome::Panicked
        } else {
            Outcome::Abandoned
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

    /// Returns the number of waiters.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.flight.0).wakers.len()
    }
}

impl<T: Clone> Future for Waiter<T> {
    type Output = Outcome<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<T>> {
        let this = &mut *self;
        let mut state = lock(&this.flight.0);
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(outcome.clone());
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

/// Ignores poison, because no invariant spans a panic here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
