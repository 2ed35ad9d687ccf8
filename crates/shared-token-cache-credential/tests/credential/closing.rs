//! Closing: what goes on, what ends, and that it does.

use std::time::{Duration, Instant};

use msal_token_cache::{MemoryPersistence, TokenCache};
use shared_token_cache_credential::{ErrorKind, SharedTokenCacheCredential, TokenRequestOptions};
use test_support::{EntraError, Reply};

use super::{
    ARM, PATIENCE, Stage, VAULT, ask, ask_with, at_once, challenge, entries, holding, text,
};

/// By when the server must have seen the ends of all connections.
pub(super) const ENDS_WITHIN: Duration = Duration::from_millis(100);
const GRACE: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_redemptions_take_one_handshake() {
    let stage = Stage::new();
    let credential = stage.credential(holding(&stage.cache()));
    for _ in 0..1_000 {
        ask_with(&credential, &challenge()).await.unwrap();
    }
    assert_eq!(stage.entra.request_count(), 1_000);
    assert_eq!(
        (stage.entra.connections(), stage.entra.handshakes()),
        (1, 1)
    );
    assert_eq!(stage.entra.open_connections(), 1);
    credential.close().await.unwrap();
    assert!(stage.entra.wait_until_closed(ENDS_WITHIN));
    assert_eq!(stage.entra.clean_ends(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redemption_under_way_finishes_and_is_stored() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let credential = stage.credential(store.clone());
    let reply = Reply::success().delayed(Duration::from_millis(300));
    stage.entra.push(reply);
    let asking = ask_in_a_task(&stage, &credential);
    // Two at once, and a third when all is over.
    let other = credential.clone();
    let (one, two) = tokio::join!(credential.close(), other.close());
    one.and(two).unwrap();
    assert!(stage.entra.wait_until_closed(ENDS_WITHIN));
    assert_eq!(stage.entra.clean_ends(), 1);
    assert_eq!(entries(&store, "AccessToken").len(), 1);
    let token = asking.await.unwrap().unwrap();
    credential.close().await.unwrap();

    // What is known is still told, what is not is refused.
    let known = ask(&other).await.unwrap();
    assert_eq!(known.token().expose_secret(), token.token().expose_secret());
    let options = TokenRequestOptions::default();
    let unknown = other.get_token(&[VAULT], &options);
    for error in [
        unknown.await.unwrap_err(),
        ask_with(&other, &challenge()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
        assert!(text(&error).contains("closed"), "{error}");
        assert!(!error.is_transient());
    }
    assert_eq!(stage.entra.request_count(), 1);
}

/// Begins to ask for a token, and waits until the request has arrived.
fn ask_in_a_task(
    stage: &Stage,
    credential: &SharedTokenCacheCredential,
) -> tokio::task::JoinHandle<
    shared_token_cache_credential::Result<shared_token_cache_credential::AccessTokenInfo>,
> {
    let credential = credential.clone();
    let asking = tokio::spawn(async move { ask(&credential).await });
    let arrived = stage.entra.wait_for_requests(1, PATIENCE);
    assert!(arrived, "no request came");
    asking
}

/// A credential under construction that waits 200 ms for calls under way.
fn hasty(stage: &Stage, store: &MemoryPersistence) -> SharedTokenCacheCredential {
    let builder = stage.builder().token_cache(TokenCache::new(store.clone()));
    builder.close_grace(GRACE).build().unwrap()
}

async fn time_to_close(credential: &SharedTokenCacheCredential) -> Duration {
    let start = Instant::now();
    credential.close().await.unwrap();
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redemption_that_outlasts_the_grace_is_cut_off() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let credential = hasty(&stage, &store);
    let reply = Reply::success().delayed(Duration::from_secs(60));
    stage.entra.push(reply);
    let asking = ask_in_a_task(&stage, &credential);
    let took = time_to_close(&credential).await;
    // 50 ms for the connection's end, and as much again for a busy machine.
    assert!(
        (GRACE..GRACE + Duration::from_millis(100)).contains(&took),
        "{took:?}"
    );
    let error = asking.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    assert!(text(&error).contains("closed"), "{error}");
    assert_eq!(entries(&store, "AccessToken").len(), 0);
    assert!(stage.entra.wait_until_closed(ENDS_WITHIN));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_end_at_once_and_a_call_that_is_answered_succeeds() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let idle = hasty(&stage, &store);
    ask_with(&idle, &challenge()).await.unwrap();
    let took = time_to_close(&idle).await;
    assert!(took < Duration::from_millis(50), "{took:?}");
    assert!(stage.entra.wait_until_closed(ENDS_WITHIN));

    let answered = hasty(&stage, &holding(&stage.cache()));
    let reply = Reply::success().delayed(Duration::from_millis(100));
    stage.entra.push(reply);
    let credential = answered.clone();
    let asking = tokio::spawn(async move { ask(&credential).await });
    assert!(stage.entra.wait_for_requests(2, PATIENCE));
    answered.close().await.unwrap();
    asking.await.unwrap().unwrap();
    assert!(stage.entra.wait_until_closed(ENDS_WITHIN));
    assert_eq!(stage.entra.clean_ends(), 2);
}

/// Nor does a wait for a retry hold it up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_waits_to_ask_again_is_cut_off() {
    let stage = Stage::new();
    let credential = hasty(&stage, &holding(&stage.cache()));
    let trouble = Reply::error(EntraError::Server(503));
    stage.entra.push(trouble.with_header("retry-after", "10"));
    let asking = ask_in_a_task(&stage, &credential);
    let took = time_to_close(&credential).await;
    assert!(took < GRACE + Duration::from_millis(100), "{took:?}");
    let error = asking.await.unwrap().unwrap_err();
    assert!(text(&error).contains("closed"), "{error}");
    assert!(stage.entra.wait_until_closed(ENDS_WITHIN));
    assert_eq!(stage.entra.request_count(), 1);
}

/// Nor does a call on a runtime that nobody drives any more.
#[test]
fn a_call_that_was_left_to_an_idle_runtime_is_not_waited_for() {
    let stage = Stage::new();
    let credential = hasty(&stage, &holding(&stage.cache()));
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (idle, driven) = (runtime(), runtime());
    let reply = Reply::success().delayed(Duration::from_secs(60));
    stage.entra.push(reply);
    idle.block_on(async {
        let asking = tokio::time::timeout(Duration::from_millis(500), ask(&credential));
        asking.await.unwrap_err();
    });
    assert_eq!(stage.entra.request_count(), 1);
    driven.block_on(async {
        let closing = tokio::time::timeout(Duration::from_secs(10), credential.close());
        closing.await.expect("it ends").unwrap();
    });
    drop(idle);
    assert!(stage.entra.wait_until_closed(PATIENCE));
}

#[test]
fn closing_needs_no_runtime() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let credential = stage.credential(store.clone());
    at_once(stage.credential(store.clone()).close()).unwrap();

    // Also while a redemption is under way on somebody's.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let reply = Reply::success().delayed(Duration::from_millis(300));
    stage.entra.push(reply);
    let asking = {
        let _in_the_runtime = runtime.enter();
        ask_in_a_task(&stage, &credential)
    };
    let mut closing = std::pin::pin!(credential.close());
    let start = Instant::now();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while closing.as_mut().poll(&mut context).is_pending() {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(runtime.block_on(asking).unwrap().is_ok());
    assert_eq!(entries(&store, "AccessToken").len(), 1);
    at_once(credential.close()).unwrap();
    let options = TokenRequestOptions::default();
    assert!(at_once(credential.get_token(&[ARM], &options)).is_ok());
}
