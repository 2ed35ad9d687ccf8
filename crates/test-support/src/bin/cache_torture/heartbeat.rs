use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use msal_token_cache::{FilePersistence, TokenCache};
use serde_json::{Value, json};

use super::count;

/// Writes from a runtime of one thread, and tells how long that thread's other task, which wants
/// to run every millisecond, had to wait at most.
pub(super) fn heartbeat(path: &str, writes: u64) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let cache = TokenCache::new(FilePersistence::new(path));
    let begun = Instant::now();
    let mut gaps = runtime.block_on(async {
        let is_over = Arc::new(AtomicBool::new(false));
        let beating = tokio::spawn(beat(Arc::clone(&is_over)));
        for n in 0..writes {
            let put = move |transaction: &mut _| count::put(transaction, "heartbeat", n + 1);
            cache.modify_async(put).await.unwrap();
            cache.snapshot_async().await.unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        beating.await.unwrap()
    });
    gaps.sort_unstable();
    let millis = |at: usize| gaps.get(at).map_or(0, Duration::as_millis);
    json!({
        "took_ms": begun.elapsed().as_millis(),
        "beats": gaps.len(),
        "p99_ms": millis(gaps.len() * 99 / 100),
        "max_ms": millis(gaps.len().saturating_sub(1)),
    })
}

async fn beat(is_over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut gaps = Vec::new();
    let mut last = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        gaps.push(last.elapsed());
        last = Instant::now();
    }
    gaps
}
