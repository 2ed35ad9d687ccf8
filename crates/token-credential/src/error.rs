use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::sanitize::{sanitize, sanitize_error};

/// A result whose error is [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The credential has nothing to work with here: try another one, or sign in with a tool.
    CredentialUnavailable,
    /// The credential tried and was refused, or could not be heard: another source would hide
    /// that, so a chain stops here.
    AuthenticationFailed,
    /// The call itself is wrong: mend it and call again.
    InvalidArgument,
}

/// Why there is no token.
///
/// The text says where, what and which knob; it never holds a secret. [`kind`](Self::kind) is for
/// decisions, `source()` for the cause. One pointer wide; clones share what it holds, so that one
/// failure can be the answer to several callers.
///
/// ```
/// use std::time::Duration;
/// use token_credential::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::AuthenticationFailed, "the token endpoint is throttling")
///     .with_retry_after(Duration::from_secs(20));
/// assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
/// assert_eq!(error.retry_after(), Some(Duration::from_secs(20)));
/// ```
#[derive(Clone, thiserror::Error)]
#[error(transparent)]
pub struct Error(Arc<Inner>);

#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
struct Inner {
    kind: ErrorKind,
    text: String,
    // In a box: an `Arc<dyn Error>` is an error itself, and `source()` would return that one, which
    // no caller can downcast to the cause.
    source: Option<Arc<Box<dyn StdError + Send + Sync>>>,
    transient: bool,
    retry_after: Option<Duration>,
    oauth: Option<OAuthError>,
}

impl Error {
    /// Makes an error of this kind with this text: lower case, no full stop, no secret.
    ///
    /// Of the text, 8,192 characters are kept, and what [`sanitize`](crate::sanitize) would
    /// replace becomes a blank. Foreign texts in it are still to be cut by that function.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            text: sanitize_error(text.into()),
            source: None,
            transient: false,
            retry_after: None,
            oauth: None,
        }))
    }

    /// Keeps the cause, for `source()`.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner().source = Some(Arc::new(source.into()));
        self
    }

    /// Says whether the same call may succeed later without anybody doing anything.
    pub fn with_transient(mut self, transient: bool) -> Self {
        self.inner().transient = transient;
        self
    }

    /// Says how long the server asked to be left alone.
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.inner().retry_after = Some(retry_after);
        self
    }

    /// Keeps what the token endpoint said.
    pub fn with_oauth(mut self, oauth: OAuthError) -> Self {
        self.inner().oauth = Some(oauth);
        self
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later without anybody doing anything: the network, a
    /// timeout, a server in trouble.
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// How long to leave the server alone, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What the token endpoint said, if it was the one that refused.
    pub fn oauth(&self) -> Option<&OAuthError> {
        self.0.oauth.as_ref()
    }

    /// The same error under another text, with this one as its source.
    pub(crate) fn wrapped(&self, text: String) -> Self {
        Self(Arc::new(Inner {
            text: sanitize_error(text),
            source: Some(Arc::new(self.clone().into())),
            ..(*self.0).clone()
        }))
    }

    /// For changes: of a shared error this one gets its own.
    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            text,
            source,
            transient,
            retry_after,
            oauth,
        } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("text", text)
            .field("transient", transient)
            .field("retry_after", retry_after)
            .field("oauth", oauth)
            .field("source", source)
            .finish()
    }
}

/// What a token endpoint said when it refused (RFC 6749 section 5.2, and Entra's additions).
///
/// The server's texts are kept as [`sanitize`] shows them; the claims as they are, because
/// they go back to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OAuthError {
    error: String,
    suberror: Option<String>,
    error_codes: Vec<u64>,
    claims: Option<String>,
    correlation_id: Option<String>,
    trace_id: Option<String>,
}

impl OAuthError {
    /// An error with its code, `invalid_grant` for example.
    pub fn new(error: impl Into<String>) -> Self {
        Self {
            error: sanitize(&error.into()),
            ..Self::default()
        }
    }

