//! What the test support promises, through its public face.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that fails here should fail loudly"
)]

mod cache_builder;
mod client;
mod clock;
mod connections;
mod default_rules;
mod logs;
mod replies;
