//! The formats of the content at the paths of a cache, told apart by their first bytes.

/// The header of a blob that Windows' data protection made.
const DPAPI: [u8; 8] = [0x01, 0x00, 0x00, 0x00, 0xD0, 0x8C, 0x9D, 0xDF];
/// The UTF-8 byte order mark.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Returns the name of the known format of these bytes, if it is not a plain cache.
pub(crate) fn foreign(bytes: &[u8]) -> Option<&'static str> {
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

/// Returns the name of the known format of these bytes, if it is not a blob of Windows' data
/// protection.
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

/// Returns `true` for the form of RFC 7516 section 3.1: five base64url parts between dots, the first
/// a JSON object.
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
