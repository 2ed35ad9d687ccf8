//! What this workspace's tests, examples and benches share: a token endpoint that behaves like
//! Entra's, the people who sign in there, a clock that stands still, the texts of token caches,
//! and a log capture that finds leaked secrets.
//!
//! Everything here fails by panicking, for that is what a test wants.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a helper of tests stands outside the doors that it tests, and fails loudly"
)]

mod account;
mod cache_builder;
mod clock;
mod fake_entra;
mod fake_proxy;
mod guid;
pub mod logs;
mod panicking_store;
#[cfg(target_os = "linux")]
mod peer_server;
pub mod python_peer;
pub mod raw_server;
mod tls_identity;
mod whole_signature;

pub use account::FakeAccount;
pub use cache_builder::{AccessTokenSpec, CacheBuilder};
pub use clock::TestClock;
pub use fake_entra::{EntraError, FakeEntra, Reply, SeenRequest};
pub use fake_proxy::FakeProxy;
pub use panicking_store::PanickingStore;
#[cfg(target_os = "linux")]
pub use peer_server::PeerServer;
pub use raw_server::RawServer;
pub use tls_identity::TlsIdentity;
pub use whole_signature::with_whole_signature;
