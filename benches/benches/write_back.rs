//! What a redemption costs the disk: one modification of the cache, under its lock, beside writing
//! the same bytes into a temporary, syncing it once and renaming it.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a benchmark stands outside the doors that it measures, and stops at the first surprise"
)]
#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write;
use std::thread;
use std::time::{Duration, SystemTime};

use benches::sample::Sample;
use criterion::{BatchSize, BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use msal_token_cache::{Merged, RedeemedToken, Redemption};
use shared_token_cache_credential::Secret;

/// Longer than a writer rests, and than a stamp is young.
const PAUSE: Duration = Duration::from_millis(60);

fn write_back(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write_back");
    for sample in Sample::all_in(env!("CARGO_TARGET_TMPDIR")) {
        let id = |side: &str| BenchmarkId::new(side, sample.name);
        // Pauses are not measured, but take their time: a few writes have to do.
        group.sampling_mode(SamplingMode::Flat);
        group.sample_size(20);
        group.measurement_time(Duration::from_millis(20));
        let newest = Cell::new(0_u32);
        let next = || {
            newest.set(newest.get() + 1);
            format!("{:a>1750}", newest.get())
        };

        let cache = sample.cache();
        let account = sample.account.home_account_id();
        let redeemed = cache
            .snapshot()
            .unwrap()
            .refresh_tokens()
            .find(|token| token.home_account_id() == account)
            .map(|token| RedeemedToken::from(&token))
            .unwrap();
        // Whoever writes again at once leaves the lock to others for as long as a write takes.
        // Redemptions are minutes apart, and each looks at the cache before it asks.
        let pause = || {
            thread::sleep(PAUSE);
            cache.snapshot().unwrap();
        };
        let redemption = || {
            pause();
            let now = SystemTime::now();
            Redemption::new(
                redeemed.clone(),
                &sample.account.utid,
                &sample.scope,
                Secret::new(next()),
                now,
                now + Duration::from_secs(3_600),
            )
        };
        let ours = |redemption: Redemption| {
            let merged = cache.modify(|transaction| transaction.merge(&redemption));
            assert_eq!(merged.unwrap(), Merged::Stored);
        };
        ours(redemption());
        group.bench_function(id("ours"), |bencher| {
            bencher.iter_batched(redemption, ours, BatchSize::PerIteration);
        });
        let written = fs::read_to_string(sample.path()).unwrap();
        assert!(written.contains(&format!("{:a>1750}", newest.get())));

        let [path, beside] = ["raw", "raw.tmp"].map(|name| sample.folder().join(name));
        let content = |()| written.replacen("aaaa", &next()[1_746..], 1);
        let raw = |content: String| {
            let mut file = File::create(&beside).unwrap();
            file.write_all(content.as_bytes()).unwrap();
            file.sync_all().unwrap();
            fs::rename(&beside, &path).unwrap();
            content
        };
        group.bench_function(id("raw"), |bencher| {
            let rested = || {
                pause();
                content(())
            };
            bencher.iter_batched(rested, raw, BatchSize::PerIteration);
        });
        let last = raw(content(()));
        assert_eq!(fs::read_to_string(&path).unwrap(), last);
        assert_eq!(last.len(), written.len());
    }
    group.finish();
}

criterion_group!(benches, write_back);
criterion_main!(benches);
