//! The cache as its users and its neighbours see it: what a merge does to the entries, what a
//! reader makes of any file, how a writer replaces one, and who keeps whom out.
//!
//! For Linux, whose mounts, `/proc` and users they play with, and for Windows. Prerequisites on
//! Linux: `sh`, `strace`, and `flock`, `mount` and `unshare` of util-linux. As root the tests also play
//! another user; otherwise the user who runs them is that other one. The async twins need the feature
//! `tokio`.
#![cfg(any(target_os = "linux", windows))]
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "tests play the programs that go through no door, and fail loudly"
)]

mod cache;
