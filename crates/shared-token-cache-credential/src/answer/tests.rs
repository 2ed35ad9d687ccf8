use msal_token_cache::Merged;
use msal_token_cache::{MemoryPersistence, TokenCache};
use serde_json::{Value, json};
use test_support::{CacheBuilder, FakeAccount};
use token_credential::TokenRequestOptions;

use super::*;
use crate::fixtures::{ARM, CLI, CLOUD, NOW, at, authority, refresh_tokens};
use crate::request::Call;
use crate::tenant::Tenants;

const TENANT: &str = "11111111-2222-3333-4444-555555555555";

fn ada() -> FakeAccount {
    FakeAccount::new("ada@contoso.example")
}

fn cache() -> CacheBuilder {
    CacheBuilder::new().signed_in(&ada(), CLOUD, CLI, "refresh-token")
}

fn read_at(tenant: &str, status: u16, body: impl Into<Vec<u8>>) -> Result<Redemption, NoToken> {
    let tenants = Tenants::of_account(Vec::new());
    let request = Call::new(&[ARM], &TokenRequestOptions::default(), &tenants)
        .unwrap()
        .to_request();
    let [token] = refresh_tokens(&cache()).try_into().unwrap();
    let authority = authority();
    let asked = Asked {
        authority: &authority,
        request: &request,
        tenant,
        token: &token,
        client_id: CLI,
        at: at(NOW),
    };
    read(&TokenReply::new(status, body), &asked)
}

/// The answer to a redemption at `organizations`, with these members besides what must be.
fn read_with(members: &Value) -> Result<Redemption, NoToken> {
    read_with_at("organizations", members)
}

fn read_with_at(tenant: &str, members: &Value) -> Result<Redemption, NoToken> {
    let mut body = json!({ "access_token": "canary", "expires_in": 3600 });
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    read_at(tenant, 200, body.to_string())
}

/// The text of the error for an answer that is no answer.
#[track_caller]
fn unusable(answer: Result<Redemption, NoToken>) -> String {
    let Err(NoToken::Failed(error)) = answer else {
        panic!("not unusable");
    };
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    error.to_string()
}

fn base64(json: &Value) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json.to_string())
}

