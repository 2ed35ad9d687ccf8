//! One store together with Microsoft's Python packages, both ways.
//!
//! Run by `cargo xtask test python-plain` and `python-portalocker`, which bring the packages.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that fails here should fail loudly, and looks at the store from outside"
)]

mod stand_in;

use std::path::PathBuf;
use std::time::{Duration, Instant, UNIX_EPOCH};

use msal_token_cache::{FilePersistence, TokenCache};
use serde_json::Value;
use shared_token_cache_credential::{
    HyperTokenEndpoint, SharedTokenCacheCredential, TokenRequestOptions,
};
use tempfile::TempDir;
use test_support::python_peer::PythonPeer;
use test_support::{FakeAccount, FakeEntra, logs};

use stand_in::StandIn;

const AZURE_CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const OURS: &str = "https://ours.example/.default";
const THEIRS: &str = "https://theirs.example/.default";

/// A home folder with a store that Python and we share, and an Entra for us.
struct Shared {
    home: TempDir,
    python: PythonPeer,
    entra: FakeEntra,
}

impl Shared {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let python = PythonPeer::at(home.path());
        Self {
            home,
            python,
            entra: FakeEntra::start(),
        }
    }

    fn path(&self) -> PathBuf {
        self.home.path().join(".IdentityService/msal.cache.nocae")
    }

    fn credential(&self, username: &str) -> SharedTokenCacheCredential {
        let pem = self.entra.root_pem().as_bytes();
        SharedTokenCacheCredential::builder()
            .authority("login.microsoftonline.com")
            .username(username)
            .token_cache(TokenCache::new(FilePersistence::new(self.path())))
            .token_endpoint(StandIn {
                wire: HyperTokenEndpoint::with_extra_root_certificates(pem).unwrap(),
                authority: self.entra.authority(),
            })
            .build()
            .unwrap()
    }

    /// Lets Python sign this person in with a refresh token that our Entra knows.
    fn sign_in(&self, number: usize) -> FakeAccount {
        let number = number.to_string();
        let written = self.python.run(&["write", "--first", &number]);
        let account = account(&written["accounts"][0]);
        let refresh_token = self.entra.issue_refresh_token(&account, AZURE_CLI, false);
        self.python.run(&[
            "write",
            "--first",
            &number,
            "--refresh-token",
            &refresh_token,
        ]);
        account
    }

    fn entries(&self) -> Value {
        self.python.run(&["dump"])
    }
}

/// The person that Python made up, for our Entra.
fn account(written: &Value) -> FakeAccount {
    let username = written["username"].as_str().unwrap();
    let (uid, utid) = written["home_account_id"]
        .as_str()
        .unwrap()
        .split_once('.')
        .unwrap();
    FakeAccount {
        oid: uid.to_owned(),
        uid: uid.to_owned(),
        utid: utid.to_owned(),
        ..FakeAccount::new(username)
    }
}

/// A token by our credential: its text and its expiry in Unix seconds.
async fn ask(credential: &SharedTokenCacheCredential, scope: &str) -> (String, u64) {
    let token = credential
        .get_token(&[scope], &TokenRequestOptions::default())
        .await
        .unwrap();
    let expires_on = token
        .expires_on()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    (token.token().expose_secret().to_owned(), expires_on)
}

/// The entries of a section that belong to an account.
fn of<'e>(entries: &'e Value, section: &str, account: &FakeAccount) -> Vec<&'e Value> {
    let id = account.home_account_id();
    let entries = entries[section].as_array().unwrap().iter();
    entries
        .filter(|entry| entry["home_account_id"] == *id)
        .collect()
}

#[tokio::test]
async fn what_python_wrote_we_find() {
    let log = logs::capture();
    let shared = Shared::new();
    let written = shared
        .python
        .run(&["write", "--accounts", "3", "--tokens", "4"]);
    for person in written["accounts"].as_array().unwrap() {
        let username = person["username"].as_str().unwrap();
        let credential = shared.credential(username);
        for scope in written["scopes"].as_array().unwrap() {
            let scope = scope.as_str().unwrap();
            let theirs = shared.python.run(&["find", scope, "--username", username]);
            let (token, expires_on) = ask(&credential, scope).await;
            assert_eq!(theirs["token"], token);
            assert_eq!(theirs["expires_on"], expires_on);
        }
    }
    assert_eq!(shared.entra.request_count(), 0);
    log.assert_clean();
}

