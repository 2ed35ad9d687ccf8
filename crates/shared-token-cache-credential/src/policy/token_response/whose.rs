//! The account and the tenant of a token response.

use std::borrow::Cow;

use entra_token_endpoint::tenant::{ORGANIZATIONS, PERSONAL_PASSTHROUGH_TENANT, PERSONAL_TENANT};
use entra_token_endpoint::{ClientInfo as RawClientInfo, TokenResponse};
use msal_token_cache::identifier::{is_guid, is_same_home_account_id, is_same_tenant};
use serde::Deserialize;

use super::context::{RequestContext, Unusable};
use crate::policy::home_account::home_tenant;
use crate::policy::id_token::{IdClaims, decode_base64};
use crate::policy::tenant::is_word_for_home;

#[cfg(test)]
mod tests;

/// Checks that the response is for the account that was asked for.
pub(super) fn check_account(
    asked: &RequestContext<'_>,
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

/// Returns the tenant of the token, as the look-up for the same call compares it.
pub(super) fn realm<'a>(
    asked: &RequestContext<'a>,
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
        // The tenant that a domain name led to is remembered by its ID.
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

/// The account in a response (`client_info`).
#[derive(Deserialize)]
pub(super) struct ClientInfo {
    uid: Option<String>,
    utid: Option<String>,
}

impl ClientInfo {
    /// Decodes the member. A malformed one is an error: the response could be for any account.
    pub(super) fn of(response: &TokenResponse) -> Result<Option<Self>, &'static str> {
        match response.client_info() {
            RawClientInfo::Missing => Ok(None),
            RawClientInfo::Text(text) => decode_base64(text)
                .and_then(|json| serde_json::from_slice(&json).ok())
                .map(Some)
                .ok_or("names an account that cannot be read, and nothing was stored"),
            RawClientInfo::Invalid => {
                Err("names an account in no known way, and nothing was stored")
            }
        }
    }

    /// Returns `true` if it names an account, or a half of one.
    pub(super) fn names_somebody(&self) -> bool {
        self.uid.is_some() || self.utid.is_some()
    }

    /// Returns `true` if it names this account. Half a name does not.
    fn is_for(&self, home_account_id: &str) -> bool {
        match (&self.uid, &self.utid) {
            (Some(user), Some(tenant)) => {
                is_same_home_account_id(home_account_id, &format!("{user}.{tenant}"))
            }
            _ => false,
        }
    }
}
