//! Answers that are none: they cost a call at most, and nothing of them is stored or shown.

use std::fmt;
use std::net::TcpListener;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use msal_token_cache::{Persistence, TokenCache};
use serde_json::json;
use shared_token_cache_credential::{
    ErrorKind, HttpResponse, TokenEndpoint, TokenRequest, TransportError, TransportErrorKind,
};
use test_support::{EntraError, FakeAccount, FakeEntra, Reply, logs};

use super::{NOW, Stage, ask, ask_with, at, challenge, content, holding, text, token};

/// Every kind of answer that is none, each with a secret in its body where it has one. Servers in
/// trouble ask for more patience than there is, so that no call is made again.
fn bad_answers() -> Vec<Reply> {
    let secret = logs::canary("body");
    let eve = FakeAccount::new("eve@contoso.example");
    let client_info = |ids: serde_json::Value| json!(URL_SAFE_NO_PAD.encode(ids.to_string()));
    let page = format!("<html>{secret}</html>");
    vec![
        Reply::proxy_page(),
        Reply::raw("text/html", &*page),
        Reply::raw("text/html", &*page).with_status(407),
        Reply::raw("text/html", &*page)
            .with_status(503)
            .with_header("retry-after", "11"),
        Reply::raw("application/json", ""),
        Reply::raw("application/json", "{").with_header("x-secret", &*secret),
        Reply::raw("application/json", format!("{{\"access_token\":\"{secret}")),
        Reply::success().cut_to(40),
        Reply::json(json!([secret])),
        Reply::json(json!(null)),
        Reply::json(json!({})),
        Reply::json(json!({ "secret": secret })),
        Reply::success().without("access_token"),
        Reply::success().with("access_token", json!("")),
        Reply::success().with("access_token", json!({ "a": secret })),
        Reply::success().with("access_token", json!(format!("{secret}\r\nx: y"))),
        Reply::success().without("expires_in"),
        Reply::success().with("expires_in", json!(secret)),
        Reply::success().with("expires_in", json!([3600])),
        Reply::success().with("token_type", json!("pop")),
        Reply::success().with("token_type", json!(7)),
        Reply::success()
            .with_status(500)
            .with_header("retry-after", "11"),
        Reply::success().with_header("content-encoding", "gzip"),
        Reply::success().with("client_info", json!(eve.client_info())),
        Reply::success().with("client_info", json!(secret)),
        Reply::success().with("client_info", json!({ "uid": secret })),
        Reply::success().with("client_info", client_info(json!({ "uid": eve.uid }))),
        Reply::success().dropped_within(30),
        Reply::error(EntraError::Throttled),
        Reply::error(EntraError::Server(503))
            .with("secret", json!(secret))
            .with_header("retry-after", "11"),
    ]
}

#[tokio::test]
async fn nothing_of_a_bad_answer_is_shown_or_stored() {
    let stage = Stage::new();
    let store = holding(&stage.cache_with_token(29));
    let before = content(&store);
    let answers = bad_answers();
    let number = answers.len();
    for answer in answers {
        let credential = stage.credential(store.clone());
        stage.entra.push(answer.clone());
        let error = ask(&credential).await.unwrap_err();
        let text = text(&error);
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed, "{text}");
        assert_eq!(content(&store), before, "{answer:?}");
    }
    assert_eq!(stage.entra.request_count(), number);
    ask(&stage.credential(store)).await.unwrap();
}

#[tokio::test]
async fn what_is_still_good_serves_but_not_for_a_challenge() {
    let stage = Stage::new();
    let secret = logs::canary("access token");
    let store = holding(&stage.cache().access_token(&stage.ada, token(&secret, 30)));
    let before = content(&store);
    for answer in bad_answers() {
        let credential = stage.credential(store.clone());
        stage.entra.push(answer.clone());
        let token = ask(&credential).await.unwrap();
        assert_eq!(token.token().expose_secret(), secret);
        assert_eq!(token.expires_on(), at(NOW + 30));
        stage.entra.push(answer);
        let error = ask_with(&credential, &challenge()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
        text(&error);
    }
    assert_eq!(content(&store), before);
    // By an error of its own this test knows its warning.
    let refusal = EntraError::Other("a_refusal_to_warn_about", 1);
    stage.entra.push(Reply::error(refusal));
    let credential = stage.credential(store);
    ask(&credential).await.unwrap();
    assert_eq!(stage.warnings("a_refusal_to_warn_about"), 1);
    stage.clock.advance(Duration::from_secs(1));
    stage.entra.push(Reply::proxy_page());
    assert!(ask(&credential).await.is_err());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let stage = Stage::new();
    let elsewhere = FakeEntra::start();
    let store = holding(&stage.cache());
    let credential = stage.credential(store.clone());
    let before = content(&store);
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/organizations/oauth2/v2.0/token", elsewhere.authority());
        for location in [location.clone(), location.replacen("https", "http", 1)] {
            stage.entra.push(Reply::redirect(status, location));
            let error = ask(&credential).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
            assert!(
                text(&error).contains(&format!("(HTTP {status})")),
                "{error}"
            );
            // Such an answer is not asked for again at once.
            ask(&credential).await.unwrap_err();
            stage.clock.advance(Duration::from_secs(5));
        }
    }
    assert_eq!(stage.entra.request_count(), 10);
    assert_eq!(elsewhere.connections(), 0);
    assert_eq!(content(&store), before);
}

