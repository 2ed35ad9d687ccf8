//! What types promise by their shape: no secret is shown, and what must be small or shared is.

use std::fmt::{Debug, Display};
use std::marker::PhantomData;
use std::sync::Arc;

use msal_token_cache::TokenCache;
use serde::Serialize;
use shared_token_cache_credential::{
    AccessToken, AccessTokenInfo, Account, AccountSelector, AccountSource, Authority, Caches,
    Error, HttpResponse, HyperTokenEndpoint, Result, Secret, SharedTokenCacheCredential,
    SharedTokenCacheCredentialBuilder, SilentCredential, TokenCachePersistenceOptions,
    TokenCredential, TokenRequest, TokenRequestOptions, TransportError, TransportErrorKind,
};
use test_support::logs;

use super::watched::{Journal, WatchedStore};
use super::{ARM, Stage, ask, ask_with, at, challenge, holding};

/// Whether a type has a trait: an inherent constant goes before that of a trait, where it applies.
macro_rules! has {
    ($type:ty: $bound:path) => {{
        #[allow(dead_code, reason = "one of the two is in the shadow of the other")]
        trait Otherwise {
            const HAS: bool = false;
        }
        struct Type<T>(PhantomData<T>);
        impl<T> Otherwise for Type<T> {}
        #[allow(dead_code, reason = "one of the two is in the shadow of the other")]
        impl<T: $bound> Type<T> {
            const HAS: bool = true;
        }
        Type::<$type>::HAS
    }};
}

fn send_and_sync<T: Send + Sync>() {}

#[test]
fn types_have_the_traits_that_they_must_and_no_others() {
    send_and_sync::<SharedTokenCacheCredential>();
    send_and_sync::<SharedTokenCacheCredentialBuilder>();
    send_and_sync::<TokenCachePersistenceOptions>();
    send_and_sync::<HyperTokenEndpoint>();
    send_and_sync::<AccessToken>();
    send_and_sync::<AccessTokenInfo>();
    send_and_sync::<Error>();
    send_and_sync::<TransportError>();
    send_and_sync::<Box<dyn TokenCredential>>();
    send_and_sync::<SilentCredential>();
    send_and_sync::<Box<dyn AccountSource>>();
    assert!(has!(SharedTokenCacheCredential: Clone) && has!(SilentCredential: Clone));
    assert!(has!(String: Display) && has!(String: Serialize));
    assert!(!has!(Secret: Display) && !has!(Secret: Serialize));
    assert!(!has!(AccessToken: Display) && !has!(AccessToken: Serialize));
    assert!(!has!(TokenRequest: Display) && !has!(HttpResponse: Display));
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<SharedTokenCacheCredential>(), size_of::<usize>());
    assert_eq!(size_of::<SilentCredential>(), size_of::<usize>());
}

/// A future of 2 KiB costs a hit more than looking the token up does.
#[test]
fn the_future_of_a_hit_is_small() {
    let stage = Stage::new();
    let credential = stage.credential(holding(&stage.cache()));
    let options = TokenRequestOptions::default();
    let info = size_of_val(&credential.get_token_info(&[ARM], &options));
    let token = size_of_val(&credential.get_token(&[ARM], &options));
    assert!(info <= 512 && token <= 512, "{info} and {token} bytes");
}

#[track_caller]
fn assert_shows_no_secret(value: &dyn Debug) {
    let shown = format!("{value:?} {value:#?}");
    assert_eq!(logs::leaks_in(&shown), [""; 0]);
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let stage = Stage::new();
    let secret = || Secret::new(logs::canary("secret"));
    let store = holding(&stage.cache_with_token(3600));
    assert_shows_no_secret(&store);
    let cache = TokenCache::new(store.clone());
    let builder = stage.builder().token_cache(cache.clone());
    assert_shows_no_secret(&builder);
    let watched = WatchedStore::new(&store, &Journal::default());
    watched.fail(true);
    let credential = stage.credential(watched);
    ask(&credential).await.unwrap();
    let info = ask_with(&credential, &challenge()).await.unwrap();
    assert_shows_no_secret(&credential);
    assert_shows_no_secret(&info);
    assert_shows_no_secret(&AccessToken::from(info));
    assert_shows_no_secret(&AccessToken::new(secret(), at(0)));
    assert_shows_no_secret(&secret());
    assert_shows_no_secret(&cache);
    let snapshot = cache.snapshot().unwrap();
    assert_shows_no_secret(&snapshot);
    for token in snapshot.refresh_tokens() {
        assert_shows_no_secret(&token);
    }
    for token in snapshot.access_tokens() {
        assert_shows_no_secret(&token);
    }
    let request = TokenRequest::new("https://localhost/t").with_field("refresh_token", secret());
    assert_shows_no_secret(&request);
    assert_shows_no_secret(&HttpResponse::new(200, logs::canary("body")));
    assert_shows_no_secret(&TransportError::new(TransportErrorKind::Lost, "lost"));
    assert_shows_no_secret(&HyperTokenEndpoint::new());
    assert_shows_no_secret(&TokenCachePersistenceOptions::default());
    let caches = Caches::new(cache.clone()).with_access_tokens(cache.clone());
    assert_shows_no_secret(&caches);
    let account = Account::new(
        Authority::parse(&stage.entra.authority()).unwrap(),
        AccountSelector::matching(Some(stage.ada.username.clone()), None),
    );
    let accounts = Arc::new(Named(Arc::new(account)));
    let builder = SilentCredential::builder(accounts, caches)
        .token_endpoint(stage.endpoint().without_proxy())
        .clock(stage.clock.clone());
    assert_shows_no_secret(&builder);
    let silent = builder.build();
    silent.get_token(&[ARM], &challenge()).await.unwrap();
    assert_shows_no_secret(&silent);
}

/// An account that never changes.
#[derive(Debug)]
struct Named(Arc<Account>);

impl AccountSource for Named {
    fn account(&self) -> Result<Arc<Account>> {
        Ok(Arc::clone(&self.0))
    }

    fn stamp(&self, _tick: Option<u64>) -> u64 {
        0
    }
}
