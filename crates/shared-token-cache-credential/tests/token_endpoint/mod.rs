//! `HyperTokenEndpoint` against servers that do, or do wrong, one thing.

mod answers;
mod closing;
mod raw_server;
mod reuse;
mod secrets;
mod setup;
mod trust;

use std::time::Duration;

use shared_token_cache_credential::{TokenRequest, TransportError};
use token_credential::Secret;

/// Ends a test that hangs. Not a measure of anything.
const PATIENCE: Duration = Duration::from_secs(20);

fn request(url: &str) -> TokenRequest {
    TokenRequest::new(url)
        .with_field("grant_type", Secret::new("refresh_token"))
        .with_field("refresh_token", Secret::new("0.AAAA&="))
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
