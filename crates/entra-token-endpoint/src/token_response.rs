//! The successful response of a token endpoint (RFC 6749 section 5.1), whatever the grant was.

use std::borrow::Cow;
use std::fmt;

use token_credential::Secret;

use crate::error::{TokenError, UnusableResponse};
use crate::error_response::ErrorResponse;
use crate::json_members::{Members, decode};
use crate::token_endpoint::MAX_BODY;
use crate::token_endpoint::reply::HttpResponse;
use crate::usable::{LONGEST_TOKEN, is_usable};

/// No list of scopes is longer, and they are compared each with each,
const MAX_SCOPE: usize = 8 * 1024;
/// and no name of a family of applications.
const MAX_FAMILY: usize = 64;

/// The tokens that an endpoint issued, with all that it says of them (RFC 6749 section 5.1, `OpenID`
/// Connect, and Entra's additions).
///
/// The access token is a bearer token that fits in a header. Account, tenant, scopes and lifetime
/// are as the server says them: only the caller knows the request. `Debug` shows no token.
pub struct TokenResponse {
    status: u16,
    access_token: Secret,
    refresh_token: Option<Secret>,
    id_token: Option<Secret>,
    client_info: ClientInfo,
    scope: Option<String>,
    family_id: Option<String>,
    expires_in: Seconds,
    expires_on: Seconds,
    ext_expires_in: Seconds,
    refresh_in: Seconds,
}

/// The member `client_info`: the account in base64, undecoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientInfo {
    /// It is missing, null or empty.
    Missing,
    /// It is this text.
    Text(String),
    /// It is no text, so it names the account in no known way.
    Invalid,
}

/// A number of seconds, as the server says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seconds {
    /// The server says no number.
    Missing,
    /// It is a number that cannot be a time: negative, or without an end.
    Invalid,
    /// It is this number, without its fraction; [`u64::MAX`] for all that are larger.
    Said(u64),
}

impl Seconds {
    fn of(members: &Members<'_>, name: &str) -> Self {
        match members.seconds(name) {
            Some(seconds) => Self::Said(seconds),
            None if members.is_number(name) => Self::Invalid,
            None => Self::Missing,
        }
    }

    /// Returns the number, if it can be a time.
    pub fn get(self) -> Option<u64> {
        match self {
            Self::Said(seconds) => Some(seconds),
            Self::Missing | Self::Invalid => None,
        }
    }

    /// Returns `true` if the server says a number, whatever its size and sign.
    pub fn is_number(self) -> bool {
        self != Self::Missing
    }
}

impl TokenResponse {
    /// Reads an HTTP response to a token request.
    ///
    /// Odd members are passed over, but for the tokens. Beside a token, an `error` counts unless it
    /// is empty.
    ///
    /// # Errors
    ///
    /// Returns [`TokenError::Refused`] if the response has an `error`, and
    /// [`TokenError::Unusable`] if it is no token response or has a token that cannot be used.
    pub fn parse(response: &HttpResponse) -> Result<Self, TokenError> {
        let status = response.status();
        let unusable = |why| TokenError::Unusable(UnusableResponse::new(status, why));
        let members = members_of(response.body()).map_err(|why| unusable(why.into()))?;
        let is_success = (200..300).contains(&status);
        // Beside a token, an empty one says nothing.
        if members.is_set("error") || (members.has("error") && !is_success) {
            let refusal = ErrorResponse::read(response, &members);
            return Err(TokenError::Refused(Box::new(refusal)));
        }
        if !is_success {
            return Err(unusable("says neither yes nor why not".into()));
        }
        Self::granted(status, &members).map_err(unusable)
    }

