//! The async twins: they do as the blocking functions do, and leave the executor alone.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use msal_token_cache::{ErrorKind, Merged, TokenCache};

#[cfg(unix)]
use super::peers::Peer;
use super::sample::{Place, redeemed, signed_in};

/// What a future comes to that is ready at once, without any runtime.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something"),
    }
}

/// Runs `work` and tells the longest time for which another task of the same thread got no turn.
async fn longest_gap<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let is_over = Arc::new(AtomicBool::new(false));
    let ticking = tokio::spawn({
        let is_over = Arc::clone(&is_over);
        async move {
            let mut longest = Duration::ZERO;
            let mut last = Instant::now();
            while !is_over.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(1)).await;
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            longest
        }
    });
    tokio::task::yield_now().await;
    let result = work.await;
    is_over.store(true, Ordering::Relaxed);
    (result, ticking.await.unwrap())
}

/// What a loaded machine may do to a ticking task; a blocked one stands for several times that.
const TOLERABLE: Duration = Duration::from_millis(150);

#[test]
fn a_hit_needs_no_runtime() {
    let place = Place::signed_in();
    let cache = place.cache();
    let read = at_once(cache.snapshot_async()).unwrap();
    assert_eq!(read.accounts().count(), 1);
    assert_eq!(
        read.version(),
        at_once(cache.snapshot_async()).unwrap().version()
    );
}

#[test]
fn without_a_runtime_they_block() {
    let cache = Place::empty().cache();
    assert_eq!(
        at_once(cache.snapshot_async()).unwrap().accounts().count(),
        0
    );

    let torn = Place::holding("{");
    let error = at_once(torn.cache().snapshot_async()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);

    let place = Place::signed_in();
    let redemption = redeemed(&signed_in());
    let merged = at_once(place.cache().modify_async(move |t| t.merge(&redemption)));
    assert_eq!(merged.unwrap(), Merged::Stored);
    assert_eq!(place.cache().snapshot().unwrap().access_tokens().count(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn waiting_for_a_peers_lock_blocks_no_other_task() {
    let place = Place::signed_in();
    let peer = Peer::by_flock(&place.lock_path());
    let let_go = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(700));
        peer.let_go();
    });
    let redemption = redeemed(&signed_in());
    let begun = Instant::now();
    let cache = place.cache();
    let (merged, gap) = longest_gap(cache.modify_async(move |t| t.merge(&redemption))).await;
    assert_eq!(merged.unwrap(), Merged::Stored);
    assert!(
        begun.elapsed() >= Duration::from_millis(600),
        "the peer was waited for"
    );
    assert!(gap < TOLERABLE, "another task had no turn for {gap:?}");
    let_go.await.unwrap();
}

#[tokio::test]
async fn waiting_for_torn_content_blocks_no_other_task() {
    let place = Place::holding("{\"Account\"");
    let begun = Instant::now();
    let cache = place.cache();
    let (read, gap) = longest_gap(async {
        [
            cache.snapshot_async().await,
            cache.snapshot_async().await,
            cache.snapshot_async().await,
        ]
    })
    .await;
    assert!(
        read.into_iter()
            .all(|read| read.unwrap_err().kind() == ErrorKind::Corrupt)
    );
    assert!(
        begun.elapsed() >= Duration::from_millis(400),
        "it was waited for three times"
    );
    assert!(gap < TOLERABLE, "another task had no turn for {gap:?}");
}

#[tokio::test]
async fn a_large_cache_is_read_too() {
    let place = Place::signed_in();
    let padding = format!("{{\"Padding\": \"{}\",", "x".repeat(300 * 1024));
    place.put(signed_in().to_json().replacen('{', &padding, 1));
    let cache = place.cache();
    assert_eq!(cache.snapshot_async().await.unwrap().accounts().count(), 1);
    assert_eq!(
        cache.current().unwrap().version(),
        cache.snapshot_async().await.unwrap().version()
    );
}

#[tokio::test]
async fn a_modification_that_nobody_waits_for_any_more_is_finished() {
    let place = Place::signed_in();
    let cache = place.cache();
    let redemption = redeemed(&signed_in());
    {
        let modification = cache.modify_async(move |t| t.merge(&redemption));
        let given_up = tokio::time::timeout(Duration::ZERO, modification).await;
        if let Ok(result) = given_up {
            assert_eq!(result.unwrap(), Merged::Stored, "it was quick enough");
        }
    }
    let begun = Instant::now();
    while cache
        .snapshot_async()
        .await
        .unwrap()
        .access_tokens()
        .count()
        == 0
    {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "it was never written"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_panic_of_the_edit_reaches_the_caller() {
    let place = Place::signed_in();
    let cache: TokenCache = place.cache();
    let panics = {
        let cache = cache.clone();
        tokio::spawn(async move {
            cache
                .modify_async(|_| -> msal_token_cache::Result<()> { panic!("as planned") })
                .await
        })
    };
    assert!(panics.await.unwrap_err().is_panic());
    assert!(cache.modify_async(|_| Ok(())).await.is_ok());
}
