//! Which account's token comes back.

use msal_token_cache::TokenCache;
use serde_json::json;
use shared_token_cache_credential::ErrorKind;
use test_support::{CacheBuilder, FakeAccount, logs};

use super::{ARM, CLI, HOST, Stage, ask, holding, text, token};

/// Ada and Bob are signed in; the access tokens are theirs.
fn both(stage: &Stage) -> (CacheBuilder, [(FakeAccount, String); 2]) {
    let bob = FakeAccount::new("bob@fabrikam.example");
    let refresh_token = stage.entra.issue_refresh_token(&bob, CLI, false);
    let [adas, bobs] = ["Ada's", "Bob's"].map(logs::canary);
    let cache = stage
        .cache()
        .access_token(&stage.ada, token(&adas, 3600))
        .account(&bob, HOST, &bob.utid)
        .refresh_token(&bob, HOST, CLI, &refresh_token, None)
        .access_token(&bob, token(&bobs, 3600));
    (cache, [(stage.ada.clone(), adas), (bob, bobs)])
}

#[tokio::test]
async fn name_or_tenant_say_whose_token_it_is() {
    let stage = Stage::new();
    let (cache, accounts) = both(&stage);
    for (account, secret) in accounts {
        let by_name = stage.builder().username(account.username.to_uppercase());
        let by_tenant = stage.builder().tenant_id(&account.utid);
        for builder in [by_name, by_tenant] {
            let cache = TokenCache::new(holding(&cache));
            let credential = builder.token_cache(cache).build().unwrap();
            let token = ask(&credential).await.unwrap();
            assert_eq!(token.token().expose_secret(), secret);
        }
    }
    assert_eq!(stage.entra.request_count(), 0);
}

#[tokio::test]
async fn several_accounts_are_listed_with_what_to_do() {
    let stage = Stage::new();
    let (cache, accounts) = both(&stage);
    let error = ask(&stage.credential(holding(&cache))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
    let text = text(&error);
    for (account, _) in &accounts {
        let listed = format!("{} (tenant {})", account.username, account.utid);
        assert!(text.contains(&listed), "{text}");
    }
    assert!(text.contains("the token cache memory"), "{text}");
    assert!(text.contains("username and tenant_id"), "{text}");
}

#[tokio::test]
async fn who_is_not_there_is_named() {
    let stage = Stage::new();
    let (cache, [_, (bob, _)]) = both(&stage);
    let cache = TokenCache::new(holding(&cache));
    let builder = stage.builder().username(&stage.ada.username);
    let credential = builder.tenant_id(&bob.utid).token_cache(cache).build();
    let error = ask(&credential.unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
    let text = text(&error);
    let meant = format!("username {} tenant {}", stage.ada.username, bob.utid);
    assert!(text.contains(&meant) && text.contains("memory"), "{text}");
    assert_eq!(stage.entra.request_count(), 0);
}

/// What a guest's tenant issued is not for the home tenant, and the other way about.
#[tokio::test]
async fn a_guests_token_is_not_handed_out() {
    let stage = Stage::new();
    let guest_tenant = "11111111-2222-3333-4444-555555555555";
    let secret = logs::canary("a guest's token");
    let spec = test_support::AccessTokenSpec {
        realm: Some(guest_tenant),
        ..token(&secret, 3600)
    };
    let cache = stage
        .cache()
        .account(&stage.ada, HOST, guest_tenant)
        .access_token(&stage.ada, spec);
    let credential = stage.credential(holding(&cache));
    let token = ask(&credential).await.unwrap();
    assert_ne!(token.token().expose_secret(), secret);
    assert_eq!(stage.entra.requests()[0].tenant, "organizations");
    assert!(stage.entra.requests()[0].scopes().contains(&ARM));
}

/// Its refresh token would go to an address that AD FS does not have; what is cached needs none.
#[tokio::test]
async fn nothing_is_asked_for_an_account_of_adfs() {
    let stage = Stage::new();
    let of_adfs = |cache: CacheBuilder| {
        cache
            .account(&stage.ada, HOST, "another")
            .with("authority_type", json!("ADFS"))
    };
    let credential = stage.credential(holding(&of_adfs(stage.cache())));
    let error = ask(&credential).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
    assert!(text(&error).contains("is of AD FS"), "{error}");
    // However its entries spell it.
    let upper = FakeAccount {
        uid: stage.ada.uid.to_uppercase(),
        ..stage.ada.clone()
    };
    let spelled = stage.cache().account(&upper, HOST, "another");
    let spelled = spelled.with("authority_type", json!("ADFS"));
    let error = ask(&stage.credential(holding(&spelled))).await.unwrap_err();
    assert!(text(&error).contains("is of AD FS"), "{error}");
    let credential = stage.credential(holding(&of_adfs(stage.cache_with_token(3600))));
    ask(&credential).await.unwrap();
    assert_eq!(stage.entra.connections(), 0);
    // Beside an account of AD FS, another is as good.
    let bob = FakeAccount::new("bob@fabrikam.example");
    let refresh_token = stage.entra.issue_refresh_token(&bob, CLI, false);
    let both = of_adfs(stage.cache()).signed_in(&bob, HOST, CLI, &refresh_token);
    let builder = stage.builder().username(&bob.username);
    let cache = TokenCache::new(holding(&both));
    let credential = builder.token_cache(cache).build().unwrap();
    ask(&credential).await.unwrap();
}
