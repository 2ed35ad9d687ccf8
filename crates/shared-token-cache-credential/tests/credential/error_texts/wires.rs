//! Calls that get no answer over this crate's own transport, which says why.

use std::time::Duration;

use msal_token_cache::TokenCache;
use shared_token_cache_credential::{
    HyperTokenEndpoint, SharedTokenCacheCredential, TokenEndpoint, TokenRequestOptions,
};
use test_support::{CacheBuilder, FakeEntra, RawServer, Reply};

use super::super::{ARM, CLI, Stage, ask, holding};
use super::requests::{answered, ask_once, asking, endpoint_for, failed, run, run_fast};
use super::{Provoked, Row, Surroundings};

pub(super) fn rows() -> Vec<Row> {
    [connections(), answers()].into_iter().flatten().collect()
}

/// A credential for the tokens of somebody who is signed in at this server.
fn at_raw_server(stage: &Stage, server: &RawServer) -> SharedTokenCacheCredential {
    let refresh_token = stage.entra.issue_refresh_token(&stage.ada, CLI, false);
    let cache = CacheBuilder::new().signed_in(&stage.ada, "127.0.0.1", CLI, &refresh_token);
    let builder = stage.builder().token_endpoint(endpoint_for(server));
    let builder = builder.authority(format!("https://{}", server.address()));
    let cache = TokenCache::new(holding(&cache));
    builder.token_cache(cache).build().unwrap()
}

/// No connection, or no good one.
fn connections() -> Vec<Row> {
    let anew = "check the network and the builder's authority, then call again";
    vec![
        failed(
            "no answer from {nobody}: no connection to localhost: {cause}; check the network and \
             the builder's authority, then call again",
            "no answer from {nobody}",
            anew,
            |stage| {
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                let nobody = format!("localhost:{}", listener.local_addr().unwrap().port());
                drop(listener);
                let builder = stage.builder().authority(format!("https://{nobody}"));
                // A retry would come too late.
                let builder = builder.timeout(Duration::from_millis(400));
                let cache = TokenCache::new(holding(&stage.cache()));
                let credential = builder.token_cache(cache).build().unwrap();
                Provoked::from(run(ask_once(&credential)))
                    .with_cause()
                    .with("nobody", nobody)
            },
        ),
        failed(
            "no answer from {address}: no connection to 127.0.0.1: nothing within 10 s; check the \
             network and the builder's authority, then call again",
            "no answer from {address}",
            anew,
            |stage| {
                run_fast(async {
                    let server = RawServer::start_tcp(|tcp| async move {
                        let _open = tcp;
                        std::future::pending().await
                    });
                    let server = server.await;
                    let credential = at_raw_server(stage, &server);
                    let options = TokenRequestOptions::default();
                    let error = credential.get_token(&[ARM], &options).await.unwrap_err();
                    Provoked::from(error).with("address", server.address().to_string())
                })
            },
        ),
        failed(
            "no answer from {other}: no trusted connection to localhost: {cause}; where a proxy \
             looks into TLS, give its root to the builder's extra_root_certificates",
            "no answer from {other}: no trusted connection to localhost",
            "give its root to the builder's extra_root_certificates",
            |stage| {
                let other = FakeEntra::start();
                let builder = stage.builder().authority(other.authority());
                let cache = TokenCache::new(holding(&stage.cache()));
                let credential = builder.token_cache(cache).build().unwrap();
                Provoked::from(run(ask(&credential)).unwrap_err())
                    .with_cause()
                    .with("other", other.authority().replace("https://", ""))
            },
        ),
        failed(
            "no answer from {host}: the token endpoint was closed; build the credential with an \
             open one",
            "no answer from {host}: the token endpoint was closed",
            "build the credential with an open one",
            |stage| {
                run(async {
                    let endpoint = HyperTokenEndpoint::new();
                    endpoint.close().await;
                    ask(&asking(stage, endpoint)).await.unwrap_err()
                })
            },
        ),
        failed(
            "no answer from {host}: there are no roots to trust a server by ({cause}): install the \
             system's CA certificates, name a bundle in SSL_CERT_FILE or give extra root \
             certificates",
            "no answer from {host}: there are no roots to trust a server by",
            "install the system's CA certificates, name a bundle in SSL_CERT_FILE or give extra \
             root certificates",
            |stage| {
                let error = run(ask_once(&asking(
                    stage,
                    HyperTokenEndpoint::new().without_proxy(),
                )));
                Provoked::from(error).with_cause()
            },
        )
        .within(Surroundings::NoRoots),
    ]
}

/// A connection that brings no whole answer, or none that is read.
fn answers() -> Vec<Row> {
    let no_proxy = "check the builder's authority, and for a proxy in between";
    vec![
        failed(
            "no answer from {host}: the connection ended before an answer of localhost: {cause}; \
             call again",
            "no answer from {host}",
            "call again",
            |stage| {
                let dropped = [Reply::dropped(), Reply::dropped()];
                Provoked::from(answered(stage, &dropped)).with_cause()
            },
        ),
        failed(
            "no answer from {host}: the connection ended within the answer of localhost: {cause}; \
             call again",
            "no answer from {host}",
            "call again",
            |stage| {
                let cut = [Reply::success().dropped_within(30)];
                Provoked::from(answered(stage, &cut)).with_cause()
            },
        ),
        failed(
            "no answer from {address}: no answer that is HTTP/1.1 from 127.0.0.1: {cause}; check \
             the builder's authority, and for a proxy in between",
            "no answer from {address}",
            no_proxy,
            |stage| {
                run(async {
                    let server = RawServer::answering(*b"220 mail.example\r\n\r\n").await;
                    let error = ask(&at_raw_server(stage, &server)).await.unwrap_err();
                    Provoked::from(error)
                        .with_cause()
                        .with("address", server.address().to_string())
                })
            },
        ),
        failed(
            "no answer from {host}: the answer of localhost has a content encoding, though none \
             was asked for; check the builder's authority, and for a proxy in between",
            "the answer of localhost",
            no_proxy,
            |stage| {
                let encoded = Reply::success().with_header("content-encoding", "gzip");
                answered(stage, &[encoded])
            },
        ),
        failed(
            "no answer from {host}: the answer of localhost is larger than 262144 bytes; check \
             the builder's authority, and for a proxy in between",
            "the answer of localhost",
            no_proxy,
            |stage| {
                let large = vec![b' '; 1024 * 1024 + 1];
                answered(stage, &[Reply::raw("text/plain", large)])
            },
        ),
    ]
}
