//! Why a token endpoint refused, and what that means for what to try next. Pure.

use std::time::Duration;

use serde_json::{Map, Value};
use token_credential::{Error, ErrorKind, OAuthError};

use crate::token_endpoint::TokenReply;

/// A token endpoint's refusal.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    status: u16,
    oauth: OAuthError,
    description: String,
    retry_after: Option<Duration>,
}

/// Errors after which another refresh token, or the same under another application, may do.
const GO_ON_ERRORS: [&str; 7] = [
    "invalid_grant",
    "interaction_required",
    "login_required",
    "consent_required",
    "client_mismatch",
    "unauthorized_client",
    "invalid_client",
];
/// The same by AADSTS code: consent, pre-authorisation, another client's token, unknown client,
/// missing client secret.
const GO_ON_CODES: [u64; 5] = [65001, 65002, 700_007, 700_016, 7_000_218];
/// What no other refresh token will change: scope, resource, tenant, user, loop.
const STOP_ERRORS: [&str; 2] = ["invalid_scope", "invalid_request"];
const STOP_CODES: [u64; 8] = [70011, 500_011, 90002, 50020, 50034, 90072, 50057, 50196];
/// No text of the server is shown beyond this many characters.
const LONGEST_TEXT: usize = 512;

impl Refusal {
    /// Reads an answer that has the member `error`.
    pub(crate) fn read(reply: &TokenReply, members: &Map<String, Value>) -> Self {
        let text = |name: &str| {
            let text = clean(members.get(name)?.as_str()?);
            (!text.is_empty()).then_some(text)
        };
        let mut oauth = OAuthError::new(text("error").unwrap_or_else(|| "unknown".to_owned()));
        if let Some(suberror) = text("suberror") {
            oauth = oauth.with_suberror(suberror);
        }
        if let Some(codes) = members.get("error_codes").and_then(Value::as_array) {
            let codes: Vec<u64> = codes.iter().take(16).filter_map(Value::as_u64).collect();
            oauth = oauth.with_error_codes(codes);
        }
        // Claims go back to the server: whole and as they are, or not at all.
        if let Some(claims) = members.get("claims").and_then(Value::as_str)
            && claims.len() <= 8 * LONGEST_TEXT
            && serde_json::from_str::<Map<String, Value>>(claims).is_ok()
        {
            oauth = oauth.with_claims(claims);
        }
        if let Some(id) = text("correlation_id") {
            oauth = oauth.with_correlation_id(id);
        }
        if let Some(id) = text("trace_id") {
            oauth = oauth.with_trace_id(id);
        }
        let retry_after = reply
            .retry_after()
            .and_then(|value| value.trim().parse().ok());
        Self {
            status: reply.status(),
            oauth,
            description: text("error_description").unwrap_or_default(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    /// Whether another refresh token may fare better.
    pub(crate) fn lets_others_try(&self) -> bool {
        let has = |codes: &[u64]| {
            self.oauth
                .error_codes()
                .iter()
                .any(|code| codes.contains(code))
        };
        if STOP_ERRORS.contains(&self.oauth.error()) || has(&STOP_CODES) || self.is_transient() {
            return false;
        }
        GO_ON_ERRORS.contains(&self.oauth.error())
            || self
                .oauth
                .suberror()
                .is_some_and(|suberror| GO_ON_ERRORS.contains(&suberror))
            || has(&GO_ON_CODES)
    }

    /// How much the user can do about it: of several refusals the one with the most is reported.
    pub(crate) fn actionable(&self) -> u8 {
        match self.oauth.error() {
            "interaction_required" | "login_required" | "consent_required" => 3,
            "invalid_grant" if self.oauth.claims().is_some() => 3,
            "invalid_grant" if self.oauth.suberror() != Some("client_mismatch") => 2,
            _ => 1,
        }
    }

    /// Throttling, or a server in trouble.
    fn is_transient(&self) -> bool {
        is_transient(self.status)
            || matches!(
                self.oauth.error(),
                "temporarily_unavailable" | "server_error"
            )
    }

    pub(crate) fn into_error(self, username: Option<&str>) -> Error {
        let code = self.oauth.error();
        let next = match self.actionable() {
            _ if self.is_transient() => "try again later".to_owned(),
            1 => "sign in again with the tool whose sign-in this is".to_owned(),
            _ => format!(
                "sign in again as {} with a developer tool that shares this cache",
                username.unwrap_or("this account")
            ),
        };
        let text = match &*self.description {
            "" => format!("the token endpoint refused ({code}); {next}"),
            why => format!("the token endpoint refused ({code}): {why}; {next}"),
        };
        let error = Error::new(ErrorKind::AuthenticationFailed, text)
            .with_transient(self.is_transient())
            .with_oauth(self.oauth);
        match self.retry_after {
            Some(retry_after) => error.with_retry_after(retry_after),
            None => error,
        }
    }
}

/// Throttling, or a server in trouble.
pub(crate) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

/// A foreign text as it may be shown: capped, on one line, without control characters.
pub(crate) fn clean(text: &str) -> String {
    let printable = |c: char| {
        if c.is_control() || c == '\u{2028}' || c == '\u{2029}' {
            ' '
        } else {
            c
        }
    };
    let capped: String = text.chars().take(LONGEST_TEXT).map(printable).collect();
    capped.split_whitespace().collect::<Vec<_>>().join(" ")
}
