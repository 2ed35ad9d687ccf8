//! Azure access tokens for async services, from the sign-in that the developer's tools already
//! hold.
//!
//! Microsoft's developer tools and SDKs keep their sign-in in a token cache on the developer's
//! machine.
//! [`SharedTokenCacheCredential`] reads that cache: a cached access token is there in
//! microseconds, and otherwise one cached refresh token is redeemed and the result written back,
//! where the other tools find it.
//!
//! ```no_run
//! use shared_token_cache_credential::{SharedTokenCacheCredential, TokenRequestOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> token_credential::Result<()> {
//! let credential = SharedTokenCacheCredential::builder().build()?;
//! let scopes = ["https://management.azure.com/.default"];
//! let token = credential.get_token(&scopes, &TokenRequestOptions::default()).await?;
//! println!("good until {:?}", token.expires_on());
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! - It never hands out the wrong token: account, cloud, tenant, application and scopes of a
//!   cached token are compared with what was asked, and an answer for another account is refused.
//! - It never damages the cache: see [`msal_token_cache`].
//! - It never makes the caller wait for what is known: a cached token takes no lock and no
//!   request.
//!
//! # Features
//!
//! - Who does the cryptography of TLS: `ring`, which is on by default, or `aws-lc-rs`. With both it
//!   is `aws-lc-rs`, without either the build fails.
//! - Which encrypted stores are there, each on its platform alone and on by default:
//!   `secret-service` for Linux, `dpapi` for Windows, `keychain` for macOS. Without its own, a platform has the cache in
//!   plain text where that is allowed.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod account_source;
mod authentication_record;
mod builder;
mod caches;
mod credential;
mod env;
mod error;
#[cfg(test)]
mod fixtures;
mod persistence_options;
mod policy;
mod redemption;
mod shared_cache;
mod silent_credential;
mod source;
mod state;

pub use account_source::{Account, AccountSource};
pub use authentication_record::AuthenticationRecord;
pub use builder::SharedTokenCacheCredentialBuilder;
pub use caches::Caches;
pub use credential::SharedTokenCacheCredential;
pub use entra_token_endpoint::{
    Authority, HttpResponse, HyperTokenEndpoint, TokenEndpoint, TokenRequest, TransportError,
    TransportErrorKind,
};
pub use persistence_options::TokenCachePersistenceOptions;
pub use policy::account::{AccountSelector, Clients};
pub use policy::tenant::Tenants;
pub use silent_credential::{SilentCredential, SilentCredentialBuilder};
pub use token_credential::{
    AccessToken, AccessTokenInfo, ChainedTokenCredential, Clock, Error, ErrorKind, OAuthError,
    Result, Secret, TokenCredential, TokenRequestOptions,
};

/// Compiles the README's sample.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
