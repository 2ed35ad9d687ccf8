//! Calls that get no answer: no runtime, too late, closed, failures of any transport.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use msal_token_cache::TokenCache;
use shared_token_cache_credential::ErrorKind::{AuthenticationFailed, InvalidArgument};
use shared_token_cache_credential::{
    Error, HttpResponse, HyperTokenEndpoint, SharedTokenCacheCredential, TokenEndpoint,
    TokenRequest, TokenRequestOptions, TransportError, TransportErrorKind,
};
use test_support::{RawServer, Reply};

use super::super::{ARM, Stage, ask, at_once, holding};
use super::{Provoked, Row};

pub(super) fn rows() -> Vec<Row> {
    [endings(), transports()].into_iter().flatten().collect()
}

pub(super) fn failed<P: Into<Provoked>>(
    text: &'static str,
    place: &'static str,
    next: &'static str,
    provoke: impl Fn(&Stage) -> P + 'static,
) -> Row {
    Row::new(AuthenticationFailed, text, place, next, provoke)
}

/// Runs a future on a runtime of its own.
pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

/// The same where time passes as soon as nothing else happens.
pub(super) fn run_fast<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let builder = builder.enable_all().start_paused(true);
    builder.build().unwrap().block_on(future)
}

/// An endpoint that trusts this server.
pub(super) fn endpoint_for(server: &RawServer) -> HyperTokenEndpoint {
    HyperTokenEndpoint::with_extra_root_certificates(server.root_pem())
        .unwrap()
        .without_proxy()
}

/// An endpoint that does what it is told; `None` is no answer ever.
pub(super) struct Scripted<F>(pub(super) F);

impl<F> fmt::Debug for Scripted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

#[async_trait]
impl<F> TokenEndpoint for Scripted<F>
where
    F: Fn() -> Option<Result<HttpResponse, TransportError>> + Send + Sync,
{
    async fn send(&self, _: TokenRequest) -> Result<HttpResponse, TransportError> {
        match (self.0)() {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }
}

/// A credential for Ada's tokens that asks this endpoint.
pub(super) fn asking(
    stage: &Stage,
    endpoint: impl TokenEndpoint + 'static,
) -> SharedTokenCacheCredential {
    let cache = TokenCache::new(holding(&stage.cache()));
    let builder = stage.builder().token_cache(cache);
    // A retry would come too late.
    let builder = builder.timeout(Duration::from_millis(400));
    builder.token_endpoint(endpoint).build().unwrap()
}

/// What comes of one attempt, from a credential whose deadline leaves no time for another. Where the
/// machine is so busy that it passes first, the call is made again.
pub(super) async fn ask_once(credential: &SharedTokenCacheCredential) -> Error {
    for _ in 0..20 {
        let error = ask(credential).await.unwrap_err();
        if !error.to_string().contains(" within 400ms ") {
            return error;
        }
    }
    panic!("no attempt ended within the deadline");
}

/// What comes of the fake Entra's answering with this.
pub(super) fn answered(stage: &Stage, replies: &[Reply]) -> Error {
    for reply in replies {
        stage.entra.push(reply.clone());
    }
    run(ask(&stage.credential(holding(&stage.cache())))).unwrap_err()
}

/// Runtimes, deadlines and ends.
fn endings() -> Vec<Row> {
    let never = || Scripted(|| None);
    vec![
        Row::new(
            InvalidArgument,
            "no token is cached, and redeeming one needs a tokio runtime: call from within one",
            "redeeming one needs a tokio runtime",
            "call from within one",
            |stage| {
                let credential = stage.credential(holding(&stage.cache()));
                let options = TokenRequestOptions::default();
                at_once(credential.get_token(&[ARM], &options)).unwrap_err()
            },
        ),
        failed(
            "the credential is closed: build another one",
            "the credential",
            "build another one",
            |stage| {
                let credential = stage.credential(holding(&stage.cache()));
                run(async {
                    credential.close().await.unwrap();
                    ask(&credential).await.unwrap_err()
                })
            },
        ),
        failed(
            "the credential was closed during the call: build another one",
            "the credential",
            "build another one",
            move |stage| {
                let cache = TokenCache::new(holding(&stage.cache()));
                let builder = stage.builder().token_endpoint(never());
                let builder = builder.close_grace(Duration::ZERO);
                let credential = builder.token_cache(cache).build().unwrap();
                run(async {
                    let close = async {
                        tokio::task::yield_now().await;
                        credential.close().await.unwrap();
                    };
                    tokio::join!(ask(&credential), close).0.unwrap_err()
                })
            },
        ),
        failed(
            "the tokio runtime ended before the redemption did: call from one that lasts",
            "the tokio runtime",
            "call from one that lasts",
            |stage| {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                let handle = runtime.handle().clone();
                drop(runtime);
                let credential = stage.credential(holding(&stage.cache()));
                let options = TokenRequestOptions::default();
                let asking = credential.get_token(&[ARM], &options);
                handle.block_on(asking).unwrap_err()
            },
        ),
        failed(
            "the token endpoint or the token cache panicked during the redemption: call again",
            "the token endpoint or the token cache",
            "call again",
            |stage| {
                let panics = Scripted(|| panic!("on purpose"));
                run(ask(&asking(stage, panics))).unwrap_err()
            },
        ),
        failed(
            "no answer from {host} within 60s (the builder's timeout sets the limit)",
            "no answer from {host}",
            "the builder's timeout sets the limit",
            move |stage| {
                let cache = TokenCache::new(holding(&stage.cache()));
                let builder = stage.builder().token_endpoint(never());
                let credential = builder.token_cache(cache).build().unwrap();
                let options = TokenRequestOptions::default();
                run_fast(credential.get_token(&[ARM], &options)).unwrap_err()
            },
        ),
    ]
}

/// What each kind of failure comes to, whoever words it.
fn transports() -> Vec<Row> {
    let row = |kind, text, next| {
        failed(text, "no answer from {host}", next, move |stage| {
            let fail = move || Some(Err(TransportError::new(kind, "so it is told")));
            run(ask(&asking(stage, Scripted(fail)))).unwrap_err()
        })
    };
    vec![
        row(
            TransportErrorKind::Connect,
            "no answer from {host}: so it is told; check the network and the builder's authority, \
             then call again",
            "check the network and the builder's authority, then call again",
        ),
        row(
            TransportErrorKind::Tls,
            "no answer from {host}: so it is told; where a proxy looks into TLS, give its root to \
             the builder's extra_root_certificates",
            "give its root to the builder's extra_root_certificates",
        ),
        row(
            TransportErrorKind::Lost,
            "no answer from {host}: so it is told; call again",
            "call again",
        ),
        row(
            TransportErrorKind::Interrupted,
            "no answer from {host}: so it is told; call again",
            "call again",
        ),
        row(
            TransportErrorKind::Unreadable,
            "no answer from {host}: so it is told; check the builder's authority, and for a proxy \
             in between",
            "check the builder's authority, and for a proxy in between",
        ),
        // The text says itself what to do.
        row(
            TransportErrorKind::Setup,
            "no answer from {host}: so it is told",
            "so it is told",
        ),
        row(
            TransportErrorKind::Closed,
            "no answer from {host}: so it is told; build the credential with an open one",
            "build the credential with an open one",
        ),
    ]
}
