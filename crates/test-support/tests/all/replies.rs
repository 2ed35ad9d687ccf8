//! What the fake Entra answers when it is told to.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use test_support::{EntraError, FakeAccount, FakeEntra, Reply};

use crate::client::Fixture;

#[tokio::test]
async fn the_script_is_played_in_order_and_then_the_rules_hold_again() {
    let f = Fixture::new();
    f.entra.push(Reply::error(EntraError::Server(503)));
    f.entra.push(Reply::error(EntraError::Throttled));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(f.redeem().await.status);
    }
    assert_eq!(statuses, [503, 429, 200]);
    assert_eq!(f.entra.request_count(), 3);
}

#[tokio::test]
async fn members_of_the_default_answer_are_replaced_and_removed() {
    let f = Fixture::new();
    f.entra.push(
        Reply::success()
            .with("scope", json!("user_impersonation"))
            .with("expires_in", json!("3600"))
            .with("refresh_in", json!(1800))
            .without("client_info"),
    );
    let body = f.redeem().await.json();
    assert_eq!(body["scope"], "user_impersonation");
    assert_eq!(body["expires_in"], "3600");
    assert_eq!(body["refresh_in"], 1800);
    assert_eq!(body.get("client_info"), None);
    assert!(body["access_token"].is_string());

    f.entra
        .push(Reply::success().with_expires_in(60).without("id_token"));
    let body = f.redeem().await.json();
    assert_eq!(
        (&body["expires_in"], &body["ext_expires_in"]),
        (&json!(60), &json!(60))
    );
    assert_eq!(body.get("id_token"), None);

    let bob = FakeAccount::new("bob@fabrikam.example");
    f.entra.push(
        Reply::success()
            .with("client_info", json!(bob.client_info()))
            .with_id_claim("tid", json!(bob.utid))
            .without_id_claim("oid"),
    );
    let body = f.redeem().await.json();
    assert_eq!(body["client_info"], json!(bob.client_info()));
    let claims = body["id_token"]
        .as_str()
        .unwrap()
        .split('.')
        .nth(1)
        .unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["tid"], json!(bob.utid));
    assert_eq!(claims.get("oid"), None);
}

#[tokio::test]
async fn every_refusal_has_entras_members() {
    let f = Fixture::new();
    #[rustfmt::skip]
    let table = [
        (EntraError::UnknownRefreshToken, 400, "invalid_grant", None, 9_002_313),
        (EntraError::Revoked, 400, "invalid_grant", None, 50173),
        (EntraError::Inactive, 400, "invalid_grant", Some("bad_token"), 700_082),
        (EntraError::SignInFrequency, 400, "interaction_required", Some("token_expired"), 70043),
        (EntraError::MfaRequired, 400, "interaction_required", Some("basic_action"), 50076),
        (EntraError::ConsentRequired, 400, "invalid_grant", Some("consent_required"), 65001),
        (EntraError::WrongClient, 400, "invalid_grant", None, 700_007),
        (EntraError::ClientMismatch, 400, "invalid_grant", Some("client_mismatch"), 70000),
        (EntraError::InvalidClient, 401, "invalid_client", None, 7_000_218),
        (EntraError::InvalidScope, 400, "invalid_scope", None, 70011),
        (EntraError::RequestLoop, 400, "invalid_grant", None, 50196),
        (EntraError::AccountGone, 400, "invalid_grant", None, 50034),
        (EntraError::NotFound, 404, "invalid_request", None, 900_144),
        (EntraError::Throttled, 429, "temporarily_unavailable", None, 90055),
        (EntraError::Server(500), 500, "temporarily_unavailable", None, 90033),
        (EntraError::Server(504), 504, "temporarily_unavailable", None, 90033),
        (EntraError::Other("invalid_resource", 500_011), 400, "invalid_resource", None, 500_011),
    ];
    for (refusal, status, error, suberror, code) in table {
        f.entra.push(Reply::error(refusal));
        let answer = f.redeem().await;
        assert_eq!(answer.status, status, "{refusal:?}");
        let body = answer.json();
        assert_eq!(body["error"], error, "{refusal:?}");
        assert_eq!(body["error_codes"], json!([code]), "{refusal:?}");
        assert_eq!(body.get("suberror").and_then(Value::as_str), suberror);
        assert_eq!(
            body.get("claims").is_some(),
            refusal == EntraError::MfaRequired
        );
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let description = text("error_description");
        assert!(description.starts_with(&format!("AADSTS{code}: ")));
        for part in ["trace_id", "correlation_id", "timestamp"] {
            assert!(description.contains(&text(part)), "{description}");
        }
        assert_eq!(
            answer.header("client-request-id"),
            Some(&*text("correlation_id"))
        );
        assert!(text("error_uri").ends_with(&format!("/error?code={code}")));
    }

    f.entra.push(Reply::error(EntraError::MfaRequired));
    let claims = f.redeem().await.json()["claims"]
        .as_str()
        .unwrap()
        .to_owned();
    let claims: Value = serde_json::from_str(&claims).unwrap();
    assert!(claims["access_token"]["capolids"]["values"].is_array());
}

