//! `HyperTokenEndpoint` against servers that do, or do wrong, one thing.

mod answers;
mod closing;
pub(crate) mod raw_server;
mod reuse;
mod secrets;
mod setup;
mod trust;

use std::sync::LazyLock;
use std::time::Duration;

use shared_token_cache_credential::{TokenRequest, TransportError};
use test_support::logs;
use token_credential::Secret;

/// Ends a test that hangs. Not a measure of anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// What [`request`] asks with: a canary, and what a form has to encode.
static REFRESH_TOKEN: LazyLock<String> =
    LazyLock::new(|| format!("{}&=", logs::canary("refresh token")));

fn request(url: &str) -> TokenRequest {
    TokenRequest::new(url)
        .with_field("grant_type", Secret::new("refresh_token"))
        .with_field("refresh_token", Secret::new(&**REFRESH_TOKEN))
}

/// The error and its causes, as a log would show them.
fn chain(error: &TransportError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
