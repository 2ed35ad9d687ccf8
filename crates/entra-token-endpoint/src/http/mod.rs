//! The transport over hyper and rustls.

mod connector;
mod error;
mod graceful_close;
mod pool;
mod proxy;
mod resolver;
mod tls;
mod tunnel;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use hyper::http::uri::Scheme;
use hyper::{Request, Response, Uri};
use zeroize::Zeroizing;

use self::pool::Pools;
use self::proxy::ProxyRules;
use self::tls::TrustRoots;
use crate::token_endpoint::error::{TransportError, TransportErrorKind};
use crate::token_endpoint::reply::HttpResponse;
use crate::token_endpoint::request::TokenRequest;
use crate::token_endpoint::{MAX_BODY, TokenEndpoint};

/// The wire over a pool of HTTP/1.1 connections, always TLS. Clones share the pool.
///
/// Trusts what the platform trusts. The trust roots are loaded, once in a process, when the first
/// connection needs them. An idle connection is kept for 90 s; a new one, TLS included, must stand
/// within 10 s. A request that meets a connection which its server has just ended goes over another
/// one if none of it was sent, and is [`TransportErrorKind::Lost`] otherwise; the next one then
/// gets a new connection. There is no other deadline: the caller drops the future at its own.
///
/// Works on a tokio runtime with its I/O and time drivers enabled (else tokio panics); on several
/// runtimes, and in every process after a fork, there are connections of their own.
///
/// # Proxies
///
/// `HTTPS_PROXY`, else `ALL_PROXY`, names an HTTP proxy to connect through (`http://host:port`,
/// with `user:password@` where it wants that), `NO_PROXY` the hosts to reach without one: names
/// with their subdomains, addresses, networks, or `*`. Lower case counts as well. They are read
/// when the endpoint is made, and what is wrong in them is told by the requests that they concern.
/// [`with_proxy`](Self::with_proxy) and [`without_proxy`](Self::without_proxy) say it in the
/// program. Through a proxy the TLS is still the server's own. Proxies that are spoken to by TLS
/// or SOCKS are not supported.
///
/// # Limitations
///
/// Form and body are overwritten in memory when they are dropped, but for the buffers that hyper
/// and rustls read and write through.
///
/// ```no_run
/// use entra_token_endpoint::{
///     HttpResponse, HyperTokenEndpoint, TokenEndpoint, TokenRequest, TransportError,
/// };
///
/// # async fn once(request: TokenRequest) -> Result<HttpResponse, TransportError> {
/// let endpoint = HyperTokenEndpoint::new();
/// let reply = endpoint.send(request).await?;
/// endpoint.close().await;
/// # Ok(reply)
/// # }
/// ```
#[derive(Clone)]
pub struct HyperTokenEndpoint(Arc<Pools>);

impl HyperTokenEndpoint {
    /// Makes an endpoint that trusts the platform's roots. Opens and loads nothing yet.
    pub fn new() -> Self {
        Self::trusting(TrustRoots::default())
    }

    /// Makes an endpoint that trusts the certificates in `pem` besides the platform's roots: for a
    /// proxy that ends TLS, or a private server. With them it works on a machine that has no roots,
    /// too.
    ///
    /// # Errors
    ///
    /// Returns [`TransportErrorKind::Setup`] if this is not PEM, holds no certificate, or one that cannot
    /// be a root.
    pub fn with_extra_root_certificates(pem: &[u8]) -> Result<Self, TransportError> {
        TrustRoots::with_extra(pem).map(Self::trusting)
    }

    /// Returns an endpoint with new connections, all through this proxy, whatever the environment
    /// says.
    ///
    /// # Errors
    ///
    /// Returns [`TransportErrorKind::Setup`] if this is not the URL of an HTTP proxy.
    pub fn with_proxy(self, url: &str) -> Result<Self, TransportError> {
        let proxies = ProxyRules::given(url)?;
        Ok(Self(Arc::new(self.0.with_proxies(proxies))))
    }

    /// Returns an endpoint with new connections, none through a proxy, whatever the environment says.
    pub fn without_proxy(self) -> Self {
        Self(Arc::new(self.0.with_proxies(ProxyRules::none())))
    }

