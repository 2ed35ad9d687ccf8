//! How the file is replaced: its modes, its times, and where that cannot be.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use msal_token_cache::{ErrorKind, FilePersistence, Merged, Persistence, Redemption, TokenCache};
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use test_support::logs;
use token_credential::Secret;

use super::roles;
use super::sample::{NOW, Place, ROTATED, ada, at};
use super::writing::rotate;

#[test]
fn the_file_is_replaced_by_another_and_nothing_is_left_beside_it() {
    let place = Place::signed_in();
    let before = fs::metadata(&place.path).unwrap();
    let reader = fs::File::open(&place.path).unwrap();
    let cache = place.cache();
    assert_eq!(rotate(&cache).unwrap(), Merged::Stored);
    let after = fs::metadata(&place.path).unwrap();
    assert_ne!(after.ino(), before.ino());
    assert_eq!(after.mode() & 0o7777, 0o600);
    assert_eq!(
        reader.metadata().unwrap().len(),
        before.len(),
        "a reader keeps what it opened"
    );
    assert_eq!(place.names(), ["msal.cache.nocae"]);

    let written = cache.current().unwrap();
    assert_eq!(
        written.version(),
        cache.snapshot().unwrap().version(),
        "what was written is not read again"
    );
    let secrets = written.refresh_tokens().map(|token| token.secret().clone());
    assert_eq!(
        secrets
            .map(|s| s.expose_secret().to_owned())
            .collect::<Vec<_>>(),
        [ROTATED]
    );
}

/// Python reloads when the file is younger than its last look. The content is large, so that the
/// time of writing it and that of renaming it, which is the status time, are not the same tick.
#[test]
fn the_files_time_is_not_before_its_renaming() {
    let place = Place::empty();
    let content = vec![b' '; 8 << 20];
    place.persistence().save(&content).unwrap();
    let after = fs::metadata(&place.path).unwrap();
    let [modified, changed] = [
        (after.mtime(), after.mtime_nsec()),
        (after.ctime(), after.ctime_nsec()),
    ];
    assert_eq!(modified, changed);
    assert_eq!(place.content(), content);
}

#[test]
fn folder_and_file_are_for_their_owner_only_whatever_the_umask() {
    for role in ["umask 000", "umask 077"] {
        let place = Place::empty();
        let path = place.folder().join("new/folder/cache");
        roles::succeeds(roles::command(role, &path));
        for folder in path.ancestors().skip(1).take(2) {
            assert_eq!(fs::metadata(folder).unwrap().mode() & 0o7777, 0o700);
        }
    }
    // A mask that takes the owner's right away too; folders need it.
    let place = Place::empty();
    roles::succeeds(roles::command("umask 200", &place.path));
}

pub(crate) fn is_private_under(mask: u32, path: &Path) {
    umask(Mode::from_bits_truncate(mask));
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    let persistence = FilePersistence::new(path);
    assert!(persistence.load().unwrap().is_none());
    let folder = path.ancestors().find(|folder| folder.exists()).unwrap();
    let names = fs::read_dir(folder).unwrap().count();
    assert_eq!(names, 0, "reading creates nothing");
    let lock = persistence.lock().unwrap();
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lockfile");
    assert_eq!(mode(Path::new(&lock_path)) & 0o077, 0);
    persistence.save(b"{}").unwrap();
    drop(lock);
    assert_eq!(mode(path), 0o600);
}

#[test]
fn where_nothing_may_be_written_the_error_names_the_file() {
    let place = Place::signed_in();
    if geteuid().is_root() {
        // Root may write everywhere, so somebody else tries.
        chown(&place.path, Some(roles::NOBODY), None).unwrap();
        chown(place.folder(), Some(roles::NOBODY), None).unwrap();
        roles::play_as_nobody("a hand tied", &place.path);
    } else {
        a_folder_that_may_not_be_written_is_an_error(&place.path);
    }
}

/// For the owner of the file and its folder.
pub(crate) fn a_folder_that_may_not_be_written_is_an_error(path: &Path) {
    let folder = path.parent().unwrap();
    let before = fs::read(path).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
    let cache = TokenCache::new(FilePersistence::new(path));
    assert_eq!(cache.snapshot().unwrap().accounts().count(), 1);
    let merged = rotate(&cache).unwrap_err();
    let saved = FilePersistence::new(path).save(b"{}").unwrap_err();
    for error in [merged, saved] {
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
    assert_eq!(fs::read(path).unwrap(), before);
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
}

/// The command that runs what follows while one path is mounted over another: in a mount namespace
/// of its own, so that nothing is left mounted. Who is not root becomes it in a user namespace.
fn mounting(what: &Path, over: &Path) -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private"]);
    if !geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    let mount = r#"mount --bind "$0" "$1" && shift && exec "$@""#;
    unshare.args(["sh", "-c", mount]).args([what, over]);
    unshare
}

