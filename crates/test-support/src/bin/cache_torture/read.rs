use std::path::Path;
use std::time::{Duration, Instant};

use msal_token_cache::{FilePersistence, TokenCache};
use serde_json::{Value, json};

/// Reads, in turn, as a service that keeps its cache and as one that has just started.
///
/// `none` counts the times that the account that is there all the time was not seen.
pub(super) fn read(path: &str, reads: u64, time: Duration) -> Value {
    let kept = TokenCache::new(FilePersistence::new(path));
    let begun = Instant::now();
    let (mut done, mut none, mut torn) = (0_u64, 0_u64, 0_u64);
    let mut errors = [0_u64; 2];
    let mut slowest = Duration::ZERO;
    let mut error_text = None;
    while (reads == 0 || done < reads) && (time.is_zero() || begun.elapsed() < time) {
        let begins_anew = done % 8 == 7;
        let cache = if begins_anew {
            // What a reader without patience would have met.
            torn += u64::from(is_torn(Path::new(path)));
            TokenCache::new(FilePersistence::new(path))
        } else {
            kept.clone()
        };
        let turn = Instant::now();
        match cache.snapshot() {
            Ok(snapshot) => none += u64::from(snapshot.accounts().count() == 0),
            Err(error) => {
                errors[usize::from(begins_anew)] += 1;
                error_text.get_or_insert_with(|| error.to_string());
            }
        }
        slowest = slowest.max(turn.elapsed());
        done += 1;
    }
    json!({
        "reads": done,
        "none": none,
        "torn": torn,
        "errors": errors[0],
        "errors_anew": errors[1],
        "error": error_text,
        "max_ms": slowest.as_millis(),
        "took_ms": begun.elapsed().as_millis(),
    })
}

fn is_torn(path: &Path) -> bool {
    let content = std::fs::read(path).unwrap();
    serde_json::from_slice::<serde::de::IgnoredAny>(&content).is_err()
}
