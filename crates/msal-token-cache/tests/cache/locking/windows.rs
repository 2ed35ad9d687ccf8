//! With files that others may not write while they are open.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind as IoErrorKind, Write as _};
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use msal_token_cache::{ErrorKind, FilePersistence, Persistence};

use super::super::sample::Place;
use super::super::windows::killed::{Killed, say_held};
use super::{is_in_the_way, lock_within};

/// After so many milliseconds a dead holder of ours is succeeded: nothing tells that it lived here.
pub(super) const SUCCEEDED_AFTER: u64 = 10_000;
/// So many milliseconds are not over when somebody gives up who waits for 200: Wine is slow.
pub(super) const LATEST: u128 = 2_000;

const SHARE_READ: u32 = 1;
const SHARE_ALL: u32 = 7;
const DELETE_ON_CLOSE: u32 = 0x0400_0000;

/// Plays a holder that says so and is killed.
pub(crate) fn holds(path: &Path) {
    let lock = FilePersistence::new(path).lock().unwrap();
    say_held();
    thread::sleep(Duration::from_secs(60));
    drop(lock);
}

fn holding(place: &Place) -> Killed {
    Killed::playing("a holder", &place.path)
}

/// The id of a process that has ended.
pub(super) fn dead_pid() -> u32 {
    holding(&Place::signed_in()).kill()
}

/// What we write into the lock file, for a process of this id.
pub(super) fn signature(pid: u32) -> String {
    format!("{pid} msal-token-cache")
}

#[test]
fn our_lock_keeps_every_kind_of_peer_out() {
    let place = Place::signed_in();
    let lock = lock_within(&place, 0).unwrap();
    let path = place.lock_path();
    // Python and Node create it.
    let created = File::create_new(&path);
    assert_eq!(created.unwrap_err().kind(), IoErrorKind::AlreadyExists);
    // .NET opens it and shares reading, Go and portalocker open it and share everything but its
    // removal.
    for share in [SHARE_READ, SHARE_READ | 2, SHARE_ALL] {
        let mut peer = OpenOptions::new();
        peer.read(true).write(true).create(true).truncate(false);
        let opened = peer.share_mode(share).open(&path);
        assert_eq!(opened.unwrap_err().raw_os_error(), Some(32), "{share}");
    }
    // Nobody can delete it: a second release by Node does no harm.
    assert_eq!(fs::remove_file(&path).unwrap_err().raw_os_error(), Some(32));
    assert!(lock.is_held(), "their attempts change nothing");
    drop(lock);
    File::create_new(&path).unwrap();
}

#[test]
fn who_gives_up_names_the_holder_and_not_itself() {
    let place = Place::signed_in();
    let holder = holding(&place);
    let error = lock_within(&place, 30).unwrap_err();
    is_in_the_way(holder.kill(), &error);
}

/// The kernel removes the file of a holder that is killed: nobody waits for its age.
#[test]
fn a_holder_that_is_killed_is_followed_at_once() {
    let place = Place::signed_in();
    let holder = holding(&place);
    thread::scope(|scope| {
        let next = scope.spawn(|| {
            let lock = lock_within(&place, 5_000).unwrap();
            (Instant::now(), lock.is_held())
        });
        thread::sleep(Duration::from_millis(300));
        assert!(!next.is_finished());
        let killed = Instant::now();
        holder.kill();
        let (taken, is_held) = next.join().unwrap();
        assert!(is_held && taken - killed < Duration::from_secs(2));
    });
    assert_eq!(place.names(), ["msal.cache.nocae"]);
}

/// As .NET holds it; Go and portalocker also lock a byte of it.
#[test]
fn who_has_the_file_open_to_write_is_waited_for() {
    for share in [SHARE_READ, SHARE_ALL] {
        let place = Place::signed_in();
        let mut peer = OpenOptions::new();
        peer.read(true).write(true).create(true).truncate(false);
        let peer = peer.share_mode(share).custom_flags(DELETE_ON_CLOSE);
        let peer = peer.open(place.lock_path()).unwrap();
        // As old as can be, and nobody's.
        peer.set_modified(SystemTime::now() - Duration::from_secs(3_600))
            .unwrap();
        let error = lock_within(&place, 100).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
        drop(peer);
        assert!(lock_within(&place, 1_000).unwrap().is_held());
    }
}

/// Whoever holds it by its existence could not delete it while we looked at it, and left it behind.
#[test]
fn who_looks_does_not_keep_its_holder_from_letting_go() {
    let place = Place::signed_in();
    let is_over = AtomicBool::new(false);
    let path = place.lock_path();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    drop(lock_within(&place, 0));
                }
            });
        }
        let mut turns = 0;
        let begun = Instant::now();
        let mut denied = 0;
        while turns < 20 && begun.elapsed() < Duration::from_secs(20) {
            match File::create_new(&path) {
                Ok(mut file) => {
                    write!(file, "{} python", std::process::id()).unwrap();
                    drop(file);
                    thread::sleep(Duration::from_millis(2));
                    denied += u32::from(fs::remove_file(&path).is_err());
                    turns += 1;
                }
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
        is_over.store(true, Ordering::Relaxed);
        assert_eq!((turns, denied), (20, 0), "(turns, denied)");
    });
    assert_eq!(place.names(), ["msal.cache.nocae"]);
}
