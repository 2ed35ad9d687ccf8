//! K16: identifiers that differ in case alone are the same, wherever one comes from: the program, a
//! record, the cache or an answer.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use msal_token_cache::{MemoryPersistence, TokenCache};
use serde_json::json;
use shared_token_cache_credential::{
    AccessTokenInfo, AuthenticationRecord, ErrorKind, Result, SharedTokenCacheCredential,
    TokenRequestOptions,
};
use test_support::{AccessTokenSpec, CacheBuilder, EntraError, FakeAccount, Reply, logs};

use super::{ARM, CLI, HOST, Stage, ask, ask_with, at_once, entries, holding, text, token};

const GUEST_TENANT: &str = "aaaaaaaa-2222-3333-4444-bbbbbbbbbbbb";

fn in_tenant(tenant: &str) -> TokenRequestOptions {
    TokenRequestOptions::default().with_tenant_id(tenant)
}

/// A credential that gets tokens of the guest tenant as well.
fn of_guest(stage: &Stage, store: &MemoryPersistence) -> SharedTokenCacheCredential {
    let cache = TokenCache::new(store.clone());
    let builder = stage.builder().additionally_allowed_tenants([GUEST_TENANT]);
    builder.token_cache(cache).build().unwrap()
}

fn secret(token: Result<AccessTokenInfo>) -> String {
    token.unwrap().token().expose_secret().to_owned()
}

/// The account as a writer spells it who likes capitals.
fn upper(account: &FakeAccount) -> FakeAccount {
    FakeAccount {
        uid: account.uid.to_uppercase(),
        utid: account.utid.to_uppercase(),
        ..account.clone()
    }
}

#[tokio::test]
async fn k16_calls_that_differ_in_the_tenants_case_share_one_redemption() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let credential = of_guest(&stage, &store);
    let upper = GUEST_TENANT.to_uppercase();
    let [one, other] = [in_tenant(GUEST_TENANT), in_tenant(&upper)];
    let (one, other) = tokio::join!(ask_with(&credential, &one), ask_with(&credential, &other));
    let [one, other] = [one, other].map(secret);
    assert_eq!(one, other);
    assert_eq!(stage.entra.request_count(), 1);
    // Afterwards, also in a new process, each finds it.
    let restarted = of_guest(&stage, &store);
    for credential in [&credential, &restarted] {
        for tenant in [&*upper, GUEST_TENANT] {
            let options = in_tenant(tenant);
            let found = at_once(credential.get_token_info(&[ARM], &options));
            assert_eq!(secret(found), one);
        }
    }
    let [entry] = entries(&store, "AccessToken").try_into().unwrap();
    assert_eq!(entry["realm"], GUEST_TENANT);
}

#[tokio::test]
async fn k16_a_tenant_in_capitals_alone_is_redeemed_for_once_and_stored_in_lower_case() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let options = in_tenant(&GUEST_TENANT.to_uppercase());
    let token = secret(ask_with(&of_guest(&stage, &store), &options).await);
    let again = secret(ask_with(&of_guest(&stage, &store), &options).await);
    assert_eq!(token, again);
    assert_eq!(stage.entra.request_count(), 1);
    assert_eq!(entries(&store, "AccessToken")[0]["realm"], GUEST_TENANT);
}

#[tokio::test]
async fn k16_capitals_in_the_answer_cost_no_second_redemption() {
    let stage = Stage::new();
    let ada = upper(&stage.ada);
    let store = holding(&stage.cache());
    stage.entra.push(
        Reply::success()
            .with("client_info", json!(ada.client_info()))
            .with_id_claim("tid", json!(ada.utid)),
    );
    let token = secret(ask(&stage.credential(store.clone())).await);
    let again = secret(ask(&stage.credential(store.clone())).await);
    assert_eq!(token, again);
    assert_eq!(stage.entra.request_count(), 1);
    for section in ["AccessToken", "IdToken", "Account"] {
        let [entry] = entries(&store, section).try_into().unwrap();
        assert_eq!(entry["realm"], stage.ada.utid, "{section}");
    }
}

#[tokio::test]
async fn k16_capitals_in_the_cache_cost_no_redemption_at_every_call() {
    let stage = Stage::new();
    let ada = upper(&stage.ada);
    let (host, client) = (HOST.to_uppercase(), CLI.to_uppercase());
    let refresh_token = stage.entra.issue_refresh_token(&stage.ada, CLI, false);
    let client_ids = |cache: CacheBuilder| cache.with("client_id", json!(client));
    let cache = CacheBuilder::new()
        .account(&ada, &host, &ada.utid)
        .refresh_token(&ada, &host, CLI, &refresh_token, None)
        .app_metadata(&host, &client, None);
    let store = holding(&cache);
    let redeemed = secret(ask(&stage.credential(store.clone())).await);
    assert_eq!(
        secret(ask(&stage.credential(store.clone())).await),
        redeemed
    );
    assert_eq!(stage.entra.request_count(), 1);

    // A token that stands there in capitals is one.
    let cached = logs::canary("in capitals");
    let spec = AccessTokenSpec {
        environment: &host,
        ..token(&cached, 3600)
    };
    let store = holding(&client_ids(cache.access_token(&ada, spec)));
    let found = at_once(
        stage
            .credential(store)
            .get_token_info(&[ARM], &TokenRequestOptions::default()),
    );
    assert_eq!(secret(found), cached);
}

