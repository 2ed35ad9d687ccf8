//! Why a token endpoint refused, and what that means for what to try next. Pure.

use std::time::Duration;

use serde_json::{Map, Value};
use token_credential::{Error, ErrorKind, OAuthError, sanitize};

use crate::answer::Members;
use crate::authority::Authority;
use crate::token_endpoint::TokenReply;

/// A token endpoint's refusal.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    status: u16,
    /// The application that asked, as it may be shown.
    client_id: String,
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
/// missing client secret. A code says more than the error does, and goes before it.
const GO_ON_CODES: [u64; 5] = [NO_CONSENT, NOT_PREAUTHORIZED, 700_007, 700_016, 7_000_218];
/// Neither the user nor an administrator has consented to the application.
const NO_CONSENT: u64 = 65001;
/// The application is one of Microsoft's own, which the resource has to know.
const NOT_PREAUTHORIZED: u64 = 65002;
/// What no other refresh token will change: scope, resource, tenant, user, loop.
const STOP_ERRORS: [&str; 3] = ["invalid_scope", "invalid_resource", "invalid_request"];
const STOP_CODES: [u64; 8] = [
    70011,
    UNKNOWN_RESOURCE,
    90002,
    50020,
    50034,
    90072,
    50057,
    REQUEST_LOOP,
];
/// The call's scopes name a resource that the tenant does not know.
const UNKNOWN_RESOURCE: u64 = 500_011;
/// The same was asked too often. It comes as an `invalid_grant`, and yet only waiting helps.
const REQUEST_LOOP: u64 = 50196;

/// Of no refusal are more codes kept,
const MOST_CODES: usize = 16;
/// nor claims of more bytes.
const LONGEST_CLAIMS: usize = 4 * 1024;

/// The user knows what to do: to sign in interactively.
const MOST_ACTIONABLE: u8 = 3;

impl Refusal {
    /// Reads an answer that has the member `error`, to a request of this application.
    pub(crate) fn read(reply: &TokenReply, members: &Members<'_>, client_id: &str) -> Self {
        let text = |name: &str| {
            let text = sanitize(&members.text(name)?);
            (!text.is_empty()).then_some(text)
        };
        let mut oauth = OAuthError::new(text("error").unwrap_or_else(|| "unknown".to_owned()));
        if let Some(suberror) = text("suberror") {
            oauth = oauth.with_suberror(suberror);
        }
        let codes = members.json("error_codes");
        if let Some(codes) = codes.and_then(|json| serde_json::from_str::<Vec<Value>>(json).ok()) {
            let codes: Vec<u64> = codes
                .iter()
                .take(MOST_CODES)
                .filter_map(Value::as_u64)
                .collect();
            oauth = oauth.with_error_codes(codes);
        }
        // Claims go back to the server: whole and as they are, or not at all.
        if let Some(claims) = members.text("claims")
            && claims.len() <= LONGEST_CLAIMS
            && serde_json::from_str::<Map<String, Value>>(&claims).is_ok()
        {
            oauth = oauth.with_claims(claims);
        }
        if let Some(id) = text("correlation_id") {
            oauth = oauth.with_correlation_id(id);
        }
        if let Some(id) = text("trace_id") {
            oauth = oauth.with_trace_id(id);
        }
        Self {
            status: reply.status(),
            client_id: sanitize(client_id),
            oauth,
            description: text("error_description").unwrap_or_default(),
            retry_after: None,
        }
    }

