//! Walks the single flight through every order of its steps that two or three threads can take,
//! with loom in place of the standard library's mutex.
//!
//! Not for Windows: nothing unwinds from the stacks of loom's threads under Wine.
#![cfg(unix)]
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "the module is the crate's own, and a test stops at the first surprise"
)]

#[path = "../../src/single_flight.rs"]
mod single_flight;

/// Gives the module loom's mutex.
mod sync {
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
}

use loom::future::block_on;
use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use single_flight::{Outcome, SingleFlight};

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// Joins, leads where it is the first, and waits.
fn join(flights: &SingleFlight<u8, usize>, led: &AtomicUsize) -> Outcome<usize> {
    let (leader, waiter) = flights.join(1);
    if let Some(leader) = leader {
        leader.done(led.fetch_add(1, Ordering::Relaxed));
    }
    block_on(waiter)
}

#[test]
fn everybody_gets_the_result_of_a_leader() {
    check(|| {
        let flights = Arc::new(SingleFlight::new());
        let led = Arc::new(AtomicUsize::new(0));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (flights, led) = (Arc::clone(&flights), Arc::clone(&led));
                thread::spawn(move || join(&flights, &led))
            })
            .collect();
        let mut ends = vec![join(&flights, &led)];
        ends.extend(others.into_iter().map(|other| other.join().unwrap()));
        let led = led.load(Ordering::Relaxed);
        assert!(
            ends.iter()
                .all(|end| matches!(end, Outcome::Done(n) if *n < led))
        );
    });
}

#[test]
fn a_leader_that_goes_is_succeeded() {
    check(|| {
        let flights = Arc::new(SingleFlight::new());
        let (leader, waiter) = flights.join(1);
        let goes = thread::spawn(move || drop(leader));
        let joins = {
            let flights = Arc::clone(&flights);
            thread::spawn(move || {
                let (leader, waiter) = flights.join(1);
                if let Some(leader) = leader {
                    leader.done(7);
                    return block_on(waiter) == Outcome::Done(7);
                }
                block_on(waiter) == Outcome::Abandoned
            })
        };
        assert_eq!(block_on(waiter), Outcome::Abandoned);
        goes.join().unwrap();
        assert!(joins.join().unwrap());
        assert!(flights.join(1).0.is_some());
    });
}

#[test]
fn a_waiter_that_goes_takes_nothing_with_it() {
    check(|| {
        let flights = Arc::new(SingleFlight::<u8, usize>::new());
        let (leader, waiter) = flights.join(1);
        let (_, leaving) = flights.join(1);
        let leaves = thread::spawn(move || drop(leaving));
        let leads = thread::spawn(move || leader.unwrap().done(7));
        assert_eq!(block_on(waiter), Outcome::Done(7));
        leaves.join().unwrap();
        leads.join().unwrap();
    });
}