#[tokio::test]
async fn headers_and_status_are_as_told() {
    let f = Fixture::new();
    for retry_after in ["20", "Fri, 31 Dec 2100 23:59:59 GMT"] {
        let busy = Reply::error(EntraError::Throttled).with_header("Retry-After", retry_after);
        f.entra.push(busy);
        let answer = f.redeem().await;
        assert_eq!(answer.header("retry-after"), Some(retry_after));
    }
    f.entra.push(Reply::error(EntraError::Throttled));
    assert_eq!(f.redeem().await.header("retry-after"), None);

    f.entra.push(
        Reply::success()
            .with_status(203)
            .with_header("content-type", "text/json"),
    );
    let answer = f.redeem().await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (203, Some("text/json"))
    );
}

#[tokio::test]
async fn bodies_that_are_no_token_response() {
    let f = Fixture::new();
    f.entra.push(Reply::proxy_page());
    let page = f.redeem().await;
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(page.body.starts_with(b"<!DOCTYPE html>"));
    assert_eq!(page.header("x-ms-request-id"), None);

    f.entra.push(Reply::json(json!([1, 2])));
    assert_eq!(f.redeem().await.json(), json!([1, 2]));
    f.entra
        .push(Reply::json(json!({ "a": 1 })).with("b", json!(null)));
    assert_eq!(f.redeem().await.json(), json!({ "a": 1, "b": null }));
    f.entra.push(Reply::raw("application/json", ""));
    assert_eq!(f.redeem().await.body.len(), 0);
    f.entra
        .push(Reply::raw("application/json", vec![b' '; 3 << 20]));
    assert_eq!(f.redeem().await.body.len(), 3 << 20);

    f.entra.push(Reply::success().cut_to(40));
    let cut = f.redeem().await;
    assert_eq!(
        (cut.status, cut.header("content-length")),
        (200, Some("40"))
    );
    assert!(serde_json::from_slice::<Value>(&cut.body).is_err());
    assert_eq!(
        f.entra.handshakes(),
        1,
        "the connection survived all of them"
    );
}

#[test]
#[should_panic(expected = "no members")]
fn a_page_has_no_members() {
    let _ = Reply::proxy_page().with("scope", json!(""));
}

#[tokio::test]
async fn a_redirect_names_another_server_and_nobody_goes_there() {
    let f = Fixture::new();
    let other = FakeEntra::start();
    f.entra.push(Reply::redirect(307, other.authority()));
    let answer = f.redeem().await;
    assert_eq!(answer.status, 307);
    assert_eq!(answer.header("location"), Some(&*other.authority()));
    assert_eq!((other.connections(), other.request_count()), (0, 0));
}

#[tokio::test]
async fn a_delayed_answer_comes_late_but_the_request_counts_at_once() {
    let f = Fixture::new();
    f.entra
        .push(Reply::success().delayed(Duration::from_millis(300)));
    let began = Instant::now();
    let arrived = async {
        while f.entra.request_count() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    };
    let (answer, arrived) = tokio::join!(f.redeem(), arrived);
    assert_eq!(answer.status, 200);
    assert!(arrived < Duration::from_millis(300), "{arrived:?}");
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_dropped_connection_gives_no_answer() {
    let f = Fixture::new();
    f.entra.push(Reply::dropped());
    let error = f.try_redeem().await.unwrap_err();
    assert!(
        error.contains("close_notify") || error.contains("message completed"),
        "{error}"
    );
    assert_eq!(f.entra.request_count(), 1);
    assert_eq!(f.redeem().await.status, 200);
    assert_eq!(f.entra.handshakes(), 2);
    assert_eq!(f.entra.clean_ends(), 0);
}

#[tokio::test]
async fn an_answer_that_breaks_off_gives_its_head_and_part_of_its_body() {
    let f = Fixture::new();
    for bytes in [0, 100] {
        f.entra.push(Reply::success().dropped_within(bytes));
        let error = f.try_redeem().await.unwrap_err();
        assert!(error.contains("body"), "{error}");
    }
    assert_eq!(f.redeem().await.status, 200);
}
