//! Judges a token response against the request. Pure.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use entra_token_endpoint::{TokenError, TokenResponse};
use msal_token_cache::{RedeemedToken, Redemption, is_usable_secret};
use token_credential::{Error, ErrorKind, Secret};

use crate::authority::Authority;
use crate::refusal_text::{CHECK_AUTHORITY, Refusal, unreachable, unusable};
use crate::request::Request;

mod lifetime;
#[cfg(test)]
mod tests;
mod whose;

use lifetime::{Lifetime, NoLifetime};
pub(crate) use lifetime::{PAUSE, is_pause_due, short_lived};
pub(crate) use whose::IdClaims;
use whose::{ClientInfo, check_account, realm};

/// What was asked, and of whom.
pub(crate) struct Asked<'a> {
    pub(crate) authority: &'a Authority,
    pub(crate) request: &'a Request,
    /// The tenant in the address.
    pub(crate) tenant: &'a str,
    pub(crate) token: &'a RedeemedToken,
    pub(crate) client_id: &'a str,
    /// When the request was sent that got the answer.
    pub(crate) at: SystemTime,
    /// When the answer was there.
    pub(crate) now: SystemTime,
}

/// What an answer grants.
#[derive(Debug)]
pub(crate) enum Granted {
    /// A token.
    Token(Redemption),
    /// A token that has too little time left to be handed out, and the error that says so. Only the
    /// refresh token that came with it is of use.
    Spent(Redemption, Error),
}

/// Why an answer holds no token for us.
#[derive(Clone, Debug)]
pub(crate) enum NoToken {
    /// The endpoint says why.
    Refused(Box<Refusal>),
    /// There was no answer, none that a token endpoint gives, or one that must not be used.
    Failed(Error),
}

impl NoToken {
    /// The same with for how long the endpoint is to be left alone.
    pub(crate) fn with_retry_after(self, retry_after: Duration) -> Self {
        match self {
            Self::Refused(refusal) => {
                Self::Refused(Box::new(refusal.with_retry_after(retry_after)))
            }
            Self::Failed(error) => Self::Failed(error.with_retry_after(retry_after)),
        }
    }
}

/// What is wrong with a token response.
struct Unusable {
    why: Cow<'static, str>,
    /// What to do about it, where it is not the usual.
    next: Option<&'static str>,
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
    fn into_error(self, authority: &Authority, status: u16) -> Error {
        let Self { why, next } = self;
        let next = next.unwrap_or(CHECK_AUTHORITY);
        let text = format!("the answer of {authority} (HTTP {status}) {why}: {next}");
        Error::new(ErrorKind::AuthenticationFailed, text)
    }
}

/// Reads the outcome of a redemption.
pub(crate) fn read(
    result: Result<TokenResponse, TokenError>,
    asked: &Asked<'_>,
) -> Result<Granted, NoToken> {
    let authority = asked.authority;
    let response = result.map_err(|error| match error {
        TokenError::Refused(response) => {
            NoToken::Refused(Box::new(Refusal::new(*response, asked.client_id)))
        }
        TokenError::Unusable(response) => NoToken::Failed(unusable(&response, authority)),
        TokenError::Transport(error) => NoToken::Failed(unreachable(authority, error)),
    })?;
    let into_error = |why: Unusable| why.into_error(authority, response.status());
    let (redemption, no_lifetime) =
        granted(&response, asked).map_err(|why| NoToken::Failed(into_error(why)))?;
    Ok(match no_lifetime {
        None => Granted::Token(redemption),
        Some(why) => {
            let error = match why.in_answer() {
                Some(why) => into_error(why),
                None => short_lived(authority),
            };
            let error = error.with_transient(true).with_retry_after(PAUSE);
            Granted::Spent(redemption.with_refresh_token_only(), error)
        }
    })
}

/// What is granted, and what keeps the access token from being handed out.
fn granted(
    response: &TokenResponse,
    asked: &Asked<'_>,
) -> Result<(Redemption, Option<NoLifetime>), Unusable> {
    let id_token = response.id_token();
    let claims = id_token.and_then(IdClaims::decode);
    let client_info = ClientInfo::of(response)?.filter(ClientInfo::names_somebody);
    check_account(asked, client_info.as_ref(), claims.as_ref())?;
    let tid = claims.as_ref().and_then(IdClaims::tid);
    let realm = realm(asked, tid, client_info.is_some())?;

    let lifetime = Lifetime::of(response, asked.at, asked.now);
    // Nothing is taken from an answer that lacks what it must say.
    let is_said = lifetime != Err(NoLifetime::NotSaid);
    let refresh_token = response.refresh_token().filter(|_| is_said);
    let (lifetime, no_lifetime) = match lifetime {
        Ok(lifetime) => (Some(lifetime), None),
        Err(why) => (None, Some(why)),
    };
    let target = asked.request.target(response.scope());
    let mut redemption = Redemption::new(
        asked.token.clone(),
        realm,
        target,
        response.access_token().clone(),
        asked.at,
        lifetime.as_ref().map_or(asked.at, |life| life.expires_on),
    )
    .with_client_id(asked.client_id);
    if let Some(lifetime) = lifetime {
        if let Some(extended) = lifetime.extended {
            redemption = redemption.with_extended_expires_on(extended);
        }
        if let Some(refresh_on) = lifetime.refresh_on {
            redemption = redemption.with_refresh_on(refresh_on);
        }
    }
    if let Some(refresh_token) = refresh_token {
        redemption = redemption.with_refresh_token(refresh_token.clone());
    }
    if let Some(family_id) = response.family_id() {
        redemption = redemption.with_family_id(family_id);
    }
    // What cannot be stored is passed over, as everything that is odd.
    let usable = |token: &&Secret| is_usable_secret(token.expose_secret());
    if let Some((claims, token)) = claims.zip(id_token.filter(usable)) {
        redemption = redemption.with_identity(claims.identity(token.clone()));
    }
    Ok((redemption, no_lifetime))
}
