//! How a redemption comes into the cache, or does not, and what the caller notices of it.

#[cfg(unix)]
use std::path::Path;
#[cfg(unix)]
use std::process::Command;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use msal_token_cache::{FilePersistence, MemoryPersistence, TokenCache};
use shared_token_cache_credential::{
    HttpResponse, HyperTokenEndpoint, SharedTokenCacheCredential, TokenEndpoint, TokenRequest,
    TokenRequestOptions, TransportError,
};
use test_support::Reply;
#[cfg(unix)]
use test_support::TestClock;

#[cfg(unix)]
use super::NOW;
#[cfg(unix)]
use super::rerun::{as_ordinary_user, is_rerun, rerun, set_mode};
use super::watched::{Journal, WatchedEndpoint, WatchedStore};
use super::{ARM, PATIENCE, Stage, VAULT, ask, ask_with, challenge, entries, holding};

#[tokio::test]
async fn one_redemption_is_one_lock_and_one_save_after_the_exchange() {
    let stage = Stage::new();
    let journal = Journal::default();
    let store = holding(&stage.cache_with_token(0));
    let credential = stage
        .builder()
        .token_cache(TokenCache::new(WatchedStore::new(&store, &journal)))
        .token_endpoint(WatchedEndpoint::new(stage.entra.root_pem(), &journal))
        .build()
        .unwrap();
    for _ in 0..3 {
        ask(&credential).await.unwrap();
    }
    let one = ["asked", "answered", "locked", "saved", "unlocked"];
    assert_eq!(journal.entries(), one);
    // A refusal locks nothing.
    stage.entra.push(Reply::proxy_page());
    let options = TokenRequestOptions::default();
    let refused = credential.get_token(&[VAULT], &options).await;
    assert!(refused.is_err());
    assert_eq!(
        journal.entries(),
        [&one[..], &["asked", "answered"]].concat()
    );
}

/// The same, as the kernel sees it.
#[cfg(unix)]
#[test]
fn one_redemption_is_one_lock_and_one_rename_after_the_exchange() {
    if is_rerun() {
        return redeem_once();
    }
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    stage.cache_with_token(0).write_to(place("cache"));
    std::fs::write(place("root.pem"), stage.entra.root_pem()).unwrap();
    let version = Command::new("strace").arg("-V").output();
    version.expect("strace is needed: install the package strace");
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-yy", "-s", "0", "-o"])
        .arg(place("trace"))
        .args([
            "-e",
            "trace=%file,%network,read,readv,write,writev,pwrite64,flock",
        ])
        .arg(std::env::current_exe().unwrap())
        .env("FOLDER", folder.path())
        .env("AUTHORITY", stage.entra.authority());
    rerun(
        strace,
        "credential::persisting::one_redemption_is_one_lock_and_one_rename_after_the_exchange",
    );
    assert_eq!(stage.entra.request_count(), 1);
    check(
        &std::fs::read_to_string(place("trace")).unwrap(),
        &place("cache"),
    );
}

#[cfg(unix)]
#[tokio::main(flavor = "current_thread")]
async fn redeem_once() {
    ask(&credential_of_the_environment()).await.unwrap();
}

#[cfg(unix)]
fn credential_of_the_environment() -> SharedTokenCacheCredential {
    let folder = std::env::var("FOLDER").unwrap();
    let folder = Path::new(&folder);
    let store = FilePersistence::new(folder.join("cache"));
    SharedTokenCacheCredential::builder()
        .authority(std::env::var("AUTHORITY").unwrap())
        .extra_root_certificates(std::fs::read(folder.join("root.pem")).unwrap())
        .clock(TestClock::at(NOW))
        .token_cache(TokenCache::new(store))
        .build()
        .unwrap()
}

