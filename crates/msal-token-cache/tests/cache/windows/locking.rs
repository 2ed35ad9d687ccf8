//! The lock file: who is kept out, who is succeeded, and what is left of it.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind as IoErrorKind};
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use msal_token_cache::{Error, ErrorKind, FilePersistence, Persistence, StoreLock};

use super::super::roles;
use super::super::sample::Place;

const SHARE_READ: u32 = 1;
const SHARE_ALL: u32 = 7;
const DELETE_ON_CLOSE: u32 = 0x0400_0000;

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

#[expect(
    clippy::print_stdout,
    reason = "the process that started this one waits for it"
)]
pub(super) fn say_held() {
    println!("held");
}

/// Plays a holder that says so and is killed.
pub(crate) fn holds(path: &Path) {
    let lock = FilePersistence::new(path).lock().unwrap();
    say_held();
    thread::sleep(Duration::from_secs(60));
    drop(lock);
}

/// A process that plays a role which says when it has what it holds, until it is killed.
pub(super) struct Killed(Child);

impl Killed {
    pub(super) fn playing(role: &str, stage: &Path) -> Self {
        let mut command = roles::command(role, stage);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let is_held = said
            .lines()
            .map_while(Result::ok)
            .any(|line| line.ends_with("held"));
        assert!(is_held, "{role} holds nothing");
        Self(child)
    }

    fn holding(place: &Place) -> Self {
        Self::playing("a holder", &place.path)
    }

    pub(super) fn kill(mut self) -> u32 {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        self.0.id()
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The id of a process that has ended.
fn dead_pid() -> u32 {
    Killed::holding(&Place::signed_in()).kill()
}

fn signature(pid: u32) -> String {
    format!("{pid} msal-token-cache")
}

#[test]
fn the_lock_file_names_its_holder_and_goes_with_the_lock() {
    let place = Place::signed_in();
    let lock = lock_within(&place, 0).unwrap();
    assert!(lock.is_held());
    // Who reads it has to share that it is written and deleted.
    let text = fs::read_to_string(place.lock_path()).unwrap();
    assert_eq!(text, signature(std::process::id()));
    drop(lock);
    assert_eq!(place.names(), ["msal.cache.nocae"]);
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
fn a_second_one_waits_and_then_says_who_is_in_the_way() {
    let place = Place::signed_in();
    let holder = Killed::holding(&place);
    let begun = Instant::now();
    let error = lock_within(&place, 200).unwrap_err();
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    for part in [
        &format!("process {}", holder.0.id()),
        place.lock_path().to_str().unwrap(),
        "200ms",
    ] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// The kernel removes the file of a holder that is killed: nobody waits for its age.
#[test]
fn a_holder_that_is_killed_is_followed_at_once() {
    let place = Place::signed_in();
    let holder = Killed::holding(&place);
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

/// As Python holds it: nobody has the file open.
#[test]
fn a_lock_file_that_nobody_has_open_is_its_processs_while_that_lives() {
    let (dead, alive) = (dead_pid(), std::process::id());
    let text = String::into_bytes;
    for (what, content, unchanged_for, is_taken) in [
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
        ("our dead one", text(signature(dead)), 10_100, true),
        (
            "our own id from a life before",
            text(signature(alive)),
            10_100,
            true,
        ),
        ("nothing", Vec::new(), 10_100, true),
        ("nothing, younger", Vec::new(), 9_000, false),
        ("garbage", b"\xFF\x00 -1 {}".to_vec(), 10_100, true),
        (
            ".NET's braces and mark",
            format!("\u{feff}{{{alive}}} {{dotnet}}").into(),
            3_600_000,
            false,
        ),
        ("a megabyte", vec![b'1'; 1 << 20], 10_100, true),
    ] {
        let place = Place::signed_in();
        leave(&place, &content, unchanged_for);
        match lock_within(&place, 30) {
            Ok(lock) => {
                assert!(is_taken && lock.is_held(), "{what} was taken over");
                let text = fs::read_to_string(place.lock_path()).unwrap();
                assert_eq!(text, signature(alive), "{what}");
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
                    let signed = std::io::Write::write_all(
                        &mut file,
                        format!("{} python", std::process::id()).as_bytes(),
                    );
                    signed.unwrap();
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

#[test]
fn who_waits_for_the_same_dead_holder_gets_the_lock_one_by_one() {
    let place = Place::signed_in();
    leave(&place, signature(dead_pid()), 9_900);
    let is_inside = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
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
