//! Posts the form of any OAuth grant to the token endpoint of Microsoft Entra, and reads the answer.
//!
//! [`post`] sends a [`TokenRequest`] over a [`TokenEndpoint`], repeats it where that is safe, and
//! returns a grant-neutral [`TokenResponse`] or a typed [`TokenError`].
//! [`HyperTokenEndpoint`] is the transport: HTTP/1.1 over TLS, with connection pools, proxies and
//! an orderly close.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use entra_token_endpoint::{
//!     Authority, HyperTokenEndpoint, TokenEndpoint, TokenError, TokenRequest, post,
//! };
//! use token_credential::{Secret, SystemClock};
//! use tokio::time::Instant;
//!
//! # async fn redeem(code: Secret, verifier: Secret) -> Result<(), Box<dyn std::error::Error>> {
//! let authority = Authority::parse(Authority::DEFAULT)?;
//! let request = TokenRequest::new(authority.token_endpoint("organizations"))
//!     .with_user_agent("my-program/1.0")
//!     .with_field("grant_type", Secret::new("authorization_code"))
//!     .with_field("client_id", Secret::new("00000000-1111-2222-3333-444444444444"))
//!     .with_field("redirect_uri", Secret::new("http://localhost:8400"))
//!     .with_field("code", code)
//!     .with_field("code_verifier", verifier);
//! let endpoint = HyperTokenEndpoint::new();
//! let deadline = Instant::now() + Duration::from_secs(30);
//! let posted = post(&endpoint, &request, &SystemClock, deadline).await;
//! match posted.result {
//!     Ok(response) => println!("a token for {:?}", response.scope()),
//!     Err(TokenError::Refused(refusal)) => println!("refused: {}", refusal.oauth().error()),
//!     Err(error) => println!("{error}"),
//! }
//! endpoint.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Requests that are sent twice
//!
//! An authorization code or a device code is valid once, and a second request with it may revoke
//! the tokens of the first (RFC 6749 section 4.1.2). So [`post`] repeats a request only if its
//! sender calls it [repeatable](TokenRequest::with_repeatable), or if the server cannot have acted
//! on it. A refresh token of Entra can be redeemed twice.
//!
//! # What the caller judges
//!
//! The caller knows the grant. It compares account, tenant and scopes of a response with the
//! request, and decides whether a lifetime is long enough to hand the token out.
//!
//! # Features
//!
//! `ring`, on by default, or `aws-lc-rs` does the cryptography of TLS. With both it is
//! `aws-lc-rs`; without either the build fails.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod authority;
mod env;
mod error;
mod error_response;
mod host;
mod http;
mod json_members;
mod known_hosts;
mod post;
mod retry;
pub mod tenant;
mod token_endpoint;
mod token_response;
mod usable;

pub use authority::{Authority, InvalidAuthority};
pub use error::{TokenError, UnusableResponse};
pub use error_response::{Actionability, ErrorResponse, Remedy};
pub use http::HyperTokenEndpoint;
pub use post::{Posted, post};
pub use token_endpoint::TokenEndpoint;
pub use token_endpoint::error::{TransportError, TransportErrorKind};
pub use token_endpoint::reply::HttpResponse;
pub use token_endpoint::request::TokenRequest;
pub use token_response::{ClientInfo, Seconds, TokenResponse};

/// Compiles the README's sample.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
