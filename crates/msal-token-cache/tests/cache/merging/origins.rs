//! What a sign-in, and the refresh token of another store, put into a cache.

use msal_token_cache::{ErrorKind, Merged, Origin, Redemption, SignIn};
use serde_json::{Value, json};
use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount};
use token_credential::Secret;

use super::super::sample::{
    CLIENT, HOST, NEW_ACCESS_TOKEN, NOW, OLD_ACCESS_TOKEN, OLD_REFRESH_TOKEN, ROTATED, Store,
    VAULT, ada, at, bob, merged, redeemed, section, signed_in, vault_token,
};
use super::{OTHER_CLIENT, OTHER_TENANT, identity};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn sign_in_of(account: &FakeAccount) -> SignIn {
    SignIn {
        home_account_id: account.home_account_id(),
        environment: HOST.to_owned(),
        client_id: CLIENT.to_owned(),
        grant_type: DEVICE_CODE.to_owned(),
    }
}

fn tokens_of(origin: impl Into<Origin>) -> Redemption {
    Redemption::new(
        origin,
        ada().utid,
        VAULT,
        Secret::new(NEW_ACCESS_TOKEN),
        at(NOW),
        at(NOW + 3_600),
    )
}

/// All that a device code sign-in of Ada's brings.
fn sign_in() -> Redemption {
    tokens_of(sign_in_of(&ada()))
        .with_refresh_token(Secret::new(ROTATED))
        .with_family_id("1")
        .with_identity(identity(Some("ada@contoso.example")))
}

/// What redeeming the refresh token of a signed-in Ada gives, for another store.
fn redeemed_elsewhere() -> Redemption {
    let token = redeemed(&signed_in()).redeemed().unwrap().clone();
    tokens_of(Origin::RedeemedElsewhere(token))
}

/// The secrets of the access tokens for the vault.
fn found(store: &Store, account: &FakeAccount) -> Vec<String> {
    let snapshot = store.cache.snapshot().unwrap();
    let id = account.home_account_id();
    let tokens = snapshot.access_tokens_for(&id, &[VAULT]);
    tokens
        .map(|token| token.secret().expose_secret().to_owned())
        .collect()
}

#[test]
fn a_sign_in_fills_an_empty_cache_with_the_entries_of_msal_python() {
    let (id, tenant) = (ada().home_account_id(), ada().utid);
    let now = NOW.to_string();
    let end = (NOW + 3_600).to_string();
    let store = Store::holding("{}");
    assert_eq!(store.merge(&sign_in()).unwrap(), Merged::Stored);
    let expected = json!({
        "AccessToken": {
            format!("{id}-{HOST}-accesstoken-{CLIENT}-{tenant}-{VAULT}"): {
                "credential_type": "AccessToken", "secret": NEW_ACCESS_TOKEN,
                "home_account_id": id, "environment": HOST, "client_id": CLIENT, "target": VAULT,
                "realm": tenant, "token_type": "Bearer", "cached_at": now, "expires_on": end,
                "extended_expires_on": end,
            },
        },
        "RefreshToken": {
            format!("{id}-{HOST}-refreshtoken-{CLIENT}--{VAULT}"): {
                "credential_type": "RefreshToken", "secret": ROTATED, "home_account_id": id,
                "environment": HOST, "client_id": CLIENT, "target": VAULT,
                "last_modification_time": now, "family_id": "1",
            },
        },
        "IdToken": {
            format!("{id}-{HOST}-idtoken-{CLIENT}-{tenant}-"): {
                "credential_type": "IdToken", "secret": "an ID token", "home_account_id": id,
                "environment": HOST, "realm": tenant, "client_id": CLIENT,
            },
        },
        "Account": {
            format!("{id}-{HOST}-{tenant}"): {
                "home_account_id": id, "environment": HOST, "realm": tenant,
                "local_account_id": "the new local id", "username": "ada@contoso.example",
                "authority_type": "MSSTS", "account_source": DEVICE_CODE,
            },
        },
        "AppMetadata": {
            format!("appmetadata-{HOST}-{CLIENT}"): {
                "client_id": CLIENT, "environment": HOST, "family_id": "1",
            },
        },
    });
    assert_eq!(store.value(), expected);
    assert_eq!(found(&store, &ada()), [NEW_ACCESS_TOKEN]);
}

