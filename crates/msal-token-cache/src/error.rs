use std::error::Error as StdError;
use std::fmt;

use token_credential::sanitize_error;

/// A result whose error is [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be done about an [`Error`] of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The content is not a token cache, or only half of one. It was left as it is.
    Corrupt,
    /// The content belongs to another program or is encrypted in a way that is not read here. It
    /// was left as it is.
    UnsupportedFormat,
    /// Who owns the file, or who may write near it, makes it unsafe to use.
    Insecure,
    /// The content is larger than allowed, and was not read; or it would become so, and was not
    /// written.
    TooLarge,
    /// Somebody else held the lock, or on Windows the file itself, for as long as we were ready to
    /// wait.
    Locked,
    /// The platform has no such store here: nothing answers that keeps one.
    Unavailable,
    /// The platform's store is locked, and its user was not asked to unlock it, or did not.
    KeyringLocked,
    /// The store could not be found out about, read or written.
    Io,
}

/// Why a token cache could not be read or written.
///
/// The text names the place, what was tried and what to do next; it never holds content of the
/// cache. One pointer wide.
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Inner>);

#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Inner {
    kind: ErrorKind,
    text: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error of this kind with this text: lower case, no full stop, no secret.
    ///
    /// Of the text, 8,192 characters are kept, and what [`token_credential::sanitize`] would
    /// replace becomes a blank.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            text: sanitize_error(text.into()),
            source: None,
        }))
    }

    /// Keeps the cause, for `source()`.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What can be done about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// An input/output error: what was done, where, and what the system said.
    #[cfg(any(unix, windows))]
    pub(crate) fn io(what: &str, path: &std::path::Path, error: impl Into<std::io::Error>) -> Self {
        let error = error.into();
        let text = format!("{what} {} failed: {error}", path.display());
        Self::new(ErrorKind::Io, text).with_source(error)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, text, source } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("text", text)
            .field("source", source)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_an_error_hides_or_reorders() {
        let error = Error::new(ErrorKind::Io, "a\r\nb\u{202E}c\u{200B}d\u{FEFF}e\u{E0041}f");
        assert_eq!(error.to_string(), "a b c d e f");
        let long = Error::new(ErrorKind::Io, "x".repeat(100_000));
        assert!(long.to_string().len() < 10_000);
    }
}
