//! Requests that are sent again, and those that are not sent because the answer is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use msal_token_cache::{MemoryPersistence, Persistence, TokenCache};
use serde_json::json;
use shared_token_cache_credential::{
    AccessTokenInfo, ErrorKind, HttpResponse, Result, SharedTokenCacheCredential, TokenEndpoint,
    TokenRequest, TokenRequestOptions, TransportError,
};
use test_support::{EntraError, Reply, logs};

use super::{Stage, VAULT, ask, ask_with, challenge, entries, holding, text, token};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn ask_for_vault(credential: &SharedTokenCacheCredential) -> Result<AccessTokenInfo> {
    let options = TokenRequestOptions::default();
    credential.get_token_info(&[VAULT], &options).await
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_under_the_same_id() {
    let stage = Stage::new();
    let credential = stage.credential(holding(&stage.cache()));
    for _ in 0..2 {
        let trouble = Reply::error(EntraError::Server(503));
        stage
            .entra
            .push(trouble.with_header("retry-after", "0.001"));
    }
    let begin = Instant::now();
    ask(&credential).await.unwrap();
    // Not before half of the usual waits, whatever the server asks for.
    assert!(begin.elapsed() >= Duration::from_millis(1500));
    ask_for_vault(&credential).await.unwrap();
    let ids: Vec<_> = stage
        .entra
        .requests()
        .iter()
        .map(|seen| seen.header("client-request-id").unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 4);
    assert!(ids[0].len() == 36 && ids[1..3].iter().all(|id| *id == ids[0]));
    assert_ne!(ids[3], ids[0]);
}

#[tokio::test]
async fn a_connection_that_is_lost_is_replaced_without_a_wait() {
    let stage = Stage::new();
    let credential = stage.credential(holding(&stage.cache()));
    stage.entra.push(Reply::dropped());
    ask(&credential).await.unwrap();
    assert_eq!(stage.entra.request_count(), 2);
}

#[tokio::test]
async fn ten_thousand_calls_during_throttling_are_no_request() {
    let stage = Stage::new();
    let credential = stage.credential(holding(&stage.cache()));
    let clone = credential.clone();
    let throttled = Reply::error(EntraError::Throttled);
    stage
        .entra
        .push(throttled.with_header("retry-after", "300"));
    let error = ask(&credential).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(s(300)));
    stage.clock.advance(s(100));
    for _ in 0..5_000 {
        for credential in [&credential, &clone] {
            let error = ask(credential).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
            assert!(error.is_transient(), "{}", text(&error));
            assert_eq!(error.retry_after(), Some(s(200)));
        }
    }
    assert_eq!(stage.entra.request_count(), 1);
    // Another resource is another matter.
    ask_for_vault(&clone).await.unwrap();
    stage.clock.advance(s(200));
    ask(&clone).await.unwrap();
    assert_eq!(stage.entra.request_count(), 3);
}

/// A server that asks for more than the call has left is as one that asks for too much.
#[tokio::test]
async fn a_wait_beyond_the_deadline_is_told_and_kept() {
    let stage = Stage::new();
    let store = TokenCache::new(holding(&stage.cache()));
    let builder = stage.builder().token_cache(store).timeout(s(3));
    let credential = builder.build().unwrap();
    let throttled = Reply::error(EntraError::Throttled);
    stage.entra.push(throttled.with_header("retry-after", "8"));
    for _ in 0..2 {
        let error = ask(&credential).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(s(8)), "{}", text(&error));
    }
    assert_eq!(stage.entra.request_count(), 1);
    stage.clock.advance(s(8));
    ask(&credential).await.unwrap();
}

#[tokio::test]
async fn nobody_is_left_alone_for_more_than_an_hour() {
    let stage = Stage::new();
    let credential = stage.credential(holding(&stage.cache()));
    let throttled = Reply::error(EntraError::Throttled);
    stage
        .entra
        .push(throttled.with_header("retry-after", "1000000000"));
    let error = ask(&credential).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(s(3600)));
    stage.clock.advance(s(3599));
    assert_eq!(
        ask(&credential).await.unwrap_err().retry_after(),
        Some(s(1))
    );
    stage.clock.advance(s(1));
    ask(&credential).await.unwrap();
    assert_eq!(stage.entra.request_count(), 2);
}

