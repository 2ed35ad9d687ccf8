//! One store together with Microsoft's Python and Node packages, which name one cloud by two hosts.
//!
//! Run by `cargo xtask test python-node`, which brings the packages.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that fails here should fail loudly, and looks at the store from outside"
)]

mod stand_in;

use std::path::{Path, PathBuf};
use std::process::Command;

use msal_token_cache::{FilePersistence, TokenCache};
use serde_json::{Value, json};
use shared_token_cache_credential::{
    HyperTokenEndpoint, SharedTokenCacheCredential, TokenRequestOptions,
};
use tempfile::TempDir;
use test_support::python_peer::PythonPeer;
use test_support::{FakeAccount, FakeEntra, logs};

use stand_in::StandIn;

const AZURE_CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const OURS: &str = "https://ours.example/.default";
const THEIRS: &str = "https://resource0.example/.default";
/// Python names the cloud by the host that it asks, Node by the one that its metadata prefers.
const HOST_OF_PYTHON: &str = "login.microsoftonline.com";
const HOST_OF_NODE: &str = "login.windows.net";

/// A home folder with a store that all three share, an Entra for us, and somebody.
struct Shared {
    home: TempDir,
    python: PythonPeer,
    entra: FakeEntra,
    account: FakeAccount,
}

impl Shared {
    /// A store in which Python has signed the account in; our Entra knows the refresh token or not.
    fn signed_in_by_python(is_known: bool, has_family: bool) -> Self {
        let home = tempfile::tempdir().unwrap();
        let python = PythonPeer::at(home.path());
        let entra = FakeEntra::start();
        let family: &[&str] = if has_family { &[] } else { &["--no-family"] };
        let write = |more: &[&str]| python.run(&[&["write"], family, more].concat());
        let written = write(&[]);
        let id = written["accounts"][0]["home_account_id"].as_str().unwrap();
        let (uid, utid) = id.split_once('.').unwrap();
        let account = FakeAccount {
            oid: uid.to_owned(),
            uid: uid.to_owned(),
            utid: utid.to_owned(),
            ..FakeAccount::new(written["accounts"][0]["username"].as_str().unwrap())
        };
        if is_known {
            let refresh_token = entra.issue_refresh_token(&account, AZURE_CLI, has_family);
            write(&["--refresh-token", &refresh_token]);
        }
        Self {
            home,
            python,
            entra,
            account,
        }
    }

    fn path(&self) -> PathBuf {
        self.home.path().join(".IdentityService/msal.cache.nocae")
    }

    /// Runs Node's packages.
    fn node(&self, command: &str, more: &Value) -> Value {
        let folder = std::env::var_os("PEER_NODE")
            .unwrap_or_else(|| panic!("PEER_NODE names no folder: run `cargo xtask test`"));
        let FakeAccount {
            uid,
            utid,
            username,
            ..
        } = &self.account;
        let mut request = json!({
            "client_id": AZURE_CLI, "scope": THEIRS,
            "account": {"uid": uid, "utid": utid, "username": username},
        });
        for (name, value) in more.as_object().unwrap() {
            request[name] = value.clone();
        }
        let mut node = Command::new("node");
        node.arg(Path::new(&folder).join("sign_in_peer.mjs"));
        node.arg(command).arg(self.path()).arg(request.to_string());
        let output = node.output().unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    fn sign_in_by_node(&self, is_known: bool, has_family: bool) {
        let refresh_token = if is_known {
            let issue = FakeEntra::issue_refresh_token;
            issue(&self.entra, &self.account, AZURE_CLI, has_family)
        } else {
            "node's own".replace(' ', "-")
        };
        let foci = has_family.then_some("1");
        let more = json!({"refresh_token": refresh_token, "foci": foci});
        let said = self.node("sign-in", &more);
        assert_eq!(said["environment"], HOST_OF_NODE, "{said}");
    }

    /// Each of the others refreshes with its own refresh token.
    fn both_refresh(&self) {
        for _ in 0..2 {
            let said = self.node("refresh", &json!({}));
            assert_eq!(said["error"], Value::Null, "{said}");
            assert_eq!(said["sent"]["grant_type"], "refresh_token");
            let said = self.python.run(&[
                "refresh",
                THEIRS,
                "--realm",
                &self.account.utid,
                "--username",
                &self.account.username,
            ]);
            assert_eq!(said["source"], "identity_provider", "{said}");
        }
    }

    async fn redeem(&self) -> String {
        let pem = self.entra.root_pem().as_bytes();
        let credential = SharedTokenCacheCredential::builder()
            .authority("login.microsoftonline.com")
            .token_cache(TokenCache::new(FilePersistence::new(self.path())))
            .token_endpoint(StandIn {
                wire: HyperTokenEndpoint::with_extra_root_certificates(pem).unwrap(),
                authority: self.entra.authority(),
            })
            .build()
            .unwrap();
        let options = TokenRequestOptions::default();
        let token = credential.get_token(&[OURS], &options).await.unwrap();
        credential.close().await.unwrap();
        token.token().expose_secret().to_owned()
    }

    fn entries(&self, section: &str) -> Vec<Value> {
        let content = std::fs::read_to_string(self.path()).unwrap();
        let content: Value = serde_json::from_str(&content).unwrap();
        let entries = content[section].as_object().into_iter().flatten();
        entries.map(|(_, entry)| entry.clone()).collect()
    }
}

#[tokio::test]
async fn after_our_redemption_python_and_node_refresh_under_their_two_aliases() {
    let log = logs::capture();
    for has_family in [false, true] {
        for ours_is_pythons in [false, true] {
            let shared = Shared::signed_in_by_python(ours_is_pythons, has_family);
            shared.sign_in_by_node(!ours_is_pythons, has_family);
            let hosts: Vec<_> = shared
                .entries("RefreshToken")
                .iter()
                .map(|entry| entry["environment"].clone())
                .collect();
            assert_eq!(hosts, [HOST_OF_PYTHON, HOST_OF_NODE]);
            // Without us Node refreshes where Python alone knows the application. Where both do it
            // refuses, until our write has left one entry.
            let before = shared.entries("AppMetadata").len();
            assert_eq!(before, if has_family { 2 } else { 1 });

            let token = shared.redeem().await;
            let apps = shared.entries("AppMetadata");
            assert_eq!(apps.len(), 1, "{apps:?}");
            assert_eq!(apps[0]["family_id"] == "1", has_family, "{apps:?}");
            let own: Vec<_> = shared.entries("AccessToken");
            assert!(own.iter().any(|entry| entry["secret"] == *token));

            shared.both_refresh();
            // And our token is still there.
            let own: Vec<_> = shared.entries("AccessToken");
            assert!(own.iter().any(|entry| entry["secret"] == *token));
        }
    }
    log.assert_clean();
}
