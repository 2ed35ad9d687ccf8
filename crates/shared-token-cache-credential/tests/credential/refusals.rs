//! Which refresh tokens are tried, under which applications, and which refusal is told.

use serde_json::json;
use shared_token_cache_credential::{Error, ErrorKind};
use test_support::{CacheBuilder, EntraError, Reply};

use super::{CLI, HOST, Stage, ask, content, entries, holding, text};

/// Signed in with these clients, the first one most recently.
fn signed_in_with(stage: &Stage, clients: &[&str]) -> CacheBuilder {
    let cache = CacheBuilder::new().account(&stage.ada, HOST, &stage.ada.utid);
    let newest_last = clients.iter().rev().enumerate();
    newest_last.fold(cache, |cache, (n, client)| {
        let refresh_token = stage.entra.issue_refresh_token(&stage.ada, client, false);
        cache
            .refresh_token(&stage.ada, HOST, client, &refresh_token, None)
            .with("last_modification_time", json!((1_000 + n).to_string()))
    })
}

/// The clients that asked, in turn.
fn asked(stage: &Stage) -> Vec<String> {
    let requests = stage.entra.requests();
    let client = requests.iter().map(|seen| seen.field("client_id"));
    client.map(|client| client.unwrap().to_owned()).collect()
}

/// An error that no call waits out: the server asks for more patience than there is.
fn impatient(error: EntraError) -> Reply {
    Reply::error(error).with_header("retry-after", "11")
}

fn assert_failed(error: &Error) -> String {
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    text(error)
}

#[tokio::test]
async fn after_these_refusals_the_next_token_is_tried() {
    for refusal in [
        EntraError::Revoked,
        EntraError::Inactive,
        EntraError::SignInFrequency,
        EntraError::MfaRequired,
        EntraError::ConsentRequired,
        EntraError::WrongClient,
        EntraError::ClientMismatch,
        EntraError::InvalidClient,
        EntraError::Other("login_required", 50058),
        EntraError::Other("unauthorized_client", 700_016),
        EntraError::Other("access_denied", 65002),
    ] {
        let stage = Stage::new();
        stage.entra.push(Reply::error(refusal));
        let store = holding(&signed_in_with(&stage, &["newest", "older"]));
        let result = ask(&stage.credential(store.clone())).await;
        assert!(result.is_ok(), "{refusal:?}");
        assert_eq!(asked(&stage), ["newest", "older"], "{refusal:?}");
        // The refused one stays where it is.
        assert_eq!(entries(&store, "RefreshToken").len(), 2);
        assert_eq!(entries(&store, "AccessToken")[0]["client_id"], "older");
    }
}

#[tokio::test]
async fn after_these_refusals_none_is() {
    for (refusal, transient) in [
        (EntraError::InvalidScope, false),
        (EntraError::NotFound, false),
        (EntraError::AccountGone, false),
        (EntraError::RequestLoop, false),
        (EntraError::Other("invalid_request", 900_144), false),
        (EntraError::Other("invalid_grant", 500_011), false),
        (EntraError::Other("invalid_resource", 500_011), false),
        (EntraError::Other("invalid_grant", 50020), false),
        (EntraError::Other("invalid_grant", 50057), false),
        (EntraError::Other("invalid_grant", 90002), false),
        (EntraError::Other("invalid_grant", 90072), false),
        (EntraError::Other("something_new", 1), false),
        (EntraError::Throttled, true),
        (EntraError::Server(503), true),
    ] {
        let stage = Stage::new();
        stage.entra.push(impatient(refusal));
        let store = holding(&signed_in_with(&stage, &["newest", "older"]));
        let before = content(&store);
        let error = ask(&stage.credential(store.clone())).await.unwrap_err();
        let text = assert_failed(&error);
        assert_eq!(error.is_transient(), transient, "{text}");
        assert_eq!(asked(&stage), ["newest"], "{refusal:?}");
        assert_eq!(content(&store), before);
    }
}

