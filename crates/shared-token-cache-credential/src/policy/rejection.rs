//! The reasons why a request got no token, and their texts for the user. Pure.

use std::time::Duration;

use entra_token_endpoint::{
    Actionability, Authority, ErrorResponse, Remedy, TransportError, TransportErrorKind,
    UnusableResponse,
};
use token_credential::{Error, ErrorKind, sanitize};

/// The reason why a request got no token.
#[derive(Clone, Debug)]
pub(crate) enum Rejection {
    /// The endpoint refused, and says why.
    Refused(Box<Refusal>),
    /// There was no response, or it must not be used.
    Failed(Error),
}

impl Rejection {
    /// Sets how long to leave the endpoint alone.
    pub(crate) fn with_retry_after(self, retry_after: Duration) -> Self {
        match self {
            Self::Refused(refusal) => {
                Self::Refused(Box::new(refusal.with_retry_after(retry_after)))
            }
            Self::Failed(error) => Self::Failed(error.with_retry_after(retry_after)),
        }
    }
}

/// The error response to a request of one application.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    response: ErrorResponse,
    /// The application that asked, fit to be shown.
    client_id: String,
}

impl Refusal {
    pub(crate) fn new(response: ErrorResponse, client_id: &str) -> Self {
        Self {
            response,
            client_id: sanitize(client_id),
        }
    }

    /// Returns the response itself.
    pub(crate) fn response(&self) -> &ErrorResponse {
        &self.response
    }

    /// Sets how long to leave the endpoint alone.
    pub(crate) fn with_retry_after(self, retry_after: Duration) -> Self {
        Self {
            response: self.response.with_retry_after(retry_after),
            ..self
        }
    }

    /// Returns `true` if only the user can help: by signing in interactively, with further claims
    /// perhaps.
    pub(crate) fn needs_the_user(&self) -> bool {
        self.response.actionability() == Actionability::Interaction
    }

    /// Returns the error for the caller.
    pub(crate) fn into_error(self, authority: &Authority, username: Option<&str>) -> Error {
        let Self {
            response,
            client_id,
        } = self;
        let next = match response.remedy() {
            Remedy::Wait => "try again later".to_owned(),
            Remedy::Preauthorization => format!(
                "the owner of the resource must preauthorize the application {client_id}; signing in \
                 again cannot help"
            ),
            Remedy::Consent => format!(
                "the user or an administrator must consent to the application {client_id} for this \
                 resource"
            ),
            Remedy::CorrectRequest => "check scopes, tenant and claims of the call".to_owned(),
            Remedy::SameApplication => {
                "sign in again with the tool whose sign-in this is".to_owned()
            }
            Remedy::SignIn => format!(
                "sign in again as {} with a developer tool that shares this cache",
                username.unwrap_or("this account")
            ),
        };
        let code = response.oauth().error();
        let text = match response.description() {
            "" => format!("{authority} refused ({code}); {next}"),
            why => format!("{authority} refused ({code}): {why}; {next}"),
        };
        let error = Error::new(ErrorKind::AuthenticationFailed, text)
            .with_transient(response.is_transient())
            .with_oauth(response.oauth().clone());
        match response.retry_after() {
            Some(retry_after) => error.with_retry_after(retry_after),
            None => error,
        }
    }
}

/// Returns the error of a response that is no answer of a token endpoint.
pub(crate) fn unusable(response: &UnusableResponse, authority: &Authority) -> Error {
    let (status, why) = (response.status(), response.why());
    let next = if response.is_transient() {
        "try again later"
    } else {
        CHECK_AUTHORITY
    };
    let text = format!("the answer of {authority} (HTTP {status}) {why}: {next}");
    Error::new(ErrorKind::AuthenticationFailed, text).with_transient(response.is_transient())
}

/// The next step where another server than a token endpoint answers.
pub(crate) const CHECK_AUTHORITY: &str =
    "check the builder's authority, and for a proxy in between";

/// Returns the error of a request that got no whole answer.
pub(crate) fn unreachable(authority: &Authority, error: TransportError) -> Error {
    let transient = matches!(
        error.kind(),
        TransportErrorKind::Connect | TransportErrorKind::Lost | TransportErrorKind::Interrupted
    );
    let next = match error.kind() {
        TransportErrorKind::Connect => {
            "; check the network and the builder's authority, then call again"
        }
        TransportErrorKind::Tls => {
            "; where a proxy looks into TLS, give its root to the builder's extra_root_certificates"
        }
        TransportErrorKind::Lost | TransportErrorKind::Interrupted => "; call again",
        TransportErrorKind::Unreadable => {
            "; check the builder's authority, and for a proxy in between"
        }
        TransportErrorKind::Closed => "; build the credential with an open one",
        // `Setup` says itself what to do.
        _ => "",
    };
    let text = format!("no answer from {authority}: {error}{next}");
    Error::new(ErrorKind::AuthenticationFailed, text)
        .with_transient(transient)
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use entra_token_endpoint::{HttpResponse, TokenError, TokenResponse};
    use serde_json::{Value, json};
    use token_credential::OAuthError;

    use super::*;
    use crate::fixtures::authority;

    fn refusal(status: u16, body: &Value) -> Refusal {
        match TokenResponse::parse(&HttpResponse::new(status, body.to_string())) {
            Err(TokenError::Refused(response)) => Refusal::new(*response, "some-client"),
            other => panic!("not refused: {other:?}"),
        }
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
        let refusal = refusal(400, &body).with_retry_after(Duration::from_secs(20));
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
        let long = "\u{1b}[31m\u{2028}\r\n\0".to_owned() + &"\u{e9}".repeat(10_000);
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
