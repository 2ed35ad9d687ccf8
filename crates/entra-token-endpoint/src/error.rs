use std::borrow::Cow;

use crate::error_response::{ErrorResponse, is_transient};
use crate::token_endpoint::error::TransportError;

/// The error of a request that got no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The endpoint refused, and says why.
    #[error(transparent)]
    Refused(Box<ErrorResponse>),
    /// The response must not be used, or no token endpoint sends such a one.
    #[error(transparent)]
    Unusable(UnusableResponse),
    /// There was no whole response.
    #[error(transparent)]
    Transport(TransportError),
}

/// A response that must not be used. Its text never shows any of the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer of the token endpoint (HTTP {status}) {why}")]
pub struct UnusableResponse {
    status: u16,
    why: Cow<'static, str>,
}

impl UnusableResponse {
    pub(crate) fn new(status: u16, why: Cow<'static, str>) -> Self {
        Self { status, why }
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the fault, as the end of a sentence: `is not a JSON object`.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Returns `true` if its status is one of throttling, or of a server in trouble.
    pub fn is_transient(&self) -> bool {
        is_transient(self.status)
    }
}
