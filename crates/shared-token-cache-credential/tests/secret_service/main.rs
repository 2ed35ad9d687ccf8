//! A cache in the Secret Service: a real gnome-keyring on a session bus of its own, Python's
//! libsecret as the neighbour, and what can go wrong on a desktop.
//!
//! Run by `cargo xtask test secret-service`, which brings the programs.
#![cfg(all(target_os = "linux", feature = "secret-service"))]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test that fails here should fail loudly, and plays the desktop"
)]

mod choice;
mod desktop;
mod failures;
mod places;
mod with_python;

use std::time::{Duration, Instant};

use msal_token_cache::{SecretServicePersistence, TokenCache};
use shared_token_cache_credential::{
    AccessToken, Error, HyperTokenEndpoint, Result, SharedTokenCacheCredential, TokenRequestOptions,
};
use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount, FakeEntra, logs};

use self::desktop::Desktop;

const CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const ARM: &str = "https://management.azure.com/.default";
const VAULT: &str = "https://vault.azure.net/.default";
const CACHE: &str = "msal.cache.nocae";
/// Within this time every failure is known.
const SOON: Duration = Duration::from_secs(5);
/// Ends a test that hangs. Not a measure of anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A desktop, somebody who is signed in there, and an Entra.
struct Stage {
    desktop: Desktop,
    entra: FakeEntra,
    ada: FakeAccount,
    log: logs::Capture,
}

impl Stage {
    async fn new() -> Self {
        let log = logs::capture();
        Self {
            desktop: Desktop::start().await,
            entra: FakeEntra::start(),
            ada: FakeAccount::new("ada@contoso.example"),
            log,
        }
    }

    /// A cache in which this person is signed in, with a token for [`ARM`].
    fn cache_of(&self, person: &FakeAccount) -> String {
        let refresh_token = self.entra.issue_refresh_token(person, CLI, false);
        let secret = logs::canary("cached access token");
        let spec = AccessTokenSpec {
            environment: "localhost",
            client_id: CLI,
            target: ARM,
            secret: &secret,
            expires_on: seconds_from_now(3600),
            ..AccessTokenSpec::default()
        };
        CacheBuilder::new()
            .signed_in(person, "localhost", CLI, &refresh_token)
            .access_token(person, spec)
            .to_json()
    }

    /// The store of the cache on this desktop.
    fn store(&self) -> SecretServicePersistence {
        SecretServicePersistence::new(self.desktop.signal_file())
            .with_bus_address(self.desktop.address())
    }

    fn credential(&self, store: SecretServicePersistence) -> SharedTokenCacheCredential {
        let pem = self.entra.root_pem().as_bytes();
        SharedTokenCacheCredential::builder()
            .authority(self.entra.authority())
            .token_endpoint(
                HyperTokenEndpoint::with_extra_root_certificates(pem)
                    .unwrap()
                    .without_proxy(),
            )
            .token_cache(TokenCache::new(store))
            .build()
            .unwrap()
    }
}

fn seconds_from_now(seconds: u64) -> u64 {
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs() + seconds
}

async fn ask(credential: &SharedTokenCacheCredential, scope: &str) -> Result<AccessToken> {
    let options = TokenRequestOptions::default();
    let scopes = [scope];
    let asking = credential.get_token(&scopes, &options);
    tokio::time::timeout(PATIENCE, asking).await.unwrap()
}

/// The error of asking, which comes soon and is typed.
#[track_caller]
fn failed_soon(result: Result<AccessToken>, since: Instant) -> Error {
    let took = since.elapsed();
    let error = result.unwrap_err();
    assert!(took < SOON, "{took:?}: {error}");
    let mut next: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = next {
        let shown = format!("{error} {error:?}");
        assert_eq!(logs::leaks_in(&shown), [""; 0]);
        next = error.source();
    }
    error
}