#[test]
fn a_file_that_is_a_mount_of_its_own_is_written_in_place() {
    let place = Place::signed_in();
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o644)).unwrap();
    let unshare = mounting(&place.path, &place.path);
    roles::succeeds(roles::command_through(unshare, "a mount", &place.path));
    assert!(
        String::from_utf8(place.content())
            .unwrap()
            .contains(ROTATED)
    );
}

pub(crate) fn a_file_that_cannot_be_replaced_is_written_in_place(path: &Path) {
    let capture = logs::capture();
    let inode = fs::metadata(path).unwrap().ino();
    let cache = TokenCache::new(FilePersistence::new(path));
    // Longer than before and then shorter, so that nothing of the old may stay behind the new.
    for secret in ["long".repeat(1_000), "short".to_owned()] {
        let merged = cache.modify(|transaction| {
            let snapshot = transaction.snapshot();
            let redemption = Redemption::new(
                &snapshot.refresh_tokens().next().unwrap(),
                ada().utid,
                "a scope",
                Secret::new(secret.clone()),
                at(NOW),
                at(NOW + 3_600),
            );
            transaction.merge(&redemption)
        });
        assert_eq!(merged.unwrap(), Merged::Stored);
        let again = TokenCache::new(FilePersistence::new(path));
        let snapshot = again.snapshot().unwrap();
        let stored = snapshot.access_tokens().next().unwrap();
        assert!(stored.secret().expose_secret() == secret);
    }
    assert_eq!(rotate(&cache).unwrap(), Merged::Stored);
    let after = fs::metadata(path).unwrap();
    assert_eq!(after.ino(), inode);
    assert_eq!(after.mode() & 0o7777, 0o600, "as when it is replaced");
    assert_eq!(
        fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1,
        "no temporary is left"
    );
    let warnings = capture
        .lines()
        .into_iter()
        .filter(|line| line.level == tracing::Level::WARN && line.text.contains("in place"));
    assert_eq!(warnings.count(), 1);
}

/// Looking for what dead writers left went on for ever, and held the lock.
#[test]
fn where_the_folder_cannot_be_listed_the_file_is_replaced_all_the_same() {
    let place = Place::signed_in();
    let mut strace = Command::new("timeout");
    strace.args(["20", "strace", "--follow-forks", "--output", "/dev/null"]);
    strace.args(["--trace", "getdents64"]);
    strace.args(["--inject", "getdents64:error=EIO:when=1+"]);
    roles::succeeds(roles::command_through(strace, "no list", &place.path));
}

pub(crate) fn the_file_is_replaced(path: &Path) {
    let cache = TokenCache::new(FilePersistence::new(path));
    assert_eq!(rotate(&cache).unwrap(), Merged::Stored);
    assert!(fs::read_to_string(path).unwrap().contains(ROTATED));
}

#[test]
fn where_there_is_no_proc_the_file_is_replaced_all_the_same() {
    let (place, nothing) = (Place::signed_in(), Place::empty());
    let unshare = mounting(nothing.folder(), Path::new("/proc"));
    roles::succeeds(roles::command_through(unshare, "no proc", &place.path));
}

pub(crate) fn the_file_is_replaced_without_proc(path: &Path) {
    assert_eq!(fs::read_dir("/proc").unwrap().count(), 0);
    let before = fs::metadata(path).unwrap();
    let cache = TokenCache::new(FilePersistence::new(path));
    assert_eq!(rotate(&cache).unwrap(), Merged::Stored);
    let after = fs::metadata(path).unwrap();
    assert_ne!(after.ino(), before.ino());
    assert_eq!(after.mode() & 0o7777, 0o600);
    assert!(fs::read_to_string(path).unwrap().contains(ROTATED));
    let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(names, 1, "no temporary is left");
}

/// The system ends a process that writes beyond the limit on the size of its files.
#[test]
fn where_files_may_not_grow_a_write_is_an_error_and_leaves_nothing() {
    // With no byte the lock cannot be signed; a few hundred are enough for that.
    for blocks in ["0", "1"] {
        for is_a_mount in [false, true] {
            let place = Place::signed_in();
            let mut limited = if is_a_mount {
                mounting(&place.path, &place.path)
            } else {
                Command::new("env")
            };
            limited.args(["sh", "-c", r#"ulimit -f "$0" && exec "$@""#, blocks]);
            let before = place.content();
            roles::succeeds(roles::command_through(limited, "no room", &place.path));
            assert_eq!(place.content(), before);
            assert_eq!(place.names(), ["msal.cache.nocae"]);
        }
    }
}

pub(crate) fn no_file_may_grow(path: &Path) {
    let cache = TokenCache::new(FilePersistence::new(path));
    assert_eq!(cache.snapshot().unwrap().accounts().count(), 1);
    let folder = path.parent().unwrap();
    for _ in 0..2 {
        let error = rotate(&cache).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        let text = error.to_string();
        assert!(text.contains(path.to_str().unwrap()), "{error}");
        assert!(text.contains("RLIMIT_FSIZE"), "{error}");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
    }
    // A lease is empty.
    let leases = msal_token_cache::Leases::in_folder(folder.join("leases"));
    assert!(leases.take(&["work"]).unwrap().is_some());
}
