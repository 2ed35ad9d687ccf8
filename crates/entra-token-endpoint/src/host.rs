//! The syntax of a host's name.
//!
//! `msal-token-cache` has the same function for its entries: a reader of a cache is no user of this
//! crate. A test of `shared-token-cache-credential` holds both together.

/// Returns `true` for a host: labels of letters, digits and hyphens, with dots between them. No
/// user, port, path, query, fragment or blank gets through.
pub(crate) fn is_host(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}
