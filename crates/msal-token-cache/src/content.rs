//! The content of a store: a cache, nothing, or half of one.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::document::NotADocument;
use crate::error::{Error, ErrorKind, Result};
use crate::snapshot::Snapshot;
use crate::unsupported_format::{BYTE_ORDER_MARK, recognize};

/// The content of a store.
#[derive(Debug)]
pub(crate) enum Content {
    /// Nothing: a cache without entries, a signal file, or a peer that has just truncated it.
    Empty,
    Cache(Arc<Snapshot>),
    /// Not a whole cache. A peer may be writing it in place.
    Torn(NotADocument),
}

impl Content {
    /// Parses the bytes of a store. An error names the store by its `location`, which is called only
    /// then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnsupportedFormat`] if the content has another format.
    pub(crate) fn read(
        mut bytes: Zeroizing<Vec<u8>>,
        location: impl Fn() -> String,
    ) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self::Empty);
        }
        if let Some(what) = recognize(&bytes) {
            let text = format!("{} holds {what}; it is left as it is", location());
            return Err(Error::new(ErrorKind::UnsupportedFormat, text));
        }
        if bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.drain(..BYTE_ORDER_MARK.len());
        }
        let text = match String::from_utf8(std::mem::take(&mut *bytes)) {
            Ok(text) => Zeroizing::new(text),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                return Ok(Self::Torn(NotADocument::NotUtf8));
            }
        };
        Ok(Snapshot::parse(text).map_or_else(Self::Torn, |read| Self::Cache(Arc::new(read))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Content> {
        Content::read(Zeroizing::new(bytes.to_vec()), || "the test".to_owned())
    }

    #[test]
    fn foreign_content_is_named_and_refused() {
        for (bytes, what) in [
            (&b"\x01\x00\x00\x00\xD0\x8C\x9D\xDF\x01\x15"[..], "DPAPI"),
            (b"eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn", "JWE"),
            (
                br#"{"type":"CryptProtectData","data":"AQAAAA=="}"#,
                "Developer CLI",
            ),
        ] {
            let error = read(bytes).expect_err(what);
            assert_eq!(error.kind(), ErrorKind::UnsupportedFormat);
            assert!(error.to_string().contains(what), "{error}");
        }
    }

    #[test]
    fn what_does_not_parse_may_be_torn() {
        for bytes in [
            &b" "[..],
            b"null",
            b"[]",
            b"42",
            b"{",
            b"{} x",
            b"{\"a\":NaN}",
            b"\xFF\xFE{\x00}\x00",
            b"\x00\x00",
            b"eyJ",
        ] {
            assert!(matches!(read(bytes), Ok(Content::Torn(_))), "{bytes:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_read_and_not_kept() {
        let Ok(Content::Cache(snapshot)) = read(b"\xEF\xBB\xBF{}") else {
            panic!("not a cache")
        };
        assert_eq!(snapshot.document().text(), "{}");
    }
}
