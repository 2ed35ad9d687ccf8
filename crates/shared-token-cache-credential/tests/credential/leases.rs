//! One redemption for all processes of a machine: they agree by a lease, and go on without a holder
//! that dies, stops or panics.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use msal_token_cache::{
    FilePersistence, Loaded, MemoryPersistence, Persistence, Stamp, StoreLock, TokenCache,
};
#[cfg(unix)]
use nix::sys::signal::Signal;
use shared_token_cache_credential::{
    SharedTokenCacheCredential, TokenEndpoint, TokenReply, TokenRequest, TransportError,
};
#[cfg(unix)]
use test_support::EntraError;
use test_support::{AccessTokenSpec, CacheBuilder, Reply, logs};
use tokio::runtime::Handle;

use super::rerun::{is_rerun, rerun, this_binary};
#[cfg(unix)]
use super::rerun::{rerun_as_ordinary_user, set_mode};
use super::workers::{DEADLINE, Got, Machine, Worker, below, work};
use super::{NOW, PATIENCE, Stage, ask, holding, text, token};

const PROCESSES: usize = 32;
/// How long a holder that makes no progress is waited for before one of the others goes on.
#[cfg(unix)]
const SUCCESSION: Duration = Duration::from_secs(2);
/// What comes on top where much else runs.
const SLACK: Duration = Duration::from_millis(1500);

/// A cache with a token that has expired.
fn expired(stage: &Stage) -> CacheBuilder {
    let secret = logs::canary("expired access token");
    let spec = AccessTokenSpec {
        expires_on: NOW - 10,
        cached_at: Some(NOW - 4_000),
        ..token(&secret, 0)
    };
    stage.cache().access_token(&stage.ada, spec)
}

/// Asserts that each of these calls got this token before its deadline.
#[track_caller]
fn assert_got(answers: &[Got], token: &str) {
    for got in answers {
        assert_eq!(got.token.as_deref(), Ok(token));
        assert!(got.took < DEADLINE, "{:?}", got.took);
    }
}

#[test]
fn processes_that_miss_at_once_make_one_request() {
    let test = "credential::leases::processes_that_miss_at_once_make_one_request";
    if is_rerun() {
        return work();
    }
    // The leases are in the runtime folder, or beside the cache.
    for has_runtime_folder in [true, false] {
        let stage = Stage::new();
        let machine = Machine::new(&stage, &expired(&stage), has_runtime_folder);
        let reply = Reply::success().delayed(Duration::from_millis(300));
        stage.entra.push(reply);
        let mut workers = machine.start(&stage, test, PROCESSES);
        for worker in &mut workers {
            worker.ask(1);
        }
        let answers: Vec<_> = workers.iter().map(Worker::answer).collect();
        workers.into_iter().for_each(Worker::finish);
        assert_eq!(stage.entra.request_count(), 1);
        let [stored] = machine.stored().try_into().unwrap();
        assert_got(&answers, &stored);
        machine.assert_no_litter();
    }
}

/// Many callers in each, and no delay that would bring them together.
#[test]
fn a_thousand_callers_in_many_processes_make_one_request() {
    let test = "credential::leases::a_thousand_callers_in_many_processes_make_one_request";
    if is_rerun() {
        return work();
    }
    let stage = Stage::new();
    let machine = Machine::new(&stage, &expired(&stage), true);
    let mut workers = machine.start(&stage, test, 10);
    for worker in &mut workers {
        worker.ask(100);
    }
    let answers: Vec<_> = workers.iter().flat_map(|w| w.answers(100)).collect();
    workers.into_iter().for_each(Worker::finish);
    assert_eq!((answers.len(), stage.entra.request_count()), (1_000, 1));
    let [stored] = machine.stored().try_into().unwrap();
    assert_got(&answers, &stored);
    machine.assert_no_litter();
}

/// Workers of which the first is in the middle of its request; the others have asked after it.
fn with_a_holder(stage: &Stage, machine: &Machine, test: &str, others: usize) -> Vec<Worker> {
    let mut workers = machine.start(stage, test, others + 1);
    workers[0].ask(1);
    assert!(stage.entra.wait_for_requests(1, PATIENCE));
    for other in &mut workers[1..] {
        other.ask(1);
    }
    workers
}