#[tokio::test]
async fn three_tokens_are_tried_at_most() {
    let stage = Stage::new();
    let cache = signed_in_with(&stage, &["a", "b", "c", "d"]);
    for _ in 0..3 {
        stage.entra.push(Reply::error(EntraError::Revoked));
    }
    let store = holding(&cache);
    let before = content(&store);
    let error = ask(&stage.credential(store.clone())).await.unwrap_err();
    let text = assert_failed(&error);
    assert!(text.contains("AADSTS50173"), "{text}");
    assert!(
        text.contains("sign in again as ada@contoso.example"),
        "{text}"
    );
    assert_eq!(asked(&stage), ["a", "b", "c"]);
    assert_eq!(content(&store), before);
}

/// A refusal that is remembered costs no request, and takes no other token's place.
#[tokio::test]
async fn k4_requests_count_and_not_tokens_whose_refusal_is_remembered() {
    let stage = Stage::new();
    let store = holding(&signed_in_with(&stage, &["a", "b", "c", "d"]));
    let credential = stage.credential(store.clone());
    for _ in 0..3 {
        stage.entra.push(Reply::error(EntraError::Revoked));
    }
    ask(&credential).await.unwrap_err();
    ask(&credential).await.unwrap();
    assert_eq!(asked(&stage), ["a", "b", "c", "d"]);
    assert_eq!(entries(&store, "AccessToken")[0]["client_id"], "d");

    // Of many, three at a call, until all are known to be refused.
    let stage = Stage::new();
    let clients: Vec<_> = (0..8).map(|n| n.to_string()).collect();
    let clients: Vec<_> = clients.iter().map(String::as_str).collect();
    let credential = stage.credential(holding(&signed_in_with(&stage, &clients)));
    for _ in 0..8 {
        stage.entra.push(Reply::error(EntraError::Revoked));
    }
    for requests in [3, 6, 8, 8] {
        let error = ask(&credential).await.unwrap_err();
        assert!(assert_failed(&error).contains("AADSTS50173"), "{error}");
        assert_eq!(stage.entra.request_count(), requests);
    }
    assert_eq!(asked(&stage), clients);
}

