//! Many writers of one file: nothing that one of them wrote is lost.

use std::path::Path;
use std::thread;
use std::time::Duration;

use msal_token_cache::{FilePersistence, Merged, Redemption, TokenCache};
use token_credential::Secret;

use super::roles;
use super::sample::{CLIENT, HOST, NOW, Place, ada, at};
use test_support::CacheBuilder;

const BY_EACH_THREAD: usize = 100;
const BY_EACH_PROCESS: usize = 50;

/// A cache whose refresh token is a number.
fn zero() -> CacheBuilder {
    CacheBuilder::new().signed_in(&ada(), HOST, CLIENT, "0")
}

fn cache_at(path: &Path) -> TokenCache {
    TokenCache::new(FilePersistence::new(path).with_lock_timeout(Duration::from_secs(30)))
}

fn count(cache: &TokenCache) -> usize {
    let snapshot = cache.snapshot().unwrap();
    let token = snapshot.refresh_tokens().next().unwrap();
    token.secret().expose_secret().parse().unwrap()
}

/// Redeems the refresh token that it finds for the next number, and says so in an access token of
/// its own: a modification may run again on what it has already changed.
fn increment(cache: &TokenCache, writer: &str, turn: usize) {
    let done = format!("turn {turn}");
    let merged = cache.modify(|transaction| {
        let snapshot = transaction.snapshot();
        let is_done = snapshot.access_tokens().any(|token| {
            token.target().contains([writer]) && token.secret().expose_secret() == done
        });
        if is_done {
            return Ok(Merged::Stored);
        }
        let refresh_token = snapshot.refresh_tokens().next().unwrap();
        let number: usize = refresh_token.secret().expose_secret().parse().unwrap();
        let redemption = Redemption::new(
            &refresh_token,
            ada().utid,
            writer,
            Secret::new(done.clone()),
            at(NOW),
            at(NOW + 3_600),
        );
        let next = Secret::new((number + 1).to_string());
        transaction.merge(&redemption.with_refresh_token(next))
    });
    assert_eq!(merged.unwrap(), Merged::Stored);
}

#[test]
fn threads_lose_nothing() {
    let place = Place::holding(zero().to_json());
    // Half of them share a cache, as the tasks of a service do; the others have one each, so that
    // nothing but the lock file stands between them.
    let shared = place.cache();
    thread::scope(|scope| {
        for n in 0..8 {
            let cache = if n % 2 == 0 {
                shared.clone()
            } else {
                cache_at(&place.path)
            };
            let writer = format!("thread-{n}");
            scope.spawn(move || {
                (0..BY_EACH_THREAD).for_each(|turn| increment(&cache, &writer, turn));
            });
        }
    });
    assert_eq!(count(&shared), 8 * BY_EACH_THREAD);
    assert_eq!(place.names(), ["msal.cache.nocae"]);
}

/// The part of one process.
pub(crate) fn increments(path: &Path) {
    let cache = cache_at(path);
    let writer = format!("process-{}", std::process::id());
    (0..BY_EACH_PROCESS).for_each(|turn| increment(&cache, &writer, turn));
}

#[test]
fn processes_lose_nothing() {
    let place = Place::holding(zero().to_json());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| roles::succeeds(roles::command("a writer", &place.path)));
        }
    });
    assert_eq!(count(&place.cache()), 4 * BY_EACH_PROCESS);
    assert_eq!(place.names(), ["msal.cache.nocae"]);
}
