//! Holds the engine to its promises, with a source in which the test scripts every answer.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails at the first surprise, loudly"
)]

mod clock;
mod journal;
mod log_lines;
mod script;
mod scripted;
mod store;
mod world;

mod close;
mod errors;
mod failures;
mod flights;
mod last_resort;
mod leases;
mod looks;
mod memo;
mod refresh_ahead;
mod runtimes;
mod short_lived;
mod unsaved;
mod writes;
