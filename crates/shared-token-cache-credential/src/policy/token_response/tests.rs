use std::time::Duration;

use base64::Engine;
use entra_token_endpoint::HttpResponse;
use msal_token_cache::Merged;
use msal_token_cache::{LONGEST_SECRET, MemoryPersistence, TokenCache};
use serde_json::{Value, json};
use test_support::{CacheBuilder, FakeAccount};
use token_credential::{ErrorKind, TokenRequestOptions};

use super::*;
use crate::fixtures::{ARM, CLI, CLOUD, NOW, at, authority, refresh_tokens};
use crate::policy::tenant::Tenants;

pub(super) const TENANT: &str = "11111111-2222-3333-4444-555555555555";

pub(super) fn ada() -> FakeAccount {
    FakeAccount::new("ada@contoso.example")
}

pub(super) fn cache() -> CacheBuilder {
    CacheBuilder::new().signed_in(&ada(), CLOUD, CLI, "refresh-token")
}

pub(super) fn read_at(
    tenant: &str,
    status: u16,
    body: impl Into<Vec<u8>>,
) -> Result<Granted, Rejection> {
    read_of(&ada(), tenant, status, body)
}

/// The answer to a redemption for this account, which was underway for no time.
pub(super) fn read_of(
    account: &FakeAccount,
    tenant: &str,
    status: u16,
    body: impl Into<Vec<u8>>,
) -> Result<Granted, Rejection> {
    let tenants = Tenants::of_account(Vec::new());
    let call = call_fields::check(&[ARM], &TokenRequestOptions::default(), &tenants)
        .unwrap()
        .to_owned_call();
    let cache = CacheBuilder::new().signed_in(account, CLOUD, CLI, "refresh-token");
    let [token] = refresh_tokens(&cache).try_into().unwrap();
    let authority = authority();
    let asked = RequestContext {
        authority: &authority,
        call: &call,
        tenant,
        token: &token,
        client_id: CLI,
        is_stored_apart: false,
        at: at(NOW),
        now: at(NOW),
    };
    read(
        TokenResponse::parse(&HttpResponse::new(status, body)),
        &asked,
    )
}

/// The answer to a redemption at `organizations`, with these members besides what must be.
pub(super) fn read_with(members: &Value) -> Result<Granted, Rejection> {
    read_with_at("organizations", members)
}

pub(super) fn read_with_at(tenant: &str, members: &Value) -> Result<Granted, Rejection> {
    read_of(&ada(), tenant, 200, body_with(members))
}

pub(super) fn body_with(members: &Value) -> String {
    let mut body = json!({ "access_token": "canary", "expires_in": 3600 });
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string()
}

/// The token that is granted.
#[track_caller]
pub(super) fn token(answer: Result<Granted, Rejection>) -> Redemption {
    match answer {
        Ok(Granted::Token(redemption)) => redemption,
        other => panic!("no token: {other:?}"),
    }
}

/// The text of the error for a token that is not handed out.
#[track_caller]
pub(super) fn spent(answer: Result<Granted, Rejection>) -> String {
    let Ok(Granted::Spent(_, error)) = answer else {
        panic!("not spent: {answer:?}");
    };
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    assert!(error.is_transient(), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    error.to_string()
}

/// The text of the error for an answer that is no answer.
#[track_caller]
pub(super) fn unusable(answer: Result<Granted, Rejection>) -> String {
    let Err(Rejection::Failed(error)) = answer else {
        panic!("not unusable");
    };
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    error.to_string()
}

pub(super) fn base64(json: &Value) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json.to_string())
}

pub(super) fn id_token(claims: &Value) -> String {
    format!("{}.{}.canary", base64(&json!({})), base64(claims))
}

