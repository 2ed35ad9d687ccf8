//! The caches that a credential reads and writes.

use msal_token_cache::TokenCache;

use crate::error::NoCache;

/// The caches of a [`SilentCredential`](crate::SilentCredential), fixed when it is built.
#[derive(Clone, Debug)]
pub struct Caches {
    pub(crate) sign_in: Result<TokenCache, NoCache>,
    pub(crate) access_tokens: Option<TokenCache>,
    pub(crate) sends_cp1: bool,
}

impl Caches {
    /// Uses this cache for everything: its accounts and refresh tokens are the sign-in, and new
    /// tokens are written into it.
    pub fn new(sign_in: TokenCache) -> Self {
        Self::of(Ok(sign_in))
    }

    pub(crate) fn of(sign_in: Result<TokenCache, NoCache>) -> Self {
        Self {
            sign_in,
            access_tokens: None,
            sends_cp1: false,
        }
    }

    /// Writes new access tokens into this cache, and never writes to the sign-in cache: for the
    /// files of a tool that no other program may change. Give another cache than the sign-in's.
    ///
    /// Cached access tokens come from both. A rotated refresh token lasts in memory for an hour and
    /// is not stored. If this cache cannot be read or written, new tokens last in memory, and a
    /// warning says so. Access tokens of an account that signs out are not handed out any more, but
    /// stay in this cache.
    pub fn with_access_tokens(mut self, cache: TokenCache) -> Self {
        self.access_tokens = Some(cache);
        self
    }

    /// Sets whether requests declare the client capability `cp1` of Continuous Access Evaluation.
    /// Every caller then has to handle a token that the resource refuses before it expires.
    pub fn with_cp1(mut self, sends_cp1: bool) -> Self {
        self.sends_cp1 = sends_cp1;
        self
    }
}
