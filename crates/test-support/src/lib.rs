//! What the tests of this workspace share. Never published.

pub mod python_peer;