#[tokio::test]
async fn k16_a_record_in_capitals_is_the_accounts() {
    let stage = Stage::new();
    let ada = upper(&stage.ada);
    let json = json!({
        "authority": stage.entra.authority().trim_start_matches("https://").to_uppercase(),
        "clientId": CLI.to_uppercase(), "homeAccountId": ada.home_account_id(),
        "tenantId": ada.utid, "username": ada.username.to_uppercase(), "version": "1.0",
    });
    let credential = |store: &MemoryPersistence| {
        let record = AuthenticationRecord::deserialize(&json.to_string()).unwrap();
        let builder = stage.builder().authentication_record(record);
        builder
            .token_cache(TokenCache::new(store.clone()))
            .build()
            .unwrap()
    };
    let cached = logs::canary("the record's");
    let store = holding(&stage.cache().access_token(&stage.ada, token(&cached, 3600)));
    assert_eq!(secret(ask(&credential(&store)).await), cached);
    assert_eq!(stage.entra.request_count(), 0);

    let store = holding(&stage.cache());
    stage.entra.push(Reply::success());
    let before = entries(&store, "RefreshToken");
    let redeemed = secret(ask(&credential(&store)).await);
    assert_eq!(secret(ask(&credential(&store)).await), redeemed);
    assert_eq!(stage.entra.request_count(), 1);
    // Its own entry was rotated, and none was added beside it.
    let [entry] = entries(&store, "RefreshToken").try_into().unwrap();
    assert_ne!(entry["secret"], before[0]["secret"]);
    assert_eq!(entry["client_id"], CLI);
    assert_eq!(entries(&store, "AppMetadata").len(), 1);
}

#[tokio::test]
async fn k16_the_builders_filters_compare_without_case() {
    let stage = Stage::new();
    let bob = FakeAccount::new("bob@fabrikam.example");
    let cached = logs::canary("Ada's");
    let secret_of_bob = logs::canary("refresh token");
    let cache = stage
        .cache_with_token(0)
        .access_token(&stage.ada, token(&cached, 3600))
        .account(&bob, HOST, &bob.utid)
        .refresh_token(&bob, HOST, CLI, &secret_of_bob, None);
    for tenant in [stage.ada.utid.to_uppercase(), stage.ada.utid.clone()] {
        let builder = stage.builder().tenant_id(tenant);
        let cache = TokenCache::new(holding(&cache));
        let credential = builder.token_cache(cache).build().unwrap();
        assert_eq!(secret(ask(&credential).await), cached);
    }
}

#[test]
fn k16_a_domain_as_the_tenant_is_matched_by_id_tokens_or_says_what_works() {
    let stage = Stage::new();
    let bob = FakeAccount::new("bob@fabrikam.example");
    let (cached, secret_of_bob) = (logs::canary("Ada's"), logs::canary("refresh token"));
    let cache = stage
        .cache()
        .access_token(&stage.ada, token(&cached, 3600))
        .account(&bob, HOST, &bob.utid)
        .refresh_token(&bob, HOST, CLI, &secret_of_bob, None);
    let ask = |cache: &CacheBuilder, domain: &str| {
        let builder = stage.builder().tenant_id(domain);
        let cache = TokenCache::new(holding(cache));
        let credential = builder.token_cache(cache).build().unwrap();
        at_once(credential.get_token_info(&[ARM], &TokenRequestOptions::default()))
    };
    let error = ask(&cache, "contoso.example").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
    let text = text(&error);
    assert!(
        text.contains("contoso.example") && text.contains("GUID"),
        "{text}"
    );

    let claims = json!({"tid": stage.ada.utid, "preferred_username": stage.ada.username});
    let id_token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let cache = cache.id_token(&stage.ada, HOST, CLI, &stage.ada.utid, &id_token);
    assert_eq!(secret(ask(&cache, "CONTOSO.example")), cached);
    assert!(ask(&cache, "fabrikam.example").is_err());
    // Where the tenant is known, it is the name that is wrong.
    let builder = stage.builder().tenant_id("contoso.example");
    let builder = builder.username("adda@contoso.example");
    let builder = builder.token_cache(TokenCache::new(holding(&cache)));
    let credential = builder.build().unwrap();
    let options = TokenRequestOptions::default();
    let error = at_once(credential.get_token_info(&[ARM], &options)).unwrap_err();
    let text = super::text(&error);
    assert!(
        text.contains("adda@contoso.example: correct it") || text.contains("correct it"),
        "{text}"
    );
    assert!(!text.contains("GUID"), "{text}");
}

#[test]
fn k16_the_kelvin_sign_is_no_k() {
    let stage = Stage::new();
    let kelvin = FakeAccount::new("\u{212a}im@contoso.example");
    let refresh_token = logs::canary("refresh token");
    let cache = CacheBuilder::new().signed_in(&kelvin, HOST, CLI, &refresh_token);
    let builder = stage.builder().username("kim@contoso.example");
    let builder = builder.token_cache(TokenCache::new(holding(&cache)));
    let credential = builder.build().unwrap();
    let asking = at_once(credential.get_token(&[ARM], &TokenRequestOptions::default()));
    assert_eq!(asking.unwrap_err().kind(), ErrorKind::CredentialUnavailable);
}

#[tokio::test]
async fn k16_a_refusal_is_remembered_whatever_the_case() {
    let stage = Stage::new();
    stage.entra.push(Reply::error(EntraError::Revoked));
    let store = holding(&stage.cache());
    let credential = of_guest(&stage, &store);
    for tenant in [GUEST_TENANT.to_owned(), GUEST_TENANT.to_uppercase()] {
        let error = ask_with(&credential, &in_tenant(&tenant))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    }
    assert_eq!(stage.entra.request_count(), 1);
}
