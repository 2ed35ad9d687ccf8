use std::time::{Duration, SystemTime};

use token_credential::Clock;
use tokio::time::{Instant, sleep};

use crate::error::TokenError;
use crate::retry::{Next, Retries};
use crate::token_endpoint::TokenEndpoint;
use crate::token_endpoint::reply::HttpResponse;
use crate::token_endpoint::request::TokenRequest;
use crate::token_response::TokenResponse;

/// The outcome of a request.
#[derive(Debug)]
pub struct Posted {
    /// The tokens, or the error.
    pub result: Result<TokenResponse, TokenError>,
    /// The time at which the last request was sent. `expires_in` counts from here, since the
    /// server's clock may differ from this machine's.
    pub sent_at: SystemTime,
    /// For how long to leave the endpoint alone, if it throttles or is in trouble.
    pub leave_alone: Option<Duration>,
}

/// Posts a form, again where that may help and is safe, and reads the last answer.
///
/// A form is sent three times at most. Between two requests it waits for 1 s and 2 s or so, and for
/// a `Retry-After` of up to 10 s.
///
/// | what happened | [repeatable](TokenRequest::with_repeatable) | not repeatable |
/// |---|---|---|
/// | no connection | again: nothing was sent | again: nothing was sent |
/// | connection lost before an answer | once more, at once | never: the server may have acted |
/// | 429 with `Retry-After` | again after that time | again after that time |
/// | 408, 5xx | again | never: the server may have acted |
/// | anything else | never | never |
///
/// RFC 9110 section 9.2.2 lets a client repeat a POST if it knows that the first one was not
/// applied. RFC 6585 section 4 defines 429 as a request that was limited, so the server has not
/// acted on it, and `Retry-After` is its invitation to ask again. A 5xx or 408 says no such thing.
///
/// The deadline bounds the waits and no request: a caller drops the future at its deadline.
///
/// # Cancel safety
///
/// Dropping the future abandons the request. The server may have acted on it.
pub async fn post(
    endpoint: &dyn TokenEndpoint,
    request: &TokenRequest,
    clock: &dyn Clock,
    deadline: Instant,
) -> Posted {
    let mut retries = Retries::new(request.is_repeatable());
    loop {
        let sent_at = clock.now();
        let result = endpoint.send(request.clone()).await;
        let left = deadline.saturating_duration_since(Instant::now());
        let (now, spread) = (clock.now(), fastrand::f64());
        let next = match &result {
            Ok(reply) => retries.after_reply(reply, now, left, spread),
            Err(error) => retries.after_error(error.kind(), left, spread),
        };
        let wait = match next {
            Next::Again(wait) => wait,
            Next::GiveUp(leave_alone) => {
                let result = result.map_err(TokenError::Transport);
                return Posted {
                    result: result.and_then(|reply| parse(&reply, leave_alone)),
                    sent_at,
                    leave_alone,
                };
            }
        };
        tracing::debug!(
            status = result.as_ref().ok().map(HttpResponse::status),
            error = result.as_ref().err().map(tracing::field::display),
            ?wait,
            "the token endpoint is asked again"
        );
        sleep(wait).await;
    }
}

fn parse(reply: &HttpResponse, leave_alone: Option<Duration>) -> Result<TokenResponse, TokenError> {
    TokenResponse::parse(reply).map_err(|error| match (error, leave_alone) {
        (TokenError::Refused(refusal), Some(wait)) => {
            TokenError::Refused(Box::new(refusal.with_retry_after(wait)))
        }
        (error, _) => error,
    })
}
