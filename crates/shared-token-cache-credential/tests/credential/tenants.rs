//! The tenant of a call, and the home of a personal account.

use std::ffi::OsStr;

use msal_token_cache::{MemoryPersistence, TokenCache};
use serde_json::json;
use shared_token_cache_credential::{
    AccessTokenInfo, ErrorKind, Result, SharedTokenCacheCredential, TokenRequestOptions,
};
use test_support::{AccessTokenSpec, FakeAccount, Reply, logs};

use super::rerun::{is_rerun, rerun, this_binary};
use super::{ARM, CLI, HOST, Stage, at_once, entries, holding, text, token};

const GUEST_TENANT: &str = "11111111-2222-3333-4444-555555555555";

fn credential(
    stage: &Stage,
    store: &MemoryPersistence,
    allowed: &[&str],
) -> SharedTokenCacheCredential {
    let [cache, cae] = [store.clone(), MemoryPersistence::new()].map(TokenCache::new);
    stage
        .builder()
        .additionally_allowed_tenants(allowed.iter().copied())
        .token_cache(cache)
        .cae_token_cache(cae)
        .build()
        .unwrap()
}

async fn ask_in(credential: &SharedTokenCacheCredential, tenant: &str) -> Result<AccessTokenInfo> {
    super::ask_with(credential, &in_tenant(tenant)).await
}

fn in_tenant(tenant: &str) -> TokenRequestOptions {
    TokenRequestOptions::default().with_tenant_id(tenant)
}

#[tokio::test]
async fn without_a_list_the_tenant_of_a_call_is_ignored() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let credential = credential(&stage, &store, &[]);
    let token = ask_in(&credential, GUEST_TENANT).await.unwrap();
    let home = super::ask(&credential).await.unwrap();
    assert_eq!(token.token().expose_secret(), home.token().expose_secret());
    assert_eq!(stage.entra.requests()[0].tenant, "organizations");
    let ignored = |line: &logs::Line| line.text.contains("additionally_allowed_tenants");
    assert_eq!(
        stage
            .watch
            .lines()
            .iter()
            .filter(|line| ignored(line))
            .count(),
        1
    );
}

#[tokio::test]
async fn an_allowed_tenant_governs_look_up_and_redemption() {
    let stage = Stage::new();
    let home = logs::canary("for the home tenant");
    let store = holding(&stage.cache().access_token(&stage.ada, token(&home, 3600)));
    let credential = credential(&stage, &store, &[GUEST_TENANT]);
    let guests = ask_in(&credential, GUEST_TENANT).await.unwrap();
    assert_ne!(guests.token().expose_secret(), home);
    let again = ask_in(&credential, GUEST_TENANT).await.unwrap();
    assert_eq!(
        guests.token().expose_secret(),
        again.token().expose_secret()
    );
    for homes in ["", "organizations"] {
        let token = ask_in(&credential, homes).await.unwrap();
        assert_eq!(token.token().expose_secret(), home, "{homes}");
    }
    let [request] = stage.entra.requests().try_into().unwrap();
    assert_eq!(request.tenant, GUEST_TENANT);
    let entries = entries(&store, "AccessToken");
    for realm in [&*stage.ada.utid, GUEST_TENANT] {
        assert_eq!(
            entries
                .iter()
                .filter(|entry| entry["realm"] == realm)
                .count(),
            1
        );
    }
}

#[test]
fn a_tenant_that_is_not_allowed_fails_before_anything_is_looked_at() {
    let stage = Stage::new();
    let cached = logs::canary("cached");
    let store = holding(&stage.cache().access_token(&stage.ada, token(&cached, 3600)));
    let credential = credential(&stage, &store, &["another-tenant"]);
    let error = at_once(credential.get_token(&[ARM], &in_tenant(GUEST_TENANT))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    let text = text(&error);
    assert!(text.contains(GUEST_TENANT) && text.contains("additionally_allowed_tenants"));
}

#[tokio::test]
async fn a_domain_name_and_the_tenant_that_it_leads_to_are_the_same() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let credential = credential(&stage, &store, &["*"]);
    let by_name = ask_in(&credential, "contoso.example").await.unwrap();
    let again = ask_in(&credential, "Contoso.Example").await.unwrap();
    let by_id = ask_in(&credential, &stage.ada.utid).await.unwrap();
    for token in [again, by_id] {
        assert_eq!(
            token.token().expose_secret(),
            by_name.token().expose_secret()
        );
    }
    let [request] = stage.entra.requests().try_into().unwrap();
    assert_eq!(request.tenant, "contoso.example");
}

#[tokio::test]
async fn a_personal_account_redeems_at_organizations_and_finds_its_token_again() {
    let stage = Stage::new();
    let grace = FakeAccount::personal("grace@outlook.example");
    let passthrough = logs::canary("a token of the pass-through tenant");
    let refresh_token = stage.entra.issue_refresh_token(&grace, CLI, false);
    let cache = test_support::CacheBuilder::new().signed_in(&grace, HOST, CLI, &refresh_token);
    let store = holding(&cache);
    let credential_of = |store| credential(&stage, store, &[]);
    let asking = credential_of(&store);
    let token_of_now = super::ask(&asking).await.unwrap();
    let again = super::ask(&credential_of(&store)).await.unwrap();
    assert_eq!(
        token_of_now.token().expose_secret(),
        again.token().expose_secret()
    );
    assert_eq!(stage.entra.requests()[0].tenant, "organizations");
    let spec = AccessTokenSpec {
        realm: Some("f8cdef31-a31e-4b4a-93e4-5f571e91255a"),
        ..token(&passthrough, 3600)
    };
    let cached = holding(&cache.access_token(&grace, spec));
    let token = super::ask(&credential_of(&cached)).await.unwrap();
    assert_eq!(token.token().expose_secret(), passthrough);
}

#[tokio::test]
async fn a_token_of_another_tenant_than_the_one_asked_is_refused() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let other = json!("99999999-2222-3333-4444-555555555555");
    stage
        .entra
        .push(Reply::success().with_id_claim("tid", other));
    let credential = credential(&stage, &store, &[GUEST_TENANT]);
    let error = ask_in(&credential, GUEST_TENANT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    assert!(text(&error).contains("another tenant"), "{error}");
    assert!(entries(&store, "AccessToken").is_empty());
}

#[test]
fn the_environment_can_disable_the_choice_of_a_tenant() {
    if !is_rerun() {
        let mut command = this_binary();
        command.env(
            "AZURE_IDENTITY_DISABLE_MULTITENANTAUTH",
            OsStr::new("false"),
        );
        let name = "credential::tenants::the_environment_can_disable_the_choice_of_a_tenant";
        return rerun(command, name);
    }
    let stage = Stage::new();
    let home = logs::canary("for the home tenant");
    let store = holding(&stage.cache().access_token(&stage.ada, token(&home, 3600)));
    let credential = credential(&stage, &store, &["another-tenant"]);
    let token = at_once(credential.get_token(&[ARM], &in_tenant(GUEST_TENANT))).unwrap();
    assert_eq!(token.token().expose_secret(), home);
}
