//! What the fake Entra answers without a script.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::Method;
use serde_json::{Value, json};
use test_support::{FakeAccount, TestClock};

use crate::client::{CLIENT_ID, Fixture, SCOPES};

fn id_claims(answer: &Value) -> Value {
    let id_token = answer["id_token"].as_str().unwrap();
    let parts: Vec<_> = id_token.split('.').collect();
    assert_eq!(parts.len(), 3);
    for part in &parts {
        let alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        assert!(part.bytes().all(alphabet));
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap()
}

fn names(answer: &Value) -> Vec<&str> {
    answer
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn a_good_request_gets_everything_that_it_asked_for() {
    let f = Fixture::new();
    f.entra.set_clock(Arc::new(TestClock::at(1_700_000_000)));
    let answer = f.redeem().await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(
        names(&body),
        [
            "access_token",
            "client_info",
            "expires_in",
            "ext_expires_in",
            "id_token",
            "refresh_token",
            "scope",
            "token_type"
        ]
    );
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(
        body["scope"],
        "https://management.azure.com/user_impersonation https://management.azure.com/.default \
         openid profile offline_access"
    );
    assert_eq!(body["expires_in"], 4_799);
    assert_eq!(body["client_info"], json!(f.ada.client_info()));
    let decoded = URL_SAFE_NO_PAD.decode(f.ada.client_info()).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&decoded).unwrap(),
        json!({ "uid": f.ada.uid, "utid": f.ada.utid })
    );

    let claims = id_claims(&body);
    assert_eq!(
        names(&claims),
        [
            "aud",
            "exp",
            "iat",
            "iss",
            "name",
            "nbf",
            "oid",
            "preferred_username",
            "sub",
            "tid",
            "uti",
            "ver"
        ]
    );
    assert_eq!(claims["aud"], CLIENT_ID);
    let issuer = format!("{}/{}/v2.0", f.entra.authority(), f.ada.utid);
    assert_eq!(claims["iss"], json!(issuer));
    assert_eq!(claims["iat"], 1_700_000_000);
    assert_eq!(claims["exp"], 1_700_003_600);
    assert_eq!(claims["oid"], json!(f.ada.oid));
    assert_eq!(claims["tid"], json!(f.ada.utid));
    assert_eq!(claims["preferred_username"], "ada@contoso.example");
    assert_eq!(claims["ver"], "2.0");
}

#[tokio::test]
async fn nothing_is_sent_that_was_not_asked_for() {
    let f = Fixture::new();
    let mut form = f.form("https://vault.azure.net/.default");
    form.retain(|(name, _)| *name != "client_info");
    let answer = f.client.post(&f.url("common"), &form).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        names(&answer.json()),
        [
            "access_token",
            "expires_in",
            "ext_expires_in",
            "scope",
            "token_type"
        ]
    );
}

#[tokio::test]
async fn each_answer_has_new_tokens_and_the_old_refresh_token_stays_good() {
    let f = Fixture::new();
    let (first, second) = (f.redeem().await.json(), f.redeem().await.json());
    for member in ["access_token", "refresh_token", "id_token"] {
        assert_ne!(first[member], second[member], "{member}");
    }
    let mut form = f.form(SCOPES);
    form[1].1 = first["refresh_token"].as_str().unwrap();
    let third = f.client.post(&f.url("common"), &form).await.unwrap();
    assert_eq!(third.status, 200);
}

#[tokio::test]
async fn only_family_tokens_are_told_so_and_rotation_keeps_it() {
    let f = Fixture::new();
    let family = f.entra.issue_refresh_token(&f.ada, CLIENT_ID, true);
    let mut form = f.form(SCOPES);
    form[1].1 = &family;
    let answer = f.client.post(&f.url("common"), &form).await.unwrap().json();
    assert_eq!(answer["foci"], "1");
    form[1].1 = answer["refresh_token"].as_str().unwrap();
    let answer = f.client.post(&f.url("common"), &form).await.unwrap().json();
    assert_eq!(answer["foci"], "1");
    assert_eq!(f.redeem().await.json().get("foci"), None);
}

#[tokio::test]
async fn the_tenant_of_the_token_is_that_of_the_address_when_it_is_a_guid() {
    let f = Fixture::new();
    let guest_tenant = "f8cdef31-a31e-4b4a-93e4-5f571e91255a";
    for (tenant, tid, oid) in [
        ("organizations", f.ada.utid.as_str(), f.ada.oid.clone()),
        ("common", &f.ada.utid, f.ada.oid.clone()),
        ("contoso.example", &f.ada.utid, f.ada.oid.clone()),
        (&f.ada.utid, &f.ada.utid, f.ada.oid.clone()),
        (guest_tenant, guest_tenant, f.ada.oid_in(guest_tenant)),
    ] {
        let answer = f.client.post(&f.url(tenant), &f.form(SCOPES)).await;
        let answer = answer.unwrap().json();
        let claims = id_claims(&answer);
        assert_eq!(claims["tid"], json!(tid), "{tenant}");
        assert_eq!(claims["oid"], json!(oid), "{tenant}");
        // Home stays home.
        assert_eq!(
            answer["client_info"],
            json!(f.ada.client_info()),
            "{tenant}"
        );
    }
    assert_ne!(f.ada.oid_in(guest_tenant), f.ada.oid);
    assert_eq!(f.entra.requests()[4].tenant, guest_tenant);
}

