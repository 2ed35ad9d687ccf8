//! A resource that refuses a token: claims challenges and Continuous Access Evaluation.

use msal_token_cache::{MemoryPersistence, TokenCache};
use serde_json::{Value, json};
use shared_token_cache_credential::TokenRequestOptions;
use test_support::{EntraError, Reply, logs};

use super::watched::{Journal, WatchedStore};
use super::{NOW, Stage, ask, ask_with, at, challenge, entries, holding, token};

#[tokio::test]
async fn a_challenge_gets_a_new_token_which_replaces_the_refused_one() {
    let stage = Stage::new();
    let refused = logs::canary("refused");
    // It would live longer than the new one.
    let store = holding(
        &stage
            .cache()
            .access_token(&stage.ada, token(&refused, 80_000)),
    );
    let credential = stage.credential(store.clone());
    let before = ask(&credential).await.unwrap();
    assert_eq!(before.token().expose_secret(), refused);
    let new = ask_with(&credential, &challenge()).await.unwrap();
    assert_ne!(new.token().expose_secret(), refused);
    for credential in [credential, stage.credential(store.clone())] {
        let after = ask(&credential).await.unwrap();
        assert_eq!(after.token().expose_secret(), new.token().expose_secret());
    }
    let [request] = stage.entra.requests().try_into().unwrap();
    assert_eq!(request.field("claims"), challenge().claims());
    assert_eq!(entries(&store, "AccessToken").len(), 1);
}

#[tokio::test]
async fn the_refused_token_does_not_come_back_where_nothing_can_be_stored() {
    let stage = Stage::new();
    let refused = logs::canary("refused");
    let store = holding(
        &stage
            .cache()
            .access_token(&stage.ada, token(&refused, 80_000)),
    );
    let store = WatchedStore::new(&store, &Journal::default());
    store.fail(true);
    let credential = stage.credential(store);
    let new = ask_with(&credential, &challenge()).await.unwrap();
    let after = ask(&credential).await.unwrap();
    assert_eq!(after.token().expose_secret(), new.token().expose_secret());
    assert_eq!(stage.entra.request_count(), 1);
}

/// After a change of roles: the cached token is good, and does not know of it.
#[tokio::test]
async fn a_new_token_can_be_asked_for_although_one_is_cached() {
    let stage = Stage::new();
    let store = holding(&stage.cache_with_token(80_000));
    let credential = stage.credential(store.clone());
    let old = ask(&credential).await.unwrap();
    let forced = TokenRequestOptions::default().with_force_refresh(true);
    let new = ask_with(&credential, &forced).await.unwrap();
    assert_ne!(new.token().expose_secret(), old.token().expose_secret());
    assert_eq!(stage.entra.requests()[0].field("claims"), None);
    for credential in [&credential, &stage.credential(store.clone())] {
        let cached = ask(credential).await.unwrap();
        assert_eq!(cached.token().expose_secret(), new.token().expose_secret());
    }
    // It is no way around throttling, and then the old one is better than none.
    let throttled = Reply::error(EntraError::Throttled);
    stage.entra.push(throttled);
    for _ in 0..3 {
        let cached = ask_with(&credential, &forced).await.unwrap();
        assert_eq!(cached.token().expose_secret(), new.token().expose_secret());
    }
    assert_eq!(stage.entra.request_count(), 2);
}

/// Another application's token was refused as well: it is for the same resource.
#[tokio::test]
async fn another_applications_token_does_not_hide_the_new_one() {
    let stage = Stage::new();
    let refused = logs::canary("refused");
    let mut cache = test_support::CacheBuilder::new();
    for (client_id, changed) in [("first in the document", 1_000), ("newest", 2_000)] {
        let refresh_token = stage
            .entra
            .issue_refresh_token(&stage.ada, client_id, false);
        cache = cache
            .refresh_token(&stage.ada, super::HOST, client_id, &refresh_token, None)
            .with("last_modification_time", json!(changed.to_string()));
    }
    let spec = test_support::AccessTokenSpec {
        client_id: "first in the document",
        ..token(&refused, 80_000)
    };
    let cache = cache
        .account(&stage.ada, super::HOST, &stage.ada.utid)
        .access_token(&stage.ada, spec);
    let credential = stage.credential(holding(&cache));
    let new = ask_with(&credential, &challenge()).await.unwrap();
    let after = ask(&credential).await.unwrap();
    assert_eq!(after.token().expose_secret(), new.token().expose_secret());
}

/// Two caches, `.nocae` and `.cae`, in which the same account is signed in.
fn two_stores(stage: &Stage) -> [MemoryPersistence; 2] {
    [holding(&stage.cache()), holding(&stage.cache())]
}

#[tokio::test]
async fn continuous_access_evaluation_has_a_store_of_its_own() {
    let stage = Stage::new();
    let [nocae, cae] = two_stores(&stage);
    let credential = stage
        .builder()
        .token_cache(TokenCache::new(nocae.clone()))
        .cae_token_cache(TokenCache::new(cae.clone()))
        .build()
        .unwrap();
    let with_cae = TokenRequestOptions::default().with_enable_cae(true);
    for _ in 0..2 {
        let token = ask_with(&credential, &with_cae).await.unwrap();
        assert_eq!(token.expires_on(), at(NOW + 100_800));
        assert_eq!(token.refresh_on(), Some(at(NOW + 50_400)));
    }
    assert_eq!(entries(&nocae, "AccessToken").len(), 0);
    assert_eq!(entries(&cae, "AccessToken").len(), 1);
    let token = ask(&credential).await.unwrap();
    assert_eq!(token.expires_on(), at(NOW + 4799));
    ask_with(&credential, &challenge().with_enable_cae(true))
        .await
        .unwrap();
    let requests = stage.entra.requests();
    let claims: Vec<Option<Value>> = requests
        .iter()
        .map(|request| Some(serde_json::from_str(request.field("claims")?).unwrap()))
        .collect();
    let capability = json!({ "values": ["cp1"] });
    assert_eq!(
        claims,
        [
            Some(json!({ "access_token": { "xms_cc": capability } })),
            None,
            Some(json!({ "access_token": { "nbf": { "value": "1" }, "xms_cc": capability } })),
        ]
    );
}

/// As with the Azure CLI's own cache: whoever asked, the next caller may be told of a revocation.
#[tokio::test]
async fn one_cache_for_all_callers_holds_tokens_with_the_capability() {
    let stage = Stage::new();
    let cache = TokenCache::new(holding(&stage.cache()));
    let credential = stage.builder().token_cache(cache).build().unwrap();
    let token = ask(&credential).await.unwrap();
    let with_cae = TokenRequestOptions::default().with_enable_cae(true);
    let same = ask_with(&credential, &with_cae).await.unwrap();
    assert_eq!(token.token().expose_secret(), same.token().expose_secret());
    let [request] = stage.entra.requests().try_into().unwrap();
    let claims: Value = serde_json::from_str(request.field("claims").unwrap()).unwrap();
    assert_eq!(
        claims.pointer("/access_token/xms_cc/values"),
        Some(&json!(["cp1"]))
    );
}
