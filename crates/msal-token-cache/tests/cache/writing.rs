//! How the file is written, whoever writes it, too.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use msal_token_cache::{
    ErrorKind, Loaded, MemoryPersistence, Merged, Persistence, Result, Stamp, StoreLock, TokenCache,
};
use test_support::CacheBuilder;
use token_credential::Secret;

use super::sample::{
    CLIENT, HOST, NEW_ACCESS_TOKEN, NOW, OLD_REFRESH_TOKEN, Place, ROTATED, Store, ada, bob,
    redeemed, section, signed_in, vault_token,
};

pub(crate) fn rotate(cache: &TokenCache) -> Result<Merged> {
    let redemption = redeemed(&signed_in()).with_refresh_token(Secret::new(ROTATED));
    cache.modify(|transaction| transaction.merge(&redemption))
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

#[test]
fn what_dead_writers_left_is_swept_and_nothing_else() {
    let place = Place::signed_in();
    let file = "msal.cache.nocae";
    let ours = format!("{file}.0123456789abcdef.msal-token-cache-tmp");
    let mut others = vec![
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
    #[cfg(unix)]
    if nix::unistd::geteuid().is_root() {
        // Nor another user's.
        let theirs = format!("{file}.00112233445566ff.msal-token-cache-tmp");
        fs::write(place.folder().join(&theirs), "").unwrap();
        std::os::unix::fs::chown(place.folder().join(&theirs), Some(65_534), None).unwrap();
        others.push(theirs);
    }
    rotate(&place.cache()).unwrap();
    fs::remove_dir(folder).unwrap();
    others.sort();
    let mut left = place.names();
    left.retain(|name| name != file);
    assert_eq!(left, others);
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
