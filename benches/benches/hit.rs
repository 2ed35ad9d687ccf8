//! A token that is known: a call on a credential that has answered the same before.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a benchmark stands outside the doors that it measures, and stops at the first surprise"
)]
#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use std::fs;
use std::hint::black_box;
use std::sync::Arc;

use benches::at_once;
use benches::sample::Sample;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use shared_token_cache_credential::{AccessToken, TokenCredential, TokenRequestOptions};

fn hit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hit");
    for sample in Sample::all_in(env!("CARGO_TARGET_TMPDIR")) {
        let id = |side: &str| BenchmarkId::new(side, sample.name);
        let cache = sample.cache();
        let credential = sample.credential(cache);
        let strict = sample.credential(sample.strict_cache());
        let shared: Arc<dyn TokenCredential> = Arc::new(credential.clone());
        let scopes = [sample.scope.as_str()];
        let scopes: &[&str] = black_box(&scopes);
        let options = TokenRequestOptions::default();

        let inherent = || at_once(credential.get_token(scopes, &options)).unwrap();
        let dynamic = || at_once(shared.get_token(scopes, &options)).unwrap();
        let checked = || at_once(strict.get_token(scopes, &options)).unwrap();
        sample.check("ours", inherent().token().expose_secret());
        sample.check("ours, dyn", dynamic().token().expose_secret());
        sample.check("ours, checked", checked().token().expose_secret());
        group.bench_function(id("ours_inherent"), |bencher| bencher.iter(inherent));
        group.bench_function(id("ours_dyn"), |bencher| bencher.iter(dynamic));
        group.bench_function(id("ours_checked"), |bencher| bencher.iter(checked));
        sees_each_write(&sample, checked);

        #[cfg(feature = "yardsticks")]
        {
            let azure = benches::azure::holding(&sample.token);
            let cached = || at_once(azure.get_token(scopes, None)).unwrap();
            sample.check("azure_identity", cached().token.secret());
            group.bench_function(id("azure_identity"), |bencher| bencher.iter(cached));
        }

        #[cfg(unix)]
        {
            let file = fs::File::open(sample.path()).unwrap();
            let look = || nix::sys::stat::fstat(black_box(&file)).unwrap();
            assert_eq!(usize::try_from(look().st_size).unwrap(), sample.text.len());
            group.bench_function(id("fstat"), |bencher| bencher.iter(look));
        }
    }
    group.finish();
}

/// A look that misses a write would be no look. Leaves the file with other tokens.
fn sees_each_write(sample: &Sample, checked: impl Fn() -> AccessToken) {
    let (mut text, mut token) = (sample.text.clone(), sample.token.clone());
    for round in 0..3 {
        let next = format!("{round}{}", &token[1..]);
        text = text.replacen(&token, &next, 1);
        let beside = sample.folder().join("beside");
        fs::write(&beside, &text).unwrap();
        fs::rename(&beside, sample.path()).unwrap();
        assert_eq!(checked().token().expose_secret(), next);
        token = next;
    }
}

criterion_group!(benches, hit);
criterion_main!(benches);
