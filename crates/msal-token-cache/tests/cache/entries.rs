//! Entries with anything in them: what is not usable is passed over, the others stay usable, and
//! all of them stay in the file.

use std::time::{Duration, UNIX_EPOCH};

use msal_token_cache::Snapshot;
use serde_json::{Value, json};
use test_support::CacheBuilder;
use token_credential::Secret;

use super::sample::{CLIENT, HOST, ROTATED, Store, ada, bob, redeemed, signed_in, vault_token};

const SECTIONS: [&str; 5] = [
    "AccessToken",
    "RefreshToken",
    "IdToken",
    "Account",
    "AppMetadata",
];

fn any_values() -> Vec<Value> {
    let mut values = vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(1e300),
        json!([]),
        json!({"secret": "s"}),
    ];
    values.extend(
        [
            "",
            " ",
            "x",
            "-1",
            "1.5",
            "NaN",
            "99999999999999999999",
            "1_000",
            "\u{0}",
            "\u{1F511}",
        ]
        .map(|text| json!(text)),
    );
    values
}

/// Asks for all that there is to ask for.
fn query_everything(snapshot: &Snapshot) -> String {
    let mut seen = Vec::new();
    for account in snapshot.accounts() {
        seen.push(format!(
            "{account:?} {:?} {:?} {:?} {:?}",
            account.username(),
            account.local_account_id(),
            account.authority_type(),
            account.account_source()
        ));
        for token in snapshot.access_tokens_of(account.home_account_id()) {
            seen.push(format!("{token:?}"));
        }
    }
    for token in snapshot.access_tokens() {
        seen.push(format!(
            "{token:?} {} {} {:?} {:?}",
            token.is_plain_bearer(),
            token.token_type(),
            token.cached_at(),
            token.refresh_on()
        ));
    }
    for token in snapshot.refresh_tokens() {
        seen.push(format!(
            "{token:?} {} {:?} {:?} {:?}",
            token.is_partitioned(),
            token.family_id(),
            token.last_modification_time(),
            token.expires_on()
        ));
    }
    for token in snapshot.id_tokens() {
        seen.push(format!("{token:?}"));
    }
    for app in snapshot.app_metadata() {
        seen.push(format!("{app:?}"));
    }
    seen.join("\n")
}

#[test]
fn any_value_in_any_member_harms_nothing_else() {
    let complete = signed_in()
        .access_token(&ada(), vault_token())
        .with("refresh_on", json!("1"))
        .id_token(&ada(), HOST, CLIENT, &ada().utid, "an ID token")
        .to_value();
    let healthy = signed_in();
    let redemption = redeemed(&healthy).with_refresh_token(Secret::new(ROTATED));
    for section in SECTIONS {
        let entry = complete[section]
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap();
        for name in entry.as_object().unwrap().keys() {
            for value in any_values() {
                let mut odd = entry.clone();
                odd[name] = value.clone();
                // Bob's, where the odd value is not the owner: no merge for Ada may touch it.
                if odd.get("home_account_id").is_some() && name != "home_account_id" {
                    odd["home_account_id"] = json!(bob().home_account_id());
                } else if section == "AppMetadata" && name != "client_id" {
                    odd["client_id"] = json!("another client");
                }
                let store =
                    Store::holding(healthy.clone().raw(section, "odd", odd.clone()).to_json());
                let what = format!("{section} {name} {value}");

                let seen = query_everything(&store.cache.snapshot().unwrap());
                assert!(seen.contains("ada@contoso.example"), "{what}: {seen}");
                store.merge(&redemption).unwrap();
                assert_eq!(store.value()[section]["odd"], odd, "{what}");
                query_everything(&store.cache.snapshot().unwrap());
            }
        }
    }
}

#[test]
fn an_entry_that_is_no_object_is_passed_over_and_kept() {
    for value in any_values().into_iter().filter(|value| !value.is_object()) {
        let mut cache = signed_in();
        for section in SECTIONS {
            cache = cache.raw(section, "odd", value.clone());
        }
        let store = Store::holding(cache.to_json());
        assert!(query_everything(&store.cache.snapshot().unwrap()).contains("ada@contoso.example"));
        store.merge(&redeemed(&signed_in())).unwrap();
        for section in SECTIONS.into_iter().filter(|name| *name != "IdToken") {
            assert_eq!(store.value()[section]["odd"], value, "{section}");
        }
    }
}

