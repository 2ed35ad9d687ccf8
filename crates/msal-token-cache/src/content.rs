//! What the bytes in a store are, before anybody takes them for a cache.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::document::NotADocument;
use crate::{Error, ErrorKind, Result, Snapshot};

/// The header of a blob that Windows' data protection made.
const DPAPI: [u8; 8] = [0x01, 0x00, 0x00, 0x00, 0xD0, 0x8C, 0x9D, 0xDF];
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What a store holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// Nothing: a cache without entries, a signal file, or a peer that has just truncated it.
    Empty,
    Cache(Arc<Snapshot>),
    /// Not a whole cache; a moment later it may be.
    Torn(NotADocument),
}

impl Content {
    /// Takes the bytes of a store for what they are. An error names the store by its `location`,
    /// which is asked for only then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Foreign`] for content that is whole but not for us to read.
    pub(crate) fn read(
        mut bytes: Zeroizing<Vec<u8>>,
        location: impl Fn() -> String,
    ) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self::Empty);
        }
        if let Some(what) = foreign(&bytes) {
            let text = format!("{} holds {what}; it is left as it is", location());
            return Err(Error::new(ErrorKind::Foreign, text));
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

/// The known kinds of content that stand at the paths where a cache is looked for.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&DPAPI) {
        Some("a cache that Windows encrypted for one user (DPAPI)")
    } else if is_compact_jwe(bytes) {
        Some("a cache that the Azure SDK for Go encrypted (JWE)")
    } else if bytes.starts_with(br#"{"type":"CryptProtectData""#) {
        Some("a cache that the Azure Developer CLI encrypted (DPAPI)")
    } else {
        None
    }
}

/// The known kinds of content that Windows' data protection did not make.
#[cfg(all(windows, feature = "dpapi"))]
pub(crate) fn not_encrypted_by_windows(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&DPAPI) {
        return None;
    }
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    if text.trim_ascii_start().starts_with(b"{") {
        return Some(foreign(bytes).unwrap_or("a cache in plain text"));
    }
    foreign(bytes)
}

/// RFC 7516 section 3.1: five base64url parts between dots, the first a JSON object.
fn is_compact_jwe(bytes: &[u8]) -> bool {
    let part = |part: &[u8]| {
        part.iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    bytes.starts_with(b"eyJ")
        && bytes
            .trim_ascii_end()
            .split(|byte| *byte == b'.')
            .map(part)
            .collect::<Vec<_>>()
            == [true; 5]
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
            assert_eq!(error.kind(), ErrorKind::Foreign);
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