#[test]
fn what_is_no_token_is_not_taken_for_one() {
    for (status, body, why) in [
        (200, "", "not a JSON object"),
        (200, "<html>canary</html>", "not a JSON object"),
        (407, "<html>canary</html>", "(HTTP 407)"),
        (200, "{\"access_token\":\"canary", "not a JSON object"),
        (200, "[\"canary\"]", "not a JSON object"),
        (200, "null", "not a JSON object"),
        (200, "{} canary", "not a JSON object"),
        (200, "{}", "no access_token"),
        (200, r#"{"access_token":""}"#, "no access_token"),
        (
            200,
            r#"{"access_token":7,"expires_in":1}"#,
            "no access_token",
        ),
        (
            200,
            r#"{"access_token":"canary\r\nx: y","expires_in":1}"#,
            "no header",
        ),
        (
            200,
            r#"{"access_token":"canary\u00e9","expires_in":1}"#,
            "no header",
        ),
        (
            307,
            r#"{"access_token":"canary","expires_in":1}"#,
            "neither yes nor",
        ),
        (
            503,
            r#"{"access_token":"canary","expires_in":1}"#,
            "neither yes nor",
        ),
    ] {
        let text = unusable(read_at("organizations", status, body));
        assert!(text.contains(why), "{body}: {text}");
    }
    let Err(Rejection::Failed(busy)) = read_at("organizations", 503, "<html>") else {
        panic!("not unusable");
    };
    assert!(busy.is_transient());
    for token_type in [json!("pop"), json!(7), json!(["Bearer"])] {
        let text = unusable(read_with(&json!({ "token_type": token_type })));
        assert!(text.contains("not a bearer token"), "{text}");
    }
    for token_type in [json!("bearer"), json!(""), json!(null)] {
        assert!(read_with(&json!({ "token_type": token_type })).is_ok());
    }
}

#[test]
fn k8_an_error_is_a_refusal_whatever_else_there_is() {
    let grant = |error: &Value| {
        json!({ "error": error, "access_token": "canary", "expires_in": 3600 }).to_string()
    };
    for error in [
        json!("invalid_grant"),
        json!("\u{202E}"),
        json!({ "code": "x" }),
        json!(["x"]),
        json!(7),
        json!(true),
    ] {
        for status in [200, 400] {
            let refused = read_at("organizations", status, grant(&error));
            assert!(matches!(refused, Err(Rejection::Refused(_))), "{error}");
        }
    }
    let lone_surrogate = r#"{"error":"\ud800","access_token":"canary","expires_in":3600}"#;
    let refused = read_at("organizations", 200, lone_surrogate);
    assert!(matches!(refused, Err(Rejection::Refused(_))), "{refused:?}");
}

#[test]
fn k8_an_error_that_says_nothing_is_no_refusal_beside_a_token() {
    for error in [
        json!(null),
        json!(""),
        json!(" "),
        json!(false),
        json!({}),
        json!([]),
    ] {
        assert_eq!(
            token(read_with(&json!({ "error": error }))).expires_on(),
            at(NOW + 3600)
        );
        // Without a token it is no grant either, and where the status refuses it is a refusal.
        let body = json!({ "error": error }).to_string();
        let text = unusable(read_at("organizations", 200, &*body));
        assert!(text.contains("no access_token"), "{text}");
        let refused = read_at("organizations", 400, body);
        assert!(matches!(refused, Err(Rejection::Refused(_))), "{error}");
    }
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let body = "\u{feff}{\"access_token\":\"canary\",\"expires_in\":3600}";
    assert!(read_at("organizations", 200, body).is_ok());
}

/// The cache after the answer was merged into it.
pub(super) fn stored(answer: &Redemption) -> Value {
    let store = MemoryPersistence::holding(cache().to_json());
    let merged = TokenCache::new(store.clone()).modify(|edit| edit.merge(answer));
    assert_eq!(merged.unwrap(), Merged::Stored);
    serde_json::from_slice(&store.content().unwrap()).unwrap()
}

#[test]
fn odd_members_are_passed_over() {
    let answer = token(read_with(&json!({
        "scope": 7, "refresh_token": {}, "foci": 1, "ext_expires_in": [], "token_type": "bearer",
    })));
    assert_eq!(answer.target(), ARM);
    assert!(answer.refresh_token().is_none());
    let cache = stored(&answer);
    let stored = cache["RefreshToken"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    assert_eq!(stored["secret"], "refresh-token");
    assert_eq!(stored.get("family_id"), None);
}

#[test]
fn of_two_members_the_last_one_counts() {
    let body = r#"{"access_token":"first","access_token":"last","expires_in":60,"expires_in":90}"#;
    let answer = token(read_at(TENANT, 200, body));
    assert_eq!(answer.access_token().expose_secret(), "last");
    assert_eq!(answer.expires_on(), at(NOW + 90));
}

#[test]
fn names_and_texts_may_be_escaped() {
    let body = r#"{"access\u005ftoken":"can\/ary","expires_in":"6\u0030"}"#;
    let answer = token(read_at(TENANT, 200, body));
    assert_eq!(answer.access_token().expose_secret(), "can/ary");
    assert_eq!(answer.expires_on(), at(NOW + 60));

    let refused = read_at(
        TENANT,
        200,
        r#"{"access_token":"canary","err\u006fr":"\u0078"}"#,
    );
    assert!(matches!(refused, Err(Rejection::Refused(_))), "{refused:?}");
}

#[test]
fn what_means_nothing_is_passed_over_but_not_in_whose_token_it_is() {
    let with = |member: &str| {
        let body = format!(r#"{{"access_token":"canary","expires_in":60,{member}}}"#);
        read_at(TENANT, 200, body)
    };
    for member in [
        r#""note":"\ud800""#,
        r#""scope":"\ud800""#,
        r#""refresh_in":1e999"#,
    ] {
        assert!(with(member).is_ok(), "{member}");
    }
    for member in [
        r#""client_info":"\ud800""#,
        r#""client_info":7"#,
        r#""token_type":"\ud800""#,
    ] {
        assert!(with(member).is_err(), "{member}");
    }
}

/// What the wire brings is asked for what the cache is asked for.
#[test]
fn one_notion_of_a_usable_secret_at_the_wire() {
    assert!(is_usable_secret(&"t".repeat(LONGEST_SECRET)));
    assert!(!is_usable_secret(&"t".repeat(LONGEST_SECRET + 1)));
    for odd in [
        "can ary",
        " canary",
        "canary\r\nx: y",
        "canary\0",
        "canary\u{7f}",
        "\u{202e}canary",
        "canary\u{e9}",
    ] {
        assert!(!is_usable_secret(odd));
        let text = unusable(read_with(&json!({ "access_token": odd })));
        assert!(text.contains("no header"), "{text}");
        // Without these the token is as good.
        let answer = token(read_with(&json!({ "refresh_token": odd })));
        assert!(answer.refresh_token().is_none(), "{odd:?}");
        let claims = json!({ "tid": ada().utid, "preferred_username": "another" });
        let id_token = id_token(&claims) + odd;
        let answer = token(read_with(&json!({ "id_token": id_token })));
        let cache = stored(&answer);
        assert_eq!(cache["IdToken"], json!(null), "{odd:?}");
        assert!(!cache.to_string().contains("another"), "{odd:?}");
    }
    // What it says counts all the same.
    let eve = FakeAccount::new("eve@contoso.example");
    let claims = json!({ "tid": eve.utid, "oid": eve.oid });
    let text = unusable(read_with(
        &json!({ "id_token": id_token(&claims) + "\r\n" }),
    ));
    assert!(text.contains("another account"), "{text}");
}

#[test]
fn neither_an_answer_nor_a_token_is_without_a_limit() {
    for name in ["access_token", "refresh_token", "id_token"] {
        let of_length = |length: usize| json!({ name: "t".repeat(length) });
        token(read_with(&of_length(LONGEST_SECRET)));
        let text = unusable(read_with(&of_length(LONGEST_SECRET + 1)));
        let why = format!("has a token of more than 64 KiB ({name})");
        assert!(text.contains(&why), "{text}");
    }
    // What else goes into the cache is passed over.
    for (name, max) in [("scope", 8 * 1024), ("foci", 64)] {
        for (length, is_kept) in [(max, true), (max + 1, false)] {
            let long = "x".repeat(length);
            let members = json!({ name: long, "refresh_token": "rotated" });
            let cache = stored(&token(read_with(&members))).to_string();
            assert_eq!(cache.contains(&long), is_kept, "{name}");
        }
    }
    let of_length = |length: usize| {
        let mut body = body_with(&json!({}));
        body.push_str(&" ".repeat(length - body.len()));
        read_at("organizations", 200, body)
    };
    token(of_length(256 * 1024));
    let text = unusable(of_length(256 * 1024 + 1));
    assert!(text.contains("is larger than 256 KiB"), "{text}");
}
