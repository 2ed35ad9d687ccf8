use std::time::Duration;

use msal_token_cache::{FilePersistence, TokenCache};
use serde_json::{Value, json};

use super::count;

/// Whoever traces this process counts calls from here on: nothing else opens this path.
const MARK: &str = "/cache_torture/begin";
/// And up to here.
const END: &str = "/cache_torture/end";

/// One modification of a cache, and how it ended.
pub(super) fn once(path: &str, timeout: Duration) -> Value {
    let cache = TokenCache::new(FilePersistence::new(path).with_lock_timeout(timeout));
    let _ = std::fs::metadata(MARK);
    let modified = cache.modify(|transaction| count::put(transaction, "once", 1));
    let _ = std::fs::metadata(END);
    match modified {
        Ok(merged) => json!({ "ok": format!("{merged:?}") }),
        Err(error) => json!({ "kind": format!("{:?}", error.kind()), "error": error.to_string() }),
    }
}