    fn granted(status: u16, members: &Members<'_>) -> Result<Self, Cow<'static, str>> {
        let access_token = token(members, "access_token")?.ok_or("has no access_token")?;
        if !is_usable(access_token.expose_secret()) {
            return Err("has an access_token that no header can carry".into());
        }
        // A token of another type is of no use without a key that we do not have.
        if !is_bearer(members) {
            return Err("has a token that is not a bearer token".into());
        }
        let text = |name, max| {
            let text = members.text(name).filter(|text| text.len() <= max);
            text.map(Cow::into_owned)
        };
        Ok(Self {
            status,
            access_token,
            // One that cannot be sent is passed over, as every odd member.
            refresh_token: token(members, "refresh_token")?
                .filter(|token| is_usable(token.expose_secret())),
            id_token: token(members, "id_token")?,
            client_info: client_info(members),
            scope: text("scope", MAX_SCOPE),
            family_id: text("foci", MAX_FAMILY),
            expires_in: Seconds::of(members, "expires_in"),
            expires_on: Seconds::of(members, "expires_on"),
            ext_expires_in: Seconds::of(members, "ext_expires_in"),
            refresh_in: Seconds::of(members, "refresh_in"),
        })
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the access token: a bearer token of at most 64 KiB that fits in a header.
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// Returns the refresh token, if there is one that can be sent.
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// Returns the ID token, undecoded.
    pub fn id_token(&self) -> Option<&Secret> {
        self.id_token.as_ref()
    }

    /// Returns the member `client_info`.
    pub fn client_info(&self) -> &ClientInfo {
        &self.client_info
    }

    /// Returns the scopes that were granted, separated by blanks, if the server says them.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Returns the family of the application (`foci`): its members can redeem each other's refresh
    /// tokens.
    pub fn family_id(&self) -> Option<&str> {
        self.family_id.as_deref()
    }

    /// Returns the seconds until the access token expires.
    pub fn expires_in(&self) -> Seconds {
        self.expires_in
    }

    /// Returns the time at which the access token expires, in seconds since 1970.
    pub fn expires_on(&self) -> Seconds {
        self.expires_on
    }

    /// Returns the seconds until which the access token may serve while the server is down.
    pub fn ext_expires_in(&self) -> Seconds {
        self.ext_expires_in
    }

    /// Returns the seconds after which the server wants the access token refreshed.
    pub fn refresh_in(&self) -> Seconds {
        self.refresh_in
    }
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse")
            .field("status", &self.status)
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

fn members_of(body: &[u8]) -> Result<Members<'_>, &'static str> {
    if body.len() > MAX_BODY {
        return Err("is larger than 256 KiB");
    }
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let members = std::str::from_utf8(body).ok().and_then(Members::parse);
    members.ok_or("is not a JSON object")
}

/// Returns a member that is a token. One that is too long to be a token is an error.
fn token(members: &Members<'_>, name: &str) -> Result<Option<Secret>, Cow<'static, str>> {
    let token = members.secret(name);
    let is_too_long = |token: &Secret| token.expose_secret().len() > LONGEST_TOKEN;
    if token.as_ref().is_some_and(is_too_long) {
        return Err(format!("has a token of more than 64 KiB ({name})").into());
    }
    Ok(token)
}

/// Returns `true` for a token that is presented as it is, which a server also means if it says no
/// type.
fn is_bearer(members: &Members<'_>) -> bool {
    let is_bearer =
        |token_type: &str| token_type.is_empty() || token_type.eq_ignore_ascii_case("Bearer");
    members
        .json("token_type")
        .is_none_or(|json| decode(json).is_some_and(|token_type| is_bearer(&token_type)))
}

fn client_info(members: &Members<'_>) -> ClientInfo {
    match members.json("client_info").map(decode) {
        None => ClientInfo::Missing,
        Some(Some(text)) if text.is_empty() => ClientInfo::Missing,
        Some(Some(text)) => ClientInfo::Text(text.into_owned()),
        Some(None) => ClientInfo::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(members: &Value) -> Result<TokenResponse, TokenError> {
        let mut body = json!({ "access_token": "canary", "expires_in": 3600 });
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        TokenResponse::parse(&HttpResponse::new(200, body.to_string()))
    }

    #[test]
    fn a_token_comes_with_all_that_the_server_says_of_it() {
        let response = parse(&json!({
            "token_type": "Bearer", "refresh_token": "canary-2", "id_token": "canary-3",
            "client_info": "e30", "scope": "a b", "foci": "1", "expires_on": "1800000000",
            "ext_expires_in": 7200.9, "refresh_in": -1,
        }))
        .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.access_token().expose_secret(), "canary");
        let refresh_token = response.refresh_token().map(Secret::expose_secret);
        assert_eq!(refresh_token, Some("canary-2"));
        assert_eq!(
            response.id_token().map(Secret::expose_secret),
            Some("canary-3")
        );
        assert_eq!(response.client_info(), &ClientInfo::Text("e30".to_owned()));
        assert_eq!(response.scope(), Some("a b"));
        assert_eq!(response.family_id(), Some("1"));
        assert_eq!(response.expires_in(), Seconds::Said(3600));
        assert_eq!(response.expires_on(), Seconds::Said(1_800_000_000));
        assert_eq!(response.ext_expires_in(), Seconds::Said(7200));
        assert_eq!(response.refresh_in(), Seconds::Invalid);
        assert!(!format!("{response:?}").contains("canary"));
    }

    #[test]
    fn k15_a_number_that_cannot_be_a_time_is_told_from_a_missing_one() {
        for (value, expected) in [
            (json!(null), Seconds::Missing),
            (json!("soon"), Seconds::Missing),
            (json!([60]), Seconds::Missing),
            (json!(-1), Seconds::Invalid),
            (json!("-1"), Seconds::Invalid),
            (json!("inf"), Seconds::Invalid),
            (json!("0060.9"), Seconds::Said(60)),
            (json!(0.9), Seconds::Said(0)),
            (json!(1e300), Seconds::Said(u64::MAX)),
        ] {
            let response = parse(&json!({ "expires_in": value })).unwrap();
            assert_eq!(response.expires_in(), expected, "{value}");
            let is_number = expected != Seconds::Missing;
            assert_eq!(response.expires_in().is_number(), is_number, "{value}");
        }
    }

    #[test]
    fn the_account_is_told_only_by_a_text() {
        for (value, expected) in [
            (json!(null), ClientInfo::Missing),
            (json!(""), ClientInfo::Missing),
            (json!("x"), ClientInfo::Text("x".to_owned())),
            (json!(7), ClientInfo::Invalid),
            (json!({ "uid": "u" }), ClientInfo::Invalid),
        ] {
            let response = parse(&json!({ "client_info": value })).unwrap();
            assert_eq!(response.client_info(), &expected, "{value}");
        }
    }

    #[test]
    fn an_error_is_a_refusal_and_anything_else_without_a_token_unusable() {
        let refused = parse(&json!({ "error": "invalid_grant" }));
        assert!(matches!(refused, Err(TokenError::Refused(_))));
        for (status, body, text, is_transient) in [
            (200, "<html>", "(HTTP 200) is not a JSON object", false),
            (200, "{}", "(HTTP 200) has no access_token", false),
            (503, "{}", "(HTTP 503) says neither yes nor why not", true),
        ] {
            match TokenResponse::parse(&HttpResponse::new(status, body)) {
                Err(TokenError::Unusable(error)) => {
                    assert!(error.to_string().ends_with(text), "{error}");
                    assert_eq!(error.is_transient(), is_transient, "{error}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
