//! The lock file: what it says, who is succeeded, and what is left of it.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
pub(crate) mod windows;

use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use msal_token_cache::{Error, ErrorKind, Persistence, StoreLock};

#[cfg(unix)]
use self::unix::{LATEST, SUCCEEDED_AFTER, dead_pid, signature};
#[cfg(windows)]
use self::windows::{LATEST, SUCCEEDED_AFTER, dead_pid, signature};
use super::sample::Place;

/// Tries to lock for so long.
fn lock_within(place: &Place, millis: u64) -> Result<Box<dyn StoreLock>, Error> {
    place
        .persistence()
        .with_lock_timeout(Duration::from_millis(millis))
        .lock()
}

/// Leaves a lock file behind that has not changed for so long.
fn leave(place: &Place, content: impl AsRef<[u8]>, millis: u64) {
    fs::write(place.lock_path(), content).unwrap();
    let file = File::options().write(true).open(place.lock_path()).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_millis(millis))
        .unwrap();
}

/// The error says that this process holds the lock, which is another one than this.
fn is_in_the_way(holder: u32, error: &Error) {
    assert_ne!(holder, std::process::id());
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("process {holder} has held ")),
        "{text}"
    );
}

#[test]
fn the_lock_file_names_its_holder_and_goes_with_the_lock() {
    let place = Place::signed_in();
    let lock = lock_within(&place, 0).unwrap();
    assert!(lock.is_held());
    let text = fs::read_to_string(place.lock_path()).unwrap();
    assert_eq!(text, signature(std::process::id()));
    drop(lock);
    assert_eq!(place.names(), ["msal.cache.nocae"]);
}

#[test]
fn a_second_one_waits_and_then_says_who_is_in_the_way() {
    let place = Place::signed_in();
    let lock = lock_within(&place, 0).unwrap();
    let begun = Instant::now();
    let error = lock_within(&place, 200).unwrap_err();
    let waited = begun.elapsed();
    assert!((200..LATEST).contains(&waited.as_millis()), "{waited:?}");
    assert_eq!(error.kind(), ErrorKind::Locked);
    for part in [
        &format!("process {}", std::process::id()),
        place.lock_path().to_str().unwrap(),
        "200ms",
    ] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(lock.is_held());
    drop(lock);
    assert!(lock_within(&place, 0).unwrap().is_held());
}

/// (what, content, for so long unchanged, is it taken over?)
type LeftFile = (&'static str, Vec<u8>, u64, bool);

fn left_files() -> Vec<LeftFile> {
    let (dead, ours) = (dead_pid(), std::process::id());
    let text = String::into_bytes;
    vec![
        (
            "our dead one",
            text(signature(dead)),
            SUCCEEDED_AFTER + 100,
            true,
        ),
        (
            "our dead one, younger",
            text(signature(dead)),
            SUCCEEDED_AFTER - 1_000,
            false,
        ),
        (
            "our own id from a life before",
            text(signature(ours)),
            SUCCEEDED_AFTER + 100,
            true,
        ),
        ("a dead peer", format!("{dead} python").into(), 10_100, true),
        (
            "a dead peer, younger",
            format!("{dead} python").into(),
            9_000,
            false,
        ),
        (
            "a peer, alive",
            format!("{ours} python").into(),
            3_600_000,
            false,
        ),
        (
            ".NET's braces and mark",
            format!("\u{feff}{{{ours}}} {{dotnet}}").into(),
            3_600_000,
            false,
        ),
        ("nothing", Vec::new(), 10_100, true),
        ("nothing, younger", Vec::new(), 9_000, false),
        ("garbage", b"\xFF\x00 -1 {}".to_vec(), 10_100, true),
        ("garbage, younger", b"\xFF\x00 -1 {}".to_vec(), 9_000, false),
        ("a process group", b"-1 python".to_vec(), 10_100, true),
        (
            "a number too large",
            b"99999999999999999999".to_vec(),
            10_100,
            true,
        ),
        ("a megabyte", vec![b'1'; 1 << 20], 10_100, true),
        ("a megabyte, younger", vec![b' '; 1 << 20], 9_000, false),
    ]
}

#[test]
fn only_a_lock_file_of_the_dead_is_taken_over() {
    let files = left_files();
    #[cfg(unix)]
    let files = [files, unix::more_left_files()].concat();
    for (what, content, unchanged_for, is_taken) in files {
        let place = Place::signed_in();
        leave(&place, &content, unchanged_for);
        match lock_within(&place, 30) {
            Ok(lock) => {
                assert!(is_taken && lock.is_held(), "{what} was taken over");
                let text = fs::read_to_string(place.lock_path()).unwrap();
                assert_eq!(text, signature(std::process::id()), "{what}");
                assert!(lock_within(&place, 30).is_err(), "{what}");
                drop(lock);
                assert_eq!(place.names(), ["msal.cache.nocae"], "{what}");
            }
            Err(error) => {
                assert!(!is_taken, "{what}: {error}");
                assert_eq!(error.kind(), ErrorKind::Locked, "{what}: {error}");
                let left = fs::read(place.lock_path()).unwrap();
                assert_eq!(left, content, "{what} is left alone");
            }
        }
    }
}

/// The clock was set back, or is another machine's.
#[test]
fn an_age_counts_in_both_directions() {
    let files: [(_, Vec<u8>, _, _); 5] = [
        ("ours", signature(dead_pid()).into(), 3_600, true),
        ("a peer's", dead_pid().to_string().into(), 3_600, true),
        ("nobody's", Vec::new(), 3_600, true),
        ("a peer's, soon", dead_pid().to_string().into(), 8, false),
        ("alive", std::process::id().to_string().into(), 3_600, false),
    ];
    for (what, content, ahead, is_taken) in files {
        let place = Place::signed_in();
        fs::write(place.lock_path(), &content).unwrap();
        let file = File::options().write(true).open(place.lock_path()).unwrap();
        let time = SystemTime::now().checked_add(Duration::from_secs(ahead));
        file.set_modified(time.unwrap()).unwrap();
        drop(file);
        let lock = lock_within(&place, 30);
        assert_eq!(lock.is_ok(), is_taken, "{what}: {lock:?}");
    }
}

#[test]
fn who_waits_for_the_same_dead_holder_gets_the_lock_one_by_one() {
    let place = Place::signed_in();
    leave(&place, signature(dead_pid()), SUCCEEDED_AFTER - 100);
    let is_inside = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let lock = lock_within(&place, 10_000).unwrap();
                    assert!(!is_inside.swap(true, Ordering::SeqCst), "two hold the lock");
                    thread::sleep(Duration::from_micros(200));
                    is_inside.store(false, Ordering::SeqCst);
                    drop(lock);
                }
            });
        }
    });
    assert_eq!(place.names(), ["msal.cache.nocae"]);
}
