use std::error::Error as StdError;
use std::fmt;

use token_credential::sanitize_error;

/// A result whose error is [`Error`] by default.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an [`Error`], by which a program decides what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The content is not a token cache, or only half of one. It was left as it is.
    Corrupt,
    /// The content belongs to another program or is encrypted in a way that is not read here. It
    /// was left as it is.
    UnsupportedFormat,
    /// The owner or the permissions of the file or a folder on its way make it unsafe to use.
    Insecure,
    /// The content is larger than allowed, and was not read; or it would become so, and was not
    /// written.
    TooLarge,
    /// Another process held the lock, or on Windows the file itself, until the timeout.
    Locked,
    /// The platform has no such store here, or its service does not answer.
    Unavailable,
    /// The platform's keyring is locked, and its user was not asked to unlock it, or declined.
    KeyringLocked,
    /// The status or the content of the store could not be read, or it could not be written.
    Io,
}

/// An error of reading or writing a token cache.
///
/// The text names the place, the action that failed and the next step; it never holds content of
/// the cache. One pointer wide.
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
    /// Creates an error of this kind with this text: lower case, no full stop, no secret.
    ///
    /// The text is cut to 8,192 characters, and characters that [`token_credential::sanitize`]
    /// replaces become blanks.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            text: sanitize_error(text.into()),
            source: None,
        }))
    }

    /// Sets the cause, which `source()` returns.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Creates an input/output error with the action, the path and the message of the system.
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
