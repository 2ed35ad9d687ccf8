//! One redemption for all processes of a machine: they agree by a lease, and go on without a holder
//! that dies, stops or panics.

#[cfg(unix)]
mod folders;
mod holders;
mod waiting;

use std::path::Path;
use std::time::Duration;

use msal_token_cache::{FilePersistence, TokenCache};
use shared_token_cache_credential::SharedTokenCacheCredential;
use test_support::{AccessTokenSpec, CacheBuilder, Reply, logs};

use super::rerun::is_rerun;
use super::workers::{DEADLINE, Got, Machine, Worker, work};
use super::{NOW, Stage, token};

const PROCESSES: usize = 32;

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

/// A credential with a cache of its own at this path: as good as another process.
fn another(stage: &Stage, cache: &Path) -> SharedTokenCacheCredential {
    let builder = stage.builder().close_grace(Duration::from_millis(200));
    let cache = TokenCache::new(FilePersistence::new(cache));
    builder.token_cache(cache).build().unwrap()
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
