//! `SharedTokenCacheCredential` as a program uses it: real caches, real TLS, a fake Entra.

mod account_sources;
mod accounts;
mod bad_answers;
mod bad_arguments;
mod bad_caches;
mod challenges;
mod clocks;
mod closing;
mod connections;
mod error_texts;
mod foreign_texts;
mod granted;
mod hits;
mod home;
mod identifiers;
mod leases;
mod panics;
mod persisting;
mod records;
mod redemption;
mod refreshing;
mod refusals;
mod rerun;
mod resources;
mod secrets;
mod short_lived;
mod single_flight;
mod tenants;
mod throttling;
mod usable_secrets;
mod watched;
mod workers;

use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use msal_token_cache::{MemoryPersistence, Persistence, TokenCache};
use serde_json::Value;
use shared_token_cache_credential::{
    AccessTokenInfo, Error, HyperTokenEndpoint, Result, SharedTokenCacheCredential,
    SharedTokenCacheCredentialBuilder, TokenRequestOptions,
};
use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount, FakeEntra, TestClock, logs};

const NOW: u64 = 1_800_000_000;
/// The fake Entra's host, which its entries bear as their environment.
const HOST: &str = "localhost";
const CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const ARM: &str = "https://management.azure.com/.default";
const VAULT: &str = "https://vault.azure.net/.default";
/// Ends a test that hangs. Not a measure of anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// What every test has: a server, a clock, somebody who is signed in, and a look at all log lines.
struct Stage {
    entra: FakeEntra,
    clock: TestClock,
    ada: FakeAccount,
    watch: logs::Watch,
}

impl Stage {
    fn new() -> Self {
        let watch = logs::Watch::new();
        let (entra, clock) = (FakeEntra::start(), TestClock::at(NOW));
        entra.set_clock(std::sync::Arc::new(clock.clone()));
        Self {
            entra,
            clock,
            ada: FakeAccount::new("ada@contoso.example"),
            watch,
        }
    }

    /// A cache in which Ada is signed in with the Azure CLI.
    fn cache(&self) -> CacheBuilder {
        let refresh_token = self.entra.issue_refresh_token(&self.ada, CLI, false);
        CacheBuilder::new().signed_in(&self.ada, HOST, CLI, &refresh_token)
    }

    /// The same with an access token that has so many seconds left.
    fn cache_with_token(&self, left: u64) -> CacheBuilder {
        let secret = logs::canary("cached access token");
        self.cache().access_token(&self.ada, token(&secret, left))
    }

    /// A credential under construction that trusts this server and lives at this time. It asks
    /// straight, whatever proxy the environment names.
    fn builder(&self) -> SharedTokenCacheCredentialBuilder {
        SharedTokenCacheCredential::builder()
            .authority(self.entra.authority())
            .token_endpoint(self.endpoint().without_proxy())
            .clock(self.clock.clone())
    }

    /// An endpoint that trusts this server, through whatever proxy the environment names.
    fn endpoint(&self) -> HyperTokenEndpoint {
        HyperTokenEndpoint::with_extra_root_certificates(self.entra.root_pem().as_bytes()).unwrap()
    }

    /// A credential whose callers share this store, unless they enable Continuous Access Evaluation.
    fn credential(&self, store: impl Persistence + 'static) -> SharedTokenCacheCredential {
        let builder = self.builder().token_cache(TokenCache::new(store));
        let cae = TokenCache::new(MemoryPersistence::new());
        builder.cae_token_cache(cae).build().unwrap()
    }

    /// The messages of the warnings about `what` since the test began.
    fn warnings(&self, what: &str) -> usize {
        let lines = self.watch.lines();
        let is_one =
            |line: &&logs::Line| line.level == tracing::Level::WARN && line.text.contains(what);
        lines.iter().filter(is_one).count()
    }
}

/// An access token for [`ARM`].
fn token(secret: &str, left: u64) -> AccessTokenSpec<'_> {
    AccessTokenSpec {
        environment: HOST,
        client_id: CLI,
        target: ARM,
        secret,
        cached_at: Some(NOW - 60),
        expires_on: NOW + left,
        ..AccessTokenSpec::default()
    }
}

fn holding(cache: &CacheBuilder) -> MemoryPersistence {
    MemoryPersistence::holding(cache.to_json())
}

fn content(store: &MemoryPersistence) -> Value {
    serde_json::from_slice(&store.content().unwrap()).unwrap()
}

/// The entries of a section.
fn entries(store: &MemoryPersistence, section: &str) -> Vec<Value> {
    let content = content(store);
    let section = content[section].as_object();
    section.map_or(Vec::new(), |section| section.values().cloned().collect())
}

/// Asks for a token for [`ARM`], within bounds.
async fn ask(credential: &SharedTokenCacheCredential) -> Result<AccessTokenInfo> {
    ask_with(credential, &TokenRequestOptions::default()).await
}

async fn ask_with(
    credential: &SharedTokenCacheCredential,
    options: &TokenRequestOptions,
) -> Result<AccessTokenInfo> {
    let asking = credential.get_token_info(&[ARM], options);
    tokio::time::timeout(PATIENCE, asking).await.unwrap()
}

/// The result of a future that has nothing to wait for, and no runtime to do so with.
#[track_caller]
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let future = std::pin::pin!(future);
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits"),
    }
}

fn challenge() -> TokenRequestOptions {
    TokenRequestOptions::default().with_claims(r#"{"access_token":{"nbf":{"value":"1"}}}"#)
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The error's text. In none of its forms does it show a secret, nor do its causes.
#[track_caller]
fn text(error: &Error) -> String {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        let shown = format!("{error} {error:?} {error:#?}");
        assert_eq!(logs::leaks_in(&shown), [""; 0]);
        next = error.source();
    }
    error.to_string()
}
