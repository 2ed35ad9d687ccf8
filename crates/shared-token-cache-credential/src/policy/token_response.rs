//! Judges a token response against the request. Pure.

use entra_token_endpoint::{TokenError, TokenResponse};
use msal_token_cache::{Origin, Redemption, is_usable_secret};
use token_credential::{Error, Secret};

use crate::policy::call_fields;
use crate::policy::id_token::IdClaims;
use crate::policy::rejection::{Refusal, Rejection, unreachable, unusable};

mod context;
mod lifetime;
#[cfg(test)]
mod tests;
mod whose;

pub(crate) use context::RequestContext;
use context::Unusable;
use lifetime::{Lifetime, NoLifetime};
pub(crate) use lifetime::{PAUSE, short_lived};
use whose::{ClientInfo, check_account, realm};

/// The grant of a response.
#[derive(Debug)]
pub(crate) enum Granted {
    /// A token.
    Token(Redemption),
    /// A token with too little time left to be handed out, and the error that says so. Only the
    /// refresh token that came with it is useful.
    Spent(Redemption, Error),
}

/// Reads the outcome of a redemption.
pub(crate) fn read(
    result: Result<TokenResponse, TokenError>,
    asked: &RequestContext<'_>,
) -> Result<Granted, Rejection> {
    let authority = asked.authority;
    let response = result.map_err(|error| match error {
        TokenError::Refused(response) => {
            Rejection::Refused(Box::new(Refusal::new(*response, asked.client_id)))
        }
        TokenError::Unusable(response) => Rejection::Failed(unusable(&response, authority)),
        TokenError::Transport(error) => Rejection::Failed(unreachable(authority, error)),
    })?;
    let into_error = |why: Unusable| why.into_error(authority, response.status());
    let (redemption, no_lifetime) =
        granted(&response, asked).map_err(|why| Rejection::Failed(into_error(why)))?;
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

/// Returns the redemption, and the reason why its access token must not be handed out.
fn granted(
    response: &TokenResponse,
    asked: &RequestContext<'_>,
) -> Result<(Redemption, Option<NoLifetime>), Unusable> {
    let id_token = response.id_token();
    let claims = id_token.and_then(IdClaims::decode);
    let client_info = ClientInfo::of(response)?.filter(ClientInfo::names_somebody);
    check_account(asked, client_info.as_ref(), claims.as_ref())?;
    let tid = claims.as_ref().and_then(IdClaims::tid);
    let realm = realm(asked, tid, client_info.is_some())?;

    let lifetime = Lifetime::of(response, asked.at, asked.now);
    // Nothing is taken from a response without a lifetime.
    let is_said = lifetime != Err(NoLifetime::NotSaid);
    let refresh_token = response.refresh_token().filter(|_| is_said);
    let (lifetime, no_lifetime) = match lifetime {
        Ok(lifetime) => (Some(lifetime), None),
        Err(why) => (None, Some(why)),
    };
    let target = call_fields::target(asked.call, response.scope());
    let origin = if asked.is_stored_apart {
        Origin::RedeemedElsewhere(asked.token.clone())
    } else {
        Origin::Redeemed(asked.token.clone())
    };
    let mut redemption = Redemption::new(
        origin,
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
    // A token that cannot be stored is passed over, as every odd member.
    let usable = |token: &&Secret| is_usable_secret(token.expose_secret());
    if let Some((claims, token)) = claims.zip(id_token.filter(usable)) {
        redemption = redemption.with_identity(claims.identity(token.clone()));
    }
    Ok((redemption, no_lifetime))
}
