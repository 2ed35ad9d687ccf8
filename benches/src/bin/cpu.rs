#![allow(warnings, clippy::all, clippy::pedantic)]
use benches::sample::SIZES;
use benches::wire::{self, Endpoint, SCOPE};
use msal_token_cache::{MemoryPersistence, TokenCache};
use shared_token_cache_credential::*;
use std::time::{Duration, Instant};
use test_support::CacheBuilder;
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1000.0
}
fn main() {
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let endpoint = rt.block_on(Endpoint::start());
    let n = 500u64;
    let args: Vec<String> = std::env::args().collect();
    let rounds: usize = args.get(1).map_or(8, |a| a.parse().unwrap());
    let pem = endpoint.root_pem().as_bytes();
    let size = args.get(2).map_or(0, |a| a.parse().unwrap());
    let [a, t] = SIZES[size].1;
    let store = MemoryPersistence::holding(
        endpoint
            .signed_in(CacheBuilder::many(a, t, 2_000_000_000))
            .to_json(),
    );
    let credential = SharedTokenCacheCredential::builder()
        .authority(endpoint.authority())
        .token_endpoint(
            HyperTokenEndpoint::with_extra_root_certificates(pem)
                .unwrap()
                .without_proxy(),
        )
        .token_cache(TokenCache::new(store))
        .build()
        .unwrap();
    let options = TokenRequestOptions::default().with_force_refresh(true);
    let client = endpoint.hyper();
    let (url, form) = (endpoint.url(), endpoint.form());
    let mut best = [(f64::MAX, f64::MAX); 6];
    let ours_ep = HyperTokenEndpoint::with_extra_root_certificates(pem)
        .unwrap()
        .without_proxy();
    let (tls, address) = (std::sync::Arc::new(endpoint.tls()), endpoint.address());
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    for _ in 0..rounds {
        for side in 0..6 {
            let n = if side > 2 { 60 } else { n };
            if args.len() > 3 && args[3] != side.to_string() {
                continue;
            }
            if side != 5 {
                let _ = endpoint.prepare(n, 3600);
            }
            let (c, w) = rt.block_on(async {
                let (c, w) = (cpu(), Instant::now());
                for _ in 0..n {
                    match side {
                        0 => {
                            std::hint::black_box(
                                credential.get_token(&[SCOPE], &options).await.unwrap(),
                            );
                        }
                        1 => {
                            std::hint::black_box(wire::post(&client, &url, form.clone()).await);
                        }
                        _ => {
                            std::hint::black_box(ours_ep.send(endpoint.request()).await.unwrap());
                        }
                    }
                }
                (cpu() - c, w.elapsed())
            });
            best[side].0 = best[side].0.min(c / n as f64);
            best[side].1 = best[side].1.min(w.as_secs_f64() * 1e6 / n as f64);
        }
    }
    for (name, (c, w)) in [
        "ours",
        "hyper",
        "ours send",
        "first ours",
        "first hyper",
        "handshake",
    ]
    .iter()
    .zip(best)
    {
        println!("{name:10} cpu {c:7.1} us  wall {w:7.1} us");
    }
}
