//! How to talk to a token endpoint: one request out, one whole answer back. What to ask and what
//! an answer means is not decided here.

mod connector;
mod error;
mod failure;
mod hyper;
mod linger;
mod pool;
mod proxy;
mod reply;
mod request;
mod resolver;
mod tls;
mod tunnel;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

pub use self::hyper::HyperTokenEndpoint;
pub use error::{TransportError, TransportErrorKind};
pub use reply::TokenReply;
pub use request::TokenRequest;

/// The largest body that is read; an answer with tokens is about 5 KiB.
pub(crate) const MAX_BODY: usize = 256 * 1024;

/// The wire to a token endpoint: the seam for a test, a recorder or another HTTP stack.
///
/// An implementation sends the request once, follows no redirect (that would re-post the refresh
/// token), bounds what it reads, and logs neither form nor body.
#[async_trait]
pub trait TokenEndpoint: fmt::Debug + Send + Sync {
    /// Sends one request and returns the answer, whatever its status.
    ///
    /// # Errors
    ///
    /// There was no whole answer; the kind says how far it came.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the request; the caller does so at its deadline.
    async fn send(&self, request: TokenRequest) -> Result<TokenReply, TransportError>;

    /// Ends every connection. Idempotent; a later `send` fails with
    /// [`TransportErrorKind::Closed`]. The default holds no connection.
    ///
    /// # Cancel safety
    ///
    /// The endpoint stays closed when the future is dropped; another call waits for the rest.
    async fn close(&self) {}
}

#[async_trait]
impl<T: TokenEndpoint + ?Sized> TokenEndpoint for Arc<T> {
    async fn send(&self, request: TokenRequest) -> Result<TokenReply, TransportError> {
        (**self).send(request).await
    }

    async fn close(&self) {
        (**self).close().await;
    }
}
