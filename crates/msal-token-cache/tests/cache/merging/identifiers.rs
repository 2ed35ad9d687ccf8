//! K16: identifiers that differ in case alone are the same. What is there stays as it is spelled,
//! what is new is in lower case.

use serde_json::{Value, json};
use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount};
use token_credential::Secret;

use super::super::sample::{
    CLIENT, HOST, NEW_ACCESS_TOKEN, NOW, OLD_REFRESH_TOKEN, ROTATED, Store, VAULT, ada, merged,
    redeemed, section, vault_token,
};
use super::identity;

/// Ada as a writer spells her who likes capitals.
fn upper_ada() -> FakeAccount {
    let ada = ada();
    FakeAccount {
        uid: ada.uid.to_uppercase(),
        utid: ada.utid.to_uppercase(),
        ..ada
    }
}

/// Everything of hers in capitals: account, refresh token, ID token, access token, application.
fn in_capitals() -> CacheBuilder {
    let (host, client) = (HOST.to_uppercase(), CLIENT.to_uppercase());
    let ada = upper_ada();
    let token = AccessTokenSpec {
        environment: &host,
        client_id: &client,
        ..vault_token()
    };
    CacheBuilder::new()
        .signed_in(&ada, &host, &client, OLD_REFRESH_TOKEN)
        .id_token(&ada, &host, &client, &ada.utid, "old-ID-token")
        .access_token(&ada, token)
}

/// The identifiers of all entries, with their sections.
fn identifiers(cache: &Value) -> Vec<(String, Vec<Value>)> {
    let names = ["home_account_id", "environment", "realm", "client_id"];
    let sections = cache.as_object().unwrap().iter();
    sections
        .flat_map(|(name, entries)| {
            let entries = entries.as_object().unwrap().values();
            entries.map(move |entry| {
                let known = names.iter().filter_map(|name| entry.get(*name).cloned());
                (name.clone(), known.collect())
            })
        })
        .collect()
}

#[test]
fn k16_entries_in_capitals_are_found_and_keep_their_spelling() {
    let before = in_capitals();
    let lower = CacheBuilder::new().signed_in(&ada(), HOST, CLIENT, OLD_REFRESH_TOKEN);
    // From the entry as it is, and from a process that saw it in lower case.
    for source in [&before, &lower] {
        let redemption = redeemed(source)
            .with_refresh_token(Secret::new(ROTATED))
            .with_family_id("1")
            .with_identity(identity(Some("ada@new.example")));
        let after = merged(&before, &redemption);
        assert_eq!(identifiers(&after), identifiers(&before.to_value()));
        for (name, member, value) in [
            ("RefreshToken", "secret", ROTATED),
            ("AccessToken", "secret", NEW_ACCESS_TOKEN),
            ("Account", "username", "ada@new.example"),
            ("IdToken", "secret", "an ID token"),
            ("AppMetadata", "family_id", "1"),
        ] {
            assert_eq!(section(&after, name)[0][member], value, "{name}");
        }
    }
}

#[test]
fn k16_new_entries_are_in_lower_case_with_their_keys() {
    let ada = upper_ada();
    let before = CacheBuilder::new().refresh_token(
        &ada,
        &HOST.to_uppercase(),
        &CLIENT.to_uppercase(),
        OLD_REFRESH_TOKEN,
        None,
    );
    let redemption = redeemed(&before)
        .with_client_id("1950A258-227B-4E31-A9CF-717495945FC2")
        .with_refresh_token(Secret::new(ROTATED))
        .with_identity(identity(None));
    let after = merged(&before, &redemption);
    let known = before.to_value()["RefreshToken"].clone();
    for name in [
        "AccessToken",
        "RefreshToken",
        "IdToken",
        "Account",
        "AppMetadata",
    ] {
        let entries = after[name].as_object().unwrap().iter();
        let mut new = entries.filter(|(key, _)| known.get(key).is_none());
        let (key, entry) = new.next().unwrap();
        assert_eq!(*key, key.to_lowercase());
        for member in ["home_account_id", "environment", "realm", "client_id"] {
            if let Some(text) = entry.get(member).and_then(Value::as_str) {
                assert_eq!(text, text.to_lowercase(), "{name}");
            }
        }
    }
}

#[test]
fn k16_the_case_of_a_subject_counts() {
    let spelled = |uid: &str| FakeAccount {
        uid: uid.to_owned(),
        ..ada()
    };
    let before = CacheBuilder::new()
        .access_token(&spelled("subject_A"), vault_token())
        .signed_in(&spelled("Subject_a"), HOST, CLIENT, OLD_REFRESH_TOKEN);
    let after = merged(&before, &redeemed(&before));
    assert_eq!(section(&after, "AccessToken").len(), 2);
    let new = section(&after, "AccessToken")
        .into_iter()
        .find(|entry| entry["secret"] == NEW_ACCESS_TOKEN);
    let id = format!("Subject_a.{}", ada().utid);
    assert_eq!(new.unwrap()["home_account_id"], id);
}