fn id_token(claims: &Value) -> String {
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
            r#"{"access_token":"canary"}"#,
            "when the token expires",
        ),
        (
            200,
            r#"{"access_token":"canary","expires_in":null}"#,
            "when",
        ),
        (
            200,
            r#"{"access_token":"canary","expires_in":"soon"}"#,
            "when",
        ),
        (
            200,
            r#"{"access_token":"canary","expires_in":"inf"}"#,
            "when",
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
    let Err(NoToken::Failed(busy)) = read_at("organizations", 503, "<html>") else {
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
fn an_error_is_a_refusal_whatever_else_there_is() {
    for (status, error) in [(200, json!("invalid_grant")), (400, json!(null))] {
        let body = json!({ "error": error, "access_token": "canary", "expires_in": 3600 });
        let refused = read_at("organizations", status, body.to_string());
        assert!(matches!(refused, Err(NoToken::Refused(_))), "{body}");
    }
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let body = "\u{feff}{\"access_token\":\"canary\",\"expires_in\":3600}";
    assert!(read_at("organizations", 200, body).is_ok());
}

#[test]
fn a_lifetime_is_read_in_every_form_and_capped() {
    let week = 7 * 24 * 3600;
    for (members, life) in [
        (json!({ "expires_in": 3600 }), 3600),
        (json!({ "expires_in": "3600" }), 3600),
        (json!({ "expires_in": " 3599.9 " }), 3599),
        (json!({ "expires_in": 3599.9 }), 3599),
        (json!({ "expires_in": 0 }), 0),
        (json!({ "expires_in": -5 }), 0),
        (json!({ "expires_in": "-5" }), 0),
        (json!({ "expires_in": u64::MAX }), week),
        (json!({ "expires_in": 1e300 }), week),
        (json!({ "expires_on": (NOW + 60).to_string() }), 60),
        (json!({ "expires_on": u64::MAX }), week),
    ] {
        let answer = read_with(&members).unwrap();
        assert_eq!(answer.expires_on(), at(NOW + life), "{members}");
    }
    let answer = read_with(&json!({ "refresh_in": "1800" })).unwrap();
    assert_eq!(answer.refresh_on(), Some(at(NOW + 1800)));
    let answer = read_with(&json!({ "refresh_in": {}, "expires_in": 9000 })).unwrap();
    assert_eq!(answer.refresh_on(), None);
}

#[test]
fn an_answer_is_for_the_account_that_asked() {
    let info = |uid: Value, utid: Value| base64(&json!({ "uid": uid, "utid": utid }));
    let FakeAccount { uid, utid, .. } = ada();
    for good in [
        json!(null),
        json!(""),
        json!(base64(&json!({}))),
        json!(base64(&json!({ "other": 1 }))),
        json!(info(json!(uid), json!(utid))),
        json!(info(json!(uid.to_uppercase()), json!(utid))),
        json!(format!("{}=", info(json!(uid), json!(utid)))),
    ] {
        let answer = read_with(&json!({ "client_info": good }));
        assert!(answer.is_ok(), "{good}");
    }
    for bad in [
        json!(info(json!("eve"), json!(utid))),
        json!(info(json!(format!("{uid}.{utid}")), json!(""))),
        json!(info(json!(uid), json!(TENANT))),
        json!(info(json!(uid), json!(null))),
        json!(info(json!(null), json!(utid))),
        json!(info(json!(7), json!(utid))),
        json!("canary"),
        json!("{}"),
        json!(7),
        json!({ "uid": uid, "utid": utid }),
    ] {
        let text = unusable(read_with(&json!({ "client_info": bad })));
        assert!(text.contains("nothing was stored"), "{text}");
    }
}

#[test]
fn the_realm_is_the_best_that_is_known() {
    let tid = |tid: &str| json!({ "id_token": id_token(&json!({ "tid": tid })) });
    let info = json!({ "client_info": ada().client_info() });
    let mut both = tid(TENANT);
    both["client_info"] = info["client_info"].clone();
    for (tenant, members, realm) in [
        ("organizations", json!({}), "organizations"),
        ("organizations", info.clone(), &*ada().utid),
        ("organizations", both, TENANT),
        ("organizations", tid(""), "organizations"),
        ("common", info.clone(), &*ada().utid),
        ("contoso.example", info.clone(), "contoso.example"),
        (TENANT, info, TENANT),
        (TENANT, tid(&TENANT.to_uppercase()), TENANT),
    ] {
        let answer = read_with_at(tenant, &members).unwrap();
        assert_eq!(answer.realm(), realm, "{tenant} {members}");
    }
    let text = unusable(read_with_at(TENANT, &tid(&ada().utid)));
    assert!(
        text.contains("another tenant, and nothing was stored"),
        "{text}"
    );
}

#[test]
fn an_id_token_that_cannot_be_read_costs_nothing() {
    for bad in [
        json!("canary"),
        json!("a.b.c"),
        json!("a..c"),
        json!(7),
        json!(""),
    ] {
        let answer = read_with(&json!({ "id_token": bad })).unwrap();
        assert_eq!(stored(&answer)["IdToken"], json!(null), "{bad}");
    }
}

/// The cache after the answer was merged into it.
fn stored(answer: &Redemption) -> Value {
    let store = MemoryPersistence::holding(cache().to_json());
    let merged = TokenCache::new(store.clone()).modify(|edit| edit.merge(answer));
    assert_eq!(merged.unwrap(), Merged::Stored);
    serde_json::from_slice(&store.content().unwrap()).unwrap()
}

#[test]
fn odd_members_are_passed_over() {
    let answer = read_with(&json!({
        "scope": 7, "refresh_token": {}, "foci": 1, "ext_expires_in": [], "token_type": "bearer",
    }))
    .unwrap();
    assert_eq!(answer.target(), ARM);
    assert!(answer.refresh_token().is_none());
    let cache = stored(&answer);
    let token = cache["RefreshToken"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    assert_eq!(token["secret"], "refresh-token");
    assert_eq!(token.get("family_id"), None);
}

#[test]
fn names_come_from_the_id_token_as_far_as_it_has_them() {
    for (claims, id, name) in [
        (
            json!({ "oid": "o", "sub": "s", "preferred_username": "p", "upn": "u" }),
            "o",
            "p",
        ),
        (json!({ "sub": "s", "upn": "u" }), "s", "u"),
        (json!({}), &*ada().oid, "ada@contoso.example"),
    ] {
        let tid = json!(ada().utid);
        let mut claims = claims;
        claims["tid"] = tid;
        let answer = read_with(&json!({ "id_token": id_token(&claims) })).unwrap();
        let cache = stored(&answer);
        let accounts = cache["Account"].as_object().unwrap();
        assert_eq!(accounts.len(), 1);
        let account = accounts.values().next().unwrap();
        assert_eq!(account["local_account_id"], id, "{claims}");
        assert_eq!(account["username"], name, "{claims}");
    }
}

#[test]
fn of_two_members_the_last_one_counts() {
    let body = r#"{"access_token":"first","access_token":"last","expires_in":60,"expires_in":90}"#;
    let answer = read_at(TENANT, 200, body).expect("a token");
    assert_eq!(answer.access_token().expose_secret(), "last");
    assert_eq!(answer.expires_on(), at(NOW + 90));
}

#[test]
fn names_and_texts_may_be_escaped() {
    let body = r#"{"access\u005ftoken":"can\/ary","expires_in":"6\u0030"}"#;
    let answer = read_at(TENANT, 200, body).expect("a token");
    assert_eq!(answer.access_token().expose_secret(), "can/ary");
    assert_eq!(answer.expires_on(), at(NOW + 60));

    let refused = read_at(
        TENANT,
        200,
        r#"{"access_token":"canary","err\u006fr":null}"#,
    );
    assert!(matches!(refused, Err(NoToken::Refused(_))), "{refused:?}");
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
