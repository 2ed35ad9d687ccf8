use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::time::Duration;

use msal_token_cache::{FilePersistence, MemoryPersistence, TokenCache};
use serde_json::{Value, json};
use shared_token_cache_credential::{SharedTokenCacheCredential, TokenRequestOptions};
use test_support::{CacheBuilder, FakeEntra};

use super::{CLIENT, ada};

/// Two tokens for one scope from a cache that holds none, whatever becomes of the cache meanwhile.
pub(super) fn token(path: &str, then: &str) -> Value {
    let entra = FakeEntra::start();
    let refresh_token = entra.issue_refresh_token(&ada(), CLIENT, false);
    let text = CacheBuilder::new()
        .signed_in(&ada(), "localhost", CLIENT, &refresh_token)
        .to_json();
    let store = FilePersistence::new(path).with_lock_timeout(Duration::from_millis(300));
    // Not by the store: every call that it makes belongs to what is tested.
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    file.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    drop(file);
    let done = Command::new("sh").args(["-c", then]).status().unwrap();
    assert!(done.success(), "{then} failed");
    let credential = SharedTokenCacheCredential::builder()
        .authority(entra.authority())
        .extra_root_certificates(entra.root_pem())
        .token_cache(TokenCache::new(store))
        .cae_token_cache(TokenCache::new(MemoryPersistence::new()))
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answers = runtime.block_on(async {
        let mut answers = Vec::new();
        for _ in 0..2 {
            let options = TokenRequestOptions::default();
            let scopes = ["https://management.azure.com/.default"];
            answers.push(credential.get_token_info(&scopes, &options).await);
        }
        credential.close().await.unwrap();
        answers
    });
    let errors = answers.iter().filter_map(|answer| answer.as_ref().err());
    json!({
        "tokens": answers.iter().filter(|answer| answer.is_ok()).count(),
        "errors": errors.map(ToString::to_string).collect::<Vec<_>>(),
        "requests": entra.request_count(),
    })
}
