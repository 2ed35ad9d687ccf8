//! What a merge does to each entry that it finds.

use msal_token_cache::{ErrorKind, Identity, Merged, Persistence as _};
use serde_json::{Value, json};
use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount};
use token_credential::Secret;

use super::sample::{
    CLIENT, HOST, NEW_ACCESS_TOKEN, NOW, OLD_ACCESS_TOKEN, OLD_REFRESH_TOKEN, ROTATED, Store,
    VAULT, ada, at, bob, merged, redeemed, redeemed_for, section, signed_in, vault_token,
};

const OTHER_CLIENT: &str = "1950a258-227b-4e31-a9cf-717495945fc2";
const OTHER_TENANT: &str = "00000000-1111-2222-3333-444444444444";

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
            Kept,
            "the host's in capitals, which nobody looks for",
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
        ("key_id", Value::Null),
        ("kid", json!("k")),
        ("keyid", json!("k")),
        ("ext_cache_key", json!("e")),
        ("ext", json!("e")),
        ("user_assertion_hash", json!("h")),
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

#[test]
fn a_rewritten_token_keeps_its_key_its_place_and_what_is_not_ours() {
    let other = AccessTokenSpec {
        target: "https://x.example/.default",
        ..vault_token()
    };
    let before = signed_in()
        .access_token(&ada(), vault_token())
        .keyed("a key of its own")
        .with("unknown", json!({"z": 1, "a": [null, 2.5]}))
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
            "unknown": {"z": 1, "a": [null, 2.5]},
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
fn the_name_of_an_unknown_member_stays_as_it_is_written() {
    let before = signed_in().to_json().replace(
        "\"credential_type\": \"RefreshToken\"",
        r#""\ud800": 1, "\u00e9": 2, "credential_type": "RefreshToken""#,
    );
    let store = Store::holding(before);
    let redemption = redeemed(&signed_in()).with_refresh_token(Secret::new(ROTATED));
    store.merge(&redemption).unwrap();
    for member in [
        r#""\ud800": 1"#,
        r#""\u00e9": 2"#,
        &format!(r#""secret": "{ROTATED}""#),
    ] {
        assert!(store.text().contains(member), "{member}");
    }
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

#[test]
fn a_refresh_token_rotates_in_its_entry() {
    let before = CacheBuilder::new()
        .refresh_token(&ada(), HOST, CLIENT, OLD_REFRESH_TOKEN, Some("1"))
        .keyed("a key of its own")
        .with("unknown", json!([1]))
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

fn identity(username: Option<&str>) -> Identity {
    Identity::new(
        Secret::new("an ID token"),
        Some("the new local id".to_owned()),
        username.map(str::to_owned),
    )
}

#[test]
fn an_id_token_brings_account_and_id_token_up_to_date() {
    let before = signed_in()
        .with("family_id", json!("1"))
        .id_token(&ada(), HOST, CLIENT, &ada().utid, "old ID token")
        .with("unknown", json!(1))
        .id_token(&ada(), HOST, OTHER_CLIENT, &ada().utid, "another client's");
    let redemption = redeemed(&before).with_identity(identity(Some("ada@new.example")));
    let after = merged(&before, &redemption);

    let mut account = before.to_value()["Account"].clone();
    for entry in account.as_object_mut().unwrap().values_mut() {
        entry["username"] = json!("ada@new.example");
        entry["local_account_id"] = json!("the new local id");
    }
    assert_eq!(after["Account"], account);
    let secrets: Vec<_> = section(&after, "IdToken")
        .iter()
        .map(|entry| {
            (
                entry["secret"].as_str().unwrap(),
                entry.get("unknown").is_some(),
            )
        })
        .collect();
    assert_eq!(
        secrets,
        [("an ID token", true), ("another client's", false)]
    );
}

#[test]
fn without_an_id_token_neither_is_written() {
    let before = CacheBuilder::new().refresh_token(&ada(), HOST, CLIENT, "s", None);
    let after = merged(&before, &redeemed(&before));
    assert_eq!(after.get("Account"), None);
    assert_eq!(after.get("IdToken"), None);
}

#[test]
fn a_known_name_is_never_blanked() {
    for nameless in [identity(None), identity(Some(""))] {
        let before = signed_in();
        let after = merged(&before, &redeemed(&before).with_identity(nameless));
        let account = section(&after, "Account")[0];
        assert_eq!(account["username"], "ada@contoso.example");
        assert_eq!(account["local_account_id"], "the new local id");
    }

    // A guest's name in another tenant is not the name here.
    let before = CacheBuilder::new()
        .account(&ada(), HOST, OTHER_TENANT)
        .with("username", json!("ada_contoso#EXT#@other.example"))
        .signed_in(&ada(), HOST, CLIENT, "s");
    let after = merged(&before, &redeemed(&before).with_identity(identity(None)));
    let names: Vec<_> = section(&after, "Account")
        .iter()
        .map(|account| account["username"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["ada_contoso#EXT#@other.example", "ada@contoso.example"]
    );
}

#[test]
fn a_new_tenant_takes_name_and_source_from_the_accounts_other_entries() {
    let before = CacheBuilder::new()
        .refresh_token(&ada(), HOST, CLIENT, "s", None)
        .account(&bob(), HOST, &bob().utid)
        .with("account_source", json!("password"))
        .account(&ada(), "login.windows.net", OTHER_TENANT)
        .with("account_source", json!("authorization_code"));
    let after = merged(&before, &redeemed(&before).with_identity(identity(None)));
    let key = format!("{}-{HOST}-{}", ada().home_account_id(), ada().utid);
    assert_eq!(
        after["Account"][key],
        json!({
            "home_account_id": ada().home_account_id(),
            "environment": HOST,
            "realm": ada().utid,
            "local_account_id": "the new local id",
            "username": "ada@contoso.example",
            "authority_type": "MSSTS",
            "account_source": "authorization_code",
        })
    );
    assert_eq!(section(&after, "Account").len(), 3);
}

#[test]
fn of_several_known_names_the_newest_is_taken() {
    let mut before = CacheBuilder::new().refresh_token(&ada(), HOST, CLIENT, "s", None);
    for (realm, username) in [
        (OTHER_TENANT, "old"),
        ("organizations", "new"),
        ("common", ""),
    ] {
        before = before
            .account(&ada(), HOST, realm)
            .with("username", json!(username))
            .with("account_source", json!(username));
    }
    let after = merged(&before, &redeemed(&before).with_identity(identity(None)));
    let key = format!("{}-{HOST}-{}", ada().home_account_id(), ada().utid);
    assert_eq!(after["Account"][&key]["username"], "new");
    assert_eq!(after["Account"][&key]["account_source"], "new");
}

#[test]
fn an_account_without_a_known_name_has_an_empty_one() {
    let before = CacheBuilder::new().refresh_token(&ada(), HOST, CLIENT, "s", None);
    let after = merged(&before, &redeemed(&before).with_identity(identity(None)));
    let account = section(&after, "Account")[0];
    assert_eq!(account["username"], "");
    assert_eq!(account.get("account_source"), None);
}

#[test]
fn app_metadata_is_always_there_and_keeps_its_family() {
    let bare = CacheBuilder::new().refresh_token(&ada(), HOST, CLIENT, "s", None);
    let key = format!("appmetadata-{HOST}-{CLIENT}");
    for (what, before, foci, family) in [
        ("absent", bare.clone(), None, None),
        ("absent, family answer", bare.clone(), Some("1"), Some("1")),
        (
            "of a family",
            bare.clone().app_metadata(HOST, CLIENT, Some("1")),
            None,
            Some("1"),
        ),
        (
            "of no family",
            bare.clone().app_metadata(HOST, CLIENT, None),
            Some("1"),
            Some("1"),
        ),
        (
            "of others",
            bare.app_metadata(HOST, OTHER_CLIENT, Some("7")),
            None,
            None,
        ),
    ] {
        let mut redemption = redeemed(&before);
        if let Some(foci) = foci {
            redemption = redemption.with_family_id(foci);
        }
        let after = merged(&before, &redemption);
        let mut expected = json!({"client_id": CLIENT, "environment": HOST});
        if let Some(family) = family {
            expected["family_id"] = json!(family);
        }
        assert_eq!(after["AppMetadata"][&key], expected, "{what}");
        let others = before.to_value()["AppMetadata"]
            .as_object()
            .map_or(0, |all| all.keys().filter(|other| **other != key).count());
        assert_eq!(section(&after, "AppMetadata").len(), others + 1, "{what}");
    }
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
fn every_value_that_is_written_is_a_text() {
    let before = CacheBuilder::new().refresh_token(&ada(), HOST, CLIENT, "s", None);
    let redemption = redeemed(&before)
        .with_refresh_token(Secret::new(ROTATED))
        .with_refresh_on(at(NOW + 1_800))
        .with_family_id("1")
        .with_identity(identity(None));
    let after = merged(&before, &redemption);
    for name in [
        "AccessToken",
        "RefreshToken",
        "IdToken",
        "Account",
        "AppMetadata",
    ] {
        let entries = section(&after, name);
        assert_eq!(entries.len(), 1, "{name}");
        for (member, value) in entries[0].as_object().unwrap() {
            assert!(value.is_string(), "{name}: {member} is {value}");
        }
    }
}

#[test]
fn merging_twice_changes_nothing() {
    let before = signed_in()
        .access_token(&ada(), vault_token())
        .access_token(
            &ada(),
            AccessTokenSpec {
                expires_on: 1,
                target: "x",
                ..vault_token()
            },
        )
        .raw("Unknown", "k", json!({"z": null}));
    let store = Store::holding(before.to_json());
    let redemption = redeemed(&before)
        .with_refresh_token(Secret::new("rotated \u{1F511} \"quoted\""))
        .with_identity(identity(Some("ada@contoso.example")));
    store.merge(&redemption).unwrap();
    let (once, stamp) = (store.text(), store.memory.stamp().unwrap());
    assert_eq!(store.merge(&redemption).unwrap(), Merged::Stored);
    assert_eq!(store.text(), once);
    assert_eq!(store.memory.stamp().unwrap(), stamp, "nothing was written");
    assert!(once.contains("rotated \u{1F511} \\\"quoted\\\""));
}

#[test]
fn a_malformed_section_is_refused_and_left_as_it_is() {
    let redemption = redeemed(&signed_in()).with_identity(identity(None));
    for name in ["AccessToken", "IdToken", "Account", "AppMetadata"] {
        let mut cache = signed_in().to_value();
        cache[name] = json!(["not an object"]);
        let text = cache.to_string();
        let store = Store::holding(text.clone());
        let error = store.merge(&redemption).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(store.text(), text);
    }
    let mut cache = signed_in().to_value();
    cache["RefreshToken"] = Value::Null;
    let store = Store::holding(cache.to_string());
    assert_eq!(store.merge(&redemption).unwrap(), Merged::SignedOut);
}
