//! Tokens that are refreshed in the background, ahead of their time, while callers get the one at
//! hand.

mod lifetimes;
mod processes;
mod scripted;

use std::time::{Duration, Instant};

use msal_token_cache::{FilePersistence, TokenCache};
use shared_token_cache_credential::{
    HttpResponse, SharedTokenCacheCredential, SharedTokenCacheCredentialBuilder,
    TokenRequestOptions,
};
use test_support::{CacheBuilder, EntraError, Reply};
use tokio::runtime::Handle;

use self::scripted::{Answer, Scripted, issued, refused};
use super::{
    ARM, NOW, PATIENCE, Stage, VAULT, ask, ask_with, at_once, challenge, entries, holding, token,
};

/// How far refreshing is spread.
const WINDOW: u64 = 300;

/// A cache with a token that is to be refreshed in so many seconds, has so many left, and is
/// called `old`.
fn cache_due_in(stage: &Stage, refresh: u64, left: u64) -> CacheBuilder {
    let cache = stage.cache().access_token(&stage.ada, token("old", left));
    cache.with("refresh_on", (NOW + refresh).to_string().into())
}

fn builder(
    stage: &Stage,
    cache: &CacheBuilder,
    endpoint: Scripted,
) -> SharedTokenCacheCredentialBuilder {
    let both = TokenCache::new(holding(cache));
    stage.builder().token_endpoint(endpoint).token_cache(both)
}

/// The token of a call that has nothing to wait for.
#[track_caller]
fn hit(credential: &SharedTokenCacheCredential) -> String {
    let options = TokenRequestOptions::default();
    let token = at_once(credential.get_token(&[ARM], &options)).unwrap();
    token.token().expose_secret().to_owned()
}

/// Lets the tasks of this runtime do what they have to do.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
}

async fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < PATIENCE, "in vain");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Over the wire: the old token at once, then the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_due_is_handed_out_and_refreshed_once() {
    let stage = Stage::new();
    let store = holding(&cache_due_in(&stage, 1_000, 5_000));
    let credential = stage.credential(store.clone());
    let slow = Reply::success().delayed(Duration::from_secs(1));
    stage.entra.push(slow);
    for second in [0, 999, 999] {
        stage.clock.set(NOW + second);
        assert_eq!(hit(&credential), "old");
    }
    settle().await;
    assert_eq!(stage.entra.connections(), 0);
    stage.clock.set(NOW + 1_000 + WINDOW);
    for _ in 0..1_000 {
        assert_eq!(hit(&credential), "old");
    }
    assert!(stage.entra.wait_for_requests(1, PATIENCE));
    assert_eq!(hit(&credential), "old");
    until(|| hit(&credential) != "old").await;
    let new = ask(&credential).await.unwrap();
    settle().await;
    // Waits for the write, too.
    credential.close().await.unwrap();
    let [stored] = entries(&store, "AccessToken").try_into().unwrap();
    assert_eq!(stored["secret"], new.token().expose_secret());
    assert_eq!(stage.entra.request_count(), 1);
}

