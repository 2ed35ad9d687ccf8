//! The errors of the credential: the reason and the next step. Pure.

use std::error::Error as StdError;

use entra_token_endpoint::Authority;
use msal_token_cache::ErrorKind as CacheErrorKind;
use token_credential::{Error, ErrorKind, sanitize};
use token_credential_engine::Failure;

use crate::policy::account::{AccountSelector, Rule, SelectError};

/// A cache that cannot be looked for, by its name.
#[derive(Clone, Debug)]
pub(crate) struct NoCache {
    pub(crate) name: String,
    pub(crate) why: WhyNoCache,
}

/// The reason why a cache cannot be looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WhyNoCache {
    NoHome,
    #[allow(
        dead_code,
        reason = "for builds without the platform's encrypted store"
    )]
    EncryptionRequired,
}

/// Returns the error of a cache that cannot be looked for.
pub(crate) fn no_cache(missing: &NoCache) -> Error {
    let why = match missing.why {
        #[cfg(windows)]
        WhyNoCache::NoHome => {
            "cannot be looked for, because there is no folder for it: set LOCALAPPDATA to an \
                 absolute path, or give a cache with the builder's token_cache"
        }
        #[cfg(not(windows))]
        WhyNoCache::NoHome => {
            "cannot be looked for, because there is no home folder: set HOME to an absolute \
                 path, or give a cache with the builder's token_cache"
        }
        WhyNoCache::EncryptionRequired => {
            "is required to be encrypted, which cannot be read here: build with the feature \
                 for this platform's store, or allow plain text with \
                 TokenCachePersistenceOptions::with_allow_unencrypted_storage"
        }
    };
    unavailable(format!("the token cache {} {why}", missing.name))
}

const FILE_OF_ONES_OWN: &str = "; make it a file that this user owns and may read";

/// Returns the error of a cache that cannot be read.
pub(crate) fn unreadable(error: msal_token_cache::Error) -> Error {
    let next = match error.kind() {
        CacheErrorKind::UnsupportedFormat => {
            "; sign in with a developer tool whose token cache can be read here, or give another one \
             with the builder's token_cache"
        }
        CacheErrorKind::Unavailable => {
            ", or allow plain text with \
             TokenCachePersistenceOptions::with_allow_unencrypted_storage"
        }
        CacheErrorKind::Insecure => FILE_OF_ONES_OWN,
        CacheErrorKind::Io if is_of_the_system(&error) => FILE_OF_ONES_OWN,
        // The others say so themselves.
        _ => "",
    };
    unavailable(format!("the token cache cannot be used: {error}{next}")).with_source(error)
}

fn is_of_the_system(error: &msal_token_cache::Error) -> bool {
    error
        .source()
        .is_some_and(<dyn StdError>::is::<std::io::Error>)
}

/// Returns the error of a cache at `place` without the account that is meant.
pub(crate) fn no_account(
    why: &SelectError,
    place: &str,
    authority: &Authority,
    selector: &AccountSelector,
) -> Error {
    let asked = asked(selector);
    unavailable(match why {
        SelectError::None => format!(
            "the token cache {place} is missing or holds no account with a refresh token for \
             {authority}: sign in with a developer tool that keeps its token cache there"
        ),
        SelectError::UnknownDomain => format!(
            "no account in the token cache {place} matches{asked}, and no ID token in it tells the \
             tenant's ID: give the builder's tenant_id the ID, a GUID, or sign in with that account"
        ),
        SelectError::NoMatch => format!(
            "no account in the token cache {place} matches{asked}: correct it, or sign in with \
             that account"
        ),
        SelectError::Several(accounts) => {
            format!(
                "several accounts in the token cache {place} match{asked}: {}; say which with the \
                 builder's username and tenant_id",
                list(accounts)
            )
        }
    })
}

/// The most accounts that are listed.
const MAX_LISTED: usize = 10;
/// The most characters of a name and of a tenant in the list.
const MAX_LISTED_TEXT: usize = 128;

/// Lists accounts by name and tenant: the first ten, and how many more there are.
fn list(accounts: &[(Option<String>, Option<String>)]) -> String {
    let shown = |text: &Option<String>, unknown: &str| -> String {
        let text = sanitize(text.as_deref().unwrap_or(unknown));
        text.chars().take(MAX_LISTED_TEXT).collect()
    };
    let listed = accounts.iter().take(MAX_LISTED).map(|(username, tenant)| {
        format!(
            "{} (tenant {})",
            shown(username, "an account without a name"),
            shown(tenant, "unknown")
        )
    });
    let listed: Vec<_> = listed.collect();
    match accounts.len().saturating_sub(MAX_LISTED) {
        0 => listed.join(", "),
        more => format!("{} and {more} more", listed.join(", ")),
    }
}

/// Describes the account that the program means.
fn asked(selector: &AccountSelector) -> String {
    match &selector.0 {
        Rule::Filtered(filter) => [
            ("username", &filter.username),
            ("tenant", &filter.tenant_id),
        ]
        .iter()
        .filter_map(|(name, value)| Some(format!(" {name} {}", sanitize(value.as_deref()?))))
        .collect(),
        Rule::Recorded(record) => format!(
            " the authentication record of {} ({})",
            sanitize(record.username()),
            sanitize(record.home_account_id())
        ),
    }
}

/// Returns the error of an account without a refresh token.
pub(crate) fn no_refresh_token(
    username: Option<&str>,
    place: &str,
    authority: &Authority,
) -> Error {
    unavailable(format!(
        "the token cache {place} holds no refresh token of {} for {authority}: sign in again with a \
         developer tool that keeps its token cache there",
        username.unwrap_or("the account"),
    ))
}

/// Returns the error of an account of AD FS, whose token endpoint is at another address.
pub(crate) fn of_adfs(username: Option<&str>, place: &str) -> Error {
    unavailable(format!(
        "{} in the token cache {place} is of AD FS, which is not supported: sign in with an account \
         of Microsoft Entra",
        username.unwrap_or("the account"),
    ))
}

/// Returns the error of a failure of the engine.
pub(crate) fn of_engine(authority: &Authority, failure: Failure) -> Error {
    let failed = |text: &str| Error::new(ErrorKind::AuthenticationFailed, text);
    match failure {
        Failure::NoRuntime => Error::new(
            ErrorKind::InvalidArgument,
            "no token is cached, and redeeming one needs a tokio runtime: call from within one",
        ),
        Failure::TimedOut(limit) => {
            let text = format!(
                "no answer from {authority} within {limit:?} (the builder's timeout sets the limit)"
            );
            failed(&text).with_transient(true)
        }
        Failure::Panicked => failed(
            "the token endpoint or the token cache panicked during the redemption: call again",
        ),
        Failure::RuntimeEnded => {
            failed("the tokio runtime ended before the redemption did: call from one that lasts")
        }
        Failure::Closed => failed("the credential is closed: build another one"),
        Failure::ClosedDuringCall => {
            failed("the credential was closed during the call: build another one")
        }
    }
}

fn unavailable(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::CredentialUnavailable, text)
}
