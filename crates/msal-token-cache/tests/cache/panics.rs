//! A store that panics: the call fails, its caller goes on, and so does the cache.

use std::panic::{AssertUnwindSafe, catch_unwind};

use msal_token_cache::{
    ErrorKind, Freshness, MemoryPersistence, Merged, Persistence, Result, TokenCache, Transaction,
};
use test_support::PanickingStore;

use super::sample::{redeemed, signed_in};

/// What every call to a cache came to: `None` if all is well, else the error's text.
fn call_all(cache: &TokenCache) -> Vec<(&'static str, Option<String>)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let merge = |transaction: &mut Transaction| {
        let merged = transaction.merge(&redeemed(&signed_in()))?;
        assert_eq!(merged, Merged::Stored);
        Ok(())
    };
    let told = |result: Result<()>| {
        result.err().map(|error| {
            // After five attempts without a lock that is held.
            let is_typed = matches!(error.kind(), ErrorKind::Io | ErrorKind::Locked);
            assert!(is_typed, "{error:?}");
            error.to_string()
        })
    };
    let looks = || {
        drop((cache.location(), cache.is_encrypted(), cache.note()));
        drop((cache.leases(), cache.tick(), format!("{cache:?}")));
        cache
            .current()
            .map(|snapshot| cache.is_current(&snapshot, cache.tick()));
        Ok(())
    };
    vec![
        ("looks", told(looks())),
        ("snapshot", told(cache.snapshot().map(drop))),
        (
            "latest",
            told(cache.snapshot_with(Freshness::Latest).map(drop)),
        ),
        ("looks again", told(looks())),
        ("modify", told(cache.modify(merge))),
        (
            "snapshot_async",
            told(runtime.block_on(cache.snapshot_async()).map(drop)),
        ),
        (
            "latest_async",
            told(
                runtime
                    .block_on(cache.snapshot_with_async(Freshness::Latest))
                    .map(drop),
            ),
        ),
        (
            "modify_async",
            told(runtime.block_on(cache.modify_async(merge))),
        ),
    ]
}

/// The calls that cannot do without a function.
fn needs(function: &str) -> &'static [&'static str] {
    let everything = &[
        "snapshot",
        "latest",
        "modify",
        "snapshot_async",
        "latest_async",
        "modify_async",
    ];
    match function {
        "load" => everything,
        // What was written is not read again.
        "load_quickly" => &["snapshot", "latest"],
        // Something was read before, and whether it is still so cannot be told.
        "stamp" => &["latest", "modify", "latest_async", "modify_async"],
        "quick_stamp" => &["snapshot_async"],
        "lock" | "save" | "save_if" | "is_held" => &["modify", "modify_async"],
        _ => &[],
    }
}

#[test]
fn a_store_that_panics_in_any_function_fails_the_call_and_not_the_caller() {
    for function in PanickingStore::FUNCTIONS {
        let memory = MemoryPersistence::holding(signed_in().to_json());
        let store = PanickingStore::new(memory, function);
        let cache = TokenCache::new(store.clone());
        let called = catch_unwind(AssertUnwindSafe(|| call_all(&cache)));
        let called = called.unwrap_or_else(|_| panic!("a panic in {function} reached the caller"));
        let failed = called.iter().filter(|(_, error)| error.is_some());
        let failed: Vec<_> = failed.map(|(call, _)| *call).collect();
        assert_eq!(failed, needs(function), "{function}: {called:?}");
        for text in called.into_iter().filter_map(|(_, error)| error) {
            // The one calls the other.
            let function = if function == "save" {
                "save_if"
            } else {
                function
            };
            let expected = format!("the store of a test panicked in `{function}`");
            // A lock that does not tell is not held.
            let is_told = text.starts_with(&expected) || function == "is_held";
            assert!(is_told, "{function}: {text}");
            assert!(!text.contains("on purpose"), "{text}");
        }

        // Nothing is left of it.
        store.calm_down();
        let called = call_all(&cache);
        let failed: Vec<_> = called.iter().filter(|(_, error)| error.is_some()).collect();
        assert!(failed.is_empty(), "{function}: {failed:?}");
        assert_eq!(cache.snapshot().unwrap().access_tokens().count(), 1);
        assert!(store.lock().unwrap().is_held(), "{function}");
    }
}
