use std::error::Error as StdError;

use token_credential::sanitize_error;

/// How far a request came that got no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection: name resolution, TCP, a proxy that cannot make one. Nothing was sent.
    Connect,
    /// No trusted connection: the TLS handshake or the server's certificate. Nothing was sent.
    Tls,
    /// The connection ended before the first byte of an answer; the server may have acted.
    Lost,
    /// The connection ended within the answer.
    Interrupted,
    /// The answer cannot be read: too large, encoded, not HTTP.
    Unreadable,
    /// The transport cannot work here as it is set up: no trust roots, no runtime, an address
    /// that is not https, a proxy that refuses. Nothing was sent.
    Setup,
    /// The transport was closed.
    Closed,
}

/// The error of a request that got no whole answer. Its text names the host and never the form or
/// the body.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct TransportError {
    kind: TransportErrorKind,
    text: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl TransportError {
    /// Makes an error of this kind with this text: lower case, no full stop, no secret.
    ///
    /// Of the text, 8,192 characters are kept, and what [`token_credential::sanitize`] would
    /// replace becomes a blank.
    pub fn new(kind: TransportErrorKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: sanitize_error(text.into()),
            source: None,
        }
    }

    /// Keeps the cause, for `source()`.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns how far the request came.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }
}
