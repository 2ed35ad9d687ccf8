//! The error response of a token endpoint (RFC 6749 section 5.2), and its meaning for the next step.

use std::time::Duration;

use serde_json::{Map, Value};
use token_credential::{OAuthError, sanitize};

use crate::json_members::Members;
use crate::token_endpoint::reply::HttpResponse;

/// The error response of a token endpoint (RFC 6749 section 5.2, with Entra's additions).
///
/// Its texts are the server's, as [`token_credential::sanitize`] shows them.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the token endpoint refused ({}){}", .oauth.error(), shown(.description))]
pub struct ErrorResponse {
    status: u16,
    oauth: OAuthError,
    description: String,
    retry_after: Option<Duration>,
}

/// Returns what follows the code in the text of the error.
fn shown(description: &str) -> String {
    match description {
        "" => String::new(),
        why => format!(": {why}"),
    }
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

/// How much the user can do about an [`ErrorResponse`], the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Actionability {
    /// Only the program that asked, or its owner, can change anything.
    Program,
    /// A sign-in, a consent or an administrator may help.
    SignIn,
    /// An interactive sign-in is required, and is enough.
    Interaction,
}

/// The step that can end a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// To wait: the server throttles, is in trouble, or was asked for the same too often.
    Wait,
    /// To have the owner of the resource preauthorize the application.
    Preauthorization,
    /// To have the user or an administrator consent to the application.
    Consent,
    /// To correct scopes, tenant or claims of the request.
    CorrectRequest,
    /// To sign in again with the same application, which holds what the request lacked.
    SameApplication,
    /// To have the user sign in again.
    SignIn,
}

impl ErrorResponse {
    /// Reads a response that has the member `error`.
    pub(crate) fn read(reply: &HttpResponse, members: &Members<'_>) -> Self {
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
            oauth,
            description: text("error_description").unwrap_or_default(),
            retry_after: None,
        }
    }

    /// Sets for how long to leave the endpoint alone.
    pub fn with_retry_after(self, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..self
        }
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the codes and ids of the server.
    pub fn oauth(&self) -> &OAuthError {
        &self.oauth
    }

    /// Returns the server's text for people, which may be empty.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Returns for how long to leave the endpoint alone, if the server throttles or is in trouble.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns `true` if the same request would be refused again.
    pub fn is_final(&self) -> bool {
        let is_permanent = matches!(self.oauth.error(), "invalid_grant" | "interaction_required");
        (is_permanent || self.has_one_of(&GO_ON_CODES)) && !self.is_transient()
    }

    /// Returns `true` if the refresh token is refused, whatever it is redeemed for.
    pub fn revokes_refresh_token(&self) -> bool {
        self.is_final() && matches!(self.oauth.suberror(), Some("bad_token" | "token_expired"))
    }

    /// Returns `true` if another refresh token, or the same under another application, may succeed.
    pub fn allows_next_token(&self) -> bool {
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

    /// Returns `true` if the server gave one of these AADSTS codes.
    fn has_one_of(&self, codes: &[u64]) -> bool {
        let mut own = self.oauth.error_codes().iter();
        own.any(|code| codes.contains(code))
    }

    /// Returns how much the user can do about it. Of several refusals, report the one with the most.
    pub fn actionability(&self) -> Actionability {
        match self.oauth.error() {
            _ if self.has_one_of(&[NO_CONSENT, NOT_PREAUTHORIZED]) => Actionability::SignIn,
            "interaction_required" | "login_required" | "consent_required" => {
                Actionability::Interaction
            }
            "invalid_grant" if self.oauth.claims().is_some() => Actionability::Interaction,
            "invalid_grant" if self.oauth.suberror() != Some("client_mismatch") => {
                Actionability::SignIn
            }
            _ => Actionability::Program,
        }
    }

    /// Returns the step that can end the refusal.
    pub fn remedy(&self) -> Remedy {
        let is_of_request =
            STOP_ERRORS.contains(&self.oauth.error()) && !self.has_one_of(&GO_ON_CODES);
        if self.is_transient() || self.has_one_of(&[REQUEST_LOOP]) {
            Remedy::Wait
        } else if self.has_one_of(&[NOT_PREAUTHORIZED]) {
            Remedy::Preauthorization
        } else if self.has_one_of(&[NO_CONSENT]) {
            Remedy::Consent
        } else if self.has_one_of(&[UNKNOWN_RESOURCE]) || is_of_request {
            Remedy::CorrectRequest
        } else if self.actionability() == Actionability::Program {
            Remedy::SameApplication
        } else {
            Remedy::SignIn
        }
    }

    /// Returns `true` for throttling, and for a server in trouble.
    pub fn is_transient(&self) -> bool {
        is_transient(self.status)
            || matches!(
                self.oauth.error(),
                "temporarily_unavailable" | "server_error"
            )
    }
}

