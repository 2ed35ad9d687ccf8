use serde_json::{Value, json};
use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount, logs};

const ENVIRONMENT: &str = "login.microsoftonline.com";

fn somebody() -> FakeAccount {
    FakeAccount {
        oid: "UID-1".into(),
        uid: "UID-1".into(),
        utid: "Realm-1".into(),
        username: "zo\u{eb}@contoso.example".into(),
        name: "Zo\u{eb}".into(),
    }
}

/// What msal 1.39.0 for Python serialises after adding one response, except that the refresh
/// token's `target` is that of the request there.
const AS_MSAL_WRITES: &str = r#"{
    "AccessToken": {
        "uid-1.realm-1-login.microsoftonline.com-accesstoken-client-a-realm-1-https://x/.default openid": {
            "credential_type": "AccessToken",
            "secret": "at-secret",
            "home_account_id": "UID-1.Realm-1",
            "environment": "login.microsoftonline.com",
            "client_id": "Client-A",
            "target": "https://X/.default openid",
            "realm": "Realm-1",
            "token_type": "Bearer",
            "cached_at": "1700000000",
            "expires_on": "1700003600",
            "extended_expires_on": "1700003600",
            "refresh_on": "1700001800"
        }
    },
    "Account": {
        "uid-1.realm-1-login.microsoftonline.com-realm-1": {
            "home_account_id": "UID-1.Realm-1",
            "environment": "login.microsoftonline.com",
            "realm": "Realm-1",
            "local_account_id": "UID-1",
            "username": "zo\u00eb@contoso.example",
            "authority_type": "MSSTS"
        }
    },
    "IdToken": {
        "uid-1.realm-1-login.microsoftonline.com-idtoken-client-a-realm-1-": {
            "credential_type": "IdToken",
            "secret": "e30.e30.",
            "home_account_id": "UID-1.Realm-1",
            "environment": "login.microsoftonline.com",
            "realm": "Realm-1",
            "client_id": "Client-A"
        }
    },
    "RefreshToken": {
        "uid-1.realm-1-login.microsoftonline.com-refreshtoken-client-a--offline_access openid profile": {
            "credential_type": "RefreshToken",
            "secret": "rt-secret",
            "home_account_id": "UID-1.Realm-1",
            "environment": "login.microsoftonline.com",
            "client_id": "Client-A",
            "target": "offline_access openid profile",
            "last_modification_time": "1700000000",
            "family_id": "1"
        }
    },
    "AppMetadata": {
        "appmetadata-login.microsoftonline.com-Client-A": {
            "client_id": "Client-A",
            "environment": "login.microsoftonline.com",
            "family_id": "1"
        }
    }
}"#;

#[test]
fn the_text_is_that_of_the_python_packages() {
    let account = somebody();
    let token = AccessTokenSpec {
        client_id: "Client-A",
        target: "https://X/.default openid",
        secret: "at-secret",
        expires_on: 1_700_003_600,
        ..AccessTokenSpec::default()
    };
    let cache = CacheBuilder::new()
        .access_token(&account, token)
        .with("refresh_on", json!("1700001800"))
        .account(&account, ENVIRONMENT, "Realm-1")
        .id_token(&account, ENVIRONMENT, "Client-A", "Realm-1", "e30.e30.")
        .refresh_token(&account, ENVIRONMENT, "Client-A", "rt-secret", Some("1"))
        .app_metadata(ENVIRONMENT, "Client-A", Some("1"));
    assert_eq!(cache.to_json(), AS_MSAL_WRITES);
    assert_eq!(
        cache.to_value(),
        serde_json::from_str::<Value>(AS_MSAL_WRITES).unwrap()
    );
}

#[test]
fn a_key_follows_the_members() {
    let account = somebody();
    let key_of = |cache: CacheBuilder| -> String {
        let value = cache.to_value();
        let section = value["AccessToken"].as_object().unwrap();
        section.keys().next().unwrap().clone()
    };
    let cache = CacheBuilder::new().access_token(
        &account,
        AccessTokenSpec {
            environment: "localhost",
            client_id: "C",
            realm: Some("guest"),
            target: "s",
            ..AccessTokenSpec::default()
        },
    );
    assert_eq!(
        key_of(cache.clone()),
        "uid-1.realm-1-localhost-accesstoken-c-guest-s"
    );
    assert_eq!(
        key_of(cache.clone().with("ext_cache_key", json!("HASH"))),
        "uid-1.realm-1-localhost-atext-c-guest-s-hash"
    );
    assert_eq!(
        key_of(cache.clone().with("home_account_id", Value::Null)),
        "-localhost-accesstoken-c-guest-s"
    );
    assert_eq!(
        key_of(cache.clone().without("realm")),
        "uid-1.realm-1-localhost-accesstoken-c--s"
    );
    assert_eq!(key_of(cache.keyed("Foreign")), "Foreign");
}

#[test]
fn anything_can_be_put_in_and_order_is_kept() {
    let text = CacheBuilder::new()
        .raw("Unknown", "z", json!([1, "\u{1f511}\u{7f}"]))
        .raw("Unknown", "a", json!(null))
        .raw("AccessToken", "odd", json!("no object"))
        .to_json();
    assert_eq!(
        text,
        "{\n    \"Unknown\": {\n        \"z\": [\n            1,\n            \
         \"\\ud83d\\udd11\\u007f\"\n        ],\n        \"a\": null\n    },\n    \
         \"AccessToken\": {\n        \"odd\": \"no object\"\n    }\n}"
    );
    assert_eq!(CacheBuilder::new().to_json(), "{}");
}

#[test]
fn an_entry_takes_the_place_of_an_earlier_one_with_its_key() {
    let (ada, bob) = (somebody(), FakeAccount::new("bob@contoso.example"));
    let value = CacheBuilder::new()
        .signed_in(&ada, ENVIRONMENT, "c", "first")
        .signed_in(&bob, ENVIRONMENT, "c", "of bob")
        .signed_in(&ada, ENVIRONMENT, "C", "second")
        .to_value();
    let secrets = |of: &FakeAccount| -> Vec<&Value> {
        let entries = value["RefreshToken"].as_object().unwrap().values();
        entries
            .filter(|entry| entry["home_account_id"] == json!(of.home_account_id()))
            .map(|entry| &entry["secret"])
            .collect()
    };
    assert_eq!(secrets(&ada), ["second"]);
    assert_eq!(secrets(&bob), ["of bob"]);
    assert_eq!(value["AppMetadata"].as_object().unwrap().len(), 2);
}

#[test]
fn a_file_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("msal.cache");
    let cache = CacheBuilder::new().signed_in(&somebody(), ENVIRONMENT, "c", "rt");
    cache.write_to(&path);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), cache.to_json());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }
    CacheBuilder::new().write_to(&path);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}");
}

#[test]
fn a_large_cache_has_the_size_of_a_real_one() {
    let cache = CacheBuilder::many(100, 50, 1_700_003_600);
    let value = cache.to_value();
    let count = |section: &str| value[section].as_object().unwrap().len();
    assert_eq!(count("AccessToken"), 5_000);
    for section in ["Account", "RefreshToken", "IdToken"] {
        assert_eq!(count(section), 100, "{section}");
    }
    assert_eq!(count("AppMetadata"), 1);
    let megabytes = cache.to_json().len() / 1_000_000;
    assert!((10..20).contains(&megabytes), "{megabytes} MB");
    let user7 = FakeAccount::new("user7@tenant7.example").home_account_id();
    assert!(cache.to_json().contains(&user7));
    assert_eq!(logs::leaks_in(&value["RefreshToken"].to_string()).len(), 1);
}