#[test]
fn a_sign_in_updates_the_accounts_own_entries_and_no_others() {
    let before = signed_in()
        .access_token(&ada(), vault_token())
        .keyed("an access token")
        .with("x_unknown", json!(1))
        .refresh_token(&ada(), HOST, CLIENT, "of other scopes", Some("7"))
        .keyed("a second refresh token")
        .with(
            "home_account_id",
            json!(ada().home_account_id().to_uppercase()),
        )
        .with("client_id", json!(CLIENT.to_uppercase()))
        .with("x_unknown", json!(null))
        .refresh_token(&ada(), HOST, CLIENT, "", None)
        .keyed("one without a secret")
        .id_token(&ada(), HOST, CLIENT, &ada().utid, "old ID token");
    let others = CacheBuilder::new()
        .refresh_token(&ada(), HOST, CLIENT, "bound", None)
        .keyed("bound")
        .with("user_assertion_hash", json!("h"))
        .refresh_token(&ada(), HOST, OTHER_CLIENT, OLD_REFRESH_TOKEN, None)
        .refresh_token(&ada(), "login.windows.net", CLIENT, OLD_REFRESH_TOKEN, None)
        .signed_in(&bob(), HOST, OTHER_CLIENT, OLD_REFRESH_TOKEN)
        .access_token(&bob(), vault_token())
        .id_token(&bob(), HOST, CLIENT, &bob().utid, "Bob's ID token")
        .to_value();
    let mut cache = before.to_value();
    for (name, entries) in others.as_object().unwrap() {
        for (key, entry) in entries.as_object().unwrap() {
            cache[name][key] = entry.clone();
        }
    }
    let store = Store::holding(cache.to_string());
    assert_eq!(store.merge(&sign_in()).unwrap(), Merged::Stored);

    // Every entry is where it was, with all that the sign-in does not bring.
    let mut expected = cache;
    for entry in expected["RefreshToken"]
        .as_object_mut()
        .unwrap()
        .values_mut()
    {
        let is_ours = !others["RefreshToken"]
            .as_object()
            .unwrap()
            .values()
            .any(|it| it == entry);
        if is_ours {
            entry["secret"] = json!(ROTATED);
            entry["last_modification_time"] = json!(NOW.to_string());
            entry["family_id"] = json!("1");
        }
    }
    let token = &mut expected["AccessToken"]["an access token"];
    token["secret"] = json!(NEW_ACCESS_TOKEN);
    token["cached_at"] = json!(NOW.to_string());
    token["expires_on"] = json!((NOW + 3_600).to_string());
    token["extended_expires_on"] = json!((NOW + 3_600).to_string());
    let id = ada().home_account_id();
    let is_adas = |entry: &&mut Value| entry["home_account_id"] == id;
    let accounts = expected["Account"].as_object_mut().unwrap().values_mut();
    for account in accounts.filter(is_adas) {
        account["local_account_id"] = json!("the new local id");
        account["account_source"] = json!(DEVICE_CODE);
    }
    let id_tokens = expected["IdToken"].as_object_mut().unwrap().values_mut();
    for id_token in id_tokens.filter(is_adas) {
        id_token["secret"] = json!("an ID token");
    }
    expected["AppMetadata"][format!("appmetadata-{HOST}-{CLIENT}")]["family_id"] = json!("1");
    assert_eq!(store.value(), expected);
}

#[test]
fn a_sign_in_needs_neither_an_id_token_nor_a_refresh_token() {
    let bare = tokens_of(sign_in_of(&ada()));
    let after = merged(&CacheBuilder::new(), &bare);
    assert_eq!(after.get("RefreshToken"), None);
    assert_eq!(after.get("IdToken"), None);
    let account = section(&after, "Account")[0];
    // MSAL Python takes the name for granted; the id is not known.
    assert_eq!(account["username"], "");
    assert_eq!(account.get("local_account_id"), None);
    assert_eq!(account["account_source"], DEVICE_CODE);

    // What is known stays.
    let before = signed_in();
    let after = merged(&before, &bare);
    assert_eq!(after["RefreshToken"], before.to_value()["RefreshToken"]);
    let account = section(&after, "Account")[0];
    assert_eq!(account["username"], "ada@contoso.example");
    assert_eq!(account["local_account_id"], ada().oid);

    // In a tenant that is new to the account, its name from the other one.
    let before = CacheBuilder::new().account(&ada(), HOST, OTHER_TENANT);
    let after = merged(&before, &bare);
    let [old, new] = section(&after, "Account")[..] else {
        panic!("two tenants: {after}");
    };
    assert_eq!(new["realm"].as_str().unwrap().len(), OTHER_TENANT.len());
    for account in [old, new] {
        assert_eq!(account["username"], "ada@contoso.example");
    }
}

#[test]
fn a_sign_in_after_a_sign_out_is_not_signed_out() {
    let store = Store::holding(signed_in().to_json());
    let id = ada().home_account_id();
    let sign_out = store
        .cache
        .modify(|transaction| transaction.remove_account(&id, HOST));
    sign_out.unwrap();
    assert_eq!(
        store.merge(&redeemed(&signed_in())).unwrap(),
        Merged::SignedOut
    );
    assert_eq!(store.merge(&sign_in()).unwrap(), Merged::Stored);
    // From here on it is an account like any other.
    let redemption = redeemed(&CacheBuilder::new().signed_in(&ada(), HOST, CLIENT, ROTATED));
    let redemption = redemption.with_refresh_token(Secret::new(OLD_REFRESH_TOKEN));
    assert_eq!(store.merge(&redemption).unwrap(), Merged::Stored);
    let after = store.value();
    assert_eq!(
        section(&after, "RefreshToken")[0]["secret"],
        OLD_REFRESH_TOKEN
    );
}