#[tokio::test]
async fn a_network_that_fails_is_transient() {
    let stage = Stage::new();
    let credential = stage.credential(holding(&stage.cache()));
    // Once is nobody's business.
    for _ in 0..2 {
        stage.entra.push(Reply::dropped());
    }
    assert!(ask(&credential).await.unwrap_err().is_transient());
    stage.entra.push(Reply::success().dropped_within(10));
    assert!(ask(&credential).await.unwrap_err().is_transient());

    let slow = stage.builder().timeout(Duration::from_millis(100));
    let cache = TokenCache::new(holding(&stage.cache()));
    let credential = slow.token_cache(cache).build().unwrap();
    let reply = Reply::success().delayed(Duration::from_secs(60));
    stage.entra.push(reply);
    let error = ask(&credential).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    assert!(
        error.is_transient() && text(&error).contains("within 100ms"),
        "{error}"
    );

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let cache = TokenCache::new(holding(&stage.cache()));
    let builder = stage.builder().token_cache(cache);
    let authority = format!("https://localhost:{}", nobody.unwrap().port());
    let credential = builder.authority(&authority).build().unwrap();
    let error = ask(&credential).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    assert!(
        error.is_transient() && text(&error).contains("localhost"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_no_refresh_token() {
    let stage = Stage::new();
    let other = FakeEntra::start();
    let cache = TokenCache::new(holding(&stage.cache()));
    let builder = stage.builder().token_cache(cache);
    let credential = builder.authority(other.authority()).build().unwrap();
    let error = ask(&credential).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    assert!(!error.is_transient(), "{}", text(&error));
    assert_eq!((other.handshakes(), other.request_count()), (0, 0));
}

/// An endpoint that fails, and meanwhile something happens.
struct Failing<F>(F);

impl<F> fmt::Debug for Failing<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failing")
    }
}

#[async_trait]
impl<F: Fn() + Send + Sync> TokenEndpoint for Failing<F> {
    async fn send(&self, _: TokenRequest) -> Result<HttpResponse, TransportError> {
        (self.0)();
        let kind = TransportErrorKind::Interrupted;
        Err(TransportError::new(kind, "it fails"))
    }
}

#[tokio::test]
async fn what_expired_while_the_endpoint_was_asked_is_not_served() {
    let stage = Stage::new();
    for (left, serves) in [(89, false), (90, true)] {
        stage.clock.set(NOW);
        let clock = stage.clock.clone();
        let slow = Failing(move || clock.advance(Duration::from_secs(60)));
        let cache = TokenCache::new(holding(&stage.cache_with_token(left)));
        let builder = stage.builder().token_cache(cache);
        let credential = builder.token_endpoint(slow).build().unwrap();
        assert_eq!(ask(&credential).await.is_ok(), serves, "{left}");
    }
}

#[tokio::test]
async fn what_somebody_else_stored_while_the_endpoint_was_asked_is_served() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let theirs = logs::canary("their token");
    let newer = stage.cache().access_token(&stage.ada, token(&theirs, 3600));
    let peer = store.clone();
    let overtaken = Failing(move || {
        peer.save(newer.to_json().as_bytes()).unwrap();
    });
    let builder = stage.builder().token_cache(TokenCache::new(store));
    let credential = builder.token_endpoint(overtaken).build().unwrap();
    let token = ask(&credential).await.unwrap();
    assert_eq!(token.token().expose_secret(), theirs);
    assert!(ask_with(&credential, &challenge()).await.is_err());
}
