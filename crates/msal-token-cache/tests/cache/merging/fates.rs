//! What becomes of the access tokens that were there before.

use msal_token_cache::Merged;
use serde_json::{Value, json};
use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount};

use super::super::sample::{
    NEW_ACCESS_TOKEN, NOW, OLD_ACCESS_TOKEN, Store, VAULT, ada, bob, merged, redeemed,
    redeemed_for, section, signed_in, vault_token,
};
use super::{OTHER_CLIENT, OTHER_TENANT};

/// What becomes of an access token that was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    /// The new one stands in its place.
    Replaced,
    /// It stays, and the new one is not stored.
    Preferred,
}
use Fate::{Kept, Preferred, Replaced};

fn an_access_token_is(fate: Fate, what: &str, account: &FakeAccount, before: AccessTokenSpec<'_>) {
    an_entry_is(fate, what, &signed_in().access_token(account, before));
}

/// Merges a token for the vault into a cache that holds an old access token.
fn an_entry_is(fate: Fate, what: &str, before: &CacheBuilder) {
    let store = Store::holding(before.to_json());
    let redemption = redeemed(before);
    assert_eq!(store.merge(&redemption).unwrap(), Merged::Stored, "{what}");
    let count = |secret| store.text().matches(secret).count();
    let expected = match fate {
        Kept => (1, 1),
        Replaced => (0, 1),
        Preferred => (1, 0),
    };
    let found = (count(OLD_ACCESS_TOKEN), count(NEW_ACCESS_TOKEN));
    assert_eq!(found, expected, "{what} is {fate:?}");

    let once = store.text();
    store.merge(&redemption).unwrap();
    assert_eq!(store.text(), once, "{what}: merging twice");
}

#[test]
fn a_token_with_a_scope_in_common_makes_way() {
    for (fate, target) in [
        (Replaced, VAULT),
        (Replaced, "https://VAULT.azure.net/.default"),
        (
            Replaced,
            "https://vault.azure.net/.default https://vault.azure.net/user_impersonation",
        ),
        (Replaced, "openid https://vault.azure.net/.default"),
        (Kept, "https://management.azure.com/.default"),
        (Kept, "https://vault.azure.net"),
        (Kept, ""),
    ] {
        let spec = AccessTokenSpec {
            target,
            ..vault_token()
        };
        an_access_token_is(fate, target, &ada(), spec);
    }
}

#[test]
fn the_scopes_of_every_sign_in_are_nothing_in_common() {
    let graph = "https://graph.microsoft.com/.default openid profile offline_access email";
    let before = signed_in().access_token(
        &ada(),
        AccessTokenSpec {
            target: graph,
            ..vault_token()
        },
    );
    let redemption = redeemed_for(
        &before,
        &format!("{VAULT} OpenID profile offline_access email"),
    );
    assert_eq!(
        section(&merged(&before, &redemption), "AccessToken").len(),
        2
    );
}

#[test]
fn a_token_for_the_sign_in_scopes_alone_has_one_entry() {
    let before = signed_in();
    let store = Store::holding(before.to_json());
    for target in ["openid profile", "profile openid"] {
        store.merge(&redeemed_for(&before, target)).unwrap();
        assert_eq!(section(&store.value(), "AccessToken").len(), 1);
    }
}

#[test]
fn tokens_of_others_stay() {
    let good = vault_token();
    for (fate, what, account, spec) in [
        (Kept, "another account's", bob(), good),
        (
            Kept,
            "another cloud's",
            ada(),
            AccessTokenSpec {
                environment: "login.microsoftonline.us",
                ..good
            },
        ),
        (
            Kept,
            "an unknown host's",
            ada(),
            AccessTokenSpec {
                environment: "login.contoso.example",
                ..good
            },
        ),
        (
            Replaced,
            "an alias host's",
            ada(),
            AccessTokenSpec {
                environment: "sts.windows.net",
                ..good
            },
        ),
        (
            Replaced,
            "the host's in capitals",
            ada(),
            AccessTokenSpec {
                environment: "Login.MicrosoftOnline.com",
                ..good
            },
        ),
        (
            Kept,
            "another client's",
            ada(),
            AccessTokenSpec {
                client_id: OTHER_CLIENT,
                ..good
            },
        ),
        (
            Kept,
            "another tenant's",
            ada(),
            AccessTokenSpec {
                realm: Some(OTHER_TENANT),
                ..good
            },
        ),
    ] {
        an_access_token_is(fate, what, &account, spec);
    }
}

#[test]
fn bound_tokens_stay() {
    for (name, value) in [
        ("key_id", json!("k")),
        ("kid", json!("k")),
        ("keyid", json!("k")),
        ("ext_cache_key", json!("e")),
        ("ext", json!("e")),
        ("ext", json!({"e": 1})),
        ("user_assertion_hash", json!("h")),
        ("userAssertionHash", json!("h")),
        ("additionalCacheKeyComponents", json!({"a": "b"})),
        ("requestedClaims", json!("{}")),
        ("requestedClaimsHash", json!("h")),
        ("resource", json!("r")),
        ("persisted_cache_parameters", json!({"a": "b"})),
        ("unknown", json!({"a": null})),
        ("unknown", json!([1])),
        ("token_type", json!("pop")),
        ("credential_type", json!("AccessToken_With_AuthScheme")),
        // Not usable, so not known to be ours.
        ("expires_on", json!("soon")),
        ("target", json!(["a list"])),
    ] {
        let before = signed_in()
            .access_token(&ada(), vault_token())
            .with(name, value.clone())
            .keyed("where it was");
        an_entry_is(Kept, &format!("{name} {value}"), &before);
        // Also where it stands under the key that ours would have.
        let before = signed_in()
            .access_token(&ada(), vault_token())
            .keyed(&key_of_the_vault_token())
            .with(name, value.clone());
        an_entry_is(Kept, &format!("{name} {value} under our key"), &before);
    }
}