#[test]
fn k16_a_sign_out_takes_all_spellings_along() {
    let both = in_capitals().signed_in(&ada(), HOST, CLIENT, "another-token");
    let store = Store::holding(both.to_json());
    store
        .cache
        .modify(|transaction| {
            let host = "Login.Windows.Net";
            transaction.remove_account(&ada().home_account_id(), host)
        })
        .unwrap();
    for name in ["AccessToken", "RefreshToken", "IdToken", "Account"] {
        assert_eq!(section(&store.value(), name).len(), 0, "{name}");
    }
}

#[test]
fn k16_a_snapshot_finds_the_tokens_of_an_account_in_any_case() {
    let store = Store::holding(in_capitals().to_json());
    let snapshot = store.cache.snapshot().unwrap();
    for id in [ada().home_account_id(), upper_ada().home_account_id()] {
        assert_eq!(snapshot.access_tokens_of(&id).count(), 1);
        assert_eq!(snapshot.access_tokens_for(&id, &[VAULT]).count(), 1);
    }
}

/// The application by host and family, in the order of the keys.
fn applications(cache: &Value) -> Vec<(&str, Option<&str>)> {
    section(cache, "AppMetadata")
        .into_iter()
        .filter(|app| {
            app["client_id"]
                .as_str()
                .unwrap()
                .eq_ignore_ascii_case(CLIENT)
        })
        .map(|app| {
            (
                app["environment"].as_str().unwrap(),
                app["family_id"].as_str(),
            )
        })
        .collect()
}

#[test]
fn an_application_has_one_entry_in_a_cloud() {
    let bare = CacheBuilder::new()
        .refresh_token(&ada(), "login.windows.net", CLIENT, OLD_REFRESH_TOKEN, None)
        .app_metadata("login.microsoftonline.us", CLIENT, Some("1"))
        .app_metadata(HOST, "another client", Some("1"));
    let china = ("login.microsoftonline.us", Some("1"));
    for (apps, foci, expected) in [
        (vec![], None, ("login.windows.net", None)),
        (vec![], Some("1"), ("login.windows.net", Some("1"))),
        (vec![(HOST, None)], None, (HOST, None)),
        (vec![(HOST, None)], Some("1"), (HOST, Some("1"))),
        (vec![(HOST, Some("1"))], None, (HOST, Some("1"))),
        (
            vec![("Login.Windows.Net", Some("1"))],
            Some("2"),
            ("Login.Windows.Net", Some("2")),
        ),
        // Others made several, for which msal-node throws.
        (
            vec![(HOST, Some("1")), ("login.windows.net", None)],
            None,
            (HOST, Some("1")),
        ),
        (
            vec![("sts.windows.net", None), (HOST, Some("1"))],
            None,
            (HOST, Some("1")),
        ),
        (
            vec![("sts.windows.net", None), ("LOGIN.windows.net", None)],
            Some("1"),
            ("LOGIN.windows.net", Some("1")),
        ),
    ] {
        let mut before = bare.clone();
        for (host, family) in &apps {
            before = before.app_metadata(host, CLIENT, *family);
        }
        let mut redemption = redeemed(&before);
        if let Some(foci) = foci {
            redemption = redemption.with_family_id(foci);
        }
        let store = Store::holding(before.to_json());
        store.merge(&redemption).unwrap();
        let once = store.text();
        let after = store.value();
        let mut found = applications(&after);
        found.retain(|app| *app != china);
        assert_eq!(found, [expected], "{apps:?} {foci:?}");
        assert!(applications(&after).contains(&china));
        store.merge(&redemption).unwrap();
        assert_eq!(store.text(), once, "{apps:?}: merging twice");
    }
}

#[test]
fn where_several_entries_of_an_application_become_one_their_members_are_kept() {
    let before = CacheBuilder::new()
        .refresh_token(&ada(), HOST, CLIENT, OLD_REFRESH_TOKEN, None)
        .app_metadata("sts.windows.net", CLIENT, Some("1"))
        .with("of sts", json!({"a": [1.50]}))
        .app_metadata(HOST, CLIENT, None)
        .with("of the host", json!(null))
        .app_metadata("login.windows.net", CLIENT, None)
        .with("of windows", json!(NOW));
    let after = merged(&before, &redeemed(&before));
    let expected = json!({
        "client_id": CLIENT,
        "environment": HOST,
        "of the host": null,
        "family_id": "1",
        "of sts": {"a": [1.50]},
        "of windows": NOW,
    });
    assert_eq!(section(&after, "AppMetadata"), [&expected]);
}
