//! The token cache that Microsoft's developer tools share: read without a lock, written without
//! harm.
//!
//! Azure CLI, Azure PowerShell, Visual Studio and every SDK with a persistent cache keep their
//! sign-in in the unified MSAL cache: a JSON document of accounts, refresh tokens and access
//! tokens. [`TokenCache`] reads it, [`Snapshot`] is its content at one moment, and a [`Transaction`]
//! changes it under the lock that the other programs respect. The caller decides which token to use.
//!
//! ```
//! # #[cfg(any(unix, windows))]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use msal_token_cache::{FilePersistence, TokenCache, default_path};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("msal.cache.nocae");
//! # #[cfg(any())]
//! let path = default_path("msal.cache.nocae").ok_or("no home folder")?;
//! let cache = TokenCache::new(FilePersistence::new(path));
//! let snapshot = cache.snapshot()?;
//! for account in snapshot.accounts() {
//!     let tokens = snapshot.access_tokens_of(account.home_account_id());
//!     println!("{:?}: {} access tokens", account.username(), tokens.count());
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(any(unix, windows)))]
//! # fn main() {}
//! ```
//!
//! # What it promises to the other programs
//!
//! - Unknown sections, entries and members survive a write, value for value and in their order.
//! - A reader sees the old content or the new, whenever we die: the file is replaced, not written
//!   over (see [`FilePersistence`] for the one exception).
//! - The lock is held for reading, merging and replacing, never for longer.
//! - Content that it cannot read (encrypted, torn, not a cache) is never written over or deleted.
//!
//! # Stores
//!
//! `FilePersistence` is plain text. The encrypted stores of the platforms are features, on by default
//! and each for its platform alone: `SecretServicePersistence` (feature `secret-service`, Linux),
//! `DpapiPersistence` (`dpapi`, Windows) and `KeychainPersistence` (`keychain`, macOS). Your own
//! [`Persistence`] may keep the cache anywhere else.
//!
//! # Limitations
//!
//! The Keychain of macOS was compiled, not run. A peer that ignores the lock can undo a write; it is
//! put on top again at the next look, not prevented. See [`FilePersistence`] for file systems without
//! `flock`.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod cache;
mod content;
mod document;
mod error;
mod fs;
pub mod identifier;
mod index;
#[cfg_attr(not(any(unix, windows)), path = "lease/unsupported.rs")]
mod lease;
#[cfg(any(unix, windows))]
mod lock;
mod merge;
mod persistence;
mod schema;
mod seen_tick;
mod snapshot;
mod time;
mod transaction;
mod unsupported_format;
mod wipe;

pub use cache::{Freshness, TokenCache};
pub use error::{Error, ErrorKind, Result};
pub use fs::paths::default_path;
pub use fs::stamp::Stamp;
pub use lease::{Lease, Leases};
pub use merge::{Identity, Merged, Origin, RedeemedToken, Redemption, SignIn};
#[cfg(all(windows, feature = "dpapi"))]
pub use persistence::dpapi::DpapiPersistence;
#[cfg(any(unix, windows))]
pub use persistence::file::FilePersistence;
#[cfg(all(target_os = "macos", feature = "keychain"))]
pub use persistence::keyring::KeychainPersistence;
#[cfg(all(target_os = "linux", feature = "secret-service"))]
pub use persistence::keyring::SecretServicePersistence;
pub use persistence::memory::MemoryPersistence;
pub use persistence::{Loaded, Persistence, StoreLock};
pub use schema::cloud::{is_known_cloud, known_hosts, same_cloud};
pub use schema::{
    AccessToken, Account, AppMetadata, IdToken, LONGEST_SECRET, RefreshToken, Target,
    is_usable_secret,
};
pub use snapshot::Snapshot;
pub use transaction::Transaction;

/// Compiles the README's sample.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
