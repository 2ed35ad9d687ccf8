//! `HyperTokenEndpoint` against servers that do, or do wrong, one thing.

mod answers;
mod closing;
mod cut_calls;
#[cfg(unix)]
mod forks;
mod proxy;
mod reuse;
mod secrets;
mod setup;
mod trust;

use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use entra_token_endpoint::{HyperTokenEndpoint, TokenRequest, TransportError};
use test_support::{RawServer, logs};
use token_credential::Secret;

/// Ends a test that hangs. Not a measure of anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// What [`request`] asks with: a canary, and what a form has to encode.
static REFRESH_TOKEN: LazyLock<String> =
    LazyLock::new(|| format!("{}&=", logs::canary("refresh token")));

/// Makes the endpoint for a server.
trait EndpointFor {
    /// An endpoint that trusts this server.
    fn endpoint(&self) -> HyperTokenEndpoint;
}

impl EndpointFor for RawServer {
    fn endpoint(&self) -> HyperTokenEndpoint {
        HyperTokenEndpoint::with_extra_root_certificates(self.root_pem())
            .unwrap()
            .without_proxy()
    }
}

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

/// Runs this one test again in a process with these variables besides its own, and with no others
/// that name a proxy or roots. It must pass; returns what it said.
#[track_caller]
fn again(test: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    for name in ["HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "{} {said}", output.status);
    said
}
