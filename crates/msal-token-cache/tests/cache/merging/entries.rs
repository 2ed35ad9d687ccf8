//! Where the new access token is put, and under which key.

use serde_json::{Value, json};
use test_support::AccessTokenSpec;

use super::super::sample::{
    CLIENT, HOST, NEW_ACCESS_TOKEN, NOW, OLD_ACCESS_TOKEN, Store, VAULT, ada, at, bob, merged,
    redeemed, section, signed_in, vault_token,
};

#[test]
fn a_rewritten_token_keeps_its_key_its_place_and_what_is_not_ours() {
    let other = AccessTokenSpec {
        target: "https://x.example/.default",
        ..vault_token()
    };
    let before = signed_in()
        .access_token(&ada(), vault_token())
        .keyed("a key of its own")
        .with("unknown", json!(-2.5))
        .with("refresh_on", json!("1700001800"))
        .access_token(&ada(), other);
    let store = Store::holding(before.to_json());
    let redemption = redeemed(&before).with_extended_expires_on(at(NOW + 7_200));
    store.merge(&redemption).unwrap();

    let after = store.value();
    let rewritten = &after["AccessToken"]["a key of its own"];
    assert_eq!(
        rewritten,
        &json!({
            "credential_type": "AccessToken",
            "secret": NEW_ACCESS_TOKEN,
            "home_account_id": ada().home_account_id(),
            "environment": HOST,
            "client_id": CLIENT,
            "target": VAULT,
            "realm": ada().utid,
            "token_type": "Bearer",
            "cached_at": NOW.to_string(),
            "expires_on": (NOW + 3_600).to_string(),
            "extended_expires_on": (NOW + 7_200).to_string(),
            "unknown": -2.5,
        }),
        "refresh_on goes when the server sent none"
    );
    let text = store.text();
    assert!(text.find("a key of its own") < text.find("https://x.example"));
    assert_eq!(section(&after, "AccessToken").len(), 2);

    let redemption = redemption.with_refresh_on(at(NOW + 1_800));
    store.merge(&redemption).unwrap();
    assert_eq!(
        store.value()["AccessToken"]["a key of its own"]["refresh_on"],
        "1700001800"
    );
}

#[test]
fn a_token_of_an_alias_host_makes_way_for_an_entry_of_its_own() {
    let aliased = AccessTokenSpec {
        environment: "sts.windows.net",
        ..vault_token()
    };
    let before = signed_in().access_token(&ada(), aliased);
    let expected = signed_in().access_token(&ada(), vault_token());
    let keys = |cache: &Value| -> Vec<_> {
        let entries = cache["AccessToken"].as_object().unwrap();
        entries.keys().cloned().collect()
    };
    let after = merged(&before, &redeemed(&before));
    assert_eq!(keys(&after), keys(&expected.to_value()));
}

#[test]
fn an_entry_that_stands_under_our_key_by_mistake_is_not_overwritten() {
    let key = format!(
        "{}-{HOST}-accesstoken-{CLIENT}-{}-{VAULT}",
        ada().home_account_id(),
        ada().utid
    );
    let before = signed_in().access_token(&bob(), vault_token()).keyed(&key);
    let after = merged(&before, &redeemed(&before));
    assert_eq!(after["AccessToken"][&key]["secret"], OLD_ACCESS_TOKEN);
    assert_eq!(
        after["AccessToken"][format!("{key}-")]["secret"],
        NEW_ACCESS_TOKEN
    );
}

#[test]
fn the_key_of_an_entry_that_goes_is_free() {
    let expired = AccessTokenSpec {
        expires_on: NOW - 1,
        ..vault_token()
    };
    let before = signed_in()
        .access_token(&ada(), expired)
        .with("kid", json!("bound, so that it is not the one to rewrite"));
    let after = merged(&before, &redeemed(&before));
    let keys = |cache: &Value| -> Vec<_> {
        let entries = cache["AccessToken"].as_object().unwrap();
        entries.keys().cloned().collect()
    };
    assert_eq!(keys(&after), keys(&before.to_value()));
    assert_eq!(
        section(&after, "AccessToken")[0]["secret"],
        NEW_ACCESS_TOKEN
    );
}
