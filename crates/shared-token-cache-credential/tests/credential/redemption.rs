//! One redemption: what is asked, what comes back, and what is in the cache afterwards.

use std::sync::Arc;

use msal_token_cache::{FilePersistence, TokenCache};
use serde_json::{Value, json};
use shared_token_cache_credential::{TokenCredential, TokenRequestOptions};
use test_support::{FakeAccount, Reply, logs};

use super::{
    ARM, CLI, HOST, NOW, PATIENCE, Stage, VAULT, ask, at, content, entries, holding, token,
};

#[tokio::test]
async fn the_request_is_what_every_msal_sends() {
    let stage = Stage::new();
    let refresh_token = stage.entra.issue_refresh_token(&stage.ada, "an-app", false);
    let cache =
        test_support::CacheBuilder::new().signed_in(&stage.ada, HOST, "an-app", &refresh_token);
    let credential = stage.credential(holding(&cache));
    let options = TokenRequestOptions::default().with_tenant_id("fabrikam.example");
    credential
        .get_token(&["b/read", "a/write"], &options)
        .await
        .unwrap();
    let [request] = stage.entra.requests().try_into().unwrap();
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/organizations/oauth2/v2.0/token");
    assert_eq!(
        request.header("user-agent"),
        Some(concat!(
            "shared-token-cache-credential/",
            env!("CARGO_PKG_VERSION")
        ))
    );
    let form: Vec<_> = request
        .form
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    assert_eq!(
        form,
        [
            ("grant_type", "refresh_token"),
            ("refresh_token", &*refresh_token),
            ("scope", "b/read a/write openid profile offline_access"),
            ("client_id", "an-app"),
            ("client_info", "1"),
        ]
    );
}

#[tokio::test]
async fn the_cache_holds_the_answer_and_all_it_held_before() {
    let stage = Stage::new();
    let stranger = logs::canary("a stranger's token");
    let cache = stage
        .cache()
        .with("unknown", json!({"kept": [1, 2.50, null]}))
        .access_token(&stage.ada, token("expired", 0))
        .with("expires_on", json!((NOW - 1).to_string()))
        .raw("AccessToken", "malformed", json!({ "secret": stranger }))
        .raw("RefreshToken", "odd", json!("not an object"))
        .raw("Unknown section", "k", json!({"a": {"b": "c"}}));
    let before = cache.to_value();
    let store = holding(&cache);
    let credential = stage.credential(store.clone());
    let token = ask(&credential).await.unwrap();
    assert_eq!(token.expires_on(), at(NOW + 4799));
    assert_eq!(token.token_type(), "Bearer");
    assert_eq!(token.refresh_on(), None);

    let after = content(&store);
    let key = |section: &str, of: &Value| {
        let entries = of[section].as_object().unwrap();
        let is_ours = |(_, entry): &(&String, &Value)| {
            entry["client_id"] == CLI && entry["secret"] != "expired"
        };
        entries.iter().find(is_ours).unwrap().0.clone()
    };
    let id = stage.ada.home_account_id();
    let access_token = &after["AccessToken"][key("AccessToken", &after)];
    let mut expected = json!({
        "credential_type": "AccessToken",
        "secret": token.token().expose_secret(),
        "home_account_id": id,
        "environment": HOST,
        "client_id": CLI,
        "target": format!(
            "https://management.azure.com/user_impersonation {ARM} openid profile offline_access"
        ),
        "realm": stage.ada.utid,
        "token_type": "Bearer",
        "cached_at": NOW.to_string(),
        "expires_on": (NOW + 4799).to_string(),
        "extended_expires_on": (NOW + 4799).to_string(),
    });
    assert_eq!(access_token, &expected);

    // In its place, under its key, with what was known of it.
    let key = key("RefreshToken", &before);
    let rotated = &after["RefreshToken"][&key];
    expected = before["RefreshToken"][&key].clone();
    assert_ne!(rotated["secret"], expected["secret"]);
    expected["secret"] = rotated["secret"].clone();
    expected["last_modification_time"] = json!(NOW.to_string());
    assert_eq!(rotated, &expected);

    let [id_token] = entries(&store, "IdToken").try_into().unwrap();
    assert_eq!(id_token["home_account_id"], id);
    assert_eq!(id_token["realm"], stage.ada.utid);
    assert_eq!(after["Account"], before["Account"]);
    assert_eq!(after["AppMetadata"], before["AppMetadata"]);
    assert_eq!(after["Unknown section"], before["Unknown section"]);
    assert_eq!(
        after["AccessToken"]["malformed"],
        before["AccessToken"]["malformed"]
    );
    assert_eq!(after["RefreshToken"]["odd"], before["RefreshToken"]["odd"]);
    // The expired one has gone, and ours has come.
    assert_eq!(after["AccessToken"].as_object().unwrap().len(), 2);

    // The rotated token is the one that is redeemed next.
    let shared: Arc<dyn TokenCredential> = Arc::new(credential);
    let options = TokenRequestOptions::default();
    shared.get_token(&[VAULT], &options).await.unwrap();
    let requests = stage.entra.requests();
    assert_eq!(
        requests[1].field("refresh_token"),
        rotated["secret"].as_str()
    );
}

