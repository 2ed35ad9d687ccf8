//! Servers whose tokens have little time left, or none (K15).

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use msal_token_cache::{FilePersistence, Persistence, TokenCache};
use serde_json::{Value, json};
use shared_token_cache_credential::{
    AccessTokenInfo, Error, ErrorKind, Result, SharedTokenCacheCredential, TokenRequestOptions,
};
use test_support::{Reply, logs};

use super::watched::{Journal, WatchedStore};
use super::{
    NOW, PATIENCE, Stage, VAULT, ask, ask_with, at, challenge, content, entries, holding, text,
    token,
};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What an answer may say of a token that cannot be used.
fn useless() -> Vec<Reply> {
    let lasting = |expires_in: Value| Reply::success().with("expires_in", expires_in);
    vec![
        lasting(json!(29)),
        lasting(json!("1")),
        lasting(json!(0)),
        lasting(json!(-1)),
        lasting(json!("-1")),
        lasting(json!(-1e300)),
        lasting(json!(7 * 24 * 3600 + 1)),
        Reply::success().without("expires_in"),
        Reply::success()
            .without("expires_in")
            .with("expires_on", json!(3600)),
        Reply::success()
            .without("expires_in")
            .with("expires_on", json!(NOW * 1000)),
        Reply::success()
            .without("expires_in")
            .with("expires_on", json!(NOW + 29)),
    ]
}

/// Asserts that a call failed as it does where the server is to be left alone for so long.
#[track_caller]
fn assert_paused(error: &Error, left: u64) {
    let text = text(error);
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed, "{text}");
    assert!(error.is_transient(), "{text}");
    assert_eq!(error.retry_after(), Some(s(left)), "{text}");
}

#[tokio::test]
async fn k15_a_server_of_useless_tokens_is_asked_once_in_thirty_seconds() {
    for reply in useless() {
        let stage = Stage::new();
        let store = holding(&stage.cache());
        let credential = stage.credential(store.clone());
        stage.entra.push(reply.clone());
        for second in 0..30 {
            for _ in 0..10 {
                let error = ask(&credential).await.unwrap_err();
                assert_paused(&error, 30 - second);
            }
            stage.clock.advance(s(1));
        }
        assert_eq!(stage.entra.request_count(), 1, "{reply:?}");
        assert_eq!(entries(&store, "AccessToken"), [Value::Null; 0]);
        // Another resource is another matter.
        stage.entra.push(reply);
        let options = TokenRequestOptions::default();
        let other = credential.get_token(&[VAULT], &options).await;
        assert_paused(&other.unwrap_err(), 30);
        ask(&credential).await.unwrap();
        assert_eq!(stage.entra.request_count(), 3);
    }
}

/// The one that was redeemed may be good no longer.
#[tokio::test]
async fn k15_the_refresh_token_of_a_useless_token_is_the_next_one() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let credential = stage.credential(store.clone());
    let secret = || entries(&store, "RefreshToken")[0]["secret"].clone();
    let mut known = vec![secret()];
    for _ in 0..3 {
        stage.entra.push(Reply::success().with_expires_in(29));
        let error = ask(&credential).await.unwrap_err();
        assert_paused(&error, 30);
        assert!(!known.contains(&secret()));
        known.push(secret());
        stage.clock.advance(s(30));
    }
    ask(&credential).await.unwrap();
    let requests = stage.entra.requests();
    let sent = requests.iter().map(|seen| seen.field("refresh_token"));
    assert!(sent.eq(known.iter().map(Value::as_str)));
}

/// The pause is no refusal of a refresh token, which another program may replace at any time.
#[tokio::test]
async fn k15_a_refresh_token_that_is_replaced_does_not_end_the_pause() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let credential = stage.credential(store.clone());
    stage.entra.push(Reply::success().with_expires_in(29));
    ask(&credential).await.unwrap_err();
    for left in [29, 1] {
        store.save(stage.cache().to_json().as_bytes()).unwrap();
        stage.clock.set(NOW + 30 - left);
        assert_paused(&ask(&credential).await.unwrap_err(), left);
    }
    assert_eq!(stage.entra.request_count(), 1);
}

