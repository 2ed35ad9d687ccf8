//! What a token endpoint's answer means. Pure: it judges an answer against what was asked, and
//! never shows any of the body.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use msal_token_cache::identifier::is_same_home_account_id;
use msal_token_cache::{AccessToken, Identity, RedeemedToken, Redemption};
use serde::Deserialize;
use token_credential::{Error, ErrorKind};
use zeroize::Zeroizing;

use crate::authority::Authority;
use crate::refusal::{Refusal, is_transient};
use crate::request::Request;
use crate::tenant::{is_guid, is_word_for_home};
use crate::token_endpoint::TokenReply;

mod members;
#[cfg(test)]
mod tests;

pub(crate) use members::Members;
use members::decode;

/// What was asked, and of whom.
pub(crate) struct Asked<'a> {
    pub(crate) authority: &'a Authority,
    pub(crate) request: &'a Request,
    /// The tenant in the address.
    pub(crate) tenant: &'a str,
    pub(crate) token: &'a RedeemedToken,
    pub(crate) client_id: &'a str,
    /// When the request was sent.
    pub(crate) at: SystemTime,
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

/// Reads the answer to a redemption.
pub(crate) fn read(reply: &TokenReply, asked: &Asked<'_>) -> Result<Redemption, NoToken> {
    let status = reply.status();
    let unusable = |why: &str| {
        let next = if is_transient(status) {
            "try again later"
        } else {
            "check the builder's authority, and for a proxy in between"
        };
        let text = format!(
            "the answer of {} (HTTP {status}) {why}: {next}",
            asked.authority
        );
        let error = Error::new(ErrorKind::AuthenticationFailed, text);
        NoToken::Failed(error.with_transient(is_transient(status)))
    };
    let body = reply.body();
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let members = std::str::from_utf8(body).ok().and_then(Members::parse);
    let members = members.ok_or_else(|| unusable("is not a JSON object"))?;
    if members.has("error") {
        return Err(NoToken::Refused(Box::new(Refusal::read(reply, &members))));
    }
    if !(200..300).contains(&status) {
        return Err(unusable("says neither yes nor why not"));
    }
    let access_token = members
        .secret("access_token")
        .ok_or_else(|| unusable("has no access_token"))?;
    // Without a way out in the middle it is done in large steps.
    let is_graphic = |so_far, byte: u8| so_far & byte.is_ascii_graphic();
    let bytes = access_token.expose_secret().bytes();
    if !bytes.fold(true, is_graphic) {
        return Err(unusable("has an access_token that no header can carry"));
    }
    // A token of another type is of no use without a key that we do not have.
    if !is_bearer(&members) {
        return Err(unusable("has a token that is not a bearer token"));
    }
    let expires_on = expires_on(&members, asked.at)
        .ok_or_else(|| unusable("does not say when the token expires"))?
        .min(asked.at + AccessToken::LONGEST_LIFE);

    let client_info = ClientInfo::of(&members).map_err(unusable)?;
    if let Some(info) = &client_info
        && !info.is_for(asked.token.home_account_id())
    {
        return Err(unusable("is for another account, and nothing was stored"));
    }
    let id_token = members
        .secret("id_token")
        .and_then(|token| Some((IdClaims::decode(token.expose_secret())?, token)));
    let tid = id_token
        .as_ref()
        .and_then(|(claims, _)| claims.tid.as_deref());
    if is_guid(asked.tenant) && tid.is_some_and(|tid| !tid.eq_ignore_ascii_case(asked.tenant)) {
        return Err(unusable("is for another tenant, and nothing was stored"));
    }

    let realm = realm(asked.tenant, tid, client_info.as_ref());
    let target = asked.request.target(members.text("scope").as_deref());
    let mut redemption = Redemption::new(
        asked.token.clone(),
        realm,
        target,
        access_token,
        asked.at,
        expires_on,
    )
    .with_client_id(asked.client_id);
    if let Some(seconds) = members.seconds("ext_expires_in") {
        redemption = redemption.with_extended_expires_on(after(asked.at, seconds));
    }
    if let Some(seconds) = members.seconds("refresh_in") {
        redemption = redemption.with_refresh_on(after(asked.at, seconds));
    }
    if let Some(refresh_token) = members.secret("refresh_token") {
        redemption = redemption.with_refresh_token(refresh_token);
    }
    if let Some(family_id) = members.text("foci") {
        redemption = redemption.with_family_id(family_id);
    }
    if let Some((claims, token)) = id_token {
        let identity = Identity::new(
            token,
            claims.oid.or(claims.sub),
            claims.preferred_username.or(claims.upn),
        );
        redemption = redemption.with_identity(identity);
    }
    Ok(redemption)
}

