//! What a hit costs that can be counted: memory and system calls. Times are for the benches.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test reads the environment and stops at the first surprise"
)]

mod allocator;
#[cfg(target_os = "linux")]
mod system_calls;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use msal_token_cache::{FilePersistence, TokenCache};
use shared_token_cache_credential::{
    HttpResponse, SharedTokenCacheCredential, TokenCredential, TokenEndpoint, TokenRequest,
    TokenRequestOptions, TransportError,
};
use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount, TestClock};

use allocator::allocations;

const NOW: u64 = 1_800_000_000;
const CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const ARM: &str = "https://management.azure.com/.default";

/// A credential over a file that holds a token for [`ARM`], and the folder of that file.
fn credential() -> (SharedTokenCacheCredential, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("msal.cache.nocae");
    let ada = FakeAccount::new("ada@contoso.example");
    let spec = AccessTokenSpec {
        client_id: CLI,
        target: ARM,
        secret: "the-token",
        cached_at: Some(NOW - 60),
        expires_on: NOW + 3600,
        ..AccessTokenSpec::default()
    };
    let cache = CacheBuilder::new()
        .signed_in(&ada, "login.microsoftonline.com", CLI, "a-refresh-token")
        .access_token(&ada, spec);
    std::fs::write(&path, cache.to_json()).unwrap();
    let credential = SharedTokenCacheCredential::builder()
        .authority("https://login.microsoftonline.com")
        .token_cache(TokenCache::new(FilePersistence::new(path)))
        .token_endpoint(Granting)
        .clock(TestClock::at(NOW))
        .build()
        .unwrap();
    (credential, folder)
}

/// Grants what it is asked for.
#[derive(Debug)]
struct Granting;

#[async_trait]
impl TokenEndpoint for Granting {
    async fn send(&self, _request: TokenRequest) -> Result<HttpResponse, TransportError> {
        let answer = r#"{"token_type":"Bearer","expires_in":3600,"access_token":"new"}"#;
        Ok(HttpResponse::new(200, answer))
    }
}

/// The result of a future that has nothing to wait for.
#[track_caller]
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits"),
    }
}

fn hit(credential: &SharedTokenCacheCredential) {
    let options = TokenRequestOptions::default();
    let token = at_once(credential.get_token(&[ARM], &options)).unwrap();
    assert_eq!(token.token().expose_secret(), "the-token");
}

/// Until nothing is left to be done but hits: content that was read right after it was written is
/// read once more when its stamp is of age.
fn settle(credential: &SharedTokenCacheCredential) {
    hit(credential);
    std::thread::sleep(Duration::from_millis(60));
    hit(credential);
}

#[cfg(not(windows))]
fn of_hits(count: impl Fn() -> usize) -> usize {
    count()
}

/// The look at the file, once per tick, goes by its path, which std writes anew for the system.
#[cfg(windows)]
fn of_hits(count: impl Fn() -> usize) -> usize {
    (0..50).map(|_| count()).min().unwrap()
}

/// Of two tokens whose scopes overlap, one is in memory alone.
#[test]
fn k14_a_hit_of_a_displaced_token_allocates_nothing() {
    let (credential, _folder) = credential();
    let options = TokenRequestOptions::default();
    let sets = [["User.Read", "Mail.Read"], ["User.Read", "Files.Read"]];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for scopes in &sets {
        runtime
            .block_on(credential.get_token(scopes, &options))
            .unwrap();
    }
    let hits = || {
        for scopes in &sets {
            at_once(credential.get_token(scopes, &options)).unwrap();
        }
    };
    hits();
    std::thread::sleep(Duration::from_millis(60));
    hits();
    let allocated = of_hits(|| allocations(|| (0..1_000).for_each(|_| hits())));
    assert_eq!(allocated, 0);
}

#[test]
fn a_hit_allocates_nothing_and_through_the_trait_its_box() {
    let (credential, _folder) = credential();
    settle(&credential);
    let inherent = of_hits(|| allocations(|| (0..1_000).for_each(|_| hit(&credential))));
    assert_eq!(inherent, 0);

    let shared: Arc<dyn TokenCredential> = Arc::new(credential);
    let options = TokenRequestOptions::default();
    let through_the_trait = of_hits(|| {
        allocations(|| {
            for _ in 0..1_000 {
                at_once(shared.get_token(&[ARM], &options)).unwrap();
            }
        })
    });
    assert_eq!(through_the_trait, 1_000);
}