#[tokio::test]
async fn what_we_redeemed_python_finds_and_its_next_write_loses_nothing() {
    let log = logs::capture();
    let shared = Shared::new();
    let ada = shared.sign_in(0);
    let bob = shared.sign_in(1);
    let before = shared.entries();

    let credential = shared.credential(&ada.username);
    let (token, expires_on) = ask(&credential, OURS).await;
    assert_eq!(shared.entra.request_count(), 1);

    // Python finds the access token under the same account, and the rotated refresh token.
    let found = shared
        .python
        .run(&["find", OURS, "--username", &ada.username]);
    assert_eq!(
        (&found["token"], &found["expires_on"]),
        (&token.clone().into(), &expires_on.into())
    );
    assert_eq!(found["account"]["home_account_id"], ada.home_account_id());
    assert_eq!(found["account"]["username"], ada.username);
    let silent = shared.python.run(&[
        "silent",
        OURS,
        "--realm",
        &ada.utid,
        "--username",
        &ada.username,
    ]);
    assert_eq!(
        (&silent["token"], &silent["source"]),
        (&token.clone().into(), &"cache".into())
    );
    let after = shared.entries();
    let [old] = of(&before, "RefreshToken", &ada)[..] else {
        panic!("one refresh token")
    };
    let [new] = of(&after, "RefreshToken", &ada)[..] else {
        panic!("one refresh token")
    };
    assert_ne!(old["secret"], new["secret"]);
    for section in ["AccessToken", "RefreshToken", "IdToken", "Account"] {
        assert_eq!(
            of(&before, section, &bob),
            of(&after, section, &bob),
            "{section}"
        );
    }

    // Python redeems what we stored, and writes.
    let redeemed = shared
        .python
        .run(&["redeem", THEIRS, "--username", &ada.username]);
    assert_eq!(redeemed["sent"]["refresh_token"], new["secret"]);
    let last = shared.entries();
    for entry in of(&after, "AccessToken", &ada) {
        assert!(
            of(&last, "AccessToken", &ada).contains(&entry),
            "{}",
            entry["target"]
        );
    }
    assert_eq!(ask(&credential, OURS).await, (token, expires_on));
    let theirs = redeemed["token"].as_str().unwrap();
    assert_eq!(ask(&credential, THEIRS).await.0, theirs);
    assert_eq!(shared.entra.request_count(), 1);
    credential.close().await.unwrap();
    log.assert_clean();
}

#[tokio::test]
async fn the_same_among_a_hundred_accounts_with_fifty_tokens_each() {
    let log = logs::capture();
    let shared = Shared::new();
    let written = shared
        .python
        .run(&["write", "--accounts", "100", "--tokens", "50", "--bulk"]);
    let ada = shared.sign_in(42);
    let other = account(&written["accounts"][99]);
    let before = shared.entries();
    assert_eq!(before["AccessToken"].as_array().unwrap().len(), 5_000);

    let scope = written["scopes"][49].as_str().unwrap();
    let found = shared
        .python
        .run(&["find", scope, "--username", &other.username]);
    let theirs = found["token"].as_str().unwrap();
    assert_eq!(
        ask(&shared.credential(&other.username), scope).await.0,
        theirs
    );
    assert_eq!(shared.entra.request_count(), 0);

    let credential = shared.credential(&ada.username);
    let (token, _) = ask(&credential, OURS).await;
    credential.close().await.unwrap();
    assert_eq!(shared.entra.request_count(), 1);
    let found = shared
        .python
        .run(&["find", OURS, "--username", &ada.username]);
    assert_eq!(found["token"], token);

    // Of everything that was there, one entry has changed: the refresh token that was rotated.
    let after = shared.entries();
    let mut changed = Vec::new();
    for section in [
        "AccessToken",
        "RefreshToken",
        "IdToken",
        "Account",
        "AppMetadata",
    ] {
        let entries = after[section].as_array().unwrap();
        let kept = before[section].as_array().unwrap().iter();
        changed.extend(
            kept.zip(entries)
                .filter(|(old, new)| old != new)
                .map(|_| section),
        );
    }
    // Its ID token, too: Entra sends one with each answer.
    assert_eq!(changed, ["RefreshToken", "IdToken"]);
    assert_eq!(after["AccessToken"].as_array().unwrap().len(), 5_001);

    shared
        .python
        .run(&["redeem", THEIRS, "--username", &ada.username]);
    assert_eq!(ask(&credential, OURS).await.0, token);
    assert_eq!(
        ask(&shared.credential(&other.username), scope).await.0,
        theirs
    );
    assert_eq!(
        shared.entries()["AccessToken"].as_array().unwrap().len(),
        5_002
    );
    log.assert_clean();
}

#[tokio::test]
async fn a_lock_that_python_holds_delays_the_write_and_not_the_token() {
    let log = logs::capture();
    let shared = Shared::new();
    let ada = shared.sign_in(0);
    let lock = shared.python.hold_lock();

    let credential = shared.credential(&ada.username);
    let begin = Instant::now();
    let (token, _) = ask(&credential, OURS).await;
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(of(&shared.entries(), "AccessToken", &ada).len(), 1);
    // Until it is written, the token is kept in memory.
    assert_eq!(ask(&credential, OURS).await.0, token);
    assert_eq!(shared.entra.request_count(), 1);

    let closing = tokio::spawn(async move { credential.close().await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!closing.is_finished(), "close waits for the write");
    drop(lock);
    closing.await.unwrap().unwrap();
    let found = shared
        .python
        .run(&["find", OURS, "--username", &ada.username]);
    assert_eq!(found["token"], token);
    log.assert_clean();
}