/// The system would end the process by a signal.
#[cfg(unix)]
#[test]
fn where_files_may_not_grow_the_token_is_served_and_nothing_is_left() {
    if is_rerun() {
        return redeem_where_files_may_not_grow();
    }
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    stage.cache_with_token(0).write_to(place("cache"));
    std::fs::write(place("root.pem"), stage.entra.root_pem()).unwrap();
    let before = std::fs::read(place("cache")).unwrap();
    // Nothing at all, and a few hundred bytes: the lock can be signed then, the cache not written.
    for (blocks, requests) in [("0", 1), ("1", 2)] {
        let mut limited = Command::new("sh");
        limited
            .args(["-c", r#"ulimit -f "$BLOCKS" && exec "$0" "$@""#])
            .arg(std::env::current_exe().unwrap())
            .env("BLOCKS", blocks)
            .env("FOLDER", folder.path())
            .env("AUTHORITY", stage.entra.authority())
            .env_remove("XDG_RUNTIME_DIR");
        rerun(
            limited,
            "credential::persisting::where_files_may_not_grow_the_token_is_served_and_nothing_is_left",
        );
        assert_eq!(stage.entra.request_count(), requests);
        assert_eq!(std::fs::read(place("cache")).unwrap(), before);
        let mut left = super::workers::below(folder.path());
        left.sort();
        assert_eq!(left, [place("cache"), place("root.pem")]);
    }
}

#[cfg(unix)]
#[tokio::main(flavor = "current_thread")]
async fn redeem_where_files_may_not_grow() {
    let watch = test_support::logs::Watch::new();
    let credential = credential_of_the_environment();
    let [first, again] = [ask(&credential).await, ask(&credential).await].map(Result::unwrap);
    assert_eq!(first.token().expose_secret(), again.token().expose_secret());
    credential.close().await.unwrap();
    let lines = watch.lines();
    let lines = lines.iter().map(|line| &line.text);
    let warnings: Vec<_> = lines.filter(|text| text.contains("RLIMIT_FSIZE")).collect();
    assert!(
        matches!(*warnings, [it] if it.contains("kept in memory")),
        "{warnings:?}"
    );
}

/// Reads what strace wrote.
#[cfg(unix)]
fn check(trace: &str, cache: &Path) {
    let lines: Vec<_> = trace.lines().collect();
    let folder = cache.parent().unwrap();
    let positions = |is: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..lines.len()).filter(|n| is(lines[*n])).collect()
    };
    // By its path, or as a name in its folder.
    let names = |line: &str, name: &str| {
        let folder = folder.display();
        line.contains(&format!("\"{folder}/{name}\""))
            || line.contains(&format!("<{folder}>, \"{name}\""))
    };
    let lock = "cache.lockfile";
    let locks = positions(&|line| names(line, lock) && line.contains("O_EXCL"));
    let unlocks = positions(&|line| names(line, lock) && line.contains("unlink"));
    let writes = positions(&|line| line.contains("rename") && line.contains("cache\")"));
    let in_place = positions(&|line| {
        line.contains("open") && names(line, "cache") && !line.contains("O_RDONLY")
    });
    // A read or a write of so many bytes, not one that would have blocked.
    let talks = positions(&|line| {
        let bytes = line.rsplit_once(" = ").and_then(|(_, n)| n.parse().ok());
        line.contains("<TCP") && bytes.is_some_and(|bytes: u64| bytes > 0)
    });
    let ([lock], [write], [unlock]) = (&*locks, &*writes, &*unlocks) else {
        panic!("locks {locks:?} writes {writes:?} unlocks {unlocks:?}\n{trace}");
    };
    assert!(lock < write && write < unlock, "{trace}");
    assert_eq!(in_place, [0; 0], "{trace}");
    // The new content once, and a line that says whose the lock is.
    let written = |line: &str| -> u64 {
        let is_write = line.contains("write") && line.contains(&*folder.to_string_lossy());
        let bytes = line.rsplit_once(" = ").map(|(_, bytes)| bytes);
        bytes.filter(|_| is_write).map_or(0, |n| n.parse().unwrap())
    };
    let (to_lock, to_cache): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line.contains(".lockfile"));
    let sum = |lines: &[&str]| lines.iter().map(|line| written(line)).sum::<u64>();
    assert_eq!(sum(&to_cache), std::fs::metadata(cache).unwrap().len());
    assert!((1..=200).contains(&sum(&to_lock)), "{trace}");
    assert!(
        talks.iter().filter(|talk| *talk < lock).count() >= 4,
        "{trace}"
    );
    assert!(
        !talks.iter().any(|talk| (lock..unlock).contains(&talk)),
        "{trace}"
    );
}