#[test]
fn a_sign_in_whose_access_token_is_of_no_use_leaves_the_cached_ones() {
    let before = signed_in().access_token(&ada(), vault_token());
    let store = Store::holding(before.to_json());
    let merged = store.merge(&sign_in().with_refresh_token_only());
    assert_eq!(merged.unwrap(), Merged::Stored);
    let after = store.value();
    assert_eq!(found(&store, &ada()), [OLD_ACCESS_TOKEN]);
    assert_eq!(section(&after, "RefreshToken")[0]["secret"], ROTATED);
    assert_eq!(section(&after, "Account")[0]["account_source"], DEVICE_CODE);
}

#[test]
fn a_sign_in_does_not_write_over_a_malformed_section() {
    for name in [
        "AccessToken",
        "RefreshToken",
        "IdToken",
        "Account",
        "AppMetadata",
    ] {
        let text = json!({ name: ["not an object"] }).to_string();
        let store = Store::holding(text.clone());
        let error = store.merge(&sign_in()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(store.text(), text);
    }
}

#[test]
fn tokens_of_another_stores_refresh_token_are_found_and_it_is_not_kept() {
    let store = Store::holding("{}");
    let rotated = redeemed_elsewhere().with_refresh_token(Secret::new(ROTATED));
    for (redemption, outcome) in [
        (rotated, Merged::StoredInPart),
        (redeemed_elsewhere(), Merged::Stored),
    ] {
        assert_eq!(store.merge(&redemption).unwrap(), outcome);
        assert_eq!(found(&store, &ada()), [NEW_ACCESS_TOKEN]);
        assert!(!store.text().contains(ROTATED));
        let after = store.value();
        for name in ["RefreshToken", "IdToken", "Account"] {
            assert_eq!(after.get(name), None, "{name}");
        }
        assert_eq!(section(&after, "AppMetadata").len(), 1);
    }
    // An ID token says whose they are.
    let named = redeemed_elsewhere().with_identity(identity(Some("ada@contoso.example")));
    assert_eq!(store.merge(&named).unwrap(), Merged::Stored);
    let after = store.value();
    assert_eq!(
        section(&after, "Account")[0]["username"],
        "ada@contoso.example"
    );
    assert_eq!(section(&after, "IdToken")[0]["secret"], "an ID token");
}

#[test]
fn another_stores_refresh_token_rotates_none_here() {
    let stale = AccessTokenSpec {
        target: "x/.default",
        expires_on: NOW - 1,
        ..vault_token()
    };
    let before = signed_in()
        .access_token(&ada(), vault_token())
        .access_token(&ada(), stale)
        .access_token(&bob(), vault_token());
    let store = Store::holding(before.to_json());
    let rotated = redeemed_elsewhere().with_refresh_token(Secret::new(ROTATED));
    let mut displaced = Vec::new();
    let merged = store.cache.modify(|transaction| {
        transaction.merge_displacing(&rotated, |token| displaced.push(token.target().to_string()))
    });
    assert_eq!(merged.unwrap(), Merged::StoredInPart);
    let after = store.value();
    assert_eq!(after["RefreshToken"], before.to_value()["RefreshToken"]);
    assert_eq!(after["Account"], before.to_value()["Account"]);
    // The access token follows the same rules as any: its rival gives way, and the expired one.
    assert_eq!(found(&store, &ada()), [NEW_ACCESS_TOKEN]);
    assert_eq!(found(&store, &bob()), [OLD_ACCESS_TOKEN]);
    assert_eq!(section(&after, "AccessToken").len(), 2);
    assert!(displaced.is_empty(), "it went into the rival's entry");
}

#[test]
fn of_another_stores_refresh_token_alone_nothing_is_stored() {
    let store = Store::holding("{}");
    let only = redeemed_elsewhere()
        .with_refresh_token(Secret::new(ROTATED))
        .with_refresh_token_only();
    assert_eq!(store.merge(&only).unwrap(), Merged::Dropped);
    assert_eq!(store.text(), "{}");
}

#[test]
fn another_stores_tokens_do_not_need_the_section_of_the_refresh_tokens() {
    let store = Store::holding(json!({"RefreshToken": 7}).to_string());
    assert_eq!(store.merge(&redeemed_elsewhere()).unwrap(), Merged::Stored);
    assert_eq!(store.value()["RefreshToken"], 7);
}
