//! Calls that a proxy stops.

use msal_token_cache::TokenCache;
use shared_token_cache_credential::{Error, HyperTokenEndpoint};
use test_support::{FakeProxy, RawServer, logs};

use super::super::{Stage, ask, holding};
use super::requests::{endpoint_for, failed, run};
use super::{Provoked, Row, Surroundings};

pub(super) fn rows() -> Vec<Row> {
    [settings(), refusals(), connections()]
        .into_iter()
        .flatten()
        .collect()
}

/// What the environment says wrongly.
fn settings() -> Vec<Row> {
    const SUPPORTED: &str = "supported is http://host:port, with user:password@ \
                             (percent-encoded) before the host where the proxy wants that";
    let ask = |stage: &Stage| {
        let builder = stage.builder().token_endpoint(stage.endpoint());
        let cache = TokenCache::new(holding(&stage.cache()));
        run(ask(&builder.token_cache(cache).build().unwrap())).unwrap_err()
    };
    vec![
        failed(
            "no answer from {host}: ALL_PROXY names a proxy to be spoken to by socks5: supported \
             is http://host:port, with user:password@ (percent-encoded) before the host where the \
             proxy wants that",
            "ALL_PROXY",
            SUPPORTED,
            ask,
        )
        .within(Surroundings::SocksProxy),
        failed(
            "no answer from {host}: HTTPS_PROXY is not the URL of a proxy: supported is \
             http://host:port, with user:password@ (percent-encoded) before the host where the \
             proxy wants that",
            "HTTPS_PROXY",
            SUPPORTED,
            ask,
        )
        .within(Surroundings::NoProxyUrl),
    ]
}

/// What comes of asking through a proxy that answers with this, to a user or to nobody.
fn through(stage: &Stage, answer: &'static str, user: Option<&str>) -> Provoked {
    run(async {
        let proxy = FakeProxy::answering(answer).await;
        let (url, address) = (proxy.url(), proxy.url().replace("http://", ""));
        let url = user.map_or(url, |user| format!("http://{user}@{address}"));
        let server = RawServer::answering("").await;
        let error = ask_through(stage, endpoint_for(&server), &url).await;
        Provoked::from(error).with("proxy", address)
    })
}

/// Some of these are tried again first, which takes about three seconds.
async fn ask_through(stage: &Stage, endpoint: HyperTokenEndpoint, proxy: &str) -> Error {
    let cache = TokenCache::new(holding(&stage.cache()));
    let builder = stage.builder().token_cache(cache);
    let builder = builder.token_endpoint(endpoint.with_proxy(proxy).unwrap());
    ask(&builder.build().unwrap()).await.unwrap_err()
}

fn refusals() -> Vec<Row> {
    vec![
        failed(
            "no answer from {host}: the proxy {proxy} refused user and password (HTTP 407): \
             correct them in its URL",
            "the proxy {proxy}",
            "correct them in its URL",
            |stage| {
                let user = format!("ada:{}", logs::canary("proxy password"));
                through(stage, "HTTP/1.1 407 No\r\n\r\n", Some(&user))
            },
        ),
        failed(
            "no answer from {host}: the proxy {proxy} wants user and password (HTTP 407): add \
             them to its URL",
            "the proxy {proxy}",
            "add them to its URL",
            |stage| through(stage, "HTTP/1.1 407 No\r\n\r\n", None),
        ),
        failed(
            "no answer from {host}: the proxy {proxy} does not let us connect to localhost (HTTP \
             403): ask who runs it, or name the host in NO_PROXY",
            "the proxy {proxy}",
            "ask who runs it, or name the host in NO_PROXY",
            |stage| through(stage, "HTTP/1.1 403 No\r\n\r\n", None),
        ),
    ]
}

fn connections() -> Vec<Row> {
    let anew = "check the network and the builder's authority, then call again";
    vec![
        failed(
            "no answer from {host}: the proxy {proxy} made no connection to localhost (HTTP 502); \
             check the network and the builder's authority, then call again",
            "the proxy {proxy}",
            anew,
            |stage| through(stage, "HTTP/1.1 502 No\r\n\r\n", None),
        ),
        failed(
            "no answer from {host}: the proxy {proxy} gave no answer that is HTTP; check the \
             network and the builder's authority, then call again",
            "the proxy {proxy}",
            anew,
            |stage| through(stage, "220 mail.example\r\n\r\n", None),
        ),
        failed(
            "no answer from {host}: the proxy {proxy} sent more than its consent; check the \
             network and the builder's authority, then call again",
            "the proxy {proxy}",
            anew,
            |stage| through(stage, "HTTP/1.1 200 OK\r\n\r\n220 mail.example\r\n", None),
        ),
        failed(
            "no answer from {host}: no connection to the proxy {proxy}: {cause}; check the \
             network and the builder's authority, then call again",
            "the proxy {proxy}",
            anew,
            |stage| {
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                let nobody = listener.local_addr().unwrap().to_string();
                drop(listener);
                run(async {
                    let server = RawServer::answering("").await;
                    let url = format!("http://{nobody}");
                    let error = ask_through(stage, endpoint_for(&server), &url).await;
                    Provoked::from(error)
                        .with_cause()
                        .with("proxy", nobody.clone())
                })
            },
        ),
    ]
}
