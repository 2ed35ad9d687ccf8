//! The account of an authentication record.

use msal_token_cache::{MemoryPersistence, TokenCache};
use serde_json::json;
use shared_token_cache_credential::{
    AuthenticationRecord, ErrorKind, SharedTokenCacheCredential, TokenRequestOptions,
};
use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount, logs};

use super::{HOST, Stage, ask, ask_with, entries, holding, text, token};

const APP: &str = "5d0e1f6a-0000-4000-8000-00000000000a";

fn record(stage: &Stage, account: &FakeAccount, tenant: &str) -> AuthenticationRecord {
    let host = stage.entra.authority().replace("https://", "");
    let json = json!({
        "authority": host, "clientId": APP, "homeAccountId": account.home_account_id(),
        "tenantId": tenant, "username": account.username, "version": "1.0",
    });
    AuthenticationRecord::deserialize(&json.to_string()).unwrap()
}

fn credential(
    stage: &Stage,
    record: AuthenticationRecord,
    store: &MemoryPersistence,
) -> SharedTokenCacheCredential {
    let builder = stage.builder().authentication_record(record);
    let [cache, cae] = [store.clone(), MemoryPersistence::new()].map(TokenCache::new);
    builder
        .token_cache(cache)
        .cae_token_cache(cae)
        .build()
        .unwrap()
}

/// Ada's entries: her account and a refresh token of the record's application.
fn signed_in(stage: &Stage) -> CacheBuilder {
    let refresh_token = stage.entra.issue_refresh_token(&stage.ada, APP, false);
    CacheBuilder::new().signed_in(&stage.ada, HOST, APP, &refresh_token)
}

fn app_token<'a>(secret: &'a str, realm: &'a str) -> AccessTokenSpec<'a> {
    AccessTokenSpec {
        client_id: APP,
        realm: Some(realm),
        ..token(secret, 3600)
    }
}

#[tokio::test]
async fn a_cached_token_of_the_records_application_and_tenant_needs_nothing_else() {
    let stage = Stage::new();
    let [good, other_app, other_tenant] =
        ["good", "other application", "other tenant"].map(logs::canary);
    let cache = CacheBuilder::new()
        .account(&stage.ada, HOST, &stage.ada.utid)
        .access_token(&stage.ada, token(&other_app, 7200))
        .access_token(&stage.ada, app_token(&other_tenant, "some-tenant"))
        .access_token(&stage.ada, app_token(&good, &stage.ada.utid));
    let record = record(&stage, &stage.ada, &stage.ada.utid);
    let credential = credential(&stage, record, &holding(&cache));
    let token = ask(&credential).await.unwrap();
    assert_eq!(token.token().expose_secret(), good);
    // Not even a discovery request.
    assert_eq!(stage.entra.request_count(), 0);
}

#[tokio::test]
async fn a_redemption_is_the_only_request_and_at_the_records_tenant() {
    let stage = Stage::new();
    let store = holding(&signed_in(&stage));
    let credential = credential(&stage, record(&stage, &stage.ada, &stage.ada.utid), &store);
    let token = ask(&credential).await.unwrap();
    let again = ask(&credential).await.unwrap();
    assert_eq!(token.token().expose_secret(), again.token().expose_secret());
    let [request] = stage.entra.requests().try_into().unwrap();
    assert_eq!(request.method, "POST");
    assert_eq!(request.tenant, stage.ada.utid);
    assert_eq!(request.field("client_id"), Some(APP));
    let [entry] = entries(&store, "AccessToken").try_into().unwrap();
    assert_eq!(entry["client_id"], APP);
    assert_eq!(entry["realm"], *stage.ada.utid);
}

#[tokio::test]
async fn the_builders_tenant_goes_before_the_records_and_name_and_authority_do_not_count() {
    let stage = Stage::new();
    let guest_tenant = "11111111-2222-3333-4444-555555555555";
    let store = holding(&signed_in(&stage));
    let credential = stage
        .builder()
        .authentication_record(record(&stage, &stage.ada, &stage.ada.utid))
        .tenant_id(guest_tenant)
        .username("nobody@contoso.example")
        .authority("https://login.microsoftonline.com")
        .token_cache(TokenCache::new(store.clone()))
        .build()
        .unwrap();
    ask(&credential).await.unwrap();
    assert_eq!(stage.entra.requests()[0].tenant, guest_tenant);
    assert_eq!(entries(&store, "AccessToken")[0]["realm"], guest_tenant);
}

#[tokio::test]
async fn another_tenant_has_to_be_allowed() {
    let stage = Stage::new();
    let store = holding(&signed_in(&stage));
    let guest_tenant = "11111111-2222-3333-4444-555555555555";
    let options = TokenRequestOptions::default().with_tenant_id(guest_tenant);
    let builder = |tenant: &str| {
        stage
            .builder()
            .authentication_record(record(&stage, &stage.ada, tenant))
            .token_cache(TokenCache::new(store.clone()))
    };
    let credential = builder(&stage.ada.utid).build().unwrap();
    let error = ask_with(&credential, &options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    assert!(text(&error).contains(guest_tenant), "{error}");
    assert_eq!(stage.entra.request_count(), 0);
    for credential in [
        builder(&stage.ada.utid).additionally_allowed_tenants([guest_tenant]),
        builder("organizations"),
    ] {
        ask_with(&credential.build().unwrap(), &options)
            .await
            .unwrap();
    }
    // The second one found what the first got.
    assert_eq!(stage.entra.request_count(), 1);
    assert_eq!(stage.entra.requests()[0].tenant, guest_tenant);
}

#[tokio::test]
async fn an_account_that_is_not_the_records_is_unavailable() {
    let stage = Stage::new();
    let bob = FakeAccount::new("bob@fabrikam.example");
    let record = record(&stage, &bob, &bob.utid);
    let credential = credential(&stage, record, &holding(&signed_in(&stage)));
    let error = ask(&credential).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
    let text = text(&error);
    for part in [&*bob.username, &*bob.home_account_id(), "memory", "sign in"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(stage.entra.request_count(), 0);
}

#[test]
fn a_record_that_cannot_be_used_is_told_at_once() {
    let stage = Stage::new();
    for (member, value) in [
        ("authority", "http://login.microsoftonline.com"),
        ("authority", ""),
        ("tenantId", "bad_tenant"),
        ("tenantId", ""),
        ("clientId", ""),
        ("homeAccountId", ""),
    ] {
        let json = record(&stage, &stage.ada, "t").serialize();
        let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
        json[member] = json!(value);
        let record = AuthenticationRecord::deserialize(&json.to_string()).unwrap();
        let built = SharedTokenCacheCredential::builder()
            .authentication_record(record)
            .build();
        let error = built.unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::InvalidArgument,
            "{member} {value:?}"
        );
    }
}
