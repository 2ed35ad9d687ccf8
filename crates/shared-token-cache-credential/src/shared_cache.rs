//! The store that is the shared cache of this platform. Opens nothing: a store finds out about
//! itself when it is read.

use std::path::PathBuf;

use msal_token_cache::{TokenCache, default_path};
use token_credential::{Error, ErrorKind, Result};

use crate::error::{NoCache, WhyNoCache};
use crate::persistence_options::TokenCachePersistenceOptions;

/// Returns the shared cache of this platform. A cache that cannot be looked for is an error of the
/// calls, and not of the builder.
///
/// It is in the platform's encrypted store. A file in plain text is used if the program allows it
/// and, as in the other SDKs, on Linux by default.
pub(crate) fn shared_cache(
    options: Option<&TokenCachePersistenceOptions>,
    suffix: &str,
) -> Result<Result<TokenCache, NoCache>> {
    let name = options.map_or("msal.cache", |options| &options.name);
    if name.is_empty() || name.contains(|c: char| c == '/' || c == '\\' || c.is_control()) {
        let shown: String = name.escape_debug().take(200).collect();
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "the token cache's name \"{shown}\" is no file name: give one without slashes and \
                 control characters to TokenCachePersistenceOptions::with_name"
            ),
        ));
    }
    let name = format!("{name}.{suffix}");
    let allows_plain_text = options.map_or(cfg!(target_os = "linux"), |options| {
        options.allow_unencrypted_storage
    });
    let cache = match default_path(&name) {
        Some(path) => at_path(path, allows_plain_text),
        None => Err(WhyNoCache::NoHome),
    };
    Ok(cache.map_err(|why| NoCache { name, why }))
}

#[cfg(all(target_os = "linux", feature = "secret-service"))]
#[expect(clippy::unnecessary_wraps, reason = "as without the feature")]
fn at_path(path: PathBuf, allows_plain_text: bool) -> Result<TokenCache, WhyNoCache> {
    let store = msal_token_cache::SecretServicePersistence::new(path);
    Ok(TokenCache::new(store.with_plain_text(allows_plain_text)))
}

#[cfg(all(target_os = "macos", feature = "keychain"))]
#[expect(clippy::unnecessary_wraps, reason = "as without the feature")]
fn at_path(path: PathBuf, _allows_plain_text: bool) -> Result<TokenCache, WhyNoCache> {
    Ok(TokenCache::new(msal_token_cache::KeychainPersistence::new(
        path,
    )))
}

#[cfg(all(windows, feature = "dpapi"))]
#[expect(clippy::unnecessary_wraps, reason = "as without the feature")]
fn at_path(path: PathBuf, _allows_plain_text: bool) -> Result<TokenCache, WhyNoCache> {
    Ok(TokenCache::new(msal_token_cache::DpapiPersistence::new(
        path,
    )))
}

/// Uses plain text where the platform has no encrypted store, or its feature is off.
#[cfg(not(any(
    all(target_os = "linux", feature = "secret-service"),
    all(target_os = "macos", feature = "keychain"),
    all(windows, feature = "dpapi"),
)))]
fn at_path(path: PathBuf, allows_plain_text: bool) -> Result<TokenCache, WhyNoCache> {
    if !allows_plain_text {
        return Err(WhyNoCache::EncryptionRequired);
    }
    let store = msal_token_cache::FilePersistence::new(path);
    Ok(TokenCache::new(store))
}
