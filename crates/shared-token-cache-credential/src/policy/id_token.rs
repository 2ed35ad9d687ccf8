//! ID tokens. Pure.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use entra_token_endpoint::tenant::{PERSONAL_TENANT, is_tenant};
use msal_token_cache::Identity;
use msal_token_cache::identifier::{is_guid, is_same_tenant};
use serde_json::{Map, Value};
use token_credential::Secret;
use zeroize::Zeroizing;

/// The claims of an ID token. The signature is not checked: the token came over the same connection
/// as the access token itself (`OpenID` Connect Core section 3.1.3.7).
pub(crate) struct IdClaims(Map<String, Value>);

impl IdClaims {
    /// Decodes the payload of a token, or returns `None` if it is malformed.
    pub(crate) fn decode(token: &Secret) -> Option<Self> {
        let payload = decode_base64(token.expose_secret().split('.').nth(1)?)?;
        serde_json::from_slice(&payload).ok().map(Self)
    }

    /// Returns a claim that is a text and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// Returns the tenant that issued it, if its name is well formed.
    pub(crate) fn tid(&self) -> Option<&str> {
        self.text("tid").filter(|tid| is_tenant(tid))
    }

    /// Returns `true` if it names another account of the home tenant. Only there, and only in an
    /// organization's, the object ID is the first half of the account's ID.
    pub(crate) fn are_of_another(&self, home_account_id: &str) -> bool {
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

    /// Returns the account's names in the tenant, with the token itself.
    pub(crate) fn identity(&self, token: Secret) -> Identity {
        let text = |name| self.text(name).map(str::to_owned);
        Identity::new(
            token,
            text("oid").or_else(|| text("sub")),
            text("preferred_username").or_else(|| text("upn")),
        )
    }
}

/// Decodes base64url (RFC 4648 section 5), padded or not.
pub(crate) fn decode_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // Some senders pad, some leave bits behind the last byte.
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&URL_SAFE, config)
        .decode(text)
        .ok()
        .map(Zeroizing::new)
}
