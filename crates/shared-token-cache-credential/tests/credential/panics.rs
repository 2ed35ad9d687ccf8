//! A store that panics: the call fails as with any store that cannot be used, or does without it.

use shared_token_cache_credential::{AccessTokenInfo, ErrorKind, Result, TokenRequestOptions};
use test_support::PanickingStore;

use super::{ARM, Stage, ask, at_once, entries, holding, text};

/// The functions without which nothing is known about the cache.
const NEEDED: [&str; 4] = ["load", "load_quickly", "stamp", "quick_stamp"];

/// Checks the first result with this store, and whether it was to be a token.
#[track_caller]
fn check(result: Result<AccessTokenInfo>, function: &str, is_needed: bool) {
    assert_eq!(result.is_err(), is_needed, "{function}: {result:?}");
    if let Err(error) = result {
        assert_eq!(error.kind(), ErrorKind::CredentialUnavailable, "{error}");
        let told = format!("the store of a test panicked in `{function}`");
        assert!(text(&error).contains(&told), "{error}");
    }
}

#[test]
fn a_store_that_panics_does_not_panic_a_caller_whose_token_is_cached() {
    for function in PanickingStore::FUNCTIONS {
        let stage = Stage::new();
        let store = PanickingStore::new(holding(&stage.cache_with_token(3600)), function);
        let credential = stage.credential(store.clone());
        let options = TokenRequestOptions::default();
        let ask = || at_once(credential.get_token_info(&[ARM], &options));
        check(
            ask(),
            function,
            ["load", "load_quickly"].contains(&function),
        );
        // With a look at what was read.
        check(
            ask(),
            function,
            ["load", "load_quickly", "quick_stamp"].contains(&function),
        );
        store.calm_down();
        let (one, another) = (ask().unwrap(), ask().unwrap());
        assert_eq!(one.token().expose_secret(), another.token().expose_secret());
        assert_eq!(stage.entra.request_count(), 0);
    }
}

#[tokio::test]
async fn a_store_that_panics_does_not_panic_a_caller_who_redeems() {
    for function in PanickingStore::FUNCTIONS {
        let stage = Stage::new();
        let memory = holding(&stage.cache());
        let store = PanickingStore::new(memory.clone(), function);
        let credential = stage.credential(store.clone());
        let is_needed = NEEDED.contains(&function);
        let first = ask(&credential).await;
        // What is asked in any case does without the quick look.
        check(first, function, is_needed && function != "quick_stamp");
        store.calm_down();
        let (one, another) = (ask(&credential).await, ask(&credential).await);
        let (one, another) = (one.unwrap(), another.unwrap());
        assert_eq!(one.token().expose_secret(), another.token().expose_secret());
        credential.close().await.unwrap();
        assert_eq!(stage.entra.request_count(), 1, "{function}");
        // What could not be written then is in memory.
        let is_writing = ["lock", "save", "save_if", "is_held"].contains(&function);
        let stored = entries(&memory, "AccessToken").len();
        assert_eq!(stored, usize::from(!is_writing), "{function}");
    }
}
