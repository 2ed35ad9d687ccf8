//! One new connection: name resolution, TCP, TLS.

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

use super::linger::Lingering;
use super::tls::TrustRoots;

/// Until when there must be a connection, TLS included: hyper's own limit ends with TCP, and a
/// peer that accepts and says nothing would use up the whole deadline of the call.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Stream = TokioIo<Lingering<TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>>>;

/// Makes the connections of one pool.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
    roots: Arc<TrustRoots>,
}

impl Connector {
    pub(super) fn new(roots: Arc<TrustRoots>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Shared out among the addresses of the host, so that a dead one leaves time for the next.
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self { tcp, roots }
    }

    async fn connect(self, uri: Uri) -> Result<Stream, BoxError> {
        let config = self.roots.client_config().await?;
        let resolver = Arc::new(DefaultServerNameResolver::default());
        let mut https = HttpsConnector::new(self.tcp, config, true, resolver);
        poll_fn(|cx| https.poll_ready(cx)).await?;
        let stream = https.call(uri).await?;
        Ok(TokioIo::new(Lingering::new(TokioIo::new(stream))))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

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
