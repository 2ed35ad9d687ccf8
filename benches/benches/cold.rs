//! The first token of a credential: its cache is read, and the token found in it. The file is in
//! the page cache; what was read is dropped outside of the time.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a benchmark stands outside the doors that it measures, and stops at the first surprise"
)]
#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use std::fs;
use std::hint::black_box;

use benches::at_once;
use benches::sample::Sample;
use benches::typed;
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use shared_token_cache_credential::{SharedTokenCacheCredential, TokenRequestOptions};

fn cold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cold");
    for sample in Sample::all_in(env!("CARGO_TARGET_TMPDIR")) {
        let id = |side: &str| BenchmarkId::new(side, sample.name);
        if sample.name == "large" {
            group.sample_size(10);
        }
        let (path, user) = (sample.path(), sample.account.username.as_str());
        let scopes = [sample.scope.as_str()];
        let options = TokenRequestOptions::default();

        let fresh = || sample.credential(sample.cache());
        // Without a runtime, so in place at each size, as the others do.
        let ours = |credential: SharedTokenCacheCredential| {
            let token = at_once(credential.get_token(black_box(&scopes), &options)).unwrap();
            (credential, token)
        };
        sample.check("ours", ours(fresh()).1.token().expose_secret());
        group.bench_function(id("ours"), |bencher| {
            bencher.iter_batched(fresh, ours, BatchSize::PerIteration);
        });

        let typed = |()| {
            let bytes = fs::read(&path).unwrap();
            let cache: typed::Cache<'_> = serde_json::from_slice(&bytes).unwrap();
            let token = cache.token(user, scopes[0]).unwrap();
            drop(cache);
            (bytes, token)
        };
        sample.check("serde_json", &typed(()).1);
        group.bench_function(id("serde_json_typed"), |bencher| {
            bencher.iter_batched(|| (), typed, BatchSize::PerIteration);
        });

        #[cfg(feature = "yardsticks")]
        {
            let typed = |()| {
                let bytes = fs::read(&path).unwrap();
                let cache: typed::Cache<'_> = sonic_rs::from_slice(&bytes).unwrap();
                let token = cache.token(user, scopes[0]).unwrap();
                drop(cache);
                (bytes, token)
            };
            sample.check("sonic-rs", &typed(()).1);
            group.bench_function(id("sonic_rs_typed"), |bencher| {
                bencher.iter_batched(|| (), typed, BatchSize::PerIteration);
            });
        }

        let read = |()| fs::read(&path).unwrap();
        assert_eq!(read(()), sample.text.as_bytes());
        group.bench_function(id("read"), |bencher| {
            bencher.iter_batched(|| (), read, BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, cold);
criterion_main!(benches);