#[tokio::test]
async fn k15_callers_at_the_same_moment_share_the_failure() {
    let stage = Stage::new();
    let credential = stage.credential(holding(&stage.cache()));
    let slow = Reply::success().with_expires_in(29);
    stage.entra.push(slow.delayed(Duration::from_millis(200)));
    let asking = || {
        let credential = credential.clone();
        tokio::spawn(async move { ask(&credential).await })
    };
    let callers: Vec<_> = (0..200).map(|_| asking()).collect();
    for caller in callers {
        assert_paused(&caller.await.unwrap().unwrap_err(), 30);
    }
    assert_eq!(stage.entra.request_count(), 1);
}

/// A credential with a cache and a memory of its own: as good as another process.
fn another(stage: &Stage, cache: &Path) -> SharedTokenCacheCredential {
    let cache = TokenCache::new(FilePersistence::new(cache));
    stage.builder().token_cache(cache).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k15_who_waits_for_a_lease_gets_no_useless_token_either() {
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    stage.cache().write_to(&path);
    for _ in 0..2 {
        let short = Reply::success().with_expires_in(29);
        stage.entra.push(short.delayed(Duration::from_millis(200)));
    }
    let credentials = [another(&stage, &path), another(&stage, &path)];
    let asking = |credential: &SharedTokenCacheCredential| {
        let credential = credential.clone();
        tokio::spawn(async move { ask(&credential).await })
    };
    for _ in 0..20 {
        let callers: Vec<_> = credentials.iter().map(asking).collect();
        for caller in callers {
            assert_paused(&caller.await.unwrap().unwrap_err(), 30);
        }
    }
    // Each asks once, because nothing tells it of the other's failure.
    assert_eq!(stage.entra.request_count(), 2);
    stage.clock.advance(s(30));
    let tokens = (
        ask(&credentials[0]).await.unwrap(),
        ask(&credentials[1]).await.unwrap(),
    );
    let secret = |token: &AccessTokenInfo| token.token().expose_secret().to_owned();
    assert_eq!(secret(&tokens.0), secret(&tokens.1));
    assert_eq!(stage.entra.request_count(), 3);
}

#[tokio::test]
async fn k15_a_cached_token_serves_and_stays_where_the_new_one_is_useless() {
    let stage = Stage::new();
    let secret = logs::canary("access token");
    let store = holding(&stage.cache().access_token(&stage.ada, token(&secret, 200)));
    let credential = stage.credential(store.clone());
    for _ in 0..2 {
        stage.entra.push(Reply::success().with_expires_in(29));
    }
    for _ in 0..3 {
        let token = ask(&credential).await.unwrap();
        assert_eq!(token.token().expose_secret(), secret);
        assert_eq!(entries(&store, "AccessToken").len(), 1);
    }
    assert_eq!(stage.entra.request_count(), 1);
    // The resource has refused it.
    for _ in 0..3 {
        let error = ask_with(&credential, &challenge()).await.unwrap_err();
        assert_paused(&error, 30);
    }
    assert_eq!(stage.entra.request_count(), 2);
}

/// Asks once a second for two minutes: the tokens that were got, and the calls that failed.
async fn ask_for_two_minutes(
    stage: &Stage,
    expires_in: u64,
    options: &TokenRequestOptions,
) -> (usize, usize) {
    let credential = stage.credential(holding(&stage.cache()));
    for _ in 0..120 {
        stage
            .entra
            .push(Reply::success().with_expires_in(expires_in));
    }
    let mut counts = (0, 0);
    for second in 0..120 {
        stage.clock.set(NOW + second);
        let result: Result<_> =
            tokio::time::timeout(PATIENCE, credential.get_token_info(&[super::ARM], options))
                .await
                .unwrap();
        match result {
            Ok(token) => {
                assert!(token.expires_on() >= at(NOW + second + 30), "{second}");
                counts.0 += 1;
            }
            Err(error) => {
                assert!(error.is_transient(), "{}", text(&error));
                assert!(error.retry_after().is_some_and(|wait| wait <= s(30)));
                counts.1 += 1;
            }
        }
    }
    counts
}

/// What has 30 s left is handed out until it has less, and then not asked for in a loop.
#[tokio::test]
async fn k15_a_server_of_tokens_under_a_minute_is_asked_twice_a_minute() {
    for (expires_in, got) in [(30, 4), (31, 8), (45, 64), (59, 120), (60, 120), (200, 120)] {
        let stage = Stage::new();
        let plain = TokenRequestOptions::default();
        let (tokens, failures) = ask_for_two_minutes(&stage, expires_in, &plain).await;
        assert_eq!((tokens, failures), (got, 120 - got), "{expires_in}");
        assert_eq!(stage.entra.request_count(), 4, "{expires_in}");
    }
    // What has to be new each time is got each time.
    let stage = Stage::new();
    let counts = ask_for_two_minutes(&stage, 45, &challenge()).await;
    assert_eq!((counts, stage.entra.request_count()), ((120, 0), 120));
}

/// A refresh that would be due at once, or never, is no reason to ask again.
#[tokio::test]
async fn k15_a_time_to_refresh_that_cannot_be_makes_no_loop() {
    for refresh_in in [json!(0), json!(-1), json!("0"), json!(4799), json!(1e300)] {
        let stage = Stage::new();
        let store = holding(&stage.cache());
        let credential = stage.credential(store.clone());
        let reply = Reply::success().with("refresh_in", refresh_in.clone());
        stage.entra.push(reply);
        for second in (0..4_400).step_by(20) {
            stage.clock.set(NOW + second);
            ask(&credential).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(stage.entra.request_count(), 1, "{refresh_in}");
        let stored = &entries(&store, "AccessToken")[0];
        assert_eq!(stored.get("refresh_on"), None, "{refresh_in}");
    }
}

/// The server's clock is not ours.
#[tokio::test]
async fn k15_a_clock_that_differs_from_the_servers_costs_nothing() {
    for of_server in [NOW - 86_400, NOW, NOW + 86_400] {
        let stage = Stage::new();
        let store = holding(&stage.cache());
        let credential = stage.credential(store.clone());
        let reply = Reply::success().with("expires_on", json!(of_server + 4_799));
        stage.entra.push(reply);
        for _ in 0..2 {
            let token = ask(&credential).await.unwrap();
            assert_eq!(token.expires_on(), at(NOW + 4_799));
        }
        let stored = &entries(&store, "AccessToken")[0];
        assert_eq!(stored["expires_on"], (NOW + 4_799).to_string());
        assert_eq!(stage.entra.request_count(), 1);
    }
}

/// The same where the store cannot be written.
#[tokio::test]
async fn k15_the_refresh_token_of_a_useless_token_outlives_a_store_that_cannot_be_written() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let before = content(&store);
    let watched = WatchedStore::new(&store, &Journal::default());
    watched.fail(true);
    let credential = stage.credential(watched);
    for _ in 0..2 {
        stage.entra.push(Reply::success().with_expires_in(29));
        ask(&credential).await.unwrap_err();
        stage.clock.advance(s(30));
    }
    ask(&credential).await.unwrap();
    let requests = stage.entra.requests();
    let sent = requests
        .iter()
        .filter_map(|seen| seen.field("refresh_token"));
    let sent: HashSet<_> = sent.collect();
    assert_eq!(
        (requests.len(), sent.len()),
        (3, 3),
        "each takes the newest"
    );
    assert_eq!(content(&store), before);
}

#[tokio::test]
async fn k15_a_short_lived_token_takes_no_better_ones_place() {
    let stage = Stage::new();
    let secret = logs::canary("better token");
    let cache = stage.cache().access_token(&stage.ada, token(&secret, 250));
    let store = holding(&cache);
    let credential = stage.credential(store.clone());
    stage.entra.push(Reply::success().with_expires_in(45));
    for second in [0, 10, 20] {
        stage.clock.set(NOW + second);
        let token = ask(&credential).await.unwrap();
        assert_eq!(token.token().expose_secret(), secret, "{second}");
    }
    assert_eq!(stage.entra.request_count(), 1);
    assert_eq!(entries(&store, "AccessToken")[0]["secret"], secret);
}
