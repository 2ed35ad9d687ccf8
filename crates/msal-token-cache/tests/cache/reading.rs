//! What a reader makes of a file that others write in place, without asking anybody.

use std::fs;
use std::io::{Seek, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use msal_token_cache::{Error, ErrorKind, TokenCache};

use super::sample::{Place, ada, bob, redeemed, signed_in, vault_token};

fn usernames(cache: &TokenCache) -> Vec<String> {
    let snapshot = cache.snapshot().unwrap();
    let names = snapshot
        .accounts()
        .map(|account| account.username().unwrap().into_owned());
    names.collect()
}

/// Neither a reader nor a writer gets at this content, and both leave it as it is.
fn is_refused(place: &Place, kind: ErrorKind) -> Error {
    let content = place.content();
    let error = place.cache().snapshot().unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let location = place.path.to_str().unwrap();
    assert!(error.to_string().contains(location), "{error}");
    let written = place
        .cache()
        .modify(|transaction| transaction.merge(&redeemed(&signed_in())));
    assert_eq!(written.unwrap_err().kind(), kind);
    assert_eq!(place.content(), content);
    assert_eq!(place.names(), ["msal.cache.nocae"]);
    error
}

#[test]
fn where_there_is_no_file_there_is_an_empty_cache() {
    let place = Place::empty();
    let cache = place.cache();
    assert!(cache.current().is_none());
    assert_eq!(usernames(&cache), [""; 0]);
    assert_eq!(place.names(), [""; 0], "reading creates nothing");
    place.put(signed_in().to_json());
    assert_eq!(usernames(&cache), ["ada@contoso.example"]);
    fs::remove_file(&place.path).unwrap();
    assert_eq!(usernames(&cache), [""; 0], "signed out");
}

#[test]
fn what_has_not_changed_is_not_read_again() {
    let place = Place::signed_in();
    let cache = place.cache();
    let first = cache.snapshot().unwrap();
    assert_eq!(first.version(), cache.snapshot().unwrap().version());
    assert_eq!(first.version(), cache.current().unwrap().version());
    assert_eq!(first.version(), cache.clone().current().unwrap().version());
}

/// Names of one length, so that only the times and the inode differ.
#[test]
fn each_snapshot_has_a_version_of_its_own() {
    let places = [Place::signed_in(), Place::signed_in()];
    let caches = places.each_ref().map(Place::cache);
    let [one, other] = caches.each_ref().map(|cache| cache.snapshot().unwrap());
    assert_ne!(
        one.version(),
        other.version(),
        "of one content in two files"
    );
    assert!(one.version() > 0 && other.version() > 0);

    // Its address may be another one's later; its version is not.
    let version = one.version();
    drop(one);
    places[0].put("{}");
    let changed = caches[0].snapshot().unwrap();
    assert!(![version, other.version()].contains(&changed.version()));
    assert!(caches[0].is_current(&changed, caches[0].tick()));
    assert!(!caches[0].is_current(&other, caches[0].tick()));
}

#[test]
fn every_change_is_seen_however_quickly_it_follows() {
    let place = Place::signed_in();
    let cache = place.cache();
    let text = signed_in().to_json();
    for n in 100..400 {
        let name = format!("a{n}@contoso.example");
        let text = text.replace("ada@contoso.example", &name);
        let beside = place.folder().join("new");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, &place.path).unwrap();
        assert_eq!(usernames(&cache), [name]);
    }
}

#[test]
fn an_empty_file_is_waited_for_and_then_an_empty_cache() {
    let place = Place::holding("");
    let begun = Instant::now();
    assert_eq!(usernames(&place.cache()), [""; 0]);
    let waited = begun.elapsed();
    assert!(
        waited >= Duration::from_millis(560),
        "waited only {waited:?}"
    );
    assert!(waited < Duration::from_secs(2), "waited {waited:?}");
}

/// A file that is empty at every look, but never the same, is being written by somebody without
/// pauses. It was taken for a cache in which nobody is signed in.
#[test]
fn a_file_that_is_emptied_again_and_again_is_no_empty_cache() {
    let place = Place::holding("");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                place.put("");
            }
        });
        let read = place.cache().snapshot();
        let written = place.cache().modify(|_| Ok(()));
        is_over.store(true, Ordering::Relaxed);
        for error in [read.map(drop).unwrap_err(), written.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            let text = error.to_string();
            assert!(text.contains(place.path.to_str().unwrap()), "{text}");
        }
    });
}

