//! Why there is nothing to work with, and what the user can do about it. Pure.

use std::error::Error as StdError;

use msal_token_cache::ErrorKind as CacheErrorKind;
use token_credential::{Error, ErrorKind, sanitize};

use crate::account::{NotChosen, Whose};
use crate::authority::Authority;

/// A cache that cannot even be looked for, by its name.
#[derive(Clone, Debug)]
pub(crate) struct NoCache {
    pub(crate) name: String,
    pub(crate) why: WhyNoCache,
}

/// Why a cache cannot be looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WhyNoCache {
    NoHome,
    #[allow(
        dead_code,
        reason = "for builds without the platform's encrypted store"
    )]
    EncryptionRequired,
}

impl NoCache {
    pub(crate) fn to_error(&self) -> Error {
        let why = match self.why {
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
        unavailable(format!("the token cache {} {why}", self.name))
    }
}

const FILE_OF_ONES_OWN: &str = "; make it a file that this user owns and may read";

/// There is a cache, and it cannot be read.
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

/// There is a cache at `place`, and none of its accounts is the one that is meant.
pub(crate) fn no_account(
    why: &NotChosen,
    place: &str,
    authority: &Authority,
    whose: &Whose,
) -> Error {
    let asked = asked(whose);
    unavailable(match why {
        NotChosen::None => format!(
            "the token cache {place} is missing or holds no account with a refresh token for \
             {authority}: sign in with a developer tool that keeps its token cache there"
        ),
        NotChosen::UnknownDomain => format!(
            "no account in the token cache {place} matches{asked}, and no ID token in it tells the \
             tenant's ID: give the builder's tenant_id the ID, a GUID, or sign in with that account"
        ),
        NotChosen::NoMatch => format!(
            "no account in the token cache {place} matches{asked}: correct it, or sign in with \
             that account"
        ),
        NotChosen::Several(accounts) => {
            format!(
                "several accounts in the token cache {place} match{asked}: {}; say which with the \
                 builder's username and tenant_id",
                list(accounts)
            )
        }
    })
}

/// So many accounts are listed,
const MAX_LISTED: usize = 10;
/// each with so many characters of its name and of its tenant.
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

/// What the program said about the account that it means.
fn asked(whose: &Whose) -> String {
    match whose {
        Whose::Filtered(filter) => [
            ("username", &filter.username),
            ("tenant", &filter.tenant_id),
        ]
        .iter()
        .filter_map(|(name, value)| Some(format!(" {name} {}", sanitize(value.as_deref()?))))
        .collect(),
        Whose::Recorded(record) => format!(
            " the authentication record of {} ({})",
            sanitize(record.username()),
            sanitize(record.home_account_id())
        ),
    }
}

/// There is the account that is meant, and nothing to redeem for it.
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

/// There is the account that is meant, and its token endpoint is of a kind that is not asked.
pub(crate) fn of_adfs(username: Option<&str>, place: &str) -> Error {
    unavailable(format!(
        "{} in the token cache {place} is of AD FS, which is not supported: sign in with an account \
         of Microsoft Entra",
        username.unwrap_or("the account"),
    ))
}

fn unavailable(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::CredentialUnavailable, text)
}