#[tokio::test]
async fn the_second_call_is_a_hit_for_everybody() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let credential = stage.credential(store.clone());
    let first = ask(&credential).await.unwrap();
    // A clone, another credential on the same store, one that has to parse it anew.
    for other in [
        credential.clone(),
        stage.credential(store.clone()),
        stage.credential(holding_text(&store)),
    ] {
        let token = ask(&other).await.unwrap();
        assert_eq!(token.token().expose_secret(), first.token().expose_secret());
        assert_eq!(token.expires_on(), first.expires_on());
    }
    assert_eq!(stage.entra.request_count(), 1);
}

fn holding_text(
    store: &msal_token_cache::MemoryPersistence,
) -> msal_token_cache::MemoryPersistence {
    msal_token_cache::MemoryPersistence::holding(store.content().unwrap().to_vec())
}

#[tokio::test]
async fn times_and_types_come_from_the_answer() {
    let stage = Stage::new();
    for (reply, life, refresh_on) in [
        (Reply::success().with_expires_in(3600), 3600, None),
        (Reply::success().with_expires_in(7200), 7200, Some(3600)),
        (
            Reply::success().with("refresh_in", json!("60")),
            4799,
            Some(60),
        ),
        (
            Reply::success().with("expires_in", json!("3600")),
            3600,
            None,
        ),
        (Reply::success().without("token_type"), 4799, None),
        (Reply::success().without("scope"), 4799, None),
        (Reply::success().without("refresh_token"), 4799, None),
        (Reply::success().without("client_info"), 4799, None),
        (Reply::success().without("id_token"), 4799, None),
    ] {
        stage.entra.push(reply.clone());
        let store = holding(&stage.cache());
        let credential = stage.credential(store.clone());
        // From the answer, and from the cache.
        for _ in 0..2 {
            let token = ask(&credential).await.unwrap();
            assert_eq!(token.expires_on(), at(NOW + life), "{reply:?}");
            let refresh_on = refresh_on.map(|seconds| at(NOW + seconds));
            assert_eq!(token.refresh_on(), refresh_on, "{reply:?}");
            assert_eq!(token.token_type(), "Bearer");
        }
        let [token] = entries(&store, "AccessToken").try_into().unwrap();
        assert_eq!(token["realm"], stage.ada.utid);
    }
    assert_eq!(stage.entra.request_count(), 9);
}

#[cfg(unix)]
fn assert_private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;

    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// As its folder is.
#[cfg(windows)]
fn assert_private(_path: &std::path::Path) {}

#[tokio::test]
async fn a_file_stays_a_file_of_its_owner_alone() {
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    stage.cache().write_to(&path);
    let credential = stage.credential(FilePersistence::new(&path));
    let token = ask(&credential).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(token.token().expose_secret()));
    assert_private(&path);
    // Neither lock nor temporary is left.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_personal_account_is_redeemed_at_organizations_too() {
    let stage = Stage::new();
    let eve = FakeAccount::personal("eve@outlook.example");
    let refresh_token = stage.entra.issue_refresh_token(&eve, CLI, false);
    let cache = test_support::CacheBuilder::new().signed_in(&eve, HOST, CLI, &refresh_token);
    let store = holding(&cache);
    let credential = stage.credential(store.clone());
    let first = ask(&credential).await.unwrap();
    let second = ask(&credential).await.unwrap();
    assert_eq!(
        first.token().expose_secret(),
        second.token().expose_secret()
    );
    let [request] = stage.entra.requests().try_into().unwrap();
    assert_eq!(request.tenant, "organizations");
    assert_eq!(entries(&store, "AccessToken")[0]["realm"], eve.utid);
}

#[tokio::test]
async fn who_signs_out_meanwhile_stays_signed_out() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let credential = stage.credential(store.clone());
    stage
        .entra
        .push(Reply::success().delayed(std::time::Duration::from_millis(200)));
    let asking = tokio::spawn({
        let credential = credential.clone();
        async move { ask(&credential).await }
    });
    while stage.entra.request_count() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let peer = TokenCache::new(store.clone());
    let id = stage.ada.home_account_id();
    peer.modify(|edit| edit.remove_account(&id, HOST)).unwrap();
    let signed_out = content(&store);
    let token = tokio::time::timeout(PATIENCE, asking).await.unwrap();
    assert!(token.unwrap().is_ok());
    assert_eq!(content(&store), signed_out);
    let error = ask(&credential).await.unwrap_err();
    let kind = shared_token_cache_credential::ErrorKind::CredentialUnavailable;
    assert_eq!(error.kind(), kind);
}

/// The host may be written with its port.
#[tokio::test]
async fn an_entry_may_name_the_port() {
    let stage = Stage::new();
    let authority = stage.entra.authority();
    let host = authority.strip_prefix("https://").unwrap();
    let refresh_token = stage.entra.issue_refresh_token(&stage.ada, CLI, false);
    let cache = test_support::CacheBuilder::new().signed_in(&stage.ada, host, CLI, &refresh_token);
    let store = holding(&cache);
    let credential = stage.credential(store.clone());
    ask(&credential).await.unwrap();
    ask(&credential).await.unwrap();
    assert_eq!(stage.entra.request_count(), 1);
    assert_eq!(entries(&store, "AccessToken")[0]["environment"], host);
}