#[test]
fn over_an_emptied_file_the_last_good_content_stays() {
    let place = Place::signed_in();
    let cache = place.cache();
    assert_eq!(usernames(&cache), ["ada@contoso.example"]);
    for half in ["", "{\"Account\": {", "[]"] {
        place.put(half);
        assert_eq!(usernames(&cache), ["ada@contoso.example"]);
        let begun = Instant::now();
        assert_eq!(usernames(&cache), ["ada@contoso.example"]);
        let waited = begun.elapsed();
        assert!(
            waited < Duration::from_millis(100),
            "it was read again: {waited:?}"
        );

        // A writer neither takes the last good content for what is in the file, nor an emptied
        // file for a sign-out.
        let merged = cache.modify(|transaction| transaction.merge(&redeemed(&signed_in())));
        assert_eq!(merged.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(place.content(), half.as_bytes());
        assert_eq!(usernames(&cache), ["ada@contoso.example"]);
    }
    place.put("{}");
    assert_eq!(usernames(&cache), [""; 0], "until the file changes");
}

#[test]
fn that_there_was_no_file_is_no_last_good_content() {
    let place = Place::empty();
    let cache = place.cache();
    assert_eq!(usernames(&cache), [""; 0]);
    place.put("{\"Account\": {");
    assert_eq!(cache.snapshot().unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn what_is_no_cache_is_refused_by_name_and_left_alone() {
    for content in [
        &b"{\"Account\": {"[..],
        b" ",
        b"null",
        b"[]",
        b"{} {}",
        b"{\"a\": NaN}",
        b"\xFF\xFE{\x00}\x00",
        b"{\"a\": \"\xFF\"}",
        b"\x00\x00\x00\x00",
    ] {
        is_refused(&Place::holding(content), ErrorKind::Corrupt);
    }
}

#[test]
fn what_another_program_encrypted_is_refused_by_name_and_left_alone() {
    for (content, what) in [
        (
            &b"\x01\x00\x00\x00\xD0\x8C\x9D\xDF\x01\x15\xD1\x11"[..],
            "DPAPI",
        ),
        (b"eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn", "JWE"),
        (
            br#"{"type":"CryptProtectData","data":"AQAAAA=="}"#,
            "Developer CLI",
        ),
    ] {
        let error = is_refused(&Place::holding(content), ErrorKind::UnsupportedFormat);
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn no_error_shows_what_the_file_holds() {
    let secret = test_support::logs::canary("secret in a torn file");
    let torn = format!("{{\"RefreshToken\": {{\"k\": {{\"secret\": \"{secret}\"");
    let error = is_refused(&Place::holding(torn), ErrorKind::Corrupt);
    assert_eq!(
        test_support::logs::leaks_in(&format!("{error} {error:?}")),
        [""; 0]
    );
}

#[test]
fn a_file_beyond_the_limit_is_not_read() {
    let place = Place::empty();
    fs::File::create(&place.path)
        .unwrap()
        .set_len(4 << 30)
        .unwrap();
    let begun = Instant::now();
    let error = place.cache().snapshot().unwrap_err();
    assert!(
        begun.elapsed() < Duration::from_millis(50),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("with_max_bytes"), "{error}");

    place.put(signed_in().to_json());
    let length = place.content().len() as u64;
    let limited = |bytes| TokenCache::new(place.persistence().with_max_bytes(bytes));
    assert_eq!(
        limited(length - 1).snapshot().unwrap_err().kind(),
        ErrorKind::TooLarge
    );
    assert_eq!(usernames(&limited(length)), ["ada@contoso.example"]);
}

/// A peer writes in place, 50 times a second and in pieces; whoever reads meanwhile has the
/// content from before or from after, and never none.
#[test]
fn readers_do_not_notice_a_peer_that_writes_in_place() {
    let contents = [
        signed_in(),
        signed_in()
            .account(&bob(), "x", "y")
            .access_token(&ada(), vault_token()),
    ]
    .map(|cache| cache.to_json());
    let place = Place::holding(&contents[0]);
    let begun = Instant::now();
    let is_over = AtomicBool::new(false);
    let torn = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .open(&place.path)
                .unwrap();
            for content in contents.iter().cycle() {
                let (half, rest) = content.split_at(content.len() / 2);
                file.set_len(0).unwrap();
                file.rewind().unwrap();
                thread::sleep(Duration::from_millis(1));
                file.write_all(half.as_bytes()).unwrap();
                thread::sleep(Duration::from_millis(1));
                file.write_all(rest.as_bytes()).unwrap();
                thread::sleep(Duration::from_millis(18));
                if begun.elapsed() > Duration::from_millis(1_500) {
                    break;
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        // What a reader without patience would have met, so that this test cannot pass for lack
        // of torn content.
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let content = fs::read(&place.path).unwrap();
                if serde_json::from_slice::<serde::de::IgnoredAny>(&content).is_err() {
                    torn.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for shared in [None, Some(place.cache())] {
            scope.spawn({
                let (place, is_over) = (&place, &is_over);
                move || {
                    while !is_over.load(Ordering::Relaxed) {
                        let cache = shared.clone().unwrap_or_else(|| place.cache());
                        let snapshot = cache.snapshot().unwrap();
                        let accounts = snapshot.accounts().count();
                        assert!((1..=2).contains(&accounts), "{accounts} accounts");
                        assert_eq!(snapshot.access_tokens().count() + 1, accounts);
                    }
                }
            });
        }
    });
    assert!(torn.into_inner() > 10);
}
