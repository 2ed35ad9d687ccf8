//! One new connection: name resolution, TCP, a proxy where there is one, TLS.

use std::error::Error as StdError;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{DefaultServerNameResolver, HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use super::graceful_close::Lingering;
use super::proxy::{Proxy, ProxyRules};
use super::resolver::Resolver;
use super::tls::TrustRoots;
use super::{error, tunnel};
use crate::token_endpoint::error::{TransportError, TransportErrorKind};

/// Until when there must be a connection, TLS included: hyper's own limit ends with TCP, and a
/// peer that accepts and says nothing would use up the whole deadline of the call.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What of it TCP may take. It is shared out among the addresses of the host, so that a dead one
/// leaves time for the next, and the last one for what comes behind TCP.
const TCP_TIMEOUT: Duration = Duration::from_secs(8);

type BoxError = Box<dyn StdError + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;
type Stream = TokioIo<Lingering<TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>>>;

/// Makes the connections of one pool.
#[derive(Clone)]
pub(super) struct Connector {
    way: Way,
    roots: Arc<TrustRoots>,
}

/// Makes connections without TLS: straight, or through a proxy.
#[derive(Clone)]
struct Way {
    tcp: HttpConnector<Resolver>,
    proxies: Arc<ProxyRules>,
}

impl Connector {
    pub(super) fn new(
        roots: Arc<TrustRoots>,
        proxies: Arc<ProxyRules>,
        resolver: Resolver,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(TCP_TIMEOUT));
        let way = Way { tcp, proxies };
        Self { way, roots }
    }

    async fn connect(self, uri: Uri) -> Result<Stream, BoxError> {
        let config = self.roots.client_config().await?;
        let resolver = Arc::new(DefaultServerNameResolver::default());
        let mut https = HttpsConnector::new(self.way, config, true, resolver);
        let stream = call(&mut https, uri).await?;
        Ok(TokioIo::new(Lingering::new(TokioIo::new(stream))))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = BoxFuture<Stream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connect = self.clone().connect(uri);
        Box::pin(async move {
            timeout(CONNECT_TIMEOUT, connect).await.unwrap_or_else(|_| {
                let text = format!("nothing within {} s", CONNECT_TIMEOUT.as_secs());
                Err(io::Error::new(io::ErrorKind::TimedOut, text).into())
            })
        })
    }
}

impl Way {
    async fn go(mut self, uri: Uri) -> Result<TokioIo<TcpStream>, BoxError> {
        let Some(proxy) = self.proxies.proxy_for(&uri)? else {
            return Ok(call(&mut self.tcp, uri).await?);
        };
        let to_proxy = call(&mut self.tcp, proxy.address().clone())
            .await
            .map_err(|error| unreachable(&proxy, error))?;
        Ok(tunnel::open(to_proxy, &proxy, &uri).await?)
    }
}

impl Service<Uri> for Way {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = BoxFuture<TokioIo<TcpStream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().go(uri))
    }
}

async fn call<S: Service<Uri>>(service: &mut S, uri: Uri) -> Result<S::Response, S::Error> {
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(uri).await
}

fn unreachable(proxy: &Proxy, error: impl StdError + Send + Sync + 'static) -> TransportError {
    let cause = error::innermost(&error);
    let text = format!("no connection to {proxy}: {cause}");
    TransportError::new(TransportErrorKind::Connect, text).with_source(error)
}

#[cfg(test)]
pub(super) mod tests;
