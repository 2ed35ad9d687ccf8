//! The seam to the wire: one request out, one whole answer back.

pub(crate) mod error;
pub(crate) mod reply;
pub(crate) mod request;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use self::error::TransportError;
use self::reply::HttpResponse;
use self::request::TokenRequest;

/// The largest body that is read; an answer with tokens is about 5 KiB.
pub(crate) const MAX_BODY: usize = 256 * 1024;

/// The wire to a token endpoint: the seam for a test, a recorder or another HTTP stack.
///
/// An implementation sends the request once, and follows no redirect, which would post its secrets
/// elsewhere. It bounds the bytes that it reads, and logs neither form nor body.
#[async_trait]
pub trait TokenEndpoint: fmt::Debug + Send + Sync {
    /// Sends one request and returns the answer, whatever its status.
    ///
    /// # Errors
    ///
    /// Returns an error if there was no whole answer; its kind says how far the request came.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the request; the caller does so at its deadline.
    async fn send(&self, request: TokenRequest) -> Result<HttpResponse, TransportError>;

    /// Ends every connection. Idempotent; a later `send` fails with
    /// [`TransportErrorKind::Closed`](crate::TransportErrorKind::Closed). The default holds no connection.
    ///
    /// # Cancel safety
    ///
    /// The endpoint stays closed when the future is dropped; another call waits for the rest.
    async fn close(&self) {}
}

#[async_trait]
impl<T: TokenEndpoint + ?Sized> TokenEndpoint for Arc<T> {
    async fn send(&self, request: TokenRequest) -> Result<HttpResponse, TransportError> {
        (**self).send(request).await
    }

    async fn close(&self) {
        (**self).close().await;
    }
}
