//! A runtime may end, and the callers in another one notice nothing.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

use crate::script::Reply;
use crate::world::{World, at_once, err, ok};

fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// Drives a runtime until its tasks wait.
fn drive(runtime: &Runtime) {
    runtime.block_on(async {
        for _ in 0..10 {
            yield_now().await;
        }
    });
}

/// Polls a future once.
fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn two_runtimes_do_not_share_a_flight() {
    let world = World::new();
    world.script.obtain(Reply::Never);
    let first = runtime();
    let waits = world.clone();
    let waits = first.spawn(async move { waits.get("a").await });
    drive(&first);
    assert_eq!(world.count("obtain"), 1);
    // The first one is not driven any more: a caller that joined its flight would hang.
    let second = runtime();
    assert_eq!(second.block_on(world.get("a")), ok("new 2"));
    assert_eq!(world.count("obtain"), 2);
    assert!(!waits.is_finished());
}

#[test]
fn a_runtime_that_ends_leaves_the_callers_of_another_alone() {
    let world = World::new();
    let second = Duration::from_secs(1);
    world.script.obtain(Reply::Never);
    world.script.token_after(second, "new");
    let [ends, stays] = [runtime(), runtime()];
    let first = world.clone();
    ends.spawn(async move { first.get("a").await });
    drive(&ends);
    let other = world.clone();
    let other = stays.spawn(async move { other.get("a").await });
    drive(&stays);
    assert_eq!(world.count("obtain"), 2);
    drop(ends);
    assert_eq!(world.count("lease ends"), 1);
    assert_eq!(stays.block_on(other).unwrap(), ok("new"));
    assert_eq!(world.count("obtain"), 2);
}

#[test]
fn a_caller_whose_flight_ends_with_its_runtime_begins_another() {
    let world = World::new();
    world.script.obtain(Reply::Never);
    let [first, second] = [runtime(), runtime()];
    let mut call = pin!(world.get("a"));
    {
        let _guard = first.enter();
        assert!(poll(call.as_mut()).is_pending());
    }
    drive(&first);
    drop(first);
    assert_eq!(second.block_on(call), ok("new 2"));
}

#[test]
fn a_caller_begins_three_flights_at_most() {
    let world = World::new();
    for _ in 0..3 {
        world.script.obtain(Reply::Never);
    }
    let mut call = pin!(world.get("a"));
    for flights in 1..=3 {
        let runtime = runtime();
        let guard = runtime.enter();
        assert!(poll(call.as_mut()).is_pending(), "{flights}");
        drop(guard);
        drive(&runtime);
        assert_eq!(world.count("obtain"), flights);
    }
    let runtime = runtime();
    let _guard = runtime.enter();
    let Poll::Ready(got) = poll(call.as_mut()) else {
        panic!("a fourth flight was joined");
    };
    assert_eq!(got, err("plan: RuntimeEnded"));
    assert_eq!(world.count("obtain"), 3);
    // The flights have left nothing behind.
    assert_eq!(runtime.block_on(world.get("a")), ok("new 4"));
}

#[test]
fn in_a_runtime_that_has_ended_a_call_fails_at_once() {
    let world = World::new();
    let ended = runtime();
    let handle = ended.handle().clone();
    drop(ended);
    let _guard = handle.enter();
    assert_eq!(at_once(world.get("a")), err("plan: RuntimeEnded"));
    assert_eq!(world.count("obtain"), 0);
    assert_eq!(world.count("error"), 1);
}

#[test]
fn a_result_that_was_kept_outlives_its_runtime() {
    let world = World::new();
    let hour = Duration::from_secs(3600);
    world
        .script
        .write(hour, token_credential_engine::Written::Stored);
    let ends = runtime();
    assert_eq!(ends.block_on(world.get("a")), ok("new 1"));
    drop(ends);
    // The write was dropped with it, and neither the turn nor the lease is lost.
    assert_eq!(world.count("lease ends"), 1);
    let other = runtime();
    assert_eq!(other.block_on(world.get("a")), ok("new 1"));
    assert_eq!(other.block_on(world.get("b")), ok("new 2"));
    assert_eq!(world.count("written"), 1);
}