#[tokio::test]
async fn during_throttling_a_token_that_is_still_good_serves() {
    let stage = Stage::new();
    let secret = logs::canary("access token");
    let store = holding(&stage.cache().access_token(&stage.ada, token(&secret, 200)));
    let credential = stage.credential(store);
    stage.entra.push(Reply::error(EntraError::Throttled));
    for _ in 0..3 {
        let token = ask(&credential).await.unwrap();
        assert_eq!(token.token().expose_secret(), secret);
    }
    // The resource has refused that one; what is asked with claims is another request.
    stage.entra.push(Reply::error(EntraError::Throttled));
    for _ in 0..3 {
        let error = ask_with(&credential, &challenge()).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(s(60)));
    }
    assert_eq!(stage.entra.request_count(), 2);
}

#[tokio::test]
async fn a_refusal_is_remembered_for_two_minutes() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let credential = stage.credential(store.clone());
    stage.entra.push(Reply::error(EntraError::MfaRequired));
    for _ in 0..3 {
        let error = ask(&credential).await.unwrap_err();
        assert!(text(&error).contains("AADSTS50076"), "{error}");
        assert!(error.oauth().unwrap().claims().is_some());
        assert_eq!(error.retry_after(), None);
    }
    assert_eq!(stage.entra.request_count(), 1);
    // The refresh token stays, and is good for something else.
    assert_eq!(entries(&store, "RefreshToken").len(), 1);
    ask_with(&credential, &challenge()).await.unwrap();
    stage.clock.advance(s(120));
    ask(&credential).await.unwrap();
}

#[tokio::test]
async fn a_bad_refresh_token_is_not_tried_for_anything_else() {
    let stage = Stage::new();
    let credential = stage.credential(holding(&stage.cache()));
    stage.entra.push(Reply::error(EntraError::Inactive));
    let first = ask(&credential).await.unwrap_err();
    assert_eq!(first.oauth().unwrap().suberror(), Some("bad_token"));
    let error = ask_for_vault(&credential).await.unwrap_err();
    assert_eq!(text(&error), text(&first));
    assert_eq!(stage.entra.request_count(), 1);
}

#[tokio::test]
async fn a_new_sign_in_ends_a_refusal() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let credential = stage.credential(store.clone());
    stage.entra.push(Reply::error(EntraError::Revoked));
    ask(&credential).await.unwrap_err();
    // Another program signs the user in again.
    store.save(stage.cache().to_json().as_bytes()).unwrap();
    ask(&credential).await.unwrap();
    assert_eq!(stage.entra.request_count(), 2);
}

/// An endpoint at which another program is faster: the refresh token is replaced while it is asked.
#[derive(Debug)]
struct Overtaken {
    store: MemoryPersistence,
    newer: String,
    calls: Arc<AtomicUsize>,
    good: bool,
}

#[async_trait]
impl TokenEndpoint for Overtaken {
    async fn send(&self, request: TokenRequest) -> Result<HttpResponse, TransportError> {
        let is_first = self.calls.fetch_add(1, Ordering::Relaxed) == 0;
        self.store.save(self.newer.as_bytes()).unwrap();
        let refresh_token = request.form().find(|(name, _)| *name == "refresh_token");
        let refresh_token = refresh_token.unwrap().1.expose_secret().to_owned();
        Ok(if is_first || !self.good {
            let error = json!({ "error": "invalid_grant", "error_codes": [50173] });
            HttpResponse::new(400, error.to_string())
        } else {
            assert!(self.newer.contains(&refresh_token));
            let token = json!({
                "token_type": "Bearer", "access_token": "new", "expires_in": 3600,
            });
            HttpResponse::new(200, token.to_string())
        })
    }
}

#[tokio::test]
async fn what_another_program_put_there_meanwhile_is_tried_once() {
    for (good, requests) in [(true, 2), (false, 2)] {
        let stage = Stage::new();
        let store = holding(&stage.cache());
        let calls = Arc::new(AtomicUsize::new(0));
        let endpoint = Overtaken {
            store: store.clone(),
            newer: stage.cache().to_json(),
            calls: Arc::clone(&calls),
            good,
        };
        let builder = stage.builder().token_endpoint(endpoint);
        let credential = builder.token_cache(TokenCache::new(store)).build().unwrap();
        assert_eq!(ask(&credential).await.is_ok(), good);
        assert_eq!(calls.load(Ordering::Relaxed), requests);
    }
}
