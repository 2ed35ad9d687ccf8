//! Benchmarks of the crates of this workspace: what their groups share. `cargo xtask bench` runs
//! them and prints the ratios; docs/PERFORMANCE.md says how to read those.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a benchmark stands outside the doors that it measures, and stops at the first surprise"
)]

#[cfg(feature = "yardsticks")]
pub mod azure;
pub mod sample;
pub mod typed;
pub mod wire;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The result of a future that has nothing to wait for.
#[allow(
    clippy::inline_always,
    reason = "who awaits a future does not move it first"
)]
#[inline(always)]
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits"),
    }
}
