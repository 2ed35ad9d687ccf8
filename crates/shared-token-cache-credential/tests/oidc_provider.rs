//! A token endpoint that knows nothing of us: `oidc-provider` of npm, over TLS on loopback. Each
//! of its refresh tokens is good once, and a second use of one ends them all.
//!
//! Run by `cargo xtask test oidc-provider`, which brings the package.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test that fails here should fail loudly, and looks at the store from outside"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use msal_token_cache::{FilePersistence, TokenCache};
use serde_json::Value;
use shared_token_cache_credential::{
    AccessToken, ErrorKind, HyperTokenEndpoint, OAuthError, Result, SharedTokenCacheCredential,
    TokenRequestOptions,
};
use tempfile::TempDir;
use test_support::{CacheBuilder, FakeAccount, PeerServer, TlsIdentity, logs};

const CLIENT: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const FIRST: &str = "https://first.example/.default";
const SECOND: &str = "https://second.example/.default";
/// Ends a test that hangs. Not a measure of anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// The provider, and a store in which somebody is signed in with it.
struct Stage {
    provider: PeerServer,
    authority: String,
    root_pem: String,
    folder: TempDir,
    _watch: logs::Watch,
}

impl Stage {
    fn new() -> Self {
        let watch = logs::Watch::new();
        let folder = tempfile::tempdir().unwrap();
        let identity = TlsIdentity::generate();
        let certificate = folder.path().join("certificate.pem");
        let key = folder.path().join("key.pem");
        std::fs::write(&certificate, identity.certificate_pem()).unwrap();
        std::fs::write(&key, identity.key_pem()).unwrap();

        let mut node = Command::new("node");
        node.arg(script()).args([&certificate, &key]);
        node.args([CLIENT, FIRST, SECOND]);
        let (provider, ready) = PeerServer::start(&mut node, |line| {
            let said: Value = serde_json::from_str(line).ok()?;
            said["port"].is_number().then_some(said)
        });
        let refresh_token = ready["refresh_token"].as_str().unwrap();
        logs::remember("the first refresh token", refresh_token);
        let stage = Self {
            provider,
            authority: format!("https://localhost:{}", ready["port"]),
            root_pem: identity.root_pem().to_owned(),
            folder,
            _watch: watch,
        };
        CacheBuilder::new()
            .signed_in(
                &FakeAccount::new("ada@contoso.example"),
                "localhost",
                CLIENT,
                refresh_token,
            )
            .write_to(stage.store());
        stage
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("msal_token_cache.json")
    }

    /// The one refresh token in the store.
    fn refresh_token(&self) -> String {
        let content = std::fs::read_to_string(self.store()).unwrap();
        let content: Value = serde_json::from_str(&content).unwrap();
        let section = content["RefreshToken"].as_object().unwrap();
        let secrets: Vec<_> = section.values().map(|entry| &entry["secret"]).collect();
        let [secret] = *secrets else {
            panic!("{} refresh tokens", secrets.len());
        };
        secret.as_str().unwrap().to_owned()
    }

    /// A token by a credential that has just been made, as by another program.
    async fn ask(&self, scope: &str) -> Result<AccessToken> {
        let wire =
            HyperTokenEndpoint::with_extra_root_certificates(self.root_pem.as_bytes()).unwrap();
        let credential = SharedTokenCacheCredential::builder()
            .authority(&self.authority)
            .token_cache(TokenCache::new(FilePersistence::new(self.store())))
            .token_endpoint(wire.without_proxy())
            .build()
            .unwrap();
        let (scopes, options) = ([scope], TokenRequestOptions::default());
        let asking = credential.get_token(&scopes, &options);
        let token = tokio::time::timeout(PATIENCE, asking).await.unwrap();
        tokio::time::timeout(PATIENCE, credential.close())
            .await
            .unwrap()
            .unwrap();
        token
    }

    /// What the provider reported of this kind, in its order.
    fn reported(&self, what: &str) -> Vec<String> {
        let said = self.provider.said();
        let objects = said
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        objects
            .filter_map(|object| Some(object[what].as_str()?.to_owned()))
            .collect()
    }
}

fn script() -> PathBuf {
    let folder = std::env::var_os("PEER_NODE").unwrap_or_else(|| {
        panic!("PEER_NODE names no folder with oidc-provider: run `cargo xtask test oidc-provider`")
    });
    Path::new(&folder).join("oidc_provider.mjs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_rotated_refresh_token_is_stored_and_used_next() {
    let stage = Stage::new();
    let mut used = vec![stage.refresh_token()];
    let mut tokens = Vec::new();
    for scope in [FIRST, SECOND] {
        let token = stage.ask(scope).await.unwrap();
        tokens.push(token.token().expose_secret().to_owned());
        let next = stage.refresh_token();
        assert!(!used.contains(&next), "it was not stored");
        used.push(next);
    }
    assert_ne!(tokens[0], tokens[1]);
    let granted = stage.reported("granted");
    assert_eq!(granted.len(), 2);
    for (granted, scope) in granted.iter().zip([FIRST, SECOND]) {
        assert!(granted.contains(scope), "{granted}");
        assert!(granted.contains("offline_access"), "{granted}");
    }
    let agent = concat!("shared-token-cache-credential/", env!("CARGO_PKG_VERSION"));
    assert_eq!(stage.reported("agent"), [agent, agent]);

    // Now both are there, for whoever opens the store.
    for (scope, token) in [FIRST, SECOND].iter().zip(&tokens) {
        let cached = stage.ask(scope).await.unwrap();
        assert_eq!(cached.token().expose_secret(), token);
    }
    assert_eq!(stage.reported("granted").len(), 2);
    assert_eq!(stage.reported("refused"), [""; 0]);
    assert_eq!(stage.reported("broken"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_used_again_is_refused() {
    let stage = Stage::new();
    let before = std::fs::read(stage.store()).unwrap();
    stage.ask(FIRST).await.unwrap();
    // As a program that writes without looking does.
    std::fs::write(stage.store(), &before).unwrap();

    let error = stage.ask(FIRST).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed, "{error}");
    assert_eq!(error.oauth().map(OAuthError::error), Some("invalid_grant"));
    assert!(!error.is_transient());
    assert_eq!(logs::leaks_in(&format!("{error} {error:?}")), [""; 0]);
    let refused = stage.reported("refused");
    assert!(!refused.is_empty() && refused.iter().all(|error| error == "invalid_grant"));
    assert_eq!(stage.reported("detail")[0], "refresh token already used");
    assert_eq!(stage.reported("granted").len(), 1);
    // A refusal takes nothing out of the store: it is not ours alone.
    assert_eq!(std::fs::read(stage.store()).unwrap(), before);
}
