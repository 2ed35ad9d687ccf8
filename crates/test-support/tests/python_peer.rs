//! The Python peers among themselves: what other suites take for granted about them.
//!
//! Run by `cargo xtask test python-plain` and `python-portalocker`, which bring the packages.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::Value;
use tempfile::TempDir;
use test_support::python_peer::PythonPeer;

const SCOPE: &str = "https://resource0.example/.default";
const OTHER_SCOPE: &str = "https://other.example/.default";
const USER: [&str; 2] = ["--username", "user0@tenant0.example"];

/// A peer in an empty home, which lives as long as the first value.
fn peer() -> (TempDir, PythonPeer) {
    let home = tempfile::tempdir().unwrap();
    let peer = PythonPeer::at(home.path());
    (home, peer)
}

fn entries(report: &Value, section: &str) -> Vec<Value> {
    report[section].as_array().unwrap().clone()
}

#[test]
fn the_store_is_the_one_under_home() {
    let (home, peer) = peer();
    let store = home.path().join(".IdentityService/msal.cache.nocae");
    assert_eq!(peer.run(&["about"])["store"], store.to_str().unwrap());
    peer.run(&["write"]);
    assert!(store.is_file());
}

#[test]
fn an_empty_home_holds_no_account() {
    let (_home, peer) = peer();
    assert_eq!(peer.refusal(&["find", SCOPE]), "CredentialUnavailableError");
}

#[test]
fn what_one_process_writes_the_next_finds() {
    let (_home, peer) = peer();
    let written = peer.run(&["write", "--accounts", "2", "--tokens", "3"]);
    let found = peer.run(&[
        "find",
        written["scopes"][2].as_str().unwrap(),
        USER[0],
        USER[1],
    ]);
    let account = &written["accounts"][0];
    assert_eq!(
        found["account"]["home_account_id"],
        account["home_account_id"]
    );
    let tokens = entries(&peer.run(&["dump"]), "AccessToken");
    assert_eq!(tokens.len(), 6);
    let entry = tokens
        .iter()
        .find(|entry| entry["secret"] == found["token"])
        .unwrap();
    assert_eq!(entry["home_account_id"], account["home_account_id"]);
    assert_eq!(entry["target"], written["scopes"][2]);
    assert_eq!(entry["expires_on"], found["expires_on"].to_string());
}

#[test]
fn a_cached_token_needs_no_network_and_another_one_would() {
    let (_home, peer) = peer();
    peer.run(&["write"]);
    peer.run(&["find", SCOPE]);
    assert_eq!(peer.refusal(&["find", OTHER_SCOPE]), "NetworkRefused");
}

#[test]
fn a_redemption_rotates_the_refresh_token_and_keeps_the_access_token() {
    let (_home, peer) = peer();
    peer.run(&["write"]);
    let before = entries(&peer.run(&["dump"]), "RefreshToken");
    let redeemed = peer.run(&["redeem", OTHER_SCOPE]);
    assert_eq!(redeemed["sent"]["refresh_token"], before[0]["secret"]);
    let after = entries(&peer.run(&["dump"]), "RefreshToken");
    assert_eq!(after.len(), 1);
    assert_ne!(after[0]["secret"], before[0]["secret"]);
    assert_eq!(peer.run(&["find", OTHER_SCOPE])["token"], redeemed["token"]);
}

#[test]
fn a_redemption_takes_the_answer_that_it_is_given() {
    let (_home, peer) = peer();
    peer.run(&["write"]);
    let answer = r#"{"error": "invalid_grant", "error_description": "AADSTS50173: revoked"}"#;
    let refusal = peer.refusal(&["redeem", OTHER_SCOPE, "--response", answer]);
    assert_eq!(refusal, "ClientAuthenticationError");
    assert!(entries(&peer.run(&["dump"]), "RefreshToken").is_empty());
}

#[test]
fn an_application_of_msal_finds_the_token_too() {
    let (_home, peer) = peer();
    let written = peer.run(&["write"]);
    let tenant = written["accounts"][0]["tenant_id"].as_str().unwrap();
    let found = peer.run(&["silent", SCOPE, "--realm", tenant, USER[0], USER[1]]);
    assert_eq!(found["source"], "cache");
    assert_eq!(found["token"], peer.run(&["find", SCOPE])["token"]);
}

#[test]
fn the_cae_store_is_another_one() {
    let (_home, peer) = peer();
    peer.run(&["write", "--cae"]);
    peer.run(&["find", "--cae", SCOPE]);
    assert_eq!(peer.refusal(&["find", SCOPE]), "CredentialUnavailableError");
}

#[test]
fn looking_at_the_store_leaves_an_expired_token_in_it() {
    let (_home, peer) = peer();
    peer.run(&["write", "--expires-in", "-60"]);
    for _ in 0..2 {
        assert_eq!(entries(&peer.run(&["dump"]), "AccessToken").len(), 1);
    }
}

#[test]
fn one_save_writes_what_many_would() {
    let (_home, one) = peer();
    let (_other_home, many) = peer();
    one.run(&["write", "--accounts", "2", "--tokens", "2", "--bulk"]);
    many.run(&["write", "--accounts", "2", "--tokens", "2"]);
    let keys = |peer: &PythonPeer, section| -> Vec<[Value; 3]> {
        let entries = entries(&peer.run(&["dump"]), section);
        let fields = ["home_account_id", "realm", "target"];
        entries
            .iter()
            .map(|entry| fields.map(|field| entry[field].clone()))
            .collect()
    };
    for section in [
        "AccessToken",
        "RefreshToken",
        "IdToken",
        "Account",
        "AppMetadata",
    ] {
        assert_eq!(keys(&one, section), keys(&many, section), "{section}");
    }
}

#[test]
fn a_store_of_a_hundred_accounts_is_written_at_once() {
    let (_home, peer) = peer();
    let written = peer.run(&["write", "--accounts", "100", "--tokens", "50", "--bulk"]);
    let scope = written["scopes"][49].as_str().unwrap();
    let found = peer.run(&["find", scope, "--username", "user99@tenant99.example"]);
    let account = &written["accounts"][99];
    assert_eq!(
        found["account"]["home_account_id"],
        account["home_account_id"]
    );
}

#[test]
fn a_held_lock_is_a_file_that_goes_with_its_holder() {
    let (_home, peer) = peer();
    let lock = peer.hold_lock();
    let path = lock.path().to_owned();
    assert!(path.is_file());
    drop(lock);
    assert!(!path.exists());
}

#[test]
fn a_held_lock_keeps_the_other_peer_out() {
    let (_home, peer) = peer();
    let lock = peer.hold_lock();
    assert!(["LockError", "LockException", "AlreadyLocked"].contains(&&*peer.refusal(&["write"])));
    drop(lock);
    peer.run(&["write"]);
}