#[test]
fn a_holder_that_is_killed_has_one_successor_at_once() {
    let test = "credential::leases::a_holder_that_is_killed_has_one_successor_at_once";
    if is_rerun() {
        return work();
    }
    let stage = Stage::new();
    let machine = Machine::new(&stage, &expired(&stage), true);
    let never = Reply::success().delayed(Duration::from_secs(60));
    stage.entra.push(never);
    let mut workers = with_a_holder(&stage, &machine, test, 8);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(stage.entra.request_count(), 1);
    let killed = Instant::now();
    workers.remove(0).kill();
    assert!(stage.entra.wait_for_requests(2, PATIENCE));
    // Not after the time that a stopped one is given.
    assert!(killed.elapsed() < SLACK, "{:?}", killed.elapsed());
    let answers: Vec<_> = workers.iter().map(Worker::answer).collect();
    workers.into_iter().for_each(Worker::finish);
    assert_eq!(stage.entra.request_count(), 2);
    let [stored] = machine.stored().try_into().unwrap();
    assert_got(&answers, &stored);
    machine.assert_no_litter();
}

#[cfg(unix)]
#[test]
fn a_holder_that_is_stopped_has_a_successor_every_two_seconds() {
    let test = "credential::leases::a_holder_that_is_stopped_has_a_successor_every_two_seconds";
    if is_rerun() {
        return work();
    }
    let stage = Stage::new();
    let machine = Machine::new(&stage, &expired(&stage), true);
    // The holder is stopped by the time of its answer, its successor asks a slow server, and theirs
    // is lucky.
    for delay in [500, 6_000, 0] {
        let reply = Reply::success().delayed(Duration::from_millis(delay));
        stage.entra.push(reply);
    }
    let begin = Instant::now();
    let workers = with_a_holder(&stage, &machine, test, 12);
    workers[0].signal(Signal::SIGSTOP);
    let others_asked = Instant::now();
    for successor in 1..3 {
        assert!(stage.entra.wait_for_requests(successor + 1, PATIENCE));
        let due = SUCCESSION * u32::try_from(successor).unwrap();
        assert!(begin.elapsed() >= due, "{:?}", begin.elapsed());
        let took = others_asked.elapsed();
        assert!(took < due + SLACK, "successor {successor}: {took:?}");
    }
    // The last one's token is everybody's but its predecessor's, who gets its own.
    let answers: Vec<_> = workers[1..].iter().map(Worker::answer).collect();
    assert_eq!(stage.entra.request_count(), 3);
    workers[0].signal(Signal::SIGCONT);
    let own = workers[0].answer();
    workers.into_iter().for_each(Worker::finish);
    assert_eq!(stage.entra.request_count(), 3);
    let mut tokens: Vec<_> = answers
        .iter()
        .map(|got| got.token.clone().unwrap())
        .collect();
    tokens.sort();
    tokens.push(own.token.clone().unwrap());
    let shared = tokens.iter().filter(|token| **token == tokens[5]).count();
    tokens.dedup();
    assert!(
        (11..=12).contains(&shared) && tokens.len() <= 3,
        "{shared} of 12"
    );
    let took = answers.iter().chain([&own]).map(|got| got.took).max();
    assert!(took < Some(DEADLINE), "{took:?}");
    assert_eq!(machine.stored().len(), 1);
    machine.assert_no_litter();
}

/// A successor that fails is not followed by all the others at once.
#[cfg(unix)]
#[test]
fn a_successor_that_fails_is_no_stampede() {
    let test = "credential::leases::a_successor_that_fails_is_no_stampede";
    if is_rerun() {
        return work();
    }
    let stage = Stage::new();
    let machine = Machine::new(&stage, &expired(&stage), true);
    stage
        .entra
        .push(Reply::success().delayed(Duration::from_secs(60)));
    stage.entra.push(Reply::error(EntraError::InvalidScope));
    let mut workers = with_a_holder(&stage, &machine, test, 12);
    workers[0].signal(Signal::SIGSTOP);
    assert!(stage.entra.wait_for_requests(2, PATIENCE));
    let failed = Instant::now();
    assert!(stage.entra.wait_for_requests(3, PATIENCE));
    let between = failed.elapsed();
    // The first of the two may have been seen late.
    let earliest = SUCCESSION * 3 / 4;
    assert!(
        (earliest..SUCCESSION + SLACK).contains(&between),
        "{between:?}"
    );
    let answers: Vec<_> = workers[1..].iter().map(Worker::answer).collect();
    assert_eq!(stage.entra.request_count(), 3);
    let [stored] = machine.stored().try_into().unwrap();
    let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(|got| got.token.is_ok());
    assert_eq!((good.len(), bad.len()), (11, 1));
    assert_got(&good, &stored);
    drop(workers.remove(0));
    // What the killed one left goes with the next lease.
    for worker in &mut workers {
        worker.advance(24 * 3600);
    }
    stage.clock.advance(Duration::from_secs(24 * 3600));
    workers[0].ask(1);
    assert!(workers[0].answer().token.is_ok());
    workers.into_iter().for_each(Worker::finish);
    machine.assert_no_litter();
}

