use std::fmt;

use zeroize::Zeroizing;

/// The HTTP response of a token endpoint, unread.
///
/// `Debug` shows the status and the length of the body.
#[derive(Clone)]
pub struct HttpResponse {
    status: u16,
    retry_after: Option<String>,
    body: Zeroizing<Vec<u8>>,
}

impl HttpResponse {
    /// Makes a response with this status and body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            retry_after: None,
            body: Zeroizing::new(body.into()),
        }
    }

    /// Sets the value of the `Retry-After` header.
    pub fn with_retry_after(mut self, retry_after: impl Into<String>) -> Self {
        self.retry_after = Some(retry_after.into());
        self
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the value of the `Retry-After` header (RFC 9110 section 10.2.3), as sent.
    pub fn retry_after(&self) -> Option<&str> {
        self.retry_after.as_deref()
    }

    /// Returns the body, as sent. It may hold tokens: do not show it.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("body_len", &self.body.len())
            .finish()
    }
}