/// The tenant that the token is good in, as far as anything says so.
fn realm<'a>(
    tenant: &'a str,
    tid: Option<&'a str>,
    client_info: Option<&'a ClientInfo>,
) -> &'a str {
    if is_guid(tenant) {
        return tenant;
    }
    let home = client_info
        .filter(|_| is_word_for_home(tenant))
        .and_then(|info| info.utid.as_deref());
    tid.filter(|tid| !tid.is_empty()).or(home).unwrap_or(tenant)
}

fn after(time: SystemTime, seconds: u64) -> SystemTime {
    time + Duration::from_secs(seconds).min(AccessToken::LONGEST_LIFE)
}

/// Whether the token is presented as it is, which is also meant when nothing is said.
fn is_bearer(members: &Members<'_>) -> bool {
    let is_bearer =
        |token_type: &str| token_type.is_empty() || token_type.eq_ignore_ascii_case("Bearer");
    members
        .json("token_type")
        .is_none_or(|json| decode(json).is_some_and(|token_type| is_bearer(&token_type)))
}

fn expires_on(members: &Members<'_>, asked_at: SystemTime) -> Option<SystemTime> {
    match members.seconds("expires_on") {
        // Windows has no time as late as 2^40 seconds.
        Some(seconds) => UNIX_EPOCH.checked_add(Duration::from_secs(seconds.min(1 << 39))),
        None => Some(after(asked_at, members.seconds("expires_in")?)),
    }
}

/// The account that an answer is for, as far as it says so.
#[derive(Deserialize)]
struct ClientInfo {
    uid: Option<String>,
    utid: Option<String>,
}

impl ClientInfo {
    /// What is there and says nothing is an error: the answer could be anybody's.
    fn of(members: &Members<'_>) -> Result<Option<Self>, &'static str> {
        let Some(json) = members.json("client_info") else {
            return Ok(None);
        };
        match decode(json).as_deref() {
            Some("") => Ok(None),
            Some(text) => decode_base64(text)
                .and_then(|json| serde_json::from_slice(&json).ok())
                .map(Some)
                .ok_or("names an account that cannot be read, and nothing was stored"),
            None => Err("names an account in no known way, and nothing was stored"),
        }
    }

    /// Whether it names this account; one that names nobody is for whoever asked, half a name is
    /// nobody's.
    fn is_for(&self, home_account_id: &str) -> bool {
        match (&self.uid, &self.utid) {
            (Some(user), Some(tenant)) => {
                is_same_home_account_id(home_account_id, &format!("{user}.{tenant}"))
            }
            (user, tenant) => user.is_none() && tenant.is_none(),
        }
    }
}

/// What we read of an ID token. Its signature is not checked: it came over the same connection as
/// the access token itself (`OpenID` Connect Core section 3.1.3.7).
#[derive(Deserialize)]
pub(crate) struct IdClaims {
    pub(crate) tid: Option<String>,
    oid: Option<String>,
    sub: Option<String>,
    pub(crate) preferred_username: Option<String>,
    pub(crate) upn: Option<String>,
}

impl IdClaims {
    pub(crate) fn decode(token: &str) -> Option<Self> {
        let payload = decode_base64(token.split('.').nth(1)?)?;
        serde_json::from_slice(&payload).ok()
    }
}

fn decode_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // Some senders pad, some leave bits behind the last byte.
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&URL_SAFE, config)
        .decode(text)
        .ok()
        .map(Zeroizing::new)
}