/// What the code says about the application and the resource holds whatever the error is called.
#[tokio::test]
async fn k4_a_code_goes_before_the_error() {
    for (error, code, next) in [
        (
            "invalid_request",
            65002,
            "must preauthorize the application newest",
        ),
        (
            "invalid_request",
            65001,
            "must consent to the application newest",
        ),
        (
            "invalid_resource",
            65001,
            "must consent to the application newest",
        ),
        (
            "invalid_grant",
            65001,
            "must consent to the application newest",
        ),
        (
            "access_denied",
            65002,
            "must preauthorize the application newest",
        ),
    ] {
        let stage = Stage::new();
        let refusal = || Reply::error(EntraError::Other(error, code));
        stage.entra.push(refusal());
        let cache = signed_in_with(&stage, &["newest", "older"]);
        ask(&stage.credential(holding(&cache))).await.unwrap();
        assert_eq!(asked(&stage), ["newest", "older"], "{error} {code}");

        for _ in 0..2 {
            stage.entra.push(refusal());
        }
        let error = ask(&stage.credential(holding(&cache))).await.unwrap_err();
        let text = assert_failed(&error);
        assert!(
            text.contains(next) && !text.contains("sign in again"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_family_token_is_retried_under_two_relatives() {
    let stage = Stage::new();
    let cache = |stage: &Stage| {
        signed_in_with(stage, &[CLI])
            .with("family_id", json!("1"))
            .app_metadata(HOST, "stranger", None)
            .app_metadata(HOST, "first", Some("1"))
            .app_metadata(HOST, "second", Some("1"))
            .app_metadata(HOST, "third", Some("1"))
    };
    // The server takes a token under its own client only.
    stage.entra.push(Reply::error(EntraError::ClientMismatch));
    let error = ask(&stage.credential(holding(&cache(&stage)))).await;
    let error = error.unwrap_err();
    assert!(assert_failed(&error).contains("AADSTS700007"), "{error}");
    assert_eq!(asked(&stage), [CLI, "first", "second"]);
    let sent = stage.entra.requests();
    assert!(
        sent.iter()
            .all(|seen| seen.field("refresh_token") == sent[0].field("refresh_token"))
    );

    // Where a relative is let in, the tokens are its own.
    let stage = Stage::new();
    let cache = cache(&stage);
    let answer = json!({
        "token_type": "Bearer", "expires_in": 3600, "foci": "1",
        "access_token": test_support::logs::canary("access token"),
        "refresh_token": test_support::logs::canary("refresh token"),
        "client_info": stage.ada.client_info(),
    });
    stage.entra.push(Reply::error(EntraError::ClientMismatch));
    stage.entra.push(Reply::json(answer.clone()));
    let store = holding(&cache);
    let credential = stage.credential(store.clone());
    for _ in 0..2 {
        let token = ask(&credential).await.unwrap();
        assert_eq!(token.token().expose_secret(), answer["access_token"]);
    }
    assert_eq!(asked(&stage), [CLI, "first"]);
    let tokens = entries(&store, "RefreshToken");
    let issued_to_us = cache.to_value()["RefreshToken"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .cloned();
    assert_eq!(tokens[0], issued_to_us.unwrap());
    assert_eq!(tokens[1]["client_id"], "first");
    assert_eq!(tokens[1]["secret"], answer["refresh_token"]);
    assert_eq!(entries(&store, "AccessToken")[0]["client_id"], "first");
}

#[tokio::test]
async fn the_refusal_that_can_be_acted_upon_is_told() {
    let stage = Stage::new();
    for refusal in [
        EntraError::InvalidClient,
        EntraError::MfaRequired,
        EntraError::Revoked,
    ] {
        stage.entra.push(Reply::error(refusal));
    }
    let cache = signed_in_with(&stage, &["a", "b", "c"]);
    let error = ask(&stage.credential(holding(&cache))).await.unwrap_err();
    let text = assert_failed(&error);
    assert!(text.contains("AADSTS50076"), "{text}");
    let oauth = error.oauth().unwrap();
    assert_eq!(oauth.error(), "interaction_required");
    assert_eq!(oauth.suberror(), Some("basic_action"));
    assert_eq!(oauth.error_codes(), [50076]);
    assert!(oauth.claims().unwrap().contains("capolids"), "{oauth:?}");
    let [trace, correlation] = [oauth.trace_id(), oauth.correlation_id()].map(Option::unwrap);
    assert!(text.contains(trace) && text.contains(correlation), "{text}");
    assert_eq!(asked(&stage).len(), 3);
}

/// Nor does what ends the call hide it, unless that goes away by itself.
#[tokio::test]
async fn what_ends_the_call_does_not_hide_it() {
    for (last, told) in [
        (Reply::proxy_page(), "AADSTS50076"),
        (Reply::error(EntraError::InvalidScope), "AADSTS50076"),
        (impatient(EntraError::Server(503)), "try again later"),
    ] {
        let stage = Stage::new();
        stage.entra.push(Reply::error(EntraError::MfaRequired));
        stage.entra.push(last);
        let cache = signed_in_with(&stage, &["a", "b"]);
        let error = ask(&stage.credential(holding(&cache))).await.unwrap_err();
        let text = assert_failed(&error);
        assert!(text.contains(told), "{text}");
        assert_eq!(asked(&stage).len(), 2);
    }
}

#[tokio::test]
async fn a_server_cannot_write_into_a_terminal() {
    let stage = Stage::new();
    let long = format!("\u{1b}[2J\r\nINJECTED{}", "x".repeat(10_000));
    let reply = Reply::error(EntraError::Revoked)
        .with("error_description", json!(long))
        .with("suberror", json!(long))
        .with_header("retry-after", "7");
    stage.entra.push(reply);
    let credential = stage.credential(holding(&stage.cache()));
    let error = ask(&credential).await.unwrap_err();
    let text = assert_failed(&error);
    assert!(
        text.contains("[2J INJECTED") && text.len() < 1_000,
        "{text}"
    );
    assert!(!format!("{text}{error:?}").contains(char::is_control));
    assert!(error.oauth().unwrap().suberror().unwrap().len() <= 512);
    assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(7)));
}