    fn trusting(roots: TrustRoots) -> Self {
        Self(Arc::new(Pools::new(roots, ProxyRules::of_environment())))
    }
}

impl Default for HyperTokenEndpoint {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HyperTokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTokenEndpoint").finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenEndpoint for HyperTokenEndpoint {
    async fn send(&self, request: TokenRequest) -> Result<HttpResponse, TransportError> {
        // Declared first, so that it goes last: behind the response and its connection.
        let call = self.0.call()?;
        let (host, request) = encode(&request)?;
        let response = call.client().request(request).await.map_err(|error| {
            let error = error::no_answer(&host, error);
            if error.kind() == TransportErrorKind::Lost {
                self.0.renew(&call);
            }
            error
        })?;
        read(&host, response).await
    }

    /// Ends every connection, for all clones.
    ///
    /// Awaits the calls under way, however long; then each connection sends its `close_notify`
    /// and FIN and has 100 ms for the peer to do so, all at the same time. Outside of a tokio
    /// runtime that end is not awaited.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing back: no call can begin, and the connections end by
    /// themselves with the calls that use them. A second `close` awaits the same.
    async fn close(&self) {
        self.0.close().await;
    }
}

/// Returns the request, and the host for the text of errors.
fn encode(request: &TokenRequest) -> Result<(String, Request<Full<Bytes>>), TransportError> {
    let setup = |text: &str| TransportError::new(TransportErrorKind::Setup, text);
    let uri: Uri = request
        .url()
        .parse()
        .map_err(|error: hyper::http::uri::InvalidUri| {
            setup("the address of the token endpoint is not a URL").with_source(error)
        })?;
    let host = match uri.host() {
        Some(host) if uri.scheme() == Some(&Scheme::HTTPS) => host.to_owned(),
        _ => return Err(setup("the address of the token endpoint is not https://")),
    };
    let mut head = Request::post(uri)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, request.user_agent())
        // `post` heeds a Retry-After, and a 429 without one.
        .header("x-ms-lib-capability", "retry-after, h429");
    if let Some(id) = request.client_request_id() {
        head = head.header("client-request-id", id);
    }
    let request = head
        .body(Full::new(Bytes::from_owner(request.body())))
        .map_err(|error| setup("the request cannot be written").with_source(error))?;
    Ok((host, request))
}

/// Reads the whole answer. Whatever is left of one that is refused goes with its connection.
async fn read(host: &str, response: Response<Incoming>) -> Result<HttpResponse, TransportError> {
    let unreadable = |text: String| TransportError::new(TransportErrorKind::Unreadable, text);
    let too_large = || {
        unreadable(format!(
            "the answer of {host} is larger than {MAX_BODY} bytes"
        ))
    };

    let (head, mut incoming) = response.into_parts();
    let mut encodings = head.headers.get_all(CONTENT_ENCODING).iter();
    if encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(unreadable(format!(
            "the answer of {host} has a content encoding, though none was asked for"
        )));
    }

    // Zero unless the server said the length.
    let announced = usize::try_from(incoming.size_hint().lower())
        .ok()
        .filter(|announced| *announced <= MAX_BODY)
        .ok_or_else(too_large)?;
    let mut body = Zeroizing::new(Vec::with_capacity(announced));
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| error::no_body(host, error))?;
        let Some(data) = frame.data_ref() else {
            continue; // trailers
        };
        if body.len() + data.len() > MAX_BODY {
            return Err(too_large());
        }
        append(&mut body, data);
    }

    let reply = HttpResponse::new(head.status.as_u16(), std::mem::take(&mut *body));
    let retry_after = head
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    Ok(match retry_after {
        Some(retry_after) => reply.with_retry_after(retry_after),
        None => reply,
    })
}

/// `extend_from_slice` that leaves no copy behind when it has to grow.
fn append(body: &mut Zeroizing<Vec<u8>>, data: &[u8]) {
    let len = body.len() + data.len();
    if len > body.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(len.next_power_of_two()));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(data);
}