#[test]
fn a_time_is_read_as_the_peers_write_it_and_clamped() {
    for (value, seconds) in [
        (json!("1700000000"), Some(1_700_000_000)),
        (json!(1_700_000_000), Some(1_700_000_000)),
        (json!(1_700_000_000.9), Some(1_700_000_000)),
        (json!("0"), Some(0)),
        (json!("-5"), Some(0)),
        (json!("99999999999999999999"), Some(253_402_300_799)),
        (json!(u64::MAX), Some(253_402_300_799)),
        (json!("1700000000.202"), Some(1_700_000_000)),
        (json!("1.5x"), None),
        (json!(""), None),
        (json!(null), None),
    ] {
        let cache = signed_in()
            .access_token(&ada(), vault_token())
            .with("expires_on", value.clone());
        let store = Store::holding(cache.to_json());
        let snapshot = store.cache.snapshot().unwrap();
        let found = snapshot
            .access_tokens_of(&ada().home_account_id())
            .next()
            .map(|token| token.expires_on());
        let expected = seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(found, expected, "{value}");
    }
}

#[test]
fn the_members_say_what_an_entry_is_and_the_key_says_nothing() {
    let cache = signed_in()
        .access_token(&ada(), vault_token())
        .keyed("some-other-accesstoken-key")
        .access_token(&bob(), vault_token())
        .keyed("");
    let store = Store::holding(cache.to_json());
    let snapshot = store.cache.snapshot().unwrap();
    for account in [ada(), bob()] {
        let id = account.home_account_id();
        let tokens = snapshot.access_tokens_of(&id);
        assert_eq!(tokens.count(), 1);
    }
    assert_eq!(snapshot.access_tokens_of("nobody").count(), 0);
}

#[test]
fn neither_debug_nor_display_shows_a_secret() {
    let secret = test_support::logs::canary("token of an entry");
    let cache = signed_in()
        .with("secret", json!(secret))
        .access_token(&ada(), vault_token())
        .with("secret", json!(secret))
        .refresh_token(&bob(), HOST, CLIENT, &secret, None)
        .id_token(&ada(), HOST, CLIENT, &ada().utid, &secret);
    let store = Store::holding(cache.to_json());
    let snapshot = store.cache.snapshot().unwrap();
    let shown = query_everything(&snapshot) + &format!("{snapshot:?} {:?}", store.cache);
    let redemption = msal_token_cache::Redemption::new(
        &snapshot.refresh_tokens().last().unwrap(),
        "realm",
        "target",
        Secret::new(secret.clone()),
        UNIX_EPOCH,
        UNIX_EPOCH,
    );
    let shown = shown + &format!("{redemption:?}");
    assert!(shown.contains(&bob().home_account_id()));
    assert_eq!(test_support::logs::leaks_in(&shown), [""; 0]);
}

#[test]
fn a_secret_that_cannot_be_sent_is_not_usable_and_is_kept() {
    let long = "a".repeat(64 * 1024 + 1);
    let bad = [
        "a\r\nb",
        "a\nb",
        "a\0",
        "a\u{7f}",
        "a b",
        " ",
        "a\u{202e}",
        "\u{e9}",
        &long,
    ];
    for secret in bad {
        let cache = CacheBuilder::new()
            .account(&ada(), HOST, &ada().utid)
            .access_token(&ada(), vault_token())
            .with("secret", json!(secret))
            .refresh_token(&ada(), HOST, CLIENT, secret, None)
            .refresh_token(&bob(), HOST, "a client", "good", None)
            .id_token(&ada(), HOST, CLIENT, &ada().utid, secret)
            .app_metadata(HOST, "a\u{7f}client", Some("1"));
        let before = cache.to_value();
        let store = Store::holding(cache.to_json());
        let snapshot = store.cache.snapshot().unwrap();
        let usable = [
            snapshot.access_tokens().any(|token| token.is_usable()),
            snapshot.refresh_tokens().any(|token| token.is_usable()),
            snapshot.id_tokens().any(|token| token.is_usable()),
            snapshot.app_metadata().any(|app| app.is_usable()),
        ];
        assert_eq!(usable, [false; 4], "{secret:?}");

        let other = signed_in();
        let all = store.cache.modify(|transaction| {
            transaction.remove_account(&bob().home_account_id(), "login.microsoftonline.us")?;
            transaction.merge(&redeemed(&other)).map(drop)
        });
        all.unwrap();
        let after = store.value();
        for (section, entries) in before.as_object().unwrap() {
            for (key, entry) in entries.as_object().unwrap() {
                // The access token that we put there is the account's.
                if section != "AccessToken" {
                    assert_eq!(&after[section][key], entry, "{section} {secret:?}");
                }
            }
        }
    }
}
