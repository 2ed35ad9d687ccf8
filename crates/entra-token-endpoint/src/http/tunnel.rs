//! A way through a proxy: CONNECT (RFC 9110 section 9.3.6).

use std::error::Error as StdError;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{HOST, PROXY_AUTHORIZATION};
use hyper::rt::{Read, Write};
use hyper::{Request, StatusCode, Uri};

use super::proxy::Proxy;
use crate::token_endpoint::error::{TransportError, TransportErrorKind};

/// Asks the proxy at the other end of `io` for a way to the host of `address`; behind its consent
/// the connection is the host's.
///
/// hyper-util's own tunnel does not tell with which status a proxy refused.
pub(super) async fn open<T>(io: T, proxy: &Proxy, address: &Uri) -> Result<T, TransportError>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| {
        let text = format!("{proxy} gave no answer that is HTTP");
        TransportError::new(TransportErrorKind::Connect, text).with_source(error)
    };
    let request = connect(proxy, address)?;
    let (mut sender, connection) = http1::handshake::<T, Empty<Bytes>>(io)
        .await
        .map_err(broken)?;
    let mut answer = pin!(sender.send_request(request));
    let mut through = pin!(connection.without_shutdown());
    let mut left = None;
    // The answer is there when the connection was driven, and after a consent both are.
    let answer = poll_fn(|cx| {
        if left.is_none()
            && let Poll::Ready(parts) = through.as_mut().poll(cx)
        {
            left = Some(parts);
        }
        answer.as_mut().poll(cx)
    })
    .await
    .map_err(broken)?;
    if !answer.status().is_success() {
        return Err(refusal(proxy, address, answer.status()));
    }
    let parts = match left {
        Some(parts) => parts,
        None => through.await,
    }
    .map_err(broken)?;
    if parts.read_buf.is_empty() {
        Ok(parts.io)
    } else {
        // A server that waits for a TLS handshake does not speak first.
        let text = format!("{proxy} sent more than its consent");
        Err(TransportError::new(TransportErrorKind::Connect, text))
    }
}

fn connect(proxy: &Proxy, address: &Uri) -> Result<Request<Empty<Bytes>>, TransportError> {
    let host = address.host().unwrap_or_default();
    let target = format!("{host}:{}", address.port_u16().unwrap_or(443));
    let mut request = Request::connect(&target).header(HOST, &target);
    if let Some(authorization) = proxy.authorization() {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    request
        .body(Empty::new())
        .map_err(|error| cannot_be_asked(proxy, error))
}

fn cannot_be_asked(proxy: &Proxy, error: impl StdError + Send + Sync + 'static) -> TransportError {
    let text = format!("{proxy} cannot be asked for this host");
    TransportError::new(TransportErrorKind::Setup, text).with_source(error)
}

/// A proxy that cannot reach the host may do so later; one that does not want to will not.
fn refusal(proxy: &Proxy, address: &Uri, status: StatusCode) -> TransportError {
    let host = address.host().unwrap_or_default();
    let code = status.as_u16();
    // The second is what tinyproxy says to a wrong password.
    let wants_other = [
        StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        StatusCode::UNAUTHORIZED,
    ];
    let (kind, text) = if status.is_server_error() {
        (
            TransportErrorKind::Connect,
            format!("{proxy} made no connection to {host} (HTTP {code})"),
        )
    } else {
        let text = if !wants_other.contains(&status) {
            format!(
                "{proxy} does not let us connect to {host} (HTTP {code}): ask who runs it, or \
                 name the host in NO_PROXY"
            )
        } else if proxy.authorization().is_some() {
            format!("{proxy} refused user and password (HTTP {code}): correct them in its URL")
        } else {
            format!("{proxy} wants user and password (HTTP {code}): add them to its URL")
        };
        (TransportErrorKind::Setup, text)
    };
    TransportError::new(kind, text)
}
