//! Hits of 64 tasks at the same time, on a runtime with two workers.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a benchmark stands outside the doors that it measures, and stops at the first surprise"
)]
#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::sample::Sample;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shared_token_cache_credential::{TokenCredential, TokenRequestOptions};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

const TASKS: u64 = 64;

fn contention(criterion: &mut Criterion) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut group = criterion.benchmark_group("contention");
    group.throughput(Throughput::Elements(1));
    for sample in Sample::all_in(env!("CARGO_TARGET_TMPDIR")) {
        let id = |side: &str| BenchmarkId::new(side, sample.name);
        let credential = sample.credential(sample.cache());
        let shared: Arc<dyn TokenCredential> = Arc::new(credential.clone());
        let scope: Arc<str> = sample.scope.as_str().into();
        let token: Arc<str> = sample.token.as_str().into();
        // Read once: a load is another group's matter.
        let (scopes, options) = ([&*scope], TokenRequestOptions::default());
        let known = runtime.block_on(credential.get_token(&scopes, &options));
        sample.check("ours", known.unwrap().token().expose_secret());

        group.bench_function(id("ours_inherent"), |bencher| {
            bencher.iter_custom(|calls| {
                let (credential, scope, token) = (&credential, &scope, &token);
                timed(&runtime, calls, || {
                    let credential = credential.clone();
                    let (scope, token) = (Arc::clone(scope), Arc::clone(token));
                    async move |calls| {
                        let (scopes, options) = ([&*scope], TokenRequestOptions::default());
                        for _ in 0..calls {
                            let found = credential.get_token(black_box(&scopes), &options).await;
                            black_box(found.unwrap());
                        }
                        let found = credential.get_token(&scopes, &options).await.unwrap();
                        assert!(found.token().expose_secret() == &*token);
                    }
                })
            });
        });

        group.bench_function(id("ours_dyn"), |bencher| {
            bencher.iter_custom(|calls| {
                let (shared, scope, token) = (&shared, &scope, &token);
                timed(&runtime, calls, || {
                    let shared = Arc::clone(shared);
                    let (scope, token) = (Arc::clone(scope), Arc::clone(token));
                    async move |calls| {
                        let (scopes, options) = ([&*scope], TokenRequestOptions::default());
                        for _ in 0..calls {
                            let found = shared.get_token(black_box(&scopes), &options).await;
                            black_box(found.unwrap());
                        }
                        let found = shared.get_token(&scopes, &options).await.unwrap();
                        assert!(found.token().expose_secret() == &*token);
                    }
                })
            });
        });

        #[cfg(feature = "yardsticks")]
        {
            let azure = benches::azure::holding(&sample.token);
            group.bench_function(id("azure_identity"), |bencher| {
                bencher.iter_custom(|calls| {
                    let (azure, scope, token) = (&azure, &scope, &token);
                    timed(&runtime, calls, || {
                        let azure = Arc::clone(azure);
                        let (scope, token) = (Arc::clone(scope), Arc::clone(token));
                        async move |calls| {
                            let scopes = [&*scope];
                            for _ in 0..calls {
                                let found = azure.get_token(black_box(&scopes), None).await;
                                black_box(found.unwrap());
                            }
                            let found = azure.get_token(&scopes, None).await.unwrap();
                            assert!(found.token.secret() == &*token);
                        }
                    })
                });
            });
        }
    }
    group.finish();
}

/// How long so many calls take, spread over the tasks.
fn timed<T, F>(runtime: &Runtime, calls: u64, task: impl Fn() -> T) -> Duration
where
    T: FnOnce(u64) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    // Criterion asks for one call at first: each task makes at least one.
    let each = calls.div_ceil(TASKS);
    runtime.block_on(async {
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            tasks.spawn(task()(each));
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        // For the calls that were asked for.
        let spent = start.elapsed().as_nanos() * u128::from(calls) / u128::from(each * TASKS);
        Duration::from_nanos(u64::try_from(spent).unwrap())
    })
}

criterion_group!(benches, contention);
criterion_main!(benches);
