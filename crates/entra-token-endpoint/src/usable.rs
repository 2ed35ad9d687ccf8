//! Texts that can be a token.
//!
//! `msal-token-cache` has the same function for its entries: a reader of a cache is no user of this
//! crate. A test of `shared-token-cache-credential` holds both together.

/// 64 KiB, in bytes: no token is longer.
pub(crate) const LONGEST_TOKEN: usize = 64 * 1024;

/// Returns `true` if a text can be an access token, a refresh token or an ID token: ASCII that is
/// graphic, not empty, and at most 64 KiB of it. Anything else fits in no header.
pub(crate) fn is_usable(text: &str) -> bool {
    (1..=LONGEST_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