/// Returns `true` for the status of throttling, and of a server in trouble.
pub(crate) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(status: u16, body: &Value) -> ErrorResponse {
        ErrorResponse::read(
            &HttpResponse::new(status, ""),
            &Members::parse(&body.to_string()).unwrap(),
        )
    }

    #[test]
    fn some_refusals_allow_the_next_token_and_some_do_not() {
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
            assert_eq!(
                refusal(status, &body).allows_next_token(),
                goes_on,
                "{body}"
            );
        }
    }

    #[test]
    fn what_the_user_can_mend_is_more_than_what_only_the_tool_can() {
        let rank = |body: Value| refusal(400, &body).actionability();
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
    fn the_codes_and_ids_of_the_server_are_kept() {
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
        let refusal = refusal(400, &body).with_retry_after(Duration::from_secs(20));
        assert_eq!(refusal.status(), 400);
        assert_eq!(refusal.retry_after(), Some(Duration::from_secs(20)));
        assert_eq!(
            refusal.to_string(),
            "the token endpoint refused (invalid_grant): AADSTS50173: The grant was revoked. Trace \
             ID: t"
        );
        assert!(!format!("{refusal:?}").contains("canary"));
        let oauth = refusal.oauth();
        assert_eq!(oauth.suberror(), Some("bad_token"));
        assert_eq!(oauth.error_codes(), [50173]);
        assert_eq!(oauth.claims(), Some("{ \"access_token\": {} }"));
        assert_eq!(oauth.correlation_id(), Some("c"));
        assert_eq!(oauth.trace_id(), Some("t"));
        assert!(refusal.is_final() && refusal.revokes_refresh_token());
    }

    #[test]
    fn the_remedy_is_a_step_that_helps() {
        for (status, error, code, remedy) in [
            (400, "invalid_grant", 50173, Remedy::SignIn),
            (429, "invalid_grant", 50173, Remedy::Wait),
            (400, "invalid_grant", 50196, Remedy::Wait),
            (400, "invalid_grant", 500_011, Remedy::CorrectRequest),
            (400, "invalid_scope", 70011, Remedy::CorrectRequest),
            (401, "invalid_client", 7_000_218, Remedy::SameApplication),
            (400, "invalid_request", 7_000_218, Remedy::SameApplication),
            (400, "invalid_request", 65001, Remedy::Consent),
            (400, "invalid_grant", 65002, Remedy::Preauthorization),
        ] {
            let body = json!({ "error": error, "error_codes": [code] });
            assert_eq!(refusal(status, &body).remedy(), remedy, "{status} {body}");
        }
    }

    #[test]
    fn odd_members_are_as_good_as_missing_ones() {
        for body in [
            json!({ "error": null }),
            json!({ "error": 7, "error_codes": "50173", "claims": {}, "suberror": [] }),
            json!({ "error": "", "error_description": " \u{7} ", "suberror": "\t" }),
            json!({ "error": {}, "claims": "not JSON", "trace_id": 1, "error_codes": [{}, 0.5] }),
        ] {
            let refusal = refusal(400, &body);
            assert_eq!(refusal.oauth(), &OAuthError::new("unknown"), "{body}");
            assert_eq!(refusal.to_string(), "the token endpoint refused (unknown)");
        }
    }

    #[test]
    fn the_servers_texts_are_capped_and_on_one_line() {
        let long = "\u{1b}[31m\u{2028}\r\n\0".to_owned() + &"\u{e9}".repeat(100_000);
        let body = json!({
            "error": long, "error_description": long, "suberror": long, "trace_id": long,
            "correlation_id": long, "error_codes": vec![1; 1_000],
        });
        let refusal = refusal(400, &body);
        let oauth = refusal.oauth();
        assert_eq!(oauth.error_codes().len(), 16);
        for text in [
            oauth.error(),
            oauth.suberror().unwrap(),
            oauth.trace_id().unwrap(),
            refusal.description(),
        ] {
            assert!(text.starts_with("[31m \u{e9}") && text.chars().count() <= 512);
        }
        let debug = format!("{refusal} {refusal:?}");
        assert!(!debug.contains(char::is_control) && !debug.contains('\u{2028}'));
    }
}
