//! What is known already: no request, no lock, no runtime.

use std::sync::Arc;
use std::time::Duration;

use msal_token_cache::{FilePersistence, MemoryPersistence};
use shared_token_cache_credential::{ErrorKind, TokenCredential, TokenRequestOptions};
use test_support::logs;

use super::watched::{Journal, WatchedStore};
use super::{ARM, NOW, Stage, VAULT, ask, at, at_once, holding, text, token};

#[test]
fn a_hit_needs_neither_request_nor_lock_nor_runtime() {
    let stage = Stage::new();
    let secret = logs::canary("access token");
    let cache = stage
        .cache()
        .access_token(&stage.ada, token(&secret, 301))
        .with("refresh_on", (NOW + 100).to_string().into());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    cache.write_to(&path);
    let journal = Journal::default();
    let watched = WatchedStore::new(&holding(&cache), &journal);
    for credential in [
        stage.credential(FilePersistence::new(&path)),
        stage.credential(watched),
    ] {
        let options = TokenRequestOptions::default();
        let info = at_once(credential.get_token_info(&[ARM], &options)).unwrap();
        assert_eq!(info.token().expose_secret(), secret);
        assert_eq!(info.expires_on(), at(NOW + 301));
        assert_eq!(info.refresh_on(), Some(at(NOW + 100)));
        assert_eq!(info.token_type(), "Bearer");
        let shared: Arc<dyn TokenCredential> = Arc::new(credential.clone());
        let token = at_once(shared.get_token(&[&ARM.to_uppercase()], &options)).unwrap();
        assert_eq!(token.token().expose_secret(), secret);
        at_once(shared.close()).unwrap();
    }
    assert_eq!(journal.entries(), [""; 0]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(stage.entra.connections(), 0);
}

#[tokio::test]
async fn five_minutes_before_its_end_a_token_is_renewed() {
    let stage = Stage::new();
    let secret = logs::canary("access token");
    let cache = stage.cache().access_token(&stage.ada, token(&secret, 302));
    let credential = stage.credential(holding(&cache));
    for (requests, is_old) in [(0, true), (0, true), (1, false), (1, false)] {
        let token = ask(&credential).await.unwrap();
        assert_eq!(token.token().expose_secret() == secret, is_old);
        assert_eq!(stage.entra.request_count(), requests);
        stage.clock.advance(Duration::from_secs(1));
    }
}

#[test]
fn a_miss_without_a_runtime_says_so() {
    let stage = Stage::new();
    let credential = stage.credential(holding(&stage.cache_with_token(3600)));
    let options = TokenRequestOptions::default();
    let error = at_once(credential.get_token(&[VAULT], &options)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(text(&error).contains("tokio runtime"), "{error}");
    assert_eq!(stage.entra.connections(), 0);
}

/// Somebody else's write is seen at the next call.
#[tokio::test]
async fn a_newer_cache_is_read() {
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let credential = stage.credential(FilePersistence::new(&path));
    let error = ask(&credential).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
    for name in ["first", "second"] {
        let secret = logs::canary(name);
        let cache = stage.cache().access_token(&stage.ada, token(&secret, 3600));
        cache.write_to(&path);
        let token = ask(&credential).await.unwrap();
        assert_eq!(token.token().expose_secret(), secret);
    }
    assert_eq!(stage.entra.connections(), 0);
}

#[tokio::test]
async fn malformed_neighbours_do_no_harm() {
    let stage = Stage::new();
    let secret = logs::canary("access token");
    let cache = stage
        .cache()
        .access_token(&stage.ada, token(&secret, 3600))
        .raw("AccessToken", "text", "x".into())
        .raw("AccessToken", "null", serde_json::Value::Null)
        .raw("RefreshToken", "number", 7.into())
        .raw("Account", "list", vec![1].into());
    let store: MemoryPersistence = holding(&cache);
    let token = ask(&stage.credential(store)).await.unwrap();
    assert_eq!(token.token().expose_secret(), secret);
}
