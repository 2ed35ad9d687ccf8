//! Waiting for a lease that another credential of this process holds.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use msal_token_cache::{
    FilePersistence, Loaded, MemoryPersistence, Persistence, Stamp, StoreLock, TokenCache,
};
use shared_token_cache_credential::{
    HttpResponse, SharedTokenCacheCredential, TokenEndpoint, TokenRequest, TransportError,
};
use test_support::Reply;
use token_credential::{AccessTokenInfo, Result};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::super::rerun::{is_rerun, rerun, this_binary};
use super::super::workers::below;
use super::super::{PATIENCE, Stage, ask, holding, text};
use super::{another, expired};

/// An endpoint in this process that takes its time and then panics.
#[derive(Debug)]
struct Panicking(Arc<AtomicUsize>);

#[async_trait]
impl TokenEndpoint for Panicking {
    async fn send(&self, _request: TokenRequest) -> Result<HttpResponse, TransportError> {
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
        return rerun(command, &format!("credential::leases::waiting::{name}"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
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

/// Has this one redeem, and so hold the lease until the slow answer is there.
async fn hold(
    stage: &Stage,
    holder: &SharedTokenCacheCredential,
    delay: Duration,
) -> JoinHandle<Result<AccessTokenInfo>> {
    stage.entra.push(Reply::success().delayed(delay));
    let holder = holder.clone();
    let held = tokio::spawn(async move { ask(&holder).await });
    until(|| stage.entra.request_count() == 1).await;
    held
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
            let held = hold(&stage, &holder, Duration::from_secs(1)).await;
            let tasks = || Handle::current().metrics().num_alive_tasks();
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
        let held = hold(&stage, &holder, Duration::from_millis(600)).await;
        let tasks = || Handle::current().metrics().num_alive_tasks();
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
