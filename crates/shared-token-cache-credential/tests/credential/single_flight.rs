//! Calls that miss at the same moment share one redemption.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use msal_token_cache::{MemoryPersistence, Persistence, TokenCache};
use serde_json::json;
use shared_token_cache_credential::{
    AccessTokenInfo, ErrorKind, HttpResponse, Result, SharedTokenCacheCredential, TokenEndpoint,
    TokenRequest, TokenRequestOptions, TransportError,
};
use test_support::{FakeAccount, PanickingStore, Reply};
use tokio::runtime::Runtime;
use tokio::sync::Barrier;

use super::rerun::{is_rerun, rerun, this_binary};
use super::{ARM, CLI, HOST, PATIENCE, Stage, ask, challenge, content, entries, holding, text};

const CALLERS: usize = 10_000;
const KEYS: usize = 100;
const TASKS: usize = 100;

/// An endpoint in this process: it counts, takes its time, and may panic.
struct Scripted {
    requests: Arc<AtomicUsize>,
    takes: Box<dyn Fn(&str) -> Duration + Send + Sync>,
    panics: bool,
}

impl Scripted {
    fn new(takes: impl Fn(&str) -> Duration + Send + Sync + 'static) -> Self {
        Self {
            requests: Arc::default(),
            takes: Box::new(takes),
            panics: false,
        }
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

#[async_trait]
impl TokenEndpoint for Scripted {
    async fn send(
        &self,
        request: TokenRequest,
    ) -> std::result::Result<HttpResponse, TransportError> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let scope = request.form().find(|(name, _)| *name == "scope").unwrap().1;
        let scope = scope.expose_secret().split(' ').next().unwrap().to_owned();
        tokio::time::sleep((self.takes)(&scope)).await;
        assert!(!self.panics, "on purpose");
        let token = json!({
            "token_type": "Bearer", "expires_in": 3600, "scope": scope,
            "access_token": format!("{scope}#{number}"),
        });
        Ok(HttpResponse::new(200, token.to_string()))
    }
}

fn credential(stage: &Stage, endpoint: Scripted) -> SharedTokenCacheCredential {
    let cache = TokenCache::new(holding(&stage.cache()));
    let builder = stage.builder().token_endpoint(endpoint).token_cache(cache);
    let cae = TokenCache::new(MemoryPersistence::new());
    builder.cae_token_cache(cae).build().unwrap()
}

/// All of these ask at once, each for its scope; the tokens with how long they took.
async fn ask_at_once(
    credential: &SharedTokenCacheCredential,
    scopes: impl Iterator<Item = String>,
) -> Vec<(String, AccessTokenInfo, Duration)> {
    let scopes: Vec<_> = scopes.collect();
    let barrier = Arc::new(Barrier::new(scopes.len()));
    let tasks: Vec<_> = scopes
        .into_iter()
        .map(|scope| {
            let (credential, barrier) = (credential.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                let start = Instant::now();
                let options = TokenRequestOptions::default();
                let token = credential.get_token_info(&[&scope], &options).await;
                (scope, token.unwrap(), start.elapsed())
            })
        })
        .collect();
    let mut tokens = Vec::new();
    for task in tasks {
        tokens.push(task.await.unwrap());
    }
    tokens
}