    /// Sets the finer code, `bad_token` for example.
    pub fn with_suberror(mut self, suberror: impl Into<String>) -> Self {
        self.suberror = Some(sanitize(&suberror.into()));
        self
    }

    /// Sets the numbers of the AADSTS codes.
    pub fn with_error_codes(mut self, error_codes: impl Into<Vec<u64>>) -> Self {
        self.error_codes = error_codes.into();
        self
    }

    /// Sets the claims that a next request has to carry.
    pub fn with_claims(mut self, claims: impl Into<String>) -> Self {
        self.claims = Some(claims.into());
        self
    }

    /// Sets the server's correlation id.
    pub fn with_correlation_id(mut self, correlation_id: impl Into<String>) -> Self {
        self.correlation_id = Some(sanitize(&correlation_id.into()));
        self
    }

    /// Sets the server's trace id.
    pub fn with_trace_id(mut self, trace_id: impl Into<String>) -> Self {
        self.trace_id = Some(sanitize(&trace_id.into()));
        self
    }

    /// The code, `invalid_grant` for example.
    pub fn error(&self) -> &str {
        &self.error
    }

    /// The finer code, `bad_token` for example.
    pub fn suberror(&self) -> Option<&str> {
        self.suberror.as_deref()
    }

    /// The numbers of the AADSTS codes, 50173 for example.
    pub fn error_codes(&self) -> &[u64] {
        &self.error_codes
    }

    /// The claims that a next, interactive request has to carry.
    pub fn claims(&self) -> Option<&str> {
        self.claims.as_deref()
    }

    /// The server's correlation id, for a support case.
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.as_deref()
    }

    /// The server's trace id, for a support case.
    pub fn trace_id(&self) -> Option<&str> {
        self.trace_id.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn a_clone_is_changed_alone() {
        let error = Error::new(ErrorKind::AuthenticationFailed, "text");
        let later = error.clone().with_retry_after(Duration::from_secs(7));
        assert_eq!(error.retry_after(), None);
        assert_eq!(later.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(later.to_string(), "text");
    }

    #[test]
    fn a_source_is_the_cause_itself() {
        let cause = fmt::Error;
        let error = Error::new(ErrorKind::AuthenticationFailed, "text").with_source(cause);
        assert!(error.source().unwrap().is::<fmt::Error>());
        let wrapped = error.wrapped("outer".to_owned());
        assert!(wrapped.source().unwrap().is::<Error>());
    }

    #[test]
    fn no_text_of_an_error_hides_or_reorders() {
        let text = "a\r\nb\u{202E}c\u{200B}d\u{E0041}e";
        let oauth = OAuthError::new(text)
            .with_suberror(text)
            .with_correlation_id(text)
            .with_trace_id(text);
        assert_eq!(oauth.error(), "a b c d e");
        for shown in [oauth.suberror(), oauth.correlation_id(), oauth.trace_id()] {
            assert_eq!(shown, Some("a b c d e"));
        }
        let error = Error::new(ErrorKind::AuthenticationFailed, text).with_oauth(oauth);
        assert_eq!(error.to_string(), "a b c d e");
        assert_eq!(error.wrapped(text.to_owned()).to_string(), "a b c d e");
    }

    #[test]
    fn a_wrapped_error_keeps_what_the_caller_decides_by() {
        let error = Error::new(ErrorKind::AuthenticationFailed, "inner")
            .with_transient(true)
            .with_retry_after(Duration::from_secs(7))
            .with_oauth(OAuthError::new("invalid_grant").with_error_codes([50173]))
            .wrapped("outer".into());
        assert_eq!(error.to_string(), "outer");
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
        assert!(error.is_transient());
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(
            error.oauth().map(OAuthError::error_codes),
            Some([50173].as_slice())
        );
        assert_eq!(
            error.source().map(ToString::to_string),
            Some("inner".into())
        );
    }
}
