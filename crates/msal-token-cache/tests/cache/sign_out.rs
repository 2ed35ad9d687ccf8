//! Removing an account.

use serde_json::json;
use test_support::{AccessTokenSpec, CacheBuilder};

use super::sample::{CLIENT, HOST, Store, ada, bob, signed_in, vault_token};

#[test]
fn an_account_goes_with_everything_of_it_in_that_cloud() {
    let aliased = AccessTokenSpec {
        environment: "sts.windows.net",
        ..vault_token()
    };
    let others = CacheBuilder::new()
        .account(&bob(), HOST, &bob().utid)
        .refresh_token(&bob(), HOST, CLIENT, "bob's", None)
        .account(&ada(), "login.microsoftonline.us", &ada().utid)
        .access_token(&bob(), vault_token())
        .app_metadata(HOST, CLIENT, None);
    let cache = others
        .clone()
        .account(&ada(), HOST, &ada().utid)
        .refresh_token(&ada(), HOST, CLIENT, "s", None)
        .refresh_token(&ada(), HOST, "another client", "", None)
        .id_token(&ada(), HOST, CLIENT, &ada().utid, "s")
        .access_token(&ada(), aliased)
        .access_token(&ada(), vault_token())
        .with("expires_on", json!(null));

    let mut expected = others.to_value();
    expected["IdToken"] = json!({});
    let store = Store::holding(cache.to_json());
    for _ in 0..2 {
        store
            .cache
            .modify(|transaction| transaction.remove_account(&ada().home_account_id(), HOST))
            .unwrap();
        assert_eq!(store.value(), expected);
    }
}

#[test]
fn edits_build_on_each_other() {
    let store = Store::holding(signed_in().access_token(&bob(), vault_token()).to_json());
    store
        .cache
        .modify(|transaction| {
            transaction.remove_account(&ada().home_account_id(), HOST)?;
            assert_eq!(transaction.snapshot().refresh_tokens().count(), 0);
            transaction.remove_account(&bob().home_account_id(), HOST)
        })
        .unwrap();
    let snapshot = store.cache.snapshot().unwrap();
    assert_eq!(snapshot.access_tokens().count(), 0);
    assert_eq!(snapshot.app_metadata().count(), 1);
}
