//! Times at the end of what a clock can tell: no arithmetic on them may overflow or wrap.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use msal_token_cache::TokenCache;
use shared_token_cache_credential::TokenRequestOptions;
use test_support::{EntraError, Reply};
use token_credential::Clock;

use super::watched::{Journal, WatchedStore};
use super::{ARM, NOW, Stage, VAULT, ask, challenge, content, holding, text};

/// A program's clock that stands at some time, also before 1970.
#[derive(Debug)]
struct Stopped(SystemTime);

impl Clock for Stopped {
    fn now(&self) -> SystemTime {
        self.0
    }
}

/// The last seconds that a clock can tell, those around what the cache writes, and before 1970.
fn extremes() -> Vec<SystemTime> {
    let after = |seconds: u64| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    let before = |seconds: u64| UNIX_EPOCH.checked_sub(Duration::from_secs(seconds));
    let end = i64::MAX.unsigned_abs();
    [
        after(0),
        after(253_402_300_799),
        after(253_402_300_800),
        after(end - 300),
        after(end),
        before(1),
        before(end),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[tokio::test]
async fn a_clock_at_the_end_of_time_panics_no_call() {
    let refused = || Reply::error(EntraError::Revoked);
    let throttled = || Reply::error(EntraError::Throttled).with_header("Retry-After", "3600");
    for now in extremes() {
        for replies in [vec![], vec![refused()], vec![throttled()]] {
            let stage = Stage::new();
            let store = holding(&stage.cache_with_token(3600));
            let cache = TokenCache::new(store.clone());
            let builder = stage.builder().clock(Stopped(now)).token_cache(cache);
            // Nor do a program's durations overflow what they are added to.
            let builder = builder.timeout(Duration::MAX).close_grace(Duration::MAX);
            let credential = builder.build().unwrap();
            for reply in replies {
                stage.entra.push(reply);
            }
            let plain = TokenRequestOptions::default;
            for (scope, options) in [
                (ARM, plain()),
                (VAULT, plain()),
                (VAULT, plain()),
                (ARM, plain().with_force_refresh(true)),
                (ARM, challenge()),
            ] {
                if let Err(error) = credential.get_token_info(&[scope], &options).await {
                    assert!(!text(&error).contains("panic"), "{now:?}: {error}");
                }
            }
            credential.close().await.unwrap();
            assert!(content(&store)["AccessToken"].is_object(), "{now:?}");
            let panics = stage.watch.lines();
            assert!(
                !panics.iter().any(|line| line.text.contains("panic")),
                "{now:?}"
            );
        }
    }
}

/// A token that was issued while the clock was ahead is good for its lifetime, not until its date.
#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_token_good_for_days() {
    let day = 24 * 3600;
    for is_writable in [true, false] {
        let stage = Stage::new();
        stage.clock.set(NOW + 3 * day);
        let store = holding(&stage.cache());
        let journal = Journal::default();
        let watched = WatchedStore::new(&store, &journal);
        watched.fail(!is_writable);
        let credential = stage.credential(watched);
        let ahead = ask(&credential).await.unwrap();
        assert_eq!(
            ask(&credential).await.unwrap().token().expose_secret(),
            ahead.token().expose_secret()
        );
        stage.clock.set(NOW);
        let now = ask(&credential).await.unwrap();
        assert_ne!(
            now.token().expose_secret(),
            ahead.token().expose_secret(),
            "{is_writable}"
        );
        assert!(now.expires_on() <= super::at(NOW + day), "{is_writable}");
        assert_eq!(stage.entra.request_count(), 2);
    }
}
