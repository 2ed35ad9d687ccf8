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

mod errors;
mod flights;
mod looks;
mod memo;
mod unsaved;
