//! Beside the module and not in it, because `tests/single_flight` takes the module in as it is.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::single_flight::{Outcome, SingleFlight, Waiter};

fn end(waiter: &mut Waiter<u8>) -> Option<Outcome<u8>> {
    match Pin::new(waiter).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(end) => Some(end),
        Poll::Pending => None,
    }
}

#[test]
fn all_get_the_end_of_one_piece_of_work() {
    let flights = SingleFlight::new();
    let (leader, mut first) = flights.join("key");
    let (none, mut second) = flights.join("key");
    let (other, _) = flights.join("other key");
    assert!(none.is_none() && other.is_some());
    assert!(end(&mut first).is_none() && end(&mut second).is_none());
    leader.unwrap().done(7);
    for waiter in [&mut first, &mut second] {
        assert_eq!(end(waiter), Some(Outcome::Done(7)));
    }
    assert_eq!(flights.len(), 1);
    let (again, _) = flights.join("key");
    assert!(again.is_some());
}

#[test]
fn a_leader_that_goes_leaves_nobody_waiting() {
    let flights = SingleFlight::new();
    let (leader, mut waiter) = flights.join("key");
    drop(leader);
    assert_eq!(end(&mut waiter), Some(Outcome::Abandoned));
    let (leader, mut waiter) = flights.join("key");
    let panics = std::thread::spawn(move || {
        let _leader = leader;
        panic!("on purpose");
    });
    assert!(panics.join().is_err());
    assert_eq!(end(&mut waiter), Some(Outcome::Panicked));
    assert_eq!(flights.len(), 0);
}

#[test]
fn waiters_that_go_leave_nothing_behind() {
    let flights = SingleFlight::new();
    let (leader, mut first) = flights.join("key");
    for _ in 0..1_000 {
        let (_, mut waiter) = flights.join("key");
        // Twice: a waiter has one waker.
        assert!(end(&mut waiter).is_none() && end(&mut waiter).is_none());
    }
    assert!(end(&mut first).is_none());
    assert_eq!(first.waiting(), 1);
    leader.unwrap().done(7);
    assert_eq!(end(&mut first), Some(Outcome::Done(7)));
}