#[test]
fn ten_thousand_callers_make_one_request_and_take_little_room() {
    if !is_rerun() {
        let name = "credential::single_flight::\
                    ten_thousand_callers_make_one_request_and_take_little_room";
        return rerun(this_binary(), name);
    }
    let stage = Stage::new();
    let endpoint = Scripted::new(|_| Duration::from_secs(2));
    let requests = Arc::clone(&endpoint.requests);
    let credential = credential(&stage, endpoint);
    let runtime = Runtime::new().unwrap();
    let (tokens, room) = runtime.block_on(async {
        let before = resident_bytes();
        let asking = credential.clone();
        let callers = (0..CALLERS).map(|_| ARM.to_owned());
        let asking = tokio::spawn(async move { ask_at_once(&asking, callers).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let room = resident_bytes().saturating_sub(before) / CALLERS;
        (asking.await.unwrap(), room)
    });
    assert_eq!(requests.load(Ordering::Relaxed), 1);
    for (_, token, _) in &tokens {
        assert_eq!(token.token().expose_secret(), format!("{ARM}#0"));
    }
    assert_little(room);
}

#[cfg(target_os = "linux")]
fn assert_little(room: usize) {
    assert!((1..4096).contains(&room), "{room} bytes a caller");
}

/// Only Linux says it for the asking.
#[cfg(not(target_os = "linux"))]
fn assert_little(_room: usize) {}

#[cfg(not(target_os = "linux"))]
fn resident_bytes() -> usize {
    0
}

#[cfg(target_os = "linux")]
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_redemption_holds_up_nobody_elses() {
    /// Of 10,000 callers over all keys, those whose key is not the slow one.
    async fn p99(slow: Duration) -> Duration {
        let stage = Stage::new();
        let endpoint = Scripted::new(move |scope| {
            if scope == "scope-7" {
                slow
            } else {
                Duration::from_millis(20)
            }
        });
        let requests = Arc::clone(&endpoint.requests);
        let credential = credential(&stage, endpoint);
        let scopes = (0..10_000).map(|n| format!("scope-{}", n % KEYS));
        let tokens = ask_at_once(&credential, scopes).await;
        assert_eq!(requests.load(Ordering::Relaxed), KEYS);
        let mut took = Vec::new();
        for (scope, token, time) in tokens {
            assert!(
                token
                    .token()
                    .expose_secret()
                    .starts_with(&format!("{scope}#"))
            );
            if scope != "scope-7" {
                took.push(time);
            }
        }
        took.sort_unstable();
        took[took.len() * 99 / 100]
    }
    // The machine may be busy for a while.
    let mut ratios = Vec::new();
    for _ in 0..5 {
        let quick = p99(Duration::from_millis(20)).await;
        let beside_a_slow_one = p99(Duration::from_secs(5)).await;
        ratios.push(beside_a_slow_one.as_secs_f64() / quick.as_secs_f64());
        if ratios.last().is_some_and(|ratio| *ratio <= 1.5) {
            return;
        }
    }
    panic!("{ratios:?}");
}

fn poll_once<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// A caller that is dropped at any of its polls leaves a redemption that ends by itself.
#[tokio::test]
async fn a_caller_may_go_at_any_poll() {
    let stage = Stage::new();
    for polls in 0.. {
        let endpoint = Scripted::new(|_| Duration::from_millis(5));
        let requests = Arc::clone(&endpoint.requests);
        let credential = credential(&stage, endpoint);
        let mut is_done = false;
        {
            let mut asking = Box::pin(ask(&credential));
            for _ in 0..polls {
                is_done = poll_once(&mut asking).is_ready();
                if is_done {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        ask(&credential).await.unwrap();
        assert_eq!(requests.load(Ordering::Relaxed), 1, "{polls}");
        credential.close().await.unwrap();
        if is_done {
            assert!(polls > 2);
            return;
        }
    }
}

/// A million callers over 250 keys, each of whom goes after a random number of polls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_callers_may_go_when_they_like() {
    let stage = Stage::new();
    let requests: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let counted = Arc::clone(&requests);
    let endpoint = Scripted::new(move |scope| {
        *counted.lock().unwrap().entry(scope.to_owned()).or_default() += 1;
        Duration::from_millis(1)
    });
    let credential = credential(&stage, endpoint);
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let credential = credential.clone();
            tokio::spawn(async move {
                let options = TokenRequestOptions::default();
                for n in 0..10_000 {
                    let scope = format!("scope-{}", n / 40);
                    let scopes = [&*scope];
                    let mut asking = Box::pin(credential.get_token(&scopes, &options));
                    for _ in 0..fastrand::u8(1..4) {
                        if let Poll::Ready(token) = poll_once(&mut asking) {
                            let token = token.unwrap();
                            let secret = token.token().expose_secret();
                            assert!(secret.starts_with(&format!("{scope}#")), "{secret}");
                            break;
                        }
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let closing = tokio::time::timeout(PATIENCE, credential.close());
    closing.await.unwrap().unwrap();
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 250);
    assert!(requests.values().all(|made| *made <= 2), "{requests:?}");
}

/// A thousand runtimes end while a redemption is under way on them; the next one redeems.
#[test]
fn a_runtime_may_end_in_any_phase() {
    let stage = Stage::new();
    let next = Runtime::new().unwrap();
    for n in 0..1_000 {
        let endpoint = Scripted::new(|_| Duration::from_micros(500));
        let requests = Arc::clone(&endpoint.requests);
        let credential = credential(&stage, endpoint);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let asking = credential.clone();
        runtime.spawn(async move { ask(&asking).await });
        std::thread::sleep(Duration::from_micros(n * 2));
        runtime.shutdown_background();
        next.block_on(async {
            ask(&credential).await.unwrap();
            let closing = tokio::time::timeout(PATIENCE, credential.close());
            closing.await.unwrap().unwrap();
        });
        assert!((1..=2).contains(&requests.load(Ordering::Relaxed)));
    }
}

/// Who waits on a runtime that ends, and is polled by another, goes on there.
#[test]
fn a_caller_outlives_the_runtime_that_it_began_on() {
    let stage = Stage::new();
    let endpoint = Scripted::new(|_| Duration::from_millis(50));
    let requests = Arc::clone(&endpoint.requests);
    let credential = credential(&stage, endpoint);
    let [first, second] = [(); 2].map(|()| Runtime::new().unwrap());
    let options = TokenRequestOptions::default();
    let mut asking = Box::pin(credential.get_token(&[ARM], &options));
    {
        let _on_the_first = first.enter();
        assert!(poll_once(&mut asking).is_pending());
    }
    first.shutdown_background();
    second.block_on(asking).unwrap();
    assert!((1..=2).contains(&requests.load(Ordering::Relaxed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_everybodys() {
    let stage = Stage::new();
    let credential = stage.credential(holding(&stage.cache()));
    let refused = Reply::error(test_support::EntraError::Revoked);
    stage
        .entra
        .push(refused.delayed(Duration::from_millis(200)));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let credential = credential.clone();
            tokio::spawn(async move { ask(&credential).await })
        })
        .collect();
    for task in tasks {
        let error = task.await.unwrap().unwrap_err();
        assert!(text(&error).contains("AADSTS50173"), "{error}");
        assert_eq!(error.oauth().unwrap().error_codes(), [50173]);
    }
    assert_eq!(stage.entra.request_count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_signs_in_meanwhile_gets_their_own_token() {
    let stage = Stage::new();
    let bob = FakeAccount::new("bob@fabrikam.example");
    let store = holding(&stage.cache());
    let credential = stage.credential(store.clone());
    stage
        .entra
        .push(Reply::success().delayed(Duration::from_millis(500)));
    let asking = credential.clone();
    let adas = tokio::spawn(async move { ask(&asking).await });
    assert!(stage.entra.wait_for_requests(1, PATIENCE));
    // Ada signs out, Bob signs in.
    let refresh_token = stage.entra.issue_refresh_token(&bob, CLI, false);
    let newer = test_support::CacheBuilder::new().signed_in(&bob, HOST, CLI, &refresh_token);
    store.save(newer.to_json().as_bytes()).unwrap();
    let bobs = ask(&credential).await.unwrap();
    let adas = adas.await.unwrap().unwrap();
    assert_ne!(adas.token().expose_secret(), bobs.token().expose_secret());
    for token in [ask(&credential).await.unwrap(), bobs] {
        let [entry] = entries(&store, "AccessToken").try_into().unwrap();
        assert_eq!(entry["home_account_id"], bob.home_account_id());
        assert_eq!(entry["secret"], token.token().expose_secret());
    }
    assert_eq!(stage.entra.request_count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_endpoint_fails_all_who_wait_and_nobody_later() {
    let stage = Stage::new();
    let mut endpoint = Scripted::new(|_| Duration::from_millis(100));
    endpoint.panics = true;
    let requests = Arc::clone(&endpoint.requests);
    let credential = credential(&stage, endpoint);
    for round in 1..3 {
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let credential = credential.clone();
                tokio::spawn(async move { ask(&credential).await })
            })
            .collect();
        for task in tasks {
            let error = task.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
            assert!(text(&error).contains("panicked"), "{error}");
        }
        assert_eq!(requests.load(Ordering::Relaxed), round);
    }
    credential.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_store_costs_a_write_and_nothing_else() {
    let stage = Stage::new();
    let store = holding(&stage.cache());
    let before = content(&store);
    let panicking = PanickingStore::new(store.clone(), "save");
    let credential = stage.credential(panicking.clone());
    let token: Result<AccessTokenInfo> = ask(&credential).await;
    let again = ask(&credential).await.unwrap();
    assert_eq!(
        token.unwrap().token().expose_secret(),
        again.token().expose_secret()
    );
    assert_eq!(content(&store), before);
    panicking.calm_down();
    super::ask_with(&credential, &challenge()).await.unwrap();
    assert_eq!(entries(&store, "AccessToken").len(), 1);
    credential.close().await.unwrap();
}
