//! The trait behind which an async service gets its access tokens.
//!
//! [`TokenCredential`] is what a client of a protected service takes, as `Arc<dyn
//! TokenCredential>`; a credential is what implements it. This crate brings no runtime and no HTTP
//! client, so that either side can depend on it without cost.
//!
//! ```
//! use std::sync::Arc;
//! use token_credential::{Result, TokenCredential, TokenRequestOptions};
//!
//! async fn authorization(credential: &Arc<dyn TokenCredential>) -> Result<String> {
//!     let scopes = ["https://management.azure.com/.default"];
//!     let token = credential.get_token(&scopes, &TokenRequestOptions::default()).await?;
//!     Ok(format!("Bearer {}", token.token().expose_secret()))
//! }
//! ```
//!
//! # Secrets
//!
//! A token travels as a [`Secret`]: its `Debug` is constant, it has no `Display` and no
//! serialisation, its memory is overwritten when the last clone goes, and the one way to its text,
//! [`Secret::expose_secret`], is easy to search for.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod access_token;
mod chain;
mod clock;
mod credential;
mod error;
mod request;
mod sanitize;
mod secret;

pub use access_token::{AccessToken, AccessTokenInfo};
pub use chain::ChainedTokenCredential;
pub use clock::{Clock, SystemClock};
pub use credential::TokenCredential;
pub use error::{Error, ErrorKind, OAuthError, Result};
pub use request::TokenRequestOptions;
pub use sanitize::{sanitize, sanitize_error};
pub use secret::Secret;
