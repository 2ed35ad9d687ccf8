//! The store that Windows encrypts.

use std::fs;

use msal_token_cache::{
    DpapiPersistence, Error, ErrorKind, FilePersistence, Merged, Persistence, TokenCache,
};
use test_support::logs;

use super::super::sample::{Place, ROTATED, signed_in};
use super::super::writing::rotate;

fn encrypted(place: &Place) -> TokenCache {
    TokenCache::new(DpapiPersistence::in_file(place.persistence()))
}

/// Ada has signed in, and Windows encrypted that.
fn signed_in_here() -> Place {
    let place = Place::empty();
    let text = signed_in().to_json();
    DpapiPersistence::new(&place.path)
        .save(text.as_bytes())
        .unwrap();
    place
}

#[test]
fn what_was_written_is_read_back_and_is_no_text() {
    let place = signed_in_here();
    let blob = place.content();
    assert!(std::str::from_utf8(&blob).is_err());
    assert!(!blob.windows(7).any(|part| part == b"Account"));
    let loaded = DpapiPersistence::new(&place.path).load().unwrap().unwrap();
    assert_eq!(loaded.bytes.as_slice(), signed_in().to_json().as_bytes());

    assert_eq!(rotate(&encrypted(&place)).unwrap(), Merged::Stored);
    let snapshot = encrypted(&place).snapshot().unwrap();
    let token = snapshot.refresh_tokens().next().unwrap();
    assert_eq!(token.secret().expose_secret(), ROTATED);
    assert_eq!(place.names(), ["msal.cache.nocae"]);
}

#[test]
fn what_others_write_is_seen() {
    let place = signed_in_here();
    let cache = encrypted(&place);
    assert_eq!(cache.snapshot().unwrap().accounts().count(), 1);
    DpapiPersistence::new(&place.path).save(b"{}").unwrap();
    assert_eq!(cache.snapshot().unwrap().accounts().count(), 0);
    fs::remove_file(&place.path).unwrap();
    assert_eq!(rotate(&cache).unwrap(), Merged::SignedOut);
}

/// Neither a reader nor a writer gets at this content, and both leave it as it is.
fn is_refused(place: &Place, kind: ErrorKind) -> Error {
    let content = place.content();
    let read = encrypted(place).snapshot().unwrap_err();
    let merged = rotate(&encrypted(place)).unwrap_err();
    let saved = DpapiPersistence::new(&place.path).save(b"{}").unwrap_err();
    for error in [&read, &merged, &saved] {
        assert_eq!(error.kind(), kind, "{error}");
        let text = error.to_string();
        assert!(text.contains(place.path.to_str().unwrap()), "{text}");
        assert_eq!(logs::leaks_in(&format!("{error:?}")), [""; 0]);
    }
    assert_eq!(place.content(), content);
    assert_eq!(place.names(), ["msal.cache.nocae"]);
    read
}

#[test]
fn what_windows_did_not_encrypt_is_refused_by_name_and_left_alone() {
    for (content, what) in [
        (signed_in().to_json().into_bytes(), "plain text"),
        (b"eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn".to_vec(), "JWE"),
        (
            br#"{"type":"CryptProtectData","data":"AQAAAA=="}"#.to_vec(),
            "Developer CLI",
        ),
    ] {
        let error = is_refused(&Place::holding(content), ErrorKind::UnsupportedFormat);
        assert!(error.to_string().contains(what), "{error}");
    }
}

/// Half a blob may be a peer's that is being written; what was tampered with looks the same.
#[test]
fn a_blob_that_is_torn_or_tampered_with_or_none_is_refused_and_left_alone() {
    let place = signed_in_here();
    let blob = place.content();
    place.put(&blob[..blob.len() - 40]);
    is_refused(&place, ErrorKind::Corrupt);
    let mut tampered = blob;
    let at = tampered.len() - 30;
    tampered[at] ^= 1;
    place.put(tampered);
    is_refused(&place, ErrorKind::Corrupt);
    is_refused(&Place::holding([7; 300]), ErrorKind::Corrupt);
}

/// Whoever has seen good content keeps it while a peer writes.
#[test]
fn over_a_torn_blob_the_last_good_content_stays() {
    let place = signed_in_here();
    let cache = encrypted(&place);
    assert_eq!(cache.snapshot().unwrap().accounts().count(), 1);
    let blob = place.content();
    for half in [&blob[..blob.len() / 2], b""] {
        place.put(half);
        assert_eq!(cache.snapshot().unwrap().accounts().count(), 1);
    }
    place.put(&blob);
    assert_eq!(cache.snapshot().unwrap().accounts().count(), 1);
}

#[test]
fn an_encrypted_cache_is_not_written_over_in_plain_text() {
    let place = signed_in_here();
    let blob = place.content();
    let error = rotate(&place.cache()).unwrap_err();
    // What Wine encrypts does not begin as what Windows does: there it is just no text.
    let is_refused = matches!(
        error.kind(),
        ErrorKind::UnsupportedFormat | ErrorKind::Corrupt
    );
    assert!(is_refused, "{error}");
    assert_eq!(place.content(), blob);
}

#[test]
fn the_limits_are_those_of_the_file() {
    let place = signed_in_here();
    let file = FilePersistence::new(&place.path).with_max_bytes(10);
    let error = DpapiPersistence::in_file(file).load().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    // A blob is longer than what it holds.
    let file = FilePersistence::new(&place.path).with_max_bytes(100_000);
    let limit = DpapiPersistence::in_file(file).max_bytes().unwrap();
    assert!((90_000..100_000).contains(&limit), "{limit}");
}
