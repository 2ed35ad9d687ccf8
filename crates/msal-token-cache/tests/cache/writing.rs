//! How the file is replaced.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use msal_token_cache::{
    ErrorKind, FilePersistence, Loaded, MemoryPersistence, Merged, Persistence, Redemption, Result,
    Stamp, StoreLock, TokenCache,
};
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use test_support::{CacheBuilder, logs};
use token_credential::Secret;

use super::roles;
use super::sample::{
    CLIENT, HOST, NEW_ACCESS_TOKEN, NOW, OLD_REFRESH_TOKEN, Place, ROTATED, Store, ada, at, bob,
    redeemed, section, signed_in, vault_token,
};

fn rotate(cache: &TokenCache) -> Result<Merged> {
    let redemption = redeemed(&signed_in()).with_refresh_token(Secret::new(ROTATED));
    cache.modify(|transaction| transaction.merge(&redemption))
}

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
    assert!(
        Arc::ptr_eq(&written, &cache.snapshot().unwrap()),
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

#[test]
fn without_a_change_nothing_is_written() {
    let place = Place::signed_in();
    let before = place.persistence().stamp().unwrap();
    let answer = place.cache().modify(|_| Ok(42));
    assert_eq!(answer.unwrap(), 42);
    assert_eq!(place.persistence().stamp().unwrap(), before);
}

#[test]
fn an_edit_that_fails_leaves_nothing_behind() {
    let place = Place::signed_in();
    let before = place.persistence().stamp().unwrap();
    let failed: Result<()> = place.cache().modify(|transaction| {
        transaction.remove_account(&ada().home_account_id(), HOST)?;
        Err(msal_token_cache::Error::new(ErrorKind::Io, "as planned"))
    });
    assert_eq!(failed.unwrap_err().to_string(), "as planned");
    assert_eq!(place.persistence().stamp().unwrap(), before);
    assert_eq!(place.names(), ["msal.cache.nocae"]);
}

#[test]
fn a_writer_that_panics_leaves_the_cache_usable() {
    let place = Place::signed_in();
    let cache = place.cache();
    let panics = || cache.modify(|_| -> Result<()> { panic!("as planned") });
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).unwrap_err();
    assert_eq!(place.names(), ["msal.cache.nocae"]);
    assert_eq!(rotate(&cache).unwrap(), Merged::Stored);
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
fn what_dead_writers_left_is_swept_and_nothing_else() {
    let place = Place::signed_in();
    let file = "msal.cache.nocae";
    let ours = format!("{file}.0123456789abcdef.msal-token-cache-tmp");
    let mut others = [
        // Those of the caches whose names begin with ours, or ours with theirs.
        format!("{file}.cae.0123456789abcdef.msal-token-cache-tmp"),
        "msal.cache.0123456789abcdef.msal-token-cache-tmp".to_owned(),
        format!("{file}.msal-token-cache-tmp"),
        format!("{file}.abc.msal-token-cache-tmp"),
        format!("{file}.0123456789abcdeg.msal-token-cache-tmp"),
        format!("{file}.0123456789abcdef.tmp"),
        format!("{file}.tmp"),
    ];
    for name in others.iter().chain([&ours]) {
        fs::write(place.folder().join(name), "").unwrap();
    }
    let folder = place
        .folder()
        .join(format!("{file}.fedcba9876543210.msal-token-cache-tmp"));
    fs::create_dir(&folder).unwrap();
    rotate(&place.cache()).unwrap();
    fs::remove_dir(folder).unwrap();
    others.sort();
    let mut left = place.names();
    left.retain(|name| name != file);
    assert_eq!(left, others);
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

#[test]
fn what_a_peer_writes_between_our_look_and_our_write_is_built_upon() {
    // Where nothing was, the first run finds nobody signed in; the next one looks without the lock.
    for (place, expected) in [(Place::signed_in(), 2), (Place::empty(), 3)] {
        let mut runs = 0;
        let redemption = redeemed(&signed_in());
        let merged = place.cache().modify(|transaction| {
            runs += 1;
            let merged = transaction.merge(&redemption)?;
            if runs == 1 {
                place.put(signed_in().account(&bob(), HOST, "t").to_json());
            }
            Ok(merged)
        });
        assert_eq!((merged.unwrap(), runs), (Merged::Stored, expected));
        let snapshot = place.cache().snapshot().unwrap();
        assert_eq!(snapshot.accounts().count(), 2);
        assert_eq!(snapshot.access_tokens().count(), 1);
    }
}

/// Whoever deleted our lock file while we waited for the disk had long been followed by another
/// writer, whose content we replaced.
#[test]
fn the_last_look_is_taken_when_all_is_written() {
    let place = Place::signed_in();
    let before = place.content();
    let refused = place.persistence().save_if(b"{}", &|| {
        let names = place.names();
        assert_eq!(names.len(), 2, "the temporary stands ready: {names:?}");
        assert_eq!(fs::read(place.folder().join(&names[1])).unwrap(), b"{}");
        false
    });
    assert_eq!(refused.unwrap(), None);
    assert_eq!(place.content(), before);
    assert_eq!(place.names(), ["msal.cache.nocae"]);
}

#[test]
fn content_that_never_rests_is_given_up_on() {
    let place = Place::signed_in();
    let mut runs = 0;
    let redemption = redeemed(&signed_in());
    let merged = place.cache().modify(|transaction| {
        runs += 1;
        place.put(
            signed_in()
                .account(&bob(), HOST, &runs.to_string())
                .to_json(),
        );
        transaction.merge(&redemption)
    });
    assert_eq!(merged.unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(runs, 5);
    assert_eq!(place.names(), ["msal.cache.nocae"]);
}

/// A store in which a peer puts stale content over each of the first writes.
#[derive(Debug)]
struct Undone {
    memory: MemoryPersistence,
    stale: String,
    times: AtomicUsize,
    saves: Arc<AtomicUsize>,
}

impl Undone {
    fn times(times: usize, memory: &MemoryPersistence) -> (Self, Arc<AtomicUsize>) {
        let saves = Arc::new(AtomicUsize::new(0));
        let stale = CacheBuilder::new()
            .signed_in(&ada(), HOST, CLIENT, OLD_REFRESH_TOKEN)
            .account(&bob(), HOST, "peer's")
            .to_json();
        let undone = Self {
            memory: memory.clone(),
            stale,
            times: AtomicUsize::new(times),
            saves: Arc::clone(&saves),
        };
        (undone, saves)
    }
}

impl Persistence for Undone {
    fn location(&self) -> String {
        self.memory.location()
    }
    fn stamp(&self) -> Result<Option<Stamp>> {
        self.memory.stamp()
    }
    fn load(&self) -> Result<Option<Loaded>> {
        self.memory.load()
    }
    fn load_quickly(&self) -> Option<Result<Option<Loaded>>> {
        self.memory.load_quickly()
    }
    fn lock(&self) -> Result<Box<dyn StoreLock>> {
        self.memory.lock()
    }
    fn save(&self, content: &[u8]) -> Result<Stamp> {
        self.saves.fetch_add(1, Ordering::Relaxed);
        let stamp = self.memory.save(content)?;
        let left = self.times.load(Ordering::Relaxed);
        if left > 0 {
            self.times.store(left - 1, Ordering::Relaxed);
            self.memory.save(self.stale.as_bytes())?;
        }
        Ok(stamp)
    }
}

#[test]
fn a_write_that_a_peer_undoes_is_repeated_twice_at_most() {
    for (times, saves, is_there) in [(0, 1, true), (1, 2, true), (2, 3, true), (3, 3, false)] {
        let Store { memory, .. } = Store::holding(signed_in().to_json());
        let (undone, saved) = Undone::times(times, &memory);
        let cache = TokenCache::new(undone);
        assert_eq!(rotate(&cache).unwrap(), Merged::Stored);
        assert_eq!(saved.load(Ordering::Relaxed), saves, "undone {times} times");
        let snapshot = cache.snapshot().unwrap();
        let rotated = snapshot
            .refresh_tokens()
            .any(|token| token.secret().expose_secret() == ROTATED);
        assert_eq!(rotated, is_there, "undone {times} times");
        assert_eq!(snapshot.accounts().count(), 1 + usize::from(times > 0));
    }
}

/// A store in which a neighbour, who keeps to the lock, writes as soon as we have.
#[derive(Debug)]
struct Followed {
    memory: MemoryPersistence,
    locks: Arc<AtomicUsize>,
}

impl Persistence for Followed {
    fn location(&self) -> String {
        self.memory.location()
    }
    fn stamp(&self) -> Result<Option<Stamp>> {
        self.memory.stamp()
    }
    fn load(&self) -> Result<Option<Loaded>> {
        self.memory.load()
    }
    fn load_quickly(&self) -> Option<Result<Option<Loaded>>> {
        self.memory.load_quickly()
    }
    fn lock(&self) -> Result<Box<dyn StoreLock>> {
        self.locks.fetch_add(1, Ordering::Relaxed);
        self.memory.lock()
    }
    fn save(&self, content: &[u8]) -> Result<Stamp> {
        let stamp = self.memory.save(content)?;
        // The same content once more, which is what building upon it looks like.
        self.memory.save(content)?;
        Ok(stamp)
    }
}

/// Busy writers took the lock twice for each write, to see that the first had not been undone.
#[test]
fn a_neighbour_who_builds_upon_our_write_costs_no_second_lock() {
    let Store { memory, .. } = Store::holding(signed_in().to_json());
    let locks = Arc::default();
    let cache = TokenCache::new(Followed {
        memory,
        locks: Arc::clone(&locks),
    });
    assert_eq!(rotate(&cache).unwrap(), Merged::Stored);
    assert_eq!(locks.load(Ordering::Relaxed), 1);
}

#[test]
fn what_is_written_is_what_the_python_packages_write() {
    let before = signed_in();
    let store = Store::holding(before.to_json());
    store.merge(&redeemed(&before)).unwrap();
    let expected = CacheBuilder::new()
        .signed_in(&ada(), HOST, CLIENT, OLD_REFRESH_TOKEN)
        .access_token(
            &ada(),
            test_support::AccessTokenSpec {
                secret: NEW_ACCESS_TOKEN,
                cached_at: Some(NOW),
                expires_on: NOW + 3_600,
                ..vault_token()
            },
        );
    assert_eq!(store.text(), expected.to_json());
    assert_eq!(section(&store.value(), "AccessToken").len(), 1);
}
