//! The refresh token that was redeemed: it rotates, stays, or is gone.

use msal_token_cache::{Merged, Persistence as _};
use serde_json::json;
use test_support::CacheBuilder;
use token_credential::Secret;

use super::super::sample::{
    CLIENT, HOST, NEW_ACCESS_TOKEN, NOW, OLD_REFRESH_TOKEN, ROTATED, Store, VAULT, ada, bob,
    merged, redeemed, section, signed_in,
};
use super::{OTHER_CLIENT, identity};

#[test]
fn a_refresh_token_rotates_in_its_entry() {
    let before = CacheBuilder::new()
        .refresh_token(&ada(), HOST, CLIENT, OLD_REFRESH_TOKEN, Some("1"))
        .keyed("a key of its own")
        .with("unknown", json!(1.50))
        .account(&ada(), HOST, &ada().utid)
        .refresh_token(&bob(), HOST, CLIENT, "bob's", None)
        .refresh_token(&ada(), HOST, OTHER_CLIENT, "another client's", Some("1"))
        .refresh_token(
            &ada(),
            "login.microsoftonline.us",
            CLIENT,
            "another cloud's",
            None,
        )
        .app_metadata(HOST, CLIENT, None);
    let redemption = redeemed(&before).with_refresh_token(Secret::new(ROTATED));
    let mut expected = before.to_value()["RefreshToken"].clone();
    expected["a key of its own"]["secret"] = json!(ROTATED);
    expected["a key of its own"]["last_modification_time"] = json!(NOW.to_string());
    assert_eq!(merged(&before, &redemption)["RefreshToken"], expected);
}

#[test]
fn a_bound_refresh_token_is_never_replaced_and_ours_has_a_key_of_its_own() {
    let bindings = [
        ("userAssertionHash", json!("h")),
        ("additionalCacheKeyComponents", json!({"a": "b"})),
        ("unknown", json!([1])),
    ];
    for (name, value) in bindings {
        // Redeemed under another client, whose own entry is bound.
        let bound = |cache: CacheBuilder| {
            cache
                .refresh_token(&ada(), HOST, OTHER_CLIENT, "bound", None)
                .with(name, value.clone())
                .with("target", json!(VAULT))
        };
        let before = bound(signed_in());
        let redemption = redeemed(&before)
            .with_client_id(OTHER_CLIENT)
            .with_refresh_token(Secret::new(ROTATED));
        let after = merged(&before, &redemption);
        let mut expected = before.to_value()["RefreshToken"].clone();
        let added = after["RefreshToken"].as_object().unwrap().iter();
        let added: Vec<_> = added
            .filter(|(_, entry)| entry["secret"] == ROTATED)
            .collect();
        let [(key, entry)] = added[..] else {
            panic!("{name}: {after}")
        };
        assert!(entry.get(name).is_none() && key.ends_with('-'), "{key}");
        expected[key] = entry.clone();
        assert_eq!(after["RefreshToken"], expected, "{name}");
    }
}

#[test]
fn without_a_new_refresh_token_the_entry_stays() {
    let before = signed_in();
    let after = merged(&before, &redeemed(&before));
    assert_eq!(after["RefreshToken"], before.to_value()["RefreshToken"]);
}

#[test]
fn a_refresh_token_that_somebody_else_has_rotated_stays() {
    let redemption = redeemed(&signed_in()).with_refresh_token(Secret::new(ROTATED));
    let now = CacheBuilder::new().signed_in(&ada(), HOST, CLIENT, "rotated by a peer");
    let after = merged(&now, &redemption);
    assert_eq!(after["RefreshToken"], now.to_value()["RefreshToken"]);
    assert_eq!(
        section(&after, "AccessToken")[0]["secret"],
        NEW_ACCESS_TOKEN
    );
}

#[test]
fn a_family_answer_marks_the_rotated_refresh_token() {
    let before = signed_in();
    let redemption = redeemed(&before)
        .with_refresh_token(Secret::new(ROTATED))
        .with_family_id("1");
    assert_eq!(
        section(&merged(&before, &redemption), "RefreshToken")[0]["family_id"],
        "1"
    );
}

#[test]
fn after_a_sign_out_nothing_is_stored() {
    let redemption = redeemed(&signed_in())
        .with_refresh_token(Secret::new(ROTATED))
        .with_identity(identity(Some("ada@contoso.example")));
    let account = CacheBuilder::new().account(&ada(), HOST, &ada().utid);
    let others = |cache: CacheBuilder| cache.refresh_token(&bob(), HOST, CLIENT, "bob's", None);
    for (what, cache) in [
        ("all entries are gone", CacheBuilder::new()),
        ("the account is left", account.clone()),
        ("another account is left", others(account.clone())),
        (
            "another client is left",
            account
                .clone()
                .refresh_token(&ada(), HOST, OTHER_CLIENT, "s", None),
        ),
        (
            "another cloud is left",
            account
                .clone()
                .refresh_token(&ada(), "login.microsoftonline.us", CLIENT, "s", None),
        ),
        (
            "an on-behalf-of token is left",
            account
                .refresh_token(&ada(), HOST, CLIENT, "s", None)
                .with("user_assertion_hash", json!("h")),
        ),
    ] {
        let store = Store::holding(cache.to_json());
        let stamp = store.memory.stamp().unwrap();
        assert_eq!(
            store.merge(&redemption).unwrap(),
            Merged::SignedOut,
            "{what}"
        );
        assert_eq!(
            store.memory.stamp().unwrap(),
            stamp,
            "{what}: nothing is written"
        );
    }
}
