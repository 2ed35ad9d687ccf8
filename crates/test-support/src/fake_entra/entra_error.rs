use hyper::StatusCode;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::answer::{Answer, object};
use super::context::Context;
use crate::guid;

/// Why Entra refuses. The texts are this crate's own; codes, statuses and members are Entra's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntraError {
    /// The refresh token is not one that was issued here.
    UnknownRefreshToken,
    /// 50173: a password change or an administrator revoked the grant.
    Revoked,
    /// 700082: the refresh token was not used for too long.
    Inactive,
    /// 70043: a conditional access policy wants a fresh sign-in every so often.
    SignInFrequency,
    /// 50076: a second factor is wanted; `claims` says which policy.
    MfaRequired,
    /// 65001: nobody consented to this client's use of this resource.
    ConsentRequired,
    /// 700007: the refresh token belongs to another client.
    WrongClient,
    /// The refusal of a family token under a client that is not of the family, as it was once.
    ClientMismatch,
    /// 7000218: the client would have to prove itself with a secret.
    InvalidClient,
    /// 70011: a scope that means nothing.
    InvalidScope,
    /// 50196: the same request came too often.
    RequestLoop,
    /// 50034: the account has gone.
    AccountGone,
    /// 404: there is nothing at this address.
    NotFound,
    /// 429. Say when to come back with [`Reply::with_header`](super::Reply::with_header).
    Throttled,
    /// A 5xx of this status.
    Server(u16),
    /// Any other refusal with status 400: the OAuth code and the AADSTS number.
    Other(&'static str, u32),
}

struct Row {
    status: u16,
    error: &'static str,
    suberror: Option<&'static str>,
    code: u32,
    text: &'static str,
}

impl EntraError {
    #[rustfmt::skip]
    fn row(self) -> Row {
        let (status, error, suberror, code, text) = match self {
            Self::UnknownRefreshToken => (400, "invalid_grant", None, 9_002_313, "The refresh token cannot be read"),
            Self::Revoked => (400, "invalid_grant", None, 50173, "The grant was revoked"),
            Self::Inactive => (400, "invalid_grant", Some("bad_token"), 700_082, "The refresh token lay idle too long"),
            Self::SignInFrequency => (400, "interaction_required", Some("token_expired"), 70043, "A policy wants a fresh sign-in"),
            Self::MfaRequired => (400, "interaction_required", Some("basic_action"), 50076, "A policy wants a second factor"),
            Self::ConsentRequired => (400, "invalid_grant", Some("consent_required"), 65001, "Nobody consented to this use"),
            Self::WrongClient => (400, "invalid_grant", None, 700_007, "The grant belongs to another client"),
            Self::ClientMismatch => (400, "invalid_grant", Some("client_mismatch"), 70000, "The client is not of the family"),
            Self::InvalidClient => (401, "invalid_client", None, 7_000_218, "The client has to prove itself"),
            Self::InvalidScope => (400, "invalid_scope", None, 70011, "The scope means nothing"),
            Self::RequestLoop => (400, "invalid_grant", None, 50196, "The client asks in a loop"),
            Self::AccountGone => (400, "invalid_grant", None, 50034, "The account is not in the directory"),
            Self::NotFound => (404, "invalid_request", None, 900_144, "There is nothing at this address"),
            Self::Throttled => (429, "temporarily_unavailable", None, 90055, "Too many requests"),
            Self::Server(status) => (status, "temporarily_unavailable", None, 90033, "The service is in trouble"),
            Self::Other(error, code) => (400, error, None, code, "The request was refused"),
        };
        Row { status, error, suberror, code, text }
    }

    pub(super) fn answer(self, context: &Context<'_>) -> Answer {
        let Row {
            status,
            error,
            suberror,
            code,
            text,
        } = self.row();
        let trace_id = guid::random();
        let correlation_id = &context.correlation_id;
        let timestamp = timestamp(context.now);
        let description = format!(
            "AADSTS{code}: {text}. Trace ID: {trace_id} Correlation ID: {correlation_id} \
             Timestamp: {timestamp}"
        );
        let error_uri = format!("{}/error?code={code}", context.authority);
        let mut members = object([
            ("error", json!(error)),
            ("error_description", json!(description)),
            ("error_codes", json!([code])),
            ("timestamp", json!(timestamp)),
            ("trace_id", json!(trace_id)),
            ("correlation_id", json!(correlation_id)),
            ("error_uri", json!(error_uri)),
        ]);
        if let Some(suberror) = suberror {
            members.insert("suberror".to_owned(), json!(suberror));
        }
        if self == Self::MfaRequired {
            members.insert("claims".to_owned(), Value::String(mfa_claims()));
        }
        let status = StatusCode::from_u16(status).expect("a status that HTTP has");
        Answer::new(status, members)
    }
}

/// A JSON text within the JSON, as Entra sends it.
fn mfa_claims() -> String {
    let policy = json!({ "essential": true, "values": [guid::from_text("mfa")] });
    json!({ "access_token": { "capolids": policy } }).to_string()
}

fn timestamp(unix_seconds: u64) -> String {
    let seconds = i64::try_from(unix_seconds).expect("a test's clock stays near its time");
    let at =
        OffsetDateTime::from_unix_timestamp(seconds).expect("a test's clock stays near its time");
    let (hour, minute, second) = at.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02}Z", at.date())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_look_like_entras() {
        assert_eq!(timestamp(1_700_000_000), "2023-11-14 22:13:20Z");
    }
}