#[tokio::test]
async fn personal_accounts_live_in_their_own_tenant() {
    let f = Fixture::new();
    let eve = FakeAccount::personal("eve@outlook.example");
    let refresh_token = f.entra.issue_refresh_token(&eve, CLIENT_ID, false);
    let mut form = f.form(SCOPES);
    form[1].1 = &refresh_token;
    let answer = f.client.post(&f.url("organizations"), &form).await.unwrap();
    let claims = id_claims(&answer.json());
    assert_eq!(claims["tid"], "9188040d-6c67-4c5b-b112-36a304b66dad");
    assert!(eve.uid.starts_with("00000000-0000-0000-"));
    assert_eq!(eve.uid.len(), 36);
}

#[tokio::test]
async fn a_renamed_account_keeps_its_tokens_and_a_removed_one_does_not() {
    let f = Fixture::new();
    f.entra.add_account(FakeAccount {
        username: "ada.king@contoso.example".into(),
        ..f.ada.clone()
    });
    let claims = id_claims(&f.redeem().await.json());
    assert_eq!(claims["preferred_username"], "ada.king@contoso.example");

    f.entra.remove_account(&f.ada);
    let answer = f.redeem().await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error_codes"], json!([50034]));
}

#[tokio::test]
async fn a_client_that_can_be_told_of_revocation_gets_long_tokens() {
    let f = Fixture::new();
    for (claims, refresh_in) in [
        (
            r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#,
            Some(50_400),
        ),
        (
            r#"{"access_token":{"xms_cc":{"values":["CP1"]}}}"#,
            Some(50_400),
        ),
        (r#"{"access_token":{"nbf":{"essential":true}}}"#, None),
    ] {
        let mut form = f.form(SCOPES);
        form.push(("claims", claims));
        let answer = f.client.post(&f.url("common"), &form).await.unwrap().json();
        assert_eq!(answer["expires_in"] == 100_800, refresh_in.is_some());
        assert_eq!(
            answer.get("refresh_in").cloned(),
            refresh_in.map(Value::from)
        );
    }
}

#[tokio::test]
async fn what_does_not_deserve_tokens_is_refused_as_entra_refuses() {
    let f = Fixture::new();
    let change = |name: &'static str, value: &'static str| {
        let mut form = f.form(SCOPES);
        form.retain(|(field, _)| *field != name);
        if !value.is_empty() {
            form.push((name, value));
        }
        form
    };
    for (form, error, code) in [
        (
            change("refresh_token", "0.AAAA"),
            "invalid_grant",
            9_002_313,
        ),
        (change("client_id", "another"), "invalid_grant", 700_007),
        (
            change("grant_type", "password"),
            "unsupported_grant_type",
            70003,
        ),
        (change("grant_type", ""), "invalid_request", 900_144),
        (change("refresh_token", ""), "invalid_request", 900_144),
        (change("scope", ""), "invalid_request", 900_144),
        (change("client_id", ""), "invalid_request", 900_144),
        (change("claims", "[1]"), "invalid_request", 1_000_031),
    ] {
        let answer = f.client.post(&f.url("common"), &form).await.unwrap();
        assert_eq!(answer.status, 400, "{code}");
        let body = answer.json();
        assert_eq!(body["error"], error);
        assert_eq!(body["error_codes"], json!([code]));
        assert_eq!(body.get("access_token"), None);
    }
}

#[tokio::test]
async fn there_is_one_kind_of_address_and_one_method() {
    let f = Fixture::new();
    let form = f.form(SCOPES);
    for path in [
        "/",
        "/common",
        "/common/oauth2/token",
        "/common/oauth2/v2.0/authorize",
        "/common/oauth2/v2.0/token/",
        "/common/oauth2/v2.0/token?a=b",
        "//oauth2/v2.0/token",
        "/common/v2.0/.well-known/openid-configuration",
    ] {
        let url = format!("{}{path}", f.entra.authority());
        let answer = f.client.post(&url, &form).await.unwrap();
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(f.entra.requests().last().unwrap().path, path);
    }
    let get = f.client.send(Method::GET, &f.url("common"), &[], &[]).await;
    assert_eq!(get.unwrap().json()["error_codes"], json!([900_561]));
}

#[tokio::test]
async fn the_headers_are_entras() {
    let f = Fixture::new();
    let id = "6b5b9f0e-0000-4000-8000-000000000001";
    let answer = f
        .client
        .send(
            Method::POST,
            &f.url("common"),
            &f.form(SCOPES),
            &[("client-request-id", id), ("x-client-sku", "test")],
        )
        .await
        .unwrap();
    assert_eq!(answer.header("client-request-id"), Some(id));
    assert_eq!(answer.header("cache-control"), Some("no-store, no-cache"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    for name in ["x-ms-request-id", "x-ms-ests-server", "set-cookie", "date"] {
        assert!(answer.header(name).is_some(), "{name}");
    }
    let seen = &f.entra.requests()[0];
    assert_eq!(seen.header("x-client-sku"), Some("test"));
    assert_eq!(seen.method, "POST");
}

#[tokio::test]
async fn requests_are_kept_as_they_came() {
    let f = Fixture::new();
    f.redeem().await;
    let seen = &f.entra.requests()[0];
    let fields: Vec<_> = seen.form.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        fields,
        [
            "grant_type",
            "refresh_token",
            "scope",
            "client_id",
            "client_info"
        ]
    );
    assert_eq!(seen.field("scope"), Some(SCOPES));
    assert_eq!(seen.field("claims"), None);
    assert_eq!(seen.scopes().len(), 4);
    assert_eq!(seen.path, "/organizations/oauth2/v2.0/token");
    assert_eq!(test_support::logs::leaks_in(&format!("{seen:?}")), [""; 0]);
}