fn key_of_the_vault_token() -> String {
    let cache = signed_in().access_token(&ada(), vault_token()).to_value();
    let mut keys = cache["AccessToken"].as_object().unwrap().keys();
    keys.next().cloned().unwrap()
}

#[test]
fn a_binding_member_that_says_nothing_binds_nothing() {
    for (name, value) in [
        ("key_id", Value::Null),
        ("key_id", json!("")),
        ("user_assertion_hash", Value::Null),
        ("ext", json!({})),
        ("unknown", json!([])),
    ] {
        let before = signed_in()
            .access_token(&ada(), vault_token())
            .with(name, value.clone());
        an_entry_is(Replaced, &format!("{name} {value}"), &before);
    }
}

#[test]
fn a_token_that_no_header_can_carry_makes_way_even_if_it_is_newer() {
    let newer = AccessTokenSpec {
        cached_at: Some(NOW + 60),
        ..vault_token()
    };
    for c in ["\r\n", "\0", " ", "\u{7f}", "\u{202e}"] {
        let secret = format!("{OLD_ACCESS_TOKEN}{c}");
        let before = signed_in()
            .access_token(&ada(), newer)
            .with("secret", json!(secret));
        an_entry_is(Replaced, &format!("{secret:?}"), &before);
    }
}

#[test]
fn expired_tokens_of_the_account_go() {
    let expired = AccessTokenSpec {
        target: "https://management.azure.com/.default",
        expires_on: NOW - 1,
        ..vault_token()
    };
    for (fate, what, account, spec) in [
        (Replaced, "of the account", ada(), expired),
        (
            Kept,
            "expiring this second",
            ada(),
            AccessTokenSpec {
                expires_on: NOW,
                ..expired
            },
        ),
        (
            Replaced,
            "of another client",
            ada(),
            AccessTokenSpec {
                client_id: OTHER_CLIENT,
                ..expired
            },
        ),
        (
            Replaced,
            "of another tenant",
            ada(),
            AccessTokenSpec {
                realm: Some(OTHER_TENANT),
                ..expired
            },
        ),
        (Kept, "of another account", bob(), expired),
        (
            Kept,
            "of another cloud",
            ada(),
            AccessTokenSpec {
                environment: "login.microsoftonline.us",
                ..expired
            },
        ),
    ] {
        an_access_token_is(fate, what, &account, spec);
    }
}

#[test]
fn a_token_that_a_peer_asked_for_later_stays_if_it_is_believable_and_does_as_much() {
    let both = format!("{VAULT} https://vault.azure.net/user_impersonation");
    let later = AccessTokenSpec {
        cached_at: Some(NOW + 5),
        expires_on: NOW + 3_700,
        ..vault_token()
    };
    for (fate, what, spec) in [
        (Preferred, "the same", later),
        (
            Preferred,
            "more scopes",
            AccessTokenSpec {
                target: &both,
                ..later
            },
        ),
        (
            Replaced,
            "the same second",
            AccessTokenSpec {
                cached_at: Some(NOW),
                ..later
            },
        ),
        (
            Replaced,
            "a clock far ahead",
            AccessTokenSpec {
                cached_at: Some(NOW + 301),
                ..later
            },
        ),
        (
            Replaced,
            "expired",
            AccessTokenSpec {
                expires_on: NOW - 1,
                ..later
            },
        ),
        (
            Replaced,
            "an absurd expiry",
            AccessTokenSpec {
                expires_on: NOW + 8 * 86_400,
                ..later
            },
        ),
    ] {
        an_access_token_is(fate, what, &ada(), spec);
    }

    let before = signed_in().access_token(&ada(), later);
    let redemption = redeemed_for(&before, &both);
    let after = merged(&before, &redemption);
    assert_eq!(
        section(&after, "AccessToken")[0]["secret"],
        NEW_ACCESS_TOKEN,
        "fewer scopes"
    );
}

#[test]
fn a_newer_token_of_a_peer_does_not_shield_older_ones() {
    let user = format!("{VAULT} https://vault.azure.net/user_impersonation");
    let older = vault_token();
    let newer = AccessTokenSpec {
        target: &user,
        cached_at: Some(NOW + 5),
        secret: "newer",
        ..older
    };
    let expired = AccessTokenSpec {
        target: "https://x.example/.default",
        expires_on: 1,
        ..older
    };
    let [first, second, third] = [older, newer, expired];
    for order in [
        [first, second, third],
        [second, first, third],
        [third, second, first],
    ] {
        let before = order
            .into_iter()
            .fold(signed_in(), |cache, spec| cache.access_token(&ada(), spec));
        let after = merged(&before, &redeemed(&before));
        let left: Vec<_> = section(&after, "AccessToken")
            .iter()
            .map(|t| &t["secret"])
            .collect();
        assert_eq!(left, ["newer"]);
    }
}
