//! The request that a token response answers, and the faults that it can have.

use std::borrow::Cow;
use std::time::SystemTime;

use entra_token_endpoint::Authority;
use msal_token_cache::RedeemedToken;
use token_credential::{Error, ErrorKind};
use token_credential_engine::OwnedCall;

use crate::policy::rejection::CHECK_AUTHORITY;

/// The request that a response answers.
pub(crate) struct RequestContext<'a> {
    pub(crate) authority: &'a Authority,
    pub(crate) call: &'a OwnedCall,
    /// The tenant in the address.
    pub(crate) tenant: &'a str,
    pub(crate) token: &'a RedeemedToken,
    pub(crate) client_id: &'a str,
    /// Whether new tokens are stored in another cache than the redeemed one's.
    pub(crate) is_stored_apart: bool,
    /// The time at which the request was sent.
    pub(crate) at: SystemTime,
    /// The time at which the response was there.
    pub(crate) now: SystemTime,
}

/// The fault of a token response.
pub(crate) struct Unusable {
    pub(crate) why: Cow<'static, str>,
    /// The next step, if it is not the usual one.
    pub(crate) next: Option<&'static str>,
}

impl From<&'static str> for Unusable {
    fn from(why: &'static str) -> Self {
        Self {
            why: why.into(),
            next: None,
        }
    }
}

impl Unusable {
    /// Returns the error for the caller.
    pub(crate) fn into_error(self, authority: &Authority, status: u16) -> Error {
        let Self { why, next } = self;
        let next = next.unwrap_or(CHECK_AUTHORITY);
        let text = format!("the answer of {authority} (HTTP {status}) {why}: {next}");
        Error::new(ErrorKind::AuthenticationFailed, text)
    }
}