    /// Says for how long the endpoint is to be left alone.
    pub(crate) fn with_retry_after(self, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..self
        }
    }

    /// Whether the same request would be refused again.
    pub(crate) fn stands(&self) -> bool {
        let is_final = matches!(self.oauth.error(), "invalid_grant" | "interaction_required");
        (is_final || self.has_one_of(&GO_ON_CODES)) && !self.is_transient()
    }

    /// Whether the refresh token is refused, whatever it is redeemed for.
    pub(crate) fn is_of_the_refresh_token(&self) -> bool {
        self.stands() && matches!(self.oauth.suberror(), Some("bad_token" | "token_expired"))
    }

    /// Whether another refresh token may fare better.
    pub(crate) fn lets_others_try(&self) -> bool {
        if self.has_one_of(&STOP_CODES) || self.is_transient() {
            return false;
        }
        if self.has_one_of(&GO_ON_CODES) {
            return true;
        }
        let goes_on = |error: &str| GO_ON_ERRORS.contains(&error);
        !STOP_ERRORS.contains(&self.oauth.error())
            && (goes_on(self.oauth.error()) || self.oauth.suberror().is_some_and(goes_on))
    }

    fn has_one_of(&self, codes: &[u64]) -> bool {
        let mut own = self.oauth.error_codes().iter();
        own.any(|code| codes.contains(code))
    }

    /// How much the user can do about it: of several refusals the one with the most is reported.
    pub(crate) fn actionable(&self) -> u8 {
        match self.oauth.error() {
            _ if self.has_one_of(&[NO_CONSENT, NOT_PREAUTHORIZED]) => 2,
            "interaction_required" | "login_required" | "consent_required" => MOST_ACTIONABLE,
            "invalid_grant" if self.oauth.claims().is_some() => MOST_ACTIONABLE,
            "invalid_grant" if self.oauth.suberror() != Some("client_mismatch") => 2,
            _ => 1,
        }
    }

    /// Whether only the user can help: by signing in interactively, with further claims perhaps.
    pub(crate) fn needs_the_user(&self) -> bool {
        self.actionable() == MOST_ACTIONABLE
    }

    /// Throttling, or a server in trouble.
    fn is_transient(&self) -> bool {
        is_transient(self.status)
            || matches!(
                self.oauth.error(),
                "temporarily_unavailable" | "server_error"
            )
    }

    pub(crate) fn into_error(self, authority: &Authority, username: Option<&str>) -> Error {
        let code = self.oauth.error();
        let next = match self.actionable() {
            _ if self.is_transient() || self.has_one_of(&[REQUEST_LOOP]) => {
                "try again later".to_owned()
            }
            _ if self.has_one_of(&[NOT_PREAUTHORIZED]) => format!(
                "the owner of the resource must preauthorize the application {}; signing in again \
                 cannot help",
                self.client_id
            ),
            _ if self.has_one_of(&[NO_CONSENT]) => format!(
                "the user or an administrator must consent to the application {} for this resource",
                self.client_id
            ),
            _ if self.has_one_of(&[UNKNOWN_RESOURCE])
                || (STOP_ERRORS.contains(&code) && !self.has_one_of(&GO_ON_CODES)) =>
            {
                "check scopes, tenant and claims of the call".to_owned()
            }
            1 => "sign in again with the tool whose sign-in this is".to_owned(),
            _ => format!(
                "sign in again as {} with a developer tool that shares this cache",
                username.unwrap_or("this account")
            ),
        };
        let text = match &*self.description {
            "" => format!("{authority} refused ({code}); {next}"),
            why => format!("{authority} refused ({code}): {why}; {next}"),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::authority;

    fn refusal(status: u16, body: &Value) -> Refusal {
        Refusal::read(
            &TokenReply::new(status, ""),
            &Members::parse(&body.to_string()).unwrap(),
            "some-client",
        )
    }

    #[test]
    fn some_refusals_let_others_try_and_some_do_not() {
        for (goes_on, status, error, suberror, code) in [
            (true, 400, "invalid_grant", "", 50173),
            (true, 400, "invalid_grant", "bad_token", 700_082),
            (true, 400, "invalid_grant", "client_mismatch", 70000),
            (true, 400, "invalid_grant", "consent_required", 65001),
            (true, 400, "interaction_required", "basic_action", 50076),
            (true, 400, "login_required", "", 0),
            (true, 400, "consent_required", "", 0),
            (true, 400, "client_mismatch", "", 0),
            (true, 400, "unauthorized_client", "", 700_016),
            (true, 401, "invalid_client", "", 7_000_218),
            (true, 400, "access_denied", "client_mismatch", 0),
            (true, 400, "access_denied", "", 65002),
            (true, 400, "access_denied", "", 700_007),
            (false, 400, "access_denied", "", 0),
            (false, 400, "invalid_scope", "", 70011),
            (false, 400, "invalid_resource", "", 500_011),
            (false, 400, "invalid_request", "", 900_144),
            // Codes go before the error.
            (true, 400, "invalid_resource", "", 65001),
            (true, 400, "invalid_request", "", 65001),
            (true, 400, "invalid_request", "", 65002),
            (true, 400, "invalid_scope", "", 700_016),
            (false, 400, "invalid_grant", "", 70011),
            (false, 400, "invalid_grant", "", 500_011),
            (false, 400, "invalid_grant", "", 90002),
            (false, 400, "invalid_grant", "", 50020),
            (false, 400, "invalid_grant", "", 50034),
            (false, 400, "invalid_grant", "", 90072),
            (false, 400, "invalid_grant", "", 50057),
            (false, 400, "invalid_grant", "", 50196),
            (false, 429, "invalid_grant", "", 0),
            (false, 503, "invalid_grant", "", 0),
            (false, 400, "temporarily_unavailable", "", 65001),
            (false, 400, "server_error", "", 0),
        ] {
            let body = json!({ "error": error, "suberror": suberror, "error_codes": [1, code] });
            assert_eq!(refusal(status, &body).lets_others_try(), goes_on, "{body}");
        }
    }

    #[test]
    fn what_the_user_can_mend_is_more_than_what_only_the_tool_can() {
        let rank = |body: Value| refusal(400, &body).actionable();
        let sign_in = rank(json!({ "error": "interaction_required" }));
        let mfa = rank(json!({ "error": "invalid_grant", "claims": "{}" }));
        let revoked = rank(json!({ "error": "invalid_grant" }));
        let mismatch = rank(json!({ "error": "invalid_grant", "suberror": "client_mismatch" }));
        let client = rank(json!({ "error": "invalid_client" }));
        let consent = rank(json!({ "error": "invalid_request", "error_codes": [65001] }));
        assert!(sign_in == mfa && mfa > revoked && revoked > mismatch && mismatch == client);
        assert_eq!(consent, revoked);
    }

    #[test]
    fn the_error_shows_what_the_server_said_and_what_to_do() {
        let body = json!({
            "error": "invalid_grant",
            "error_description": "AADSTS50173: The grant was revoked.\r\nTrace ID: t",
            "error_codes": [50173, "50174", -1],
            "suberror": "bad_token",
            "claims": "{ \"access_token\": {} }",
            "correlation_id": "c",
            "trace_id": "t",
            "access_token": "canary",
        });
        let refusal = Refusal::read(
            &TokenReply::new(400, "canary"),
            &Members::parse(&body.to_string()).unwrap(),
            "some-client",
        );
        let refusal = refusal.with_retry_after(Duration::from_secs(20));
        let error = refusal.into_error(&authority(), Some("ada@x"));
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
        assert_eq!(
            error.to_string(),
            "login.microsoftonline.com refused (invalid_grant): AADSTS50173: The grant was revoked. \
             Trace ID: t; sign in again as ada@x with a developer tool that shares this cache"
        );
        assert!(!error.is_transient() && !format!("{error:?}").contains("canary"));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(20)));
        let oauth = error.oauth().unwrap();
        assert_eq!(oauth.error(), "invalid_grant");
        assert_eq!(oauth.suberror(), Some("bad_token"));
        assert_eq!(oauth.error_codes(), [50173]);
        assert_eq!(oauth.claims(), Some("{ \"access_token\": {} }"));
        assert_eq!(oauth.correlation_id(), Some("c"));
        assert_eq!(oauth.trace_id(), Some("t"));
    }

    #[test]
    fn throttling_and_trouble_are_transient() {
        for (status, error, transient) in [
            (429, "temporarily_unavailable", true),
            (503, "server_error", true),
            (408, "invalid_grant", true),
            (400, "temporarily_unavailable", true),
            (400, "invalid_grant", false),
        ] {
            let error = refusal(status, &json!({ "error": error })).into_error(&authority(), None);
            assert_eq!(error.is_transient(), transient, "{error}");
            let asks_to_wait = error.to_string().ends_with("; try again later");
            assert_eq!(asks_to_wait, transient, "{error}");
        }
    }

    #[test]
    fn the_next_step_is_one_that_helps() {
        let call = "check scopes, tenant and claims of the call";
        let user = "sign in again as ada@x with a developer tool that shares this cache";
        let tool = "sign in again with the tool whose sign-in this is";
        let consent = "the user or an administrator must consent to the application some-client \
                       for this resource";
        let owner = "the owner of the resource must preauthorize the application some-client; \
                     signing in again cannot help";
        for (error, code, next) in [
            ("invalid_grant", 50173, user),
            ("invalid_grant", 50196, "try again later"),
            ("invalid_grant", 500_011, call),
            ("invalid_resource", 500_011, call),
            ("invalid_resource", 0, call),
            ("invalid_scope", 70011, call),
            ("invalid_client", 7_000_218, tool),
            ("invalid_request", 7_000_218, tool),
            ("invalid_grant", 65001, consent),
            ("invalid_request", 65001, consent),
            ("consent_required", 65001, consent),
            ("invalid_grant", 65002, owner),
            ("invalid_request", 65002, owner),
        ] {
            let body = json!({ "error": error, "error_codes": [code] });
            let error = refusal(400, &body).into_error(&authority(), Some("ada@x"));
            assert!(error.to_string().ends_with(&format!("; {next}")), "{error}");
            assert!(!error.is_transient(), "{error}");
        }
    }

    #[test]
    fn odd_members_do_no_harm() {
        for body in [
            json!({ "error": null }),
            json!({ "error": 7, "error_codes": "50173", "claims": {}, "suberror": [] }),
            json!({ "error": "", "error_description": " \u{7} ", "suberror": "\t" }),
            json!({ "error": {}, "claims": "not JSON", "trace_id": 1, "error_codes": [{}, 0.5] }),
            json!({ "error": [], "claims": format!("{{\"a\":\"{}\"}}", "x".repeat(9_000)) }),
        ] {
            let error = refusal(400, &body).into_error(&authority(), None);
            assert_eq!(error.oauth(), Some(&OAuthError::new("unknown")), "{body}");
            let text = "login.microsoftonline.com refused (unknown); sign in again with the tool \
                        whose sign-in this is";
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn the_servers_texts_are_capped_and_on_one_line() {
        let long = "\u{1b}[31m\u{2028}\r\n\0".to_owned() + &"\u{e9}".repeat(100_000);
        let body = json!({
            "error": long, "error_description": long, "suberror": long, "trace_id": long,
            "correlation_id": long, "error_codes": vec![1; 1_000],
        });
        let error = refusal(400, &body).into_error(&authority(), None);
        let oauth = error.oauth().unwrap();
        assert_eq!(oauth.error_codes().len(), 16);
        for text in [
            oauth.error(),
            oauth.suberror().unwrap(),
            oauth.trace_id().unwrap(),
        ] {
            assert!(text.starts_with("[31m \u{e9}") && text.chars().count() <= 512);
        }
        assert!(error.to_string().chars().count() < 3 * 512);
        let debug = format!("{error} {error:?}");
        assert!(!debug.contains(char::is_control) && !debug.contains('\u{2028}'));
    }
}