/// Two calls for a scope and one for another, with a store that cannot be written.
async fn ask_of_a_read_only_store(stage: &Stage, credential: &SharedTokenCacheCredential) {
    let first = ask(credential).await.unwrap();
    let second = ask(credential).await.unwrap();
    assert_eq!(
        first.token().expose_secret(),
        second.token().expose_secret()
    );
    assert_eq!(second.expires_on(), first.expires_on());
    assert_eq!(stage.entra.request_count(), 1);
    let options = TokenRequestOptions::default();
    for _ in 0..2 {
        let other = credential.get_token(&[VAULT], &options).await.unwrap();
        assert_ne!(other.token().expose_secret(), first.token().expose_secret());
    }
    let [one, two] = stage.entra.requests().try_into().unwrap();
    // The server rotated it, and only we know.
    assert_ne!(one.field("refresh_token"), two.field("refresh_token"));
    credential.close().await.unwrap();
}

#[tokio::test]
async fn a_store_that_cannot_be_written_costs_neither_token_nor_request() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let watched = WatchedStore::new(&store, &Journal::default());
    watched.fail(true);
    ask_of_a_read_only_store(&stage, &stage.credential(watched)).await;
    assert!(stage.warnings("the watched store is read-only") >= 1);
    assert_eq!(entries(&store, "AccessToken").len(), 0);
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_costs_one_warning() {
    as_ordinary_user(
        "credential::persisting::a_read_only_folder_costs_one_warning",
        || {
            let stage = Stage::new();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("cache");
            stage.cache().write_to(&path);
            let before = std::fs::read(&path).unwrap();
            set_mode(folder.path(), 0o500);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let credential = stage.credential(FilePersistence::new(&path));
            runtime.block_on(ask_of_a_read_only_store(&stage, &credential));
            let place = format!("{}.lockfile", path.display());
            assert_eq!(stage.warnings(&place), 1);
            assert_eq!(std::fs::read(&path).unwrap(), before);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
            set_mode(folder.path(), 0o700);
        },
    );
}

/// What later readers would refuse is not written.
#[tokio::test]
async fn a_cache_that_is_full_costs_one_warning_and_no_token() {
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    stage.cache().write_to(&path);
    let before = std::fs::read(&path).unwrap();
    let limit = before.len() as u64 + 1_000;
    let store = || FilePersistence::new(&path).with_max_bytes(limit);
    let credential = stage.credential(store());
    ask_of_a_read_only_store(&stage, &credential).await;
    assert_eq!(stage.warnings("FilePersistence::with_max_bytes"), 1);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let reader = TokenCache::new(store());
    assert_eq!(reader.snapshot().unwrap().refresh_tokens().count(), 1);
}

/// A store that can be written again gets the next redemption, with the newest refresh token.
#[tokio::test]
async fn a_store_that_recovers_is_written_again() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let watched = WatchedStore::new(&store, &Journal::default());
    let credential = stage.credential(watched.clone());
    watched.fail(true);
    ask(&credential).await.unwrap();
    watched.fail(false);
    let options = TokenRequestOptions::default();
    credential.get_token(&[VAULT], &options).await.unwrap();
    let [refresh_token] = entries(&store, "RefreshToken").try_into().unwrap();
    let secret = refresh_token["secret"].as_str();
    let requests = stage.entra.requests();
    assert!(
        requests
            .iter()
            .all(|sent| sent.field("refresh_token") != secret)
    );
    let [access_token] = entries(&store, "AccessToken").try_into().unwrap();
    assert!(access_token["target"].as_str().unwrap().contains(VAULT));
    // What could not be stored is still known.
    ask(&credential).await.unwrap();
    assert_eq!(stage.entra.request_count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_takes_nothing_with_it() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let credential = stage.credential(store.clone());
    let reply = Reply::success().delayed(Duration::from_millis(300));
    stage.entra.push(reply);
    let asking = tokio::spawn({
        let credential = credential.clone();
        async move { ask(&credential).await }
    });
    assert!(stage.entra.wait_for_requests(1, PATIENCE));
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    wait_for_a_token(&store).await;
    ask(&credential).await.unwrap();
    assert_eq!(stage.entra.request_count(), 1);
}

