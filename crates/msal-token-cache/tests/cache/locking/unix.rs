//! With the kernel's locks, and with signatures that tell where a process lives.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use msal_token_cache::{ErrorKind, FilePersistence, Persistence};

use super::super::sample::{Place, redeemed, signed_in};
use super::{LeftFile, is_in_the_way, leave, lock_within};

/// After so many milliseconds a dead holder of ours is succeeded, for we see that it lived here.
pub(super) const SUCCEEDED_AFTER: u64 = 1_000;
/// So many milliseconds are not over when somebody gives up who waits for 200.
pub(super) const LATEST: u128 = 400;

/// The id of a process that has ended.
pub(super) fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// What we write into the lock file, for a process of this id.
pub(super) fn signature(pid: u32) -> String {
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

/// Those whose signature tells where their process lives, or does not.
pub(super) fn more_left_files() -> Vec<LeftFile> {
    let (dead, alive) = (dead_pid(), std::os::unix::process::parent_id());
    let elsewhere = signature(alive).replace("pid:[", "pid:[1");
    let before_the_boot = signature_since("00000000-0000-0000-0000-000000000000", alive);
    let text = String::into_bytes;
    vec![
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
        (
            "a dead peer with our words",
            signature(dead).replace("msal-t", "t").into(),
            9_000,
            false,
        ),
    ]
}

#[test]
fn who_gives_up_names_the_holder_and_not_itself() {
    let place = Place::signed_in();
    let holder = std::os::unix::process::parent_id();
    leave(&place, signature(holder), 3_600_000);
    is_in_the_way(holder, &lock_within(&place, 30).unwrap_err());
}

#[test]
fn the_lock_file_is_for_its_owner_only() {
    let place = Place::signed_in();
    let _lock = lock_within(&place, 0).unwrap();
    let file = fs::metadata(place.lock_path()).unwrap();
    assert_eq!(file.mode() & 0o7777, 0o600);
}

#[test]
fn who_succeeds_a_dead_holder_keeps_its_file() {
    let place = Place::signed_in();
    leave(&place, signature(dead_pid()), SUCCEEDED_AFTER + 100);
    let inode = || fs::metadata(place.lock_path()).unwrap().ino();
    let before = inode();
    let _lock = lock_within(&place, 30).unwrap();
    assert_eq!(inode(), before);
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
    let redemption = redeemed(&signed_in());
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

/// Its first name may be that of a file that matters, its owner may be somebody else.
#[test]
fn a_lock_file_that_may_be_anybodys_is_never_written_to() {
    let content = signature(dead_pid());
    let stays = |place: &Place, what: &str| {
        let error = lock_within(place, 30).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{what}: {error}");
        let left = fs::read_to_string(place.lock_path()).unwrap();
        assert_eq!(left, content, "{what}");
    };
    let place = Place::signed_in();
    leave(&place, &content, 3_600_000);
    fs::hard_link(place.lock_path(), place.folder().join("precious")).unwrap();
    stays(&place, "with a second name");
    fs::remove_file(place.folder().join("precious")).unwrap();
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(place.lock_path(), Some(65_534), None).unwrap();
        stays(&place, "another user's");
        std::os::unix::fs::chown(place.lock_path(), Some(0), None).unwrap();
    }
    assert!(lock_within(&place, 30).unwrap().is_held());
}

#[test]
fn a_lock_in_a_folder_that_was_replaced_holds_nothing_and_touches_nothing() {
    let place = Place::empty();
    let (folder, aside) = (place.folder().join("folder"), place.folder().join("aside"));
    let store = FilePersistence::new(folder.join("cache"));
    let lock = store.lock().unwrap();
    assert!(lock.is_held());
    fs::rename(&folder, &aside).unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("cache.lockfile"), "another's").unwrap();
    assert!(!lock.is_held());
    drop(lock);
    assert_eq!(fs::read_dir(&aside).unwrap().count(), 0);
    let text = fs::read_to_string(folder.join("cache.lockfile")).unwrap();
    assert_eq!(text, "another's");
}