/// An endpoint in this process that takes its time and then panics.
#[derive(Debug)]
struct Panicking(Arc<AtomicUsize>);

#[async_trait]
impl TokenEndpoint for Panicking {
    async fn send(&self, _request: TokenRequest) -> Result<TokenReply, TransportError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(500)).await;
        panic!("on purpose");
    }
}

/// Runs a test with leases beside its cache, wherever they would be here.
fn beside_the_cache(name: &str, test: impl Future<Output = ()>) {
    if !is_rerun() {
        let mut command = this_binary();
        command.env_remove("XDG_RUNTIME_DIR");
        return rerun(command, &format!("credential::leases::{name}"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

/// A credential with a cache of its own at this path: as good as another process.
fn another(stage: &Stage, cache: &Path) -> SharedTokenCacheCredential {
    let builder = stage.builder().close_grace(Duration::from_millis(200));
    let cache = TokenCache::new(FilePersistence::new(cache));
    builder.token_cache(cache).build().unwrap()
}

async fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < PATIENCE, "in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_holder_that_panics_has_a_successor_at_once() {
    beside_the_cache("a_holder_that_panics_has_a_successor_at_once", async {
        let stage = Stage::new();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        expired(&stage).write_to(&path);
        let calls = Arc::new(AtomicUsize::new(0));
        let panicking = stage
            .builder()
            .token_cache(TokenCache::new(FilePersistence::new(&path)))
            .token_endpoint(Panicking(Arc::clone(&calls)))
            .build()
            .unwrap();
        let other = another(&stage, &path);
        let holder = tokio::spawn(async move { ask(&panicking).await });
        until(|| calls.load(Ordering::SeqCst) == 1).await;
        let start = Instant::now();
        ask(&other).await.unwrap();
        let took = start.elapsed();
        assert!((300..2_000).contains(&took.as_millis()), "{took:?}");
        let error = holder.await.unwrap().unwrap_err();
        assert!(text(&error).contains("panicked"), "{error}");
        assert_eq!(stage.entra.request_count(), 1);
        other.close().await.unwrap();
        assert_eq!(below(folder.path()), [path]);
    });
}

#[test]
fn closing_while_a_lease_is_waited_for_leaves_nothing() {
    beside_the_cache(
        "closing_while_a_lease_is_waited_for_leaves_nothing",
        async {
            let stage = Stage::new();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("cache");
            expired(&stage).write_to(&path);
            let [holder, waiting] = [(); 2].map(|()| another(&stage, &path));
            let slow = Reply::success().delayed(Duration::from_secs(1));
            stage.entra.push(slow);
            let tasks = || Handle::current().metrics().num_alive_tasks();
            let held = tokio::spawn({
                let holder = holder.clone();
                async move { ask(&holder).await }
            });
            until(|| stage.entra.request_count() == 1).await;
            let before = tasks();
            let asking = tokio::spawn({
                let waiting = waiting.clone();
                async move { ask(&waiting).await }
            });
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(tasks() > before);
            let start = Instant::now();
            waiting.close().await.unwrap();
            let took = start.elapsed();
            assert!((200..400).contains(&took.as_millis()), "{took:?}");
            let error = asking.await.unwrap().unwrap_err();
            assert!(text(&error).contains("closed"), "{error}");
            until(|| tasks() == before).await;
            // The holder had no harm of it.
            assert!(!held.is_finished());
            held.await.unwrap().unwrap();
            holder.close().await.unwrap();
            until(|| tasks() == 0).await;
            assert_eq!(below(folder.path()), [path]);
            assert_eq!(stage.entra.request_count(), 1);
        },
    );
}

#[test]
fn a_caller_that_goes_while_a_lease_is_waited_for_leaves_nothing() {
    let name = "a_caller_that_goes_while_a_lease_is_waited_for_leaves_nothing";
    beside_the_cache(name, async {
        let stage = Stage::new();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        expired(&stage).write_to(&path);
        let [holder, waiting] = [(); 2].map(|()| another(&stage, &path));
        let slow = Reply::success().delayed(Duration::from_millis(600));
        stage.entra.push(slow);
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let held = tokio::spawn({
            let holder = holder.clone();
            async move { ask(&holder).await }
        });
        until(|| stage.entra.request_count() == 1).await;
        for _ in 0..10 {
            let waiting = waiting.clone();
            let asking = tokio::spawn(async move { ask(&waiting).await });
            tokio::time::sleep(Duration::from_millis(20)).await;
            asking.abort();
            assert!(asking.await.unwrap_err().is_cancelled());
        }
        // One redemption waits on, for whoever asks next, and finds the other's token.
        let token = held.await.unwrap().unwrap();
        holder.close().await.unwrap();
        until(|| tasks() == 0).await;
        let found = ask(&waiting).await.unwrap();
        assert_eq!(found.token().expose_secret(), token.token().expose_secret());
        waiting.close().await.unwrap();
        assert_eq!(below(folder.path()), [path]);
        assert_eq!(stage.entra.request_count(), 1);
    });
}

/// A store to which another process is faster, by a moment: it stores a token and lets go of the
/// lease between our look at the cache and ours at the lease.
#[derive(Debug)]
struct Overtaken {
    store: MemoryPersistence,
    newer: String,
    folder: PathBuf,
}

impl Persistence for Overtaken {
    fn location(&self) -> String {
        self.store.location()
    }

    fn stamp(&self) -> msal_token_cache::Result<Option<Stamp>> {
        self.store.stamp()
    }

    fn load(&self) -> msal_token_cache::Result<Option<Loaded>> {
        self.store.load()
    }

    fn load_quickly(&self) -> Option<msal_token_cache::Result<Option<Loaded>>> {
        self.store.load_quickly()
    }

    fn lock(&self) -> msal_token_cache::Result<Box<dyn StoreLock>> {
        self.store.lock()
    }

    fn save(&self, content: &[u8]) -> msal_token_cache::Result<Stamp> {
        self.store.save(content)
    }

    fn lease_folder(&self) -> Option<PathBuf> {
        self.store.save(self.newer.as_bytes()).unwrap();
        Some(self.folder.clone())
    }
}

#[tokio::test]
async fn what_was_stored_just_before_the_lease_was_ours_is_found() {
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let credential = stage.credential(Overtaken {
        store: holding(&expired(&stage)),
        newer: stage.cache_with_token(3600).to_json(),
        folder: folder.path().join("leases"),
    });
    ask(&credential).await.unwrap();
    credential.close().await.unwrap();
    assert_eq!(stage.entra.request_count(), 0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The events about leases that there are not.
#[cfg(unix)]
fn missing_leases(stage: &Stage) -> usize {
    let lines = stage.watch.lines();
    let is_one = |line: &&logs::Line| line.text.contains("no lease");
    let found: Vec<_> = lines.iter().filter(is_one).collect();
    assert!(found.iter().all(|line| line.level == tracing::Level::DEBUG));
    found.len()
}

/// Asks once, then again, in a folder to which the cache belongs or, when it is read-only, nobody
/// writes; how many events tell of a missing lease.
#[cfg(unix)]
fn ask_where_leases_are_odd(is_read_only: bool) -> usize {
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    expired(&stage).write_to(&path);
    set_mode(folder.path(), if is_read_only { 0o500 } else { 0o700 });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let credential = another(&stage, &path);
        let first = ask(&credential).await.unwrap();
        let again = ask(&credential).await.unwrap();
        assert_eq!(first.token().expose_secret(), again.token().expose_secret());
        credential.close().await.unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        let is_stored = written.contains(first.token().expose_secret());
        assert_eq!(is_stored, !is_read_only);
    });
    assert_eq!(stage.entra.request_count(), 1);
    assert_eq!(below(folder.path()), [path]);
    let warnings = usize::from(is_read_only);
    assert_eq!(stage.warnings(""), warnings);
    set_mode(folder.path(), 0o700);
    missing_leases(&stage)
}

#[cfg(unix)]
#[test]
fn beside_a_cache_in_a_read_only_folder_there_are_no_leases() {
    if is_rerun() {
        assert_eq!(ask_where_leases_are_odd(true), 1);
        return;
    }
    let test = "credential::leases::beside_a_cache_in_a_read_only_folder_there_are_no_leases";
    rerun_as_ordinary_user(test, |command| {
        command.env_remove("XDG_RUNTIME_DIR");
    });
}

#[cfg(unix)]
#[test]
fn in_somebody_elses_runtime_folder_there_are_no_leases() {
    if is_rerun() {
        assert_eq!(ask_where_leases_are_odd(false), 1);
        return;
    }
    let test = "credential::leases::in_somebody_elses_runtime_folder_there_are_no_leases";
    rerun_as_ordinary_user(test, |command| {
        // The system's.
        command.env("XDG_RUNTIME_DIR", "/usr");
    });
}

#[cfg(unix)]
#[test]
fn without_the_runtime_folder_leases_are_beside_the_cache() {
    if is_rerun() {
        assert_eq!(ask_where_leases_are_odd(false), 0);
        return;
    }
    let test = "credential::leases::without_the_runtime_folder_leases_are_beside_the_cache";
    rerun_as_ordinary_user(test, |command| {
        command.env("XDG_RUNTIME_DIR", "/no/such/folder");
    });
}