async fn wait_for_a_token(store: &MemoryPersistence) {
    let start = Instant::now();
    while entries(store, "AccessToken").is_empty() {
        assert!(start.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_locked_holds_nobody_up_but_close() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let slow = WatchedStore::new(&store, &Journal::default());
    let credential = stage.credential(slow.with_lock_taking(Duration::from_secs(3)));
    let start = Instant::now();
    let first = ask(&credential).await.unwrap();
    let took = start.elapsed();
    assert!((250..2_500).contains(&took.as_millis()), "{took:?}");
    let second = ask(&credential).await.unwrap();
    assert_eq!(
        first.token().expose_secret(),
        second.token().expose_secret()
    );
    assert_eq!(stage.entra.request_count(), 1);
    assert_eq!(entries(&store, "AccessToken").len(), 0);
    credential.close().await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(3));
    let [stored] = entries(&store, "AccessToken").try_into().unwrap();
    assert_eq!(stored["secret"], first.token().expose_secret());
    assert!(stored["target"].as_str().unwrap().contains(ARM));
}

/// Writes that wait for a lock must not take the threads away that others need: to resolve a name,
/// for example.
#[test]
fn writes_that_wait_for_the_lock_take_one_thread() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let slow = WatchedStore::new(&store, &Journal::default());
    let credential = stage.credential(slow.with_lock_taking(Duration::from_secs(2)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let options = TokenRequestOptions::default();
        for scope in ["a/.default", "b/.default", "c/.default"] {
            credential.get_token(&[scope], &options).await.unwrap();
        }
        let free = tokio::task::spawn_blocking(|| ());
        let free = tokio::time::timeout(Duration::from_millis(500), free).await;
        free.expect("a thread is free").unwrap();
        credential.close().await.unwrap();
    });
}

/// The wait for the write comes on top of the deadline: the token is there.
#[tokio::test]
async fn a_token_that_came_just_in_time_is_not_lost_while_it_is_written() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let slow = WatchedStore::new(&store, &Journal::default());
    let slow = slow.with_lock_taking(Duration::from_secs(1));
    let credential = stage
        .builder()
        .token_cache(TokenCache::new(slow))
        .token_endpoint(JustInTime(stage.endpoint().without_proxy()))
        .timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    // Without claims the kept token would serve, with a warning.
    ask_with(&credential, &challenge()).await.unwrap();
    assert_eq!(stage.entra.request_count(), 1);
    credential.close().await.unwrap();
}

/// Answers so late that a deadline of 2 s passes while the caller waits for the write.
#[derive(Debug)]
struct JustInTime(HyperTokenEndpoint);

#[async_trait]
impl TokenEndpoint for JustInTime {
    async fn send(&self, request: TokenRequest) -> Result<HttpResponse, TransportError> {
        let late = tokio::time::sleep(Duration::from_millis(1_800));
        let (answer, ()) = tokio::join!(self.0.send(request), late);
        answer
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

/// A runtime that nobody drives between calls must not keep the writes of others waiting, nor other
/// processes.
#[test]
fn a_write_that_was_left_to_an_idle_runtime_holds_up_no_other() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let slow = WatchedStore::new(&store, &Journal::default());
    let slow = slow.with_lock_taking(Duration::from_millis(500));
    let folder = tempfile::tempdir().unwrap();
    let leases = folder.path().join("leases");
    let credential = stage.credential(slow.with_leases_in(leases.clone()));
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (idle, driven) = (runtime(), runtime());
    idle.block_on(ask(&credential)).unwrap();
    assert!(leases.exists(), "it is still written");
    driven.block_on(async {
        let options = TokenRequestOptions::default();
        credential.get_token(&[VAULT], &options).await.unwrap();
        let start = Instant::now();
        while entries(&store, "AccessToken").len() < 2 || leases.exists() {
            assert!(start.elapsed() < Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    drop(idle);
}

/// A peer that died while it wrote in place leaves an empty file. That is no sign-out.
#[tokio::test]
async fn over_an_emptied_file_one_redemption_is_enough() {
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    stage.cache().write_to(&path);
    let credential = stage.credential(FilePersistence::new(&path));
    let options = TokenRequestOptions::default();
    credential.get_token(&[VAULT], &options).await.unwrap();
    std::fs::write(&path, "").unwrap();
    for _ in 0..3 {
        ask(&credential).await.unwrap();
    }
    assert_eq!(stage.entra.request_count(), 2);
    assert_eq!(std::fs::read(&path).unwrap(), b"");
}
