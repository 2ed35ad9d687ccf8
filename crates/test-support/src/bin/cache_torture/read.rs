use std::path::Path;
use std::time::{Duration, Instant};

use msal_token_cache::{FilePersistence, TokenCache};
use serde_json::{Value, json};

/// Reads so often at least, and for so long at least: in turn as a service that keeps its cache and
/// as one that has just started.
///
/// `none` counts the times that the account that is there all the time was not seen.
pub(super) fn read(path: &str, reads: u64, time: Duration) -> Value {
    let kept = TokenCache::new(FilePersistence::new(path));
    let begun = Instant::now();
    let (mut done, mut none, mut torn) = (0_u64, 0_u64, 0_u64);
    let mut errors = [0_u64; 2];
    let mut slowest = Duration::ZERO;
    let mut error_text = None;
    while done < reads || begun.elapsed() < time {
        // What a reader without patience would have met. Each time: where a read takes long, there are
        // few of them.
        torn += u64::from(is_torn(Path::new(path)));
        let begins_anew = done % 8 == 7;
        let cache = if begins_anew {
            TokenCache::new(FilePersistence::new(path))
        } else {
            kept.clone()
        };
        // The one that is kept may have met nothing whole yet, either.
        let has_read = cache.current().is_some();
        let turn = Instant::now();
        match cache.snapshot() {
            Ok(snapshot) => none += u64::from(snapshot.accounts().count() == 0),
            Err(error) => {
                errors[usize::from(!has_read)] += 1;
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
