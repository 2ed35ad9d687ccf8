//! The file among those who have it open.

use std::fs::{self, File, OpenOptions};
use std::os::windows::fs::OpenOptionsExt;
use std::thread;
use std::time::{Duration, Instant};

use msal_token_cache::{ErrorKind, FilePersistence, Merged, Persistence};

use super::super::sample::Place;
use super::super::writing::rotate;

const SHARE_NOTHING: u32 = 0;
/// As Python's `open` does, like everything that goes through the C library.
const SHARE_READ_AND_WRITE: u32 = 3;

fn opened(place: &Place, share: u32) -> File {
    let mut options = OpenOptions::new();
    options.read(true).share_mode(share);
    options.open(&place.path).unwrap()
}

#[test]
fn a_reader_that_does_not_share_the_files_removal_is_waited_for() {
    let place = Place::signed_in();
    let cache = place.cache();
    cache.snapshot().unwrap();
    let reader = opened(&place, SHARE_READ_AND_WRITE);
    thread::scope(|scope| {
        let written = scope.spawn(|| rotate(&cache));
        thread::sleep(Duration::from_millis(300));
        assert!(!written.is_finished());
        drop(reader);
        assert_eq!(written.join().unwrap().unwrap(), Merged::Stored);
    });
    assert_eq!(place.names(), ["msal.cache.nocae"]);
}

#[test]
fn one_that_never_lets_go_of_the_file_is_an_error_that_says_so() {
    let place = Place::signed_in();
    let before = place.content();
    let cache = place.cache();
    cache.snapshot().unwrap();
    let reader = opened(&place, SHARE_READ_AND_WRITE);
    let begun = Instant::now();
    let error = rotate(&cache).unwrap_err();
    let took = begun.elapsed();
    // Peers wait five seconds for our lock.
    assert!(took < Duration::from_secs(3), "it took {took:?}");
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    let text = error.to_string();
    for part in ["another program has it open", place.path.to_str().unwrap()] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(place.names(), ["msal.cache.nocae"]);
    drop(reader);
    assert_eq!(place.content(), before);
    assert_eq!(rotate(&cache).unwrap(), Merged::Stored);
}

#[test]
fn a_file_that_is_shared_with_nobody_is_waited_for_a_while() {
    let place = Place::signed_in();
    let writer = opened(&place, SHARE_NOTHING);
    let error = place.cache().snapshot().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().contains(place.path.to_str().unwrap()));
    thread::scope(|scope| {
        let read = scope.spawn(|| place.cache().snapshot());
        thread::sleep(Duration::from_millis(30));
        drop(writer);
        assert_eq!(read.join().unwrap().unwrap().accounts().count(), 1);
    });
}

/// Peers write in place, and some share that with nobody, while we ask how the file is.
#[test]
fn asking_how_the_file_is_needs_nobodys_consent() {
    let place = Place::signed_in();
    let before = place.persistence().stamp().unwrap();
    let alone = opened(&place, SHARE_NOTHING);
    assert_eq!(place.persistence().stamp().unwrap(), before);
    drop(alone);
}

#[test]
fn what_is_no_file_is_neither_read_nor_written() {
    let place = Place::empty();
    fs::create_dir(&place.path).unwrap();
    for path in [&*place.path, r"\\.\NUL".as_ref()] {
        let persistence = FilePersistence::new(path);
        let error = persistence.load().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Insecure, "{error}");
        let error = persistence.save(b"{}").unwrap_err();
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
    assert!(place.path.is_dir());
}

#[test]
fn a_file_that_is_read_only_stays_as_it_is() {
    let place = Place::signed_in();
    let before = place.content();
    let set = |is_read_only| {
        let mut permissions = fs::metadata(&place.path).unwrap().permissions();
        permissions.set_readonly(is_read_only);
        fs::set_permissions(&place.path, permissions).unwrap();
    };
    set(true);
    let error = rotate(&place.cache()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Insecure, "{error}");
    assert!(error.to_string().contains("read-only"), "{error}");
    assert_eq!(place.content(), before);
    assert_eq!(place.names(), ["msal.cache.nocae"]);
    set(false);
    assert_eq!(rotate(&place.cache()).unwrap(), Merged::Stored);
}

/// Python reloads when the file is younger than its last look.
#[test]
fn the_files_time_is_that_of_its_replacement() {
    let place = Place::empty();
    let before = std::time::SystemTime::now();
    let saved = place.persistence().save_if(&vec![b' '; 8 << 20], &|| {
        thread::sleep(Duration::from_millis(300));
        true
    });
    let stamp = saved.unwrap().unwrap();
    let modified = fs::metadata(&place.path).unwrap().modified().unwrap();
    assert!(modified.duration_since(before).unwrap() >= Duration::from_millis(300));
    assert_eq!(place.persistence().stamp().unwrap(), Some(stamp));
}
