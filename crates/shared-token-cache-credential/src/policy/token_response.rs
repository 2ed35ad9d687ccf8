//! What a token endpoint's answer means. Pure: it judges an answer against what was asked, and
//! never shows any of the body.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use msal_token_cache::{LONGEST_SECRET, RedeemedToken, Redemption, is_usable_secret};
use token_credential::{Error, ErrorKind, Secret};

use crate::authority::Authority;
use crate::refusal::{Refusal, is_transient};
use crate::request::Request;
use crate::token_endpoint::{MAX_BODY, TokenReply};

mod lifetime;
mod members;
#[cfg(test)]
mod tests;
mod whose;

use lifetime::{Lifetime, NoLifetime};
pub(crate) use lifetime::{PAUSE, is_pause_due, short_lived};
pub(crate) use members::Members;
use members::decode;
pub(crate) use whose::IdClaims;
use whose::{ClientInfo, check_account, realm};

/// No list of scopes is longer, and they are compared each with each,
const MAX_SCOPE: usize = 8 * 1024;
/// and no name of a family of applications.
const MAX_FAMILY: usize = 64;

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

/// What is wrong with an answer.
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
        let usual = if is_transient(status) {
            "try again later"
        } else {
            "check the builder's authority, and for a proxy in between"
        };
        let Self { why, next } = self;
        let next = next.unwrap_or(usual);
        let text = format!("the answer of {authority} (HTTP {status}) {why}: {next}");
        Error::new(ErrorKind::AuthenticationFailed, text).with_transient(is_transient(status))
    }
}

/// Reads the answer to a redemption.
pub(crate) fn read(reply: &TokenReply, asked: &Asked<'_>) -> Result<Granted, NoToken> {
    let unusable = |why: Unusable| NoToken::Failed(why.into_error(asked.authority, reply.status()));
    let members = members_of(reply.body()).map_err(|why| unusable(why.into()))?;
    let is_success = (200..300).contains(&reply.status());
    // Beside a token, an empty one says nothing.
    if members.is_set("error") || (members.has("error") && !is_success) {
        let refusal = Refusal::read(reply, &members, asked.client_id);
        return Err(NoToken::Refused(Box::new(refusal)));
    }
    if !is_success {
        return Err(unusable("says neither yes nor why not".into()));
    }
    let (redemption, no_lifetime) = granted(&members, asked).map_err(unusable)?;
    Ok(match no_lifetime {
        None => Granted::Token(redemption),
        Some(why) => {
            let error = match why.in_answer() {
                Some(why) => why.into_error(asked.authority, reply.status()),
                None => short_lived(asked.authority),
            };
            let error = error.with_transient(true).with_retry_after(PAUSE);
            Granted::Spent(redemption.with_refresh_token_only(), error)
        }
    })
}

/// The members of a body.
fn members_of(body: &[u8]) -> Result<Members<'_>, &'static str> {
    if body.len() > MAX_BODY {
        return Err("is larger than 256 KiB");
    }
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let members = std::str::from_utf8(body).ok().and_then(Members::parse);
    members.ok_or("is not a JSON object")
}

/// What is granted, and what keeps the access token from being handed out.
fn granted(
    members: &Members<'_>,
    asked: &Asked<'_>,
) -> Result<(Redemption, Option<NoLifetime>), Unusable> {
    let access_token = secret(members, "access_token")?.ok_or("has no access_token")?;
    if !is_usable_secret(access_token.expose_secret()) {
        return Err("has an access_token that no header can carry".into());
    }
    // A token of another type is of no use without a key that we do not have.
    if !is_bearer(members) {
        return Err("has a token that is not a bearer token".into());
    }
    // What cannot be sent or stored is passed over, as everything that is odd.
    let usable = |token: &Secret| is_usable_secret(token.expose_secret());
    let refresh_token = secret(members, "refresh_token")?.filter(usable);
    let id_token = secret(members, "id_token")?;
    let claims = id_token.as_ref().and_then(IdClaims::decode);
    let client_info = ClientInfo::of(members)?.filter(ClientInfo::names_somebody);
    check_account(asked, client_info.as_ref(), claims.as_ref())?;
    let tid = claims.as_ref().and_then(IdClaims::tid);
    let realm = realm(asked, tid, client_info.is_some())?;

    let lifetime = Lifetime::of(members, asked.at, asked.now);
    // Nothing is taken from an answer that lacks what it must say.
    let refresh_token = refresh_token.filter(|_| lifetime != Err(NoLifetime::NotSaid));
    let (lifetime, no_lifetime) = match lifetime {
        Ok(lifetime) => (Some(lifetime), None),
        Err(why) => (None, Some(why)),
    };
    let text = |name, max| members.text(name).filter(|text| text.len() <= max);
    let target = asked.request.target(text("scope", MAX_SCOPE).as_deref());
    let mut redemption = Redemption::new(
        asked.token.clone(),
        realm,
        target,
        access_token,
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
        redemption = redemption.with_refresh_token(refresh_token);
    }
    if let Some(family_id) = text("foci", MAX_FAMILY) {
        redemption = redemption.with_family_id(family_id);
    }
    if let Some((claims, token)) = claims.zip(id_token.filter(usable)) {
        redemption = redemption.with_identity(claims.identity(token));
    }
    Ok((redemption, no_lifetime))
}

/// A member that is a token; what is too long to be one is an error.
fn secret(members: &Members<'_>, name: &str) -> Result<Option<Secret>, Unusable> {
    let secret = members.secret(name);
    if let Some(secret) = &secret
        && secret.expose_secret().len() > LONGEST_SECRET
    {
        let why = format!("has a token of more than 64 KiB ({name})").into();
        return Err(Unusable { why, next: None });
    }
    Ok(secret)
}

/// Whether the token is presented as it is, which is also meant when nothing is said.
fn is_bearer(members: &Members<'_>) -> bool {
    let is_bearer =
        |token_type: &str| token_type.is_empty() || token_type.eq_ignore_ascii_case("Bearer");
    members
        .json("token_type")
        .is_none_or(|json| decode(json).is_some_and(|token_type| is_bearer(&token_type)))
}
