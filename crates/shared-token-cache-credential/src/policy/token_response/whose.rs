//! Whose token an answer holds, and in which tenant it is good.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use entra_token_endpoint::{ClientInfo as SaidInfo, TokenResponse};
use msal_token_cache::Identity;
use msal_token_cache::identifier::{is_same_home_account_id, is_same_tenant};
use serde::Deserialize;
use serde_json::{Map, Value};
use token_credential::Secret;
use zeroize::Zeroizing;

use super::{Asked, Unusable};
use crate::account::home_tenant;
use crate::tenant::{
    ORGANIZATIONS, PERSONAL_PASSTHROUGH_TENANT, PERSONAL_TENANT, is_guid, is_tenant,
    is_word_for_home,
};

#[cfg(test)]
mod tests;

/// Checks whose token it is.
pub(super) fn check_account(
    asked: &Asked<'_>,
    client_info: Option<&ClientInfo>,
    claims: Option<&IdClaims>,
) -> Result<(), &'static str> {
    let home_account_id = asked.token.home_account_id();
    let is_for_us = match (client_info, claims) {
        (Some(info), _) => info.is_for(home_account_id),
        (None, Some(claims)) => !claims.are_of_another(home_account_id),
        (None, None) => true,
    };
    if is_for_us {
        Ok(())
    } else {
        Err("is for another account, and nothing was stored")
    }
}

/// The tenant that the token is good in, as the look-up for the same call will look for it.
pub(super) fn realm<'a>(
    asked: &Asked<'a>,
    tid: Option<&str>,
    account_is_named: bool,
) -> Result<Cow<'a, str>, Unusable> {
    let tenant = asked.tenant;
    if is_guid(tenant) {
        return match tid {
            Some(tid) if !is_same_tenant(tid, tenant) => {
                Err("is for another tenant, and nothing was stored".into())
            }
            _ => Ok(tenant.into()),
        };
    }
    if !is_word_for_home(tenant) {
        // What a domain name led to is remembered as an id.
        return Ok(match tid {
            Some(tid) if is_guid(tid) => tid.to_ascii_lowercase().into(),
            _ => tenant.into(),
        });
    }
    let Some(home) = home_tenant(asked.token.home_account_id()) else {
        return Ok(tenant.into());
    };
    let is_personal = is_same_tenant(home, PERSONAL_TENANT);
    let known = match tid {
        // As the account writes it.
        Some(tid) if is_same_tenant(tid, home) => home,
        Some(tid) if is_personal && is_same_tenant(tid, PERSONAL_PASSTHROUGH_TENANT) => {
            PERSONAL_PASSTHROUGH_TENANT
        }
        Some(tid) => {
            let why = format!(
                "is for the tenant {tid} instead of the account's own, and nothing was stored"
            );
            return Err(Unusable {
                why: why.into(),
                next: Some(
                    "name that tenant in the call, and in the builder's additionally_allowed_tenants",
                ),
            });
        }
        None if account_is_named => home,
        // The one word that personal accounts are asked for by.
        None if is_personal => ORGANIZATIONS,
        None => tenant,
    };
    Ok(known.into())
}

/// The account that an answer is for, as far as it says so.
#[derive(Deserialize)]
pub(super) struct ClientInfo {
    uid: Option<String>,
    utid: Option<String>,
}

impl ClientInfo {
    /// What is there and says nothing is an error: the answer could be anybody's.
    pub(super) fn of(response: &TokenResponse) -> Result<Option<Self>, &'static str> {
        match response.client_info() {
            SaidInfo::Missing => Ok(None),
            SaidInfo::Text(text) => decode_base64(text)
                .and_then(|json| serde_json::from_slice(&json).ok())
                .map(Some)
                .ok_or("names an account that cannot be read, and nothing was stored"),
            SaidInfo::Invalid => Err("names an account in no known way, and nothing was stored"),
        }
    }

    /// Whether it names an account, or a half of one. One that names nobody says nothing.
    pub(super) fn names_somebody(&self) -> bool {
        self.uid.is_some() || self.utid.is_some()
    }

    /// Whether it names this account; half a name is nobody's.
    fn is_for(&self, home_account_id: &str) -> bool {
        match (&self.uid, &self.utid) {
            (Some(user), Some(tenant)) => {
                is_same_home_account_id(home_account_id, &format!("{user}.{tenant}"))
            }
            _ => false,
        }
    }
}

/// What an ID token says. Its signature is not checked: it came over the same connection as the
/// access token itself (`OpenID` Connect Core section 3.1.3.7).
pub(crate) struct IdClaims(Map<String, Value>);

impl IdClaims {
    pub(crate) fn decode(token: &Secret) -> Option<Self> {
        let payload = decode_base64(token.expose_secret().split('.').nth(1)?)?;
        serde_json::from_slice(&payload).ok().map(Self)
    }

    /// A claim that is a text and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// The tenant that issued it, if that can be one.
    pub(crate) fn tid(&self) -> Option<&str> {
        self.text("tid").filter(|tid| is_tenant(tid))
    }

    /// Whether it names somebody else of the account's home tenant. Only there, and only in an
    /// organization's, the object id is the first half of the account's id.
    fn are_of_another(&self, home_account_id: &str) -> bool {
        let (Some(tid), Some(oid)) = (self.tid(), self.text("oid")) else {
            return false;
        };
        let Some((uid, utid)) = home_account_id.split_once('.') else {
            return false;
        };
        is_same_tenant(tid, utid)
            && is_guid(tid)
            && is_guid(oid)
            && !is_same_tenant(tid, PERSONAL_TENANT)
            && !oid.eq_ignore_ascii_case(uid)
    }

    pub(super) fn identity(&self, token: Secret) -> Identity {
        let text = |name| self.text(name).map(str::to_owned);
        Identity::new(
            token,
            text("oid").or_else(|| text("sub")),
            text("preferred_username").or_else(|| text("upn")),
        )
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
