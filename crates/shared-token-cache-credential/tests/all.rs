//! What the crate does, seen from outside: over loopback, against servers made for it.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test reads the environment and stops at the first surprise"
)]

mod credential;
