//! A redemption at a token endpoint on loopback: over a connection that stands, and with a new one.
//! The store is in memory, so neither disk nor lease takes part.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a benchmark stands outside the doors that it measures, and stops at the first surprise"
)]
#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::sample::SIZES;
use benches::wire::{self, Endpoint, SCOPE};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use msal_token_cache::{MemoryPersistence, TokenCache};
use rustls::pki_types::ServerName;
use shared_token_cache_credential::{
    HyperTokenEndpoint, SharedTokenCacheCredential, TokenEndpoint, TokenRequestOptions,
};
use test_support::CacheBuilder;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;

/// A usual lifetime, in seconds.
const AN_HOUR: u64 = 3_600;

fn redeem(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let endpoint = runtime.block_on(Endpoint::start());
    pooled(criterion, &runtime, &endpoint);
    first(criterion, &runtime, &endpoint);
}

/// How long so many calls take, one after another; each must get the token that was prepared for
/// it.
fn timed<T>(
    runtime: &Runtime,
    endpoint: &Endpoint,
    (calls, expires_in): (u64, u64),
    call: impl AsyncFn() -> T,
    token: impl Fn(T) -> String,
) -> Duration {
    let prepared = endpoint.prepare(calls, expires_in);
    let mut got = Vec::with_capacity(prepared.len());
    let elapsed = runtime.block_on(async {
        let start = Instant::now();
        for _ in 0..calls {
            got.push(call().await);
        }
        start.elapsed()
    });
    for (got, prepared) in got.into_iter().zip(prepared) {
        assert!(token(got) == prepared, "another token than was issued");
    }
    elapsed
}

fn ours(endpoint: &Endpoint) -> HyperTokenEndpoint {
    let pem = endpoint.root_pem().as_bytes();
    let endpoint = HyperTokenEndpoint::with_extra_root_certificates(pem).unwrap();
    endpoint.without_proxy()
}

fn pooled(criterion: &mut Criterion, runtime: &Runtime, endpoint: &Endpoint) {
    let mut group = criterion.benchmark_group("redeem");
    let (url, form) = (endpoint.url(), endpoint.form());

    let samples = [60, 60, 10];
    // What others have in the store is read and written along.
    for ((size, [accounts, tokens_each]), samples) in SIZES.into_iter().zip(samples) {
        group.sample_size(samples);
        let cache = CacheBuilder::many(accounts, tokens_each, 2_000_000_000);
        let store = MemoryPersistence::holding(endpoint.signed_in(cache).to_json());
        let credential = SharedTokenCacheCredential::builder()
            .authority(endpoint.authority())
            .token_endpoint(ours(endpoint))
            .token_cache(TokenCache::new(store))
            .build()
            .unwrap();
        let options = TokenRequestOptions::default().with_force_refresh(true);
        let call = async || credential.get_token(&[SCOPE], &options).await.unwrap();
        group.bench_function(BenchmarkId::new("pooled_ours", size), |bencher| {
            bencher.iter_custom(|calls| {
                timed(runtime, endpoint, (calls, AN_HOUR), call, |token| {
                    token.token().expose_secret().to_owned()
                })
            });
        });
    }

    group.sample_size(60);
    // The request alone, as it is part of the whole.
    let ours = ours(endpoint);
    let call = async || ours.send(endpoint.request()).await.unwrap();
    group.bench_function("pooled_ours_request", |bencher| {
        bencher.iter_custom(|calls| {
            timed(runtime, endpoint, (calls, AN_HOUR), call, |reply| {
                wire::token_in(reply.body())
            })
        });
    });

    let client = endpoint.hyper();
    let call = async || wire::post(&client, &url, form.clone()).await;
    group.bench_function("pooled_hyper", |bencher| {
        bencher.iter_custom(|calls| {
            timed(runtime, endpoint, (calls, AN_HOUR), call, |body| {
                wire::token_in(&body)
            })
        });
    });

    #[cfg(feature = "yardsticks")]
    {
        let client = endpoint.reqwest();
        let call = async || wire::post_with_reqwest(&client, &url, form.clone()).await;
        group.bench_function("pooled_reqwest", |bencher| {
            bencher.iter_custom(|calls| {
                timed(runtime, endpoint, (calls, AN_HOUR), call, |body| {
                    wire::token_in(&body)
                })
            });
        });

        let client = endpoint.reqwest();
        let call = async || benches::azure::post(&client, &url, form.clone()).await;
        group.bench_function("pooled_azure_core", |bencher| {
            bencher.iter_custom(|calls| {
                timed(runtime, endpoint, (calls, AN_HOUR), call, |body| {
                    wire::token_in(&body)
                })
            });
        });

        let azure = benches::azure::asking(&endpoint.authority(), endpoint.reqwest());
        let call = async || azure.get_token(&[SCOPE], None).await.unwrap();
        // A token with a minute left is never answered from its memory.
        group.bench_function("pooled_azure_identity", |bencher| {
            bencher.iter_custom(|calls| {
                timed(runtime, endpoint, (calls, 60), call, |token| {
                    token.token.secret().to_owned()
                })
            });
        });
    }
    group.finish();
}

fn first(criterion: &mut Criterion, runtime: &Runtime, endpoint: &Endpoint) {
    let mut group = criterion.benchmark_group("redeem");
    let (url, form) = (endpoint.url(), endpoint.form());

    // The trust roots of the process are loaded by the redemptions above.
    let call = async || {
        let ours = ours(endpoint);
        let reply = ours.send(endpoint.request()).await.unwrap();
        assert_eq!(reply.status(), 200);
        reply
    };
    group.bench_function("first_ours", |bencher| {
        bencher.iter_custom(|calls| {
            timed(runtime, endpoint, (calls, AN_HOUR), call, |reply| {
                wire::token_in(reply.body())
            })
        });
    });

    let call = async || wire::post(&endpoint.hyper(), &url, form.clone()).await;
    group.bench_function("first_hyper", |bencher| {
        bencher.iter_custom(|calls| {
            timed(runtime, endpoint, (calls, AN_HOUR), call, |body| {
                wire::token_in(&body)
            })
        });
    });

    let (tls, address) = (Arc::new(endpoint.tls()), endpoint.address());
    let name = ServerName::try_from("localhost").unwrap();
    let handshake = async || {
        let tcp = TcpStream::connect(&address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let connector = TlsConnector::from(Arc::clone(&tls));
        connector.connect(name.clone(), tcp).await.unwrap()
    };
    group.bench_function("first_handshake", |bencher| {
        bencher.iter_custom(|calls| {
            runtime.block_on(async {
                let start = Instant::now();
                for _ in 0..calls {
                    drop(handshake().await);
                }
                start.elapsed()
            })
        });
    });
    group.finish();
}

criterion_group!(benches, redeem);
criterion_main!(benches);
