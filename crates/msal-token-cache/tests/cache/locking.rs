//! The lock file: what it says, who is succeeded, and what is left of it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use msal_token_cache::{Error, ErrorKind, Persistence, StoreLock};

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

/// The id of a process that has ended.
fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// What we write into the lock file, for a process of this id.
fn signature(pid: u32) -> String {
    signature_since(
        &fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap(),
        pid,
    )
}

fn signature_since(boot: &str, pid: u32) -> String {
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap();
    format!(
        "{pid} msal-token-cache {} {}",
        boot.trim(),
        namespace.display()
    )
}

#[test]
fn the_lock_file_names_its_holder_and_goes_with_the_lock() {
    let place = Place::signed_in();
    let lock = lock_within(&place, 0).unwrap();
    assert!(lock.is_held());
    let text = fs::read_to_string(place.lock_path()).unwrap();
    assert_eq!(text, signature(std::process::id()));
    assert_eq!(
        fs::metadata(place.lock_path()).unwrap().mode() & 0o7777,
        0o600
    );
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
    assert!((200..400).contains(&waited.as_millis()), "{waited:?}");
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
fn table() -> Vec<(&'static str, Vec<u8>, u64, bool)> {
    let (dead, alive) = (dead_pid(), std::os::unix::process::parent_id());
    let elsewhere = signature(alive).replace("pid:[", "pid:[1");
    let before_the_boot = signature_since("00000000-0000-0000-0000-000000000000", alive);
    let text = String::into_bytes;
    vec![
        ("our dead one", text(signature(dead)), 1_100, true),
        ("our dead one, just now", text(signature(dead)), 0, false),
        (
            "our own id from a life before",
            text(signature(std::process::id())),
            1_100,
            true,
        ),
        ("ours, alive", text(signature(alive)), 3_600_000, false),
        (
            "ours, from elsewhere",
            text(elsewhere.clone()),
            10_100,
            true,
        ),
        (
            "ours, from elsewhere, younger",
            text(elsewhere),
            9_000,
            false,
        ),
        (
            "ours, from before the boot",
            text(before_the_boot.clone()),
            10_100,
            true,
        ),
        (
            "ours, from before the boot, younger",
            text(before_the_boot),
            9_000,
            false,
        ),
        (
            "ours, without a place",
            format!("{dead} msal-token-cache").into(),
            9_000,
            false,
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
            format!("{alive} python").into(),
            3_600_000,
            false,
        ),
        (
            "a dead peer with our words",
            signature(dead).replace("msal-t", "t").into(),
            9_000,
            false,
        ),
        (
            ".NET's braces and mark",
            format!("\u{feff}{{{alive}}} {{dotnet}}").into(),
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
    for (what, content, unchanged_for, is_taken) in table() {
        let place = Place::signed_in();
        leave(&place, &content, unchanged_for);
        let inode = fs::metadata(place.lock_path()).unwrap().ino();
        match lock_within(&place, 30) {
            Ok(lock) => {
                assert!(is_taken, "{what} was taken over");
                let file = fs::metadata(place.lock_path()).unwrap();
                assert_eq!(file.ino(), inode, "{what}: it is the same file");
                let text = fs::read_to_string(place.lock_path()).unwrap();
                assert_eq!(text, signature(std::process::id()), "{what}");
                drop(lock);
                assert_eq!(place.names(), ["msal.cache.nocae"], "{what}");
            }
            Err(error) => {
                assert!(!is_taken, "{what}: {error}");
                assert_eq!(error.kind(), ErrorKind::Locked, "{what}: {error}");
                assert_eq!(
                    fs::read(place.lock_path()).unwrap(),
                    content,
                    "{what} is left alone"
                );
            }
        }
    }
}

#[test]
fn a_dead_holder_of_ours_is_succeeded_after_a_second() {
    let place = Place::signed_in();
    leave(&place, signature(dead_pid()), 0);
    let begun = Instant::now();
    drop(lock_within(&place, 5_000).unwrap());
    let waited = begun.elapsed();
    assert!((950..2_000).contains(&waited.as_millis()), "{waited:?}");
}

#[test]
fn who_waits_for_the_same_dead_holder_gets_the_lock_one_by_one() {
    let place = Place::signed_in();
    leave(&place, signature(dead_pid()), 900);
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

#[test]
fn a_lock_file_that_was_deleted_holds_nothing_any_more() {
    let place = Place::signed_in();
    let lock = lock_within(&place, 0).unwrap();
    fs::remove_file(place.lock_path()).unwrap();
    assert!(!lock.is_held());

    // Nor does one that somebody else has put there.
    fs::write(place.lock_path(), "another's").unwrap();
    assert!(!lock.is_held());
    drop(lock);
    assert_eq!(
        fs::read(place.lock_path()).unwrap(),
        b"another's",
        "it is not ours to delete"
    );
}

#[test]
fn a_writer_whose_lock_file_is_deleted_begins_again() {
    let place = Place::signed_in();
    let redemption = super::sample::redeemed(&super::sample::signed_in());
    let mut runs = 0;
    place
        .cache()
        .modify(|transaction| {
            runs += 1;
            if runs == 1 {
                fs::remove_file(place.lock_path()).unwrap();
            }
            transaction.merge(&redemption)
        })
        .unwrap();
    assert_eq!(runs, 2);
    assert_eq!(place.cache().snapshot().unwrap().access_tokens().count(), 1);
    assert_eq!(place.names(), ["msal.cache.nocae"]);
}

/// Who waits takes the kernel's lock for an instant to see whether the holder lives. One that does
/// nothing else all the time must not make us leave our new lock file behind.
#[test]
fn a_curious_neighbour_does_not_lock_everybody_out() {
    let place = Place::signed_in();
    let is_over = AtomicBool::new(false);
    let path = place.lock_path();
    let looks = thread::scope(|scope| {
        let neighbour = scope.spawn(|| {
            let mut looks = 0_u32;
            while !is_over.load(Ordering::Relaxed) {
                if let Ok(file) = File::open(&path)
                    && file.try_lock().is_ok()
                {
                    looks += 1;
                }
            }
            looks
        });
        let begun = Instant::now();
        for _ in 0..2_000 {
            if begun.elapsed() > Duration::from_secs(3) {
                break;
            }
            drop(lock_within(&place, 1_000).unwrap_or_else(|error| {
                is_over.store(true, Ordering::Relaxed);
                panic!("{error}")
            }));
        }
        is_over.store(true, Ordering::Relaxed);
        neighbour.join().unwrap()
    });
    assert!(looks > 0, "the neighbour never came between");
    assert_eq!(place.names(), ["msal.cache.nocae"]);
}