#[tokio::test]
async fn the_attempt_comes_within_the_window() {
    let stage = Stage::new();
    let endpoint = Scripted::new(&stage, |number| issued(number, 3600, None));
    let asked = endpoint.asked();
    let cache = cache_due_in(&stage, 100, 5_000);
    let credential = builder(&stage, &cache, endpoint).build().unwrap();
    for second in 0..=100 + WINDOW {
        stage.clock.set(NOW + second);
        hit(&credential);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    until(|| hit(&credential) == "token-1").await;
    let [at] = asked().try_into().unwrap();
    assert!((NOW + 100..=NOW + 100 + WINDOW).contains(&at), "{at}");
}

/// Calls every second while every attempt fails in a way that is not remembered.
#[tokio::test]
async fn there_is_one_attempt_in_thirty_seconds_for_each_key() {
    let stage = Stage::new();
    let endpoint = Scripted::new(&stage, |_| refused("invalid_scope"));
    let asked = endpoint.asked();
    let both = format!("{ARM} {VAULT}");
    let cache = cache_due_in(&stage, 0, 5_000).with("target", both.into());
    let credential = builder(&stage, &cache, endpoint).build().unwrap();
    let clone = credential.clone();
    let options = TokenRequestOptions::default();
    for second in 0..300 {
        stage.clock.set(NOW + WINDOW + second);
        for credential in [&credential, &clone] {
            assert_eq!(hit(credential), "old");
            at_once(credential.get_token(&[VAULT], &options)).unwrap();
        }
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    let asked = asked();
    assert_eq!(asked.len(), 20);
    for (n, pair) in asked.chunks(2).enumerate() {
        assert_eq!(pair, [NOW + WINDOW + 30 * n as u64; 2]);
    }
}

/// While the server wants to be left alone, or has said no, nothing is asked, and no call knows.
#[tokio::test]
async fn a_failure_is_remembered_and_no_calls() {
    let throttled = || Answer::Refusal(HttpResponse::new(429, "{}").with_retry_after("300"));
    let denied = || refused("invalid_grant");
    for (first, lasts) in [(throttled as fn() -> Answer, 300), (denied, 120)] {
        let stage = Stage::new();
        let endpoint = Scripted::new(&stage, move |number| match number {
            1 => first(),
            _ => issued(number, 3600, None),
        });
        let asked = endpoint.asked();
        let cache = cache_due_in(&stage, 0, 5_000);
        let credential = builder(&stage, &cache, endpoint).build().unwrap();
        let begin = NOW + WINDOW;
        stage.clock.set(begin);
        assert_eq!(hit(&credential), "old");
        settle().await;
        for second in 0..lasts {
            stage.clock.set(begin + second);
            assert_eq!(hit(&credential), "old");
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(asked(), [begin]);
        // Then it is tried again.
        stage.clock.set(begin + lasts);
        assert_eq!(hit(&credential), "old");
        until(|| hit(&credential) == "token-2").await;
        assert_eq!(asked(), [begin, begin + lasts]);
    }
}

/// When the time for that is over a failure is the call's, and what is left of the token serves.
#[tokio::test]
async fn a_failure_in_the_background_is_told_to_who_needs_a_token() {
    let stage = Stage::new();
    let store = holding(&cache_due_in(&stage, 0, 1_000));
    let credential = stage.credential(store);
    stage.entra.push(Reply::error(EntraError::Revoked));
    stage.clock.set(NOW + WINDOW);
    assert_eq!(hit(&credential), "old");
    until(|| stage.entra.request_count() == 1).await;
    settle().await;
    // What was refused a moment ago is not asked again.
    stage.clock.set(NOW + WINDOW + 100);
    assert_eq!(hit(&credential), "old");
    settle().await;
    assert_eq!(stage.entra.request_count(), 1);
    for _ in 0..3 {
        stage.entra.push(Reply::error(EntraError::Revoked));
    }
    stage.clock.set(NOW + 700);
    let served = ask(&credential).await.unwrap();
    assert_eq!(served.token().expose_secret(), "old");
    stage.clock.set(NOW + 971);
    let error = ask(&credential).await.unwrap_err();
    assert_eq!(error.oauth().unwrap().error_codes(), [50173]);
}

#[tokio::test]
async fn what_another_process_has_refreshed_is_noticed() {
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    cache_due_in(&stage, 100, 5_000).write_to(&path);
    let [one, two] = [(); 2].map(|()| stage.credential(FilePersistence::new(&path)));
    assert_eq!((&*hit(&one), &*hit(&two)), ("old", "old"));
    stage.clock.set(NOW + 100 + WINDOW);
    assert_eq!(hit(&one), "old");
    until(|| hit(&one) != "old").await;
    // Its write is there when it has closed.
    one.close().await.unwrap();
    assert_eq!(hit(&two), hit(&one));
    settle().await;
    two.close().await.unwrap();
    assert_eq!(stage.entra.request_count(), 1);
}

#[tokio::test]
async fn it_is_off_where_the_builder_says_so() {
    let stage = Stage::new();
    let endpoint = Scripted::new(&stage, |number| issued(number, 3600, None));
    let asked = endpoint.asked();
    let cache = cache_due_in(&stage, 0, 5_000);
    let builder = builder(&stage, &cache, endpoint).background_refresh(false);
    let credential = builder.build().unwrap();
    for second in [WINDOW, 2_000, 4_699] {
        stage.clock.set(NOW + second);
        assert_eq!(hit(&credential), "old");
        settle().await;
    }
    assert_eq!(asked(), [0; 0]);
    stage.clock.set(NOW + 4_700);
    let token = ask(&credential).await.unwrap();
    assert_eq!(token.token().expose_secret(), "token-1");
}

#[test]
fn without_a_runtime_the_token_is_handed_out_all_the_same() {
    let stage = Stage::new();
    let endpoint = Scripted::new(&stage, |number| issued(number, 3600, None));
    let asked = endpoint.asked();
    let cache = cache_due_in(&stage, 0, 5_000);
    let credential = builder(&stage, &cache, endpoint).build().unwrap();
    stage.clock.set(NOW + WINDOW);
    for _ in 0..10 {
        assert_eq!(hit(&credential), "old");
    }
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(asked(), [0; 0]);
    // That was no attempt: the first call in a runtime makes it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        assert_eq!(hit(&credential), "old");
        until(|| hit(&credential) == "token-1").await;
    });
    assert_eq!(asked(), [NOW + WINDOW]);
}

#[tokio::test]
async fn nothing_begins_after_a_close_and_what_was_under_way_ends() {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    for closed_before in [true, false] {
        let stage = Stage::new();
        let mut endpoint = Scripted::new(&stage, |number| issued(number, 3600, None));
        endpoint.takes = Duration::from_secs(60);
        let asked = endpoint.asked();
        let cache = cache_due_in(&stage, 0, 5_000);
        let builder = builder(&stage, &cache, endpoint);
        let grace = Duration::from_millis(200);
        let credential = builder.close_grace(grace).build().unwrap();
        stage.clock.set(NOW + WINDOW);
        if closed_before {
            credential.close().await.unwrap();
        }
        assert_eq!(hit(&credential), "old");
        settle().await;
        assert_eq!(asked().len(), usize::from(!closed_before));
        let start = Instant::now();
        credential.close().await.unwrap();
        let took = start.elapsed();
        assert!(took < grace + Duration::from_millis(100), "{took:?}");
        until(|| tasks() == 0).await;
        stage.clock.set(NOW + WINDOW + 100);
        assert_eq!(hit(&credential), "old");
        settle().await;
        assert_eq!(asked().len(), usize::from(!closed_before));
        assert_eq!(tasks(), 0);
    }
}

/// These calls want another token anyway, and wait for it.
#[tokio::test]
async fn with_claims_or_by_force_nothing_is_done_in_the_background() {
    let forced = TokenRequestOptions::default().with_force_refresh(true);
    for options in [challenge(), forced] {
        let stage = Stage::new();
        let endpoint = Scripted::new(&stage, |number| match number {
            1 => refused("invalid_scope"),
            _ => issued(number, 3600, None),
        });
        let asked = endpoint.asked();
        let cache = cache_due_in(&stage, 0, 5_000);
        let credential = builder(&stage, &cache, endpoint).build().unwrap();
        stage.clock.set(NOW + WINDOW);
        // By force the old one will do where there is no other.
        let first = ask_with(&credential, &options).await.ok();
        let first = first.map(|token| token.token().expose_secret().to_owned());
        let is_forced = options.claims().is_none();
        assert_eq!(first, is_forced.then(|| "old".to_owned()));
        settle().await;
        assert_eq!(asked().len(), 1);
        let second = ask_with(&credential, &options).await.unwrap();
        assert_eq!(second.token().expose_secret(), "token-2");
        settle().await;
        assert_eq!(asked().len(), 2);
    }
}
