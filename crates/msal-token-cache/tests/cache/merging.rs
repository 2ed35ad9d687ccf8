//! What a merge does to each entry that it finds.

mod accounts;
mod entries;
mod fates;
mod identifiers;
mod origins;
mod properties;
mod refresh_tokens;

use msal_token_cache::{ErrorKind, Identity, Merged, Persistence as _};
use serde_json::{Value, json};
use test_support::{AccessTokenSpec, CacheBuilder};
use token_credential::Secret;

use super::sample::{
    CLIENT, HOST, NOW, ROTATED, Store, ada, at, merged, redeemed, section, signed_in, vault_token,
};

const OTHER_CLIENT: &str = "1950a258-227b-4e31-a9cf-717495945fc2";
const OTHER_TENANT: &str = "00000000-1111-2222-3333-444444444444";

fn identity(username: Option<&str>) -> Identity {
    Identity::new(
        Secret::new("an ID token"),
        Some("the new local id".to_owned()),
        username.map(str::to_owned),
    )
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
