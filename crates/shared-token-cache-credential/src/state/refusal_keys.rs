//! The requests that the token endpoint has lately refused.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use msal_token_cache::identifier::{lower_client_id, lower_home_account_id};
use token_credential::{Error, Secret};
use token_credential_engine::NegativeCache;

use crate::policy::rejection::Rejection;

/// Remembers refused requests, so that the same is not asked again right away: an endpoint that
/// throttles is left alone, and a refresh token that was refused stays refused.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// Refresh tokens are known by a keyed hash only.
    hasher: RandomState,
    answers: NegativeCache<RefusalKey, Answer>,
}

/// The parts of a request in which it is like another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RefusalKey {
    /// `None` stands for each of the account's refresh tokens.
    refresh_token: Option<u64>,
    /// `None` stands for every use of the refresh token.
    requested: Option<Requested>,
}

/// The token that a refresh token is redeemed for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Requested {
    pub(crate) home_account_id: String,
    pub(crate) client_id: String,
    pub(crate) url: String,
    pub(crate) scope: String,
    pub(crate) claims: Option<String>,
}

#[derive(Clone, Debug)]
struct Answer {
    rejection: Rejection,
    /// Whether the server named the end.
    is_throttled: bool,
}

/// How long a response that must not be used counts: the next one may be as bad, and cost as much.
const AFTER_BAD_RESPONSE: Duration = Duration::from_secs(5);
/// How long a refusal counts.
const REFUSED_FOR: Duration = Duration::from_secs(120);

impl Refusals {
    /// Returns the key of a request.
    pub(crate) fn key(&self, refresh_token: &Secret, requested: Requested) -> RefusalKey {
        RefusalKey {
            refresh_token: Some(self.hasher.hash_one(refresh_token.expose_secret())),
            requested: Some(Requested {
                home_account_id: lower_home_account_id(&requested.home_account_id).into_owned(),
                client_id: lower_client_id(&requested.client_id).into_owned(),
                ..requested
            }),
        }
    }

    /// Returns the rejection that such a request met lately and would meet again.
    pub(crate) fn get(&self, key: &RefusalKey, now: SystemTime) -> Option<Rejection> {
        let keys = [key, &key.of_token(), &key.of_request()];
        let (answer, left) = self.answers.get(keys, now)?;
        Some(if answer.is_throttled {
            answer.rejection.with_retry_after(left)
        } else {
            answer.rejection
        })
    }

    /// Remembers a rejection that another request would meet again. `leave_alone` is the time in
    /// which the server is not to be asked.
    pub(crate) fn remember(
        &self,
        key: RefusalKey,
        rejection: &Rejection,
        leave_alone: Option<Duration>,
        now: SystemTime,
    ) {
        let refused = match rejection {
            Rejection::Refused(refusal) if refusal.response().revokes_refresh_token() => {
                Some(key.of_token())
            }
            Rejection::Refused(refusal) if refusal.response().is_final() => Some(key.clone()),
            _ => None,
        };
        let is_throttled = leave_alone.is_some();
        let (key, lasts) = match (refused, leave_alone, rejection) {
            (Some(key), wait, _) => (key, wait.map_or(REFUSED_FOR, |wait| wait.max(REFUSED_FOR))),
            (None, Some(wait), _) => (key, wait),
            (None, None, Rejection::Failed(_)) => (key, AFTER_BAD_RESPONSE),
            (None, None, Rejection::Refused(_)) => return,
        };
        self.put(key, rejection.clone(), now, lasts, is_throttled);
    }

    /// Remembers that the tokens for such a request are too short for now. Each comes with another
    /// refresh token, so this counts for all of them.
    pub(crate) fn pause(&self, key: &RefusalKey, error: Error, lasts: Duration, now: SystemTime) {
        self.put(key.of_request(), Rejection::Failed(error), now, lasts, true);
    }

    fn put(
        &self,
        key: RefusalKey,
        rejection: Rejection,
        now: SystemTime,
        lasts: Duration,
        is_throttled: bool,
    ) {
        let answer = Answer {
            rejection,
            is_throttled,
        };
        self.answers.put(key, answer, now, lasts);
    }
}

impl RefusalKey {
    fn of_token(&self) -> Self {
        Self {
            refresh_token: self.refresh_token,
            requested: None,
        }
    }

    fn of_request(&self) -> Self {
        Self {
            refresh_token: None,
            requested: self.requested.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use entra_token_endpoint::{HttpResponse, TokenError, TokenResponse};
    use serde_json::{Value, json};
    use token_credential::ErrorKind;

    use super::*;
    use crate::fixtures::{NOW, at};
    use crate::policy::rejection::Refusal;

    fn refusal(body: &Value) -> Rejection {
        refusal_with(400, body)
    }

    fn refusal_with(status: u16, body: &Value) -> Rejection {
        match TokenResponse::parse(&HttpResponse::new(status, body.to_string())) {
            Err(TokenError::Refused(response)) => {
                Rejection::Refused(Box::new(Refusal::new(*response, "c")))
            }
            other => panic!("not refused: {other:?}"),
        }
    }

    fn trouble() -> Rejection {
        Rejection::Failed(Error::new(ErrorKind::AuthenticationFailed, "trouble"))
    }

    /// The key of a request in which these differ.
    fn key(refusals: &Refusals, refresh_token: &str, scope: &str) -> RefusalKey {
        refusals.key(&Secret::new(refresh_token), requested(scope))
    }

    fn requested(scope: &str) -> Requested {
        Requested {
            home_account_id: "a".to_owned(),
            client_id: "c".to_owned(),
            url: "u".to_owned(),
            scope: scope.to_owned(),
            claims: None,
        }
    }

    /// Requesteds each of which differs in one part from [`requested`] of the same scope.
    fn others(scope: &str) -> [Requested; 4] {
        let other = |change: fn(&mut Requested)| {
            let mut other = requested(scope);
            change(&mut other);
            other
        };
        [
            other(|requested| requested.home_account_id.push('b')),
            other(|requested| requested.client_id.push('d')),
            other(|requested| requested.url.push('v')),
            other(|requested| requested.claims = Some("{}".to_owned())),
        ]
    }

    #[test]
    fn a_refusal_stands_for_two_minutes_for_the_same_request() {
        for (error, code) in [
            ("invalid_grant", 50173),
            ("interaction_required", 50076),
            // What the code says of the application stays so.
            ("invalid_request", 65002),
            ("unauthorized_client", 700_016),
        ] {
            let refusals = Refusals::default();
            let refused = key(&refusals, "r", "s");
            let rejection = refusal(&json!({ "error": error, "error_codes": [code] }));
            refusals.remember(refused.clone(), &rejection, None, at(NOW));
            for (seconds, stands) in [(0, true), (119, true), (120, false)] {
                let answer = refusals.get(&refused, at(NOW + seconds));
                assert_eq!(answer.is_some(), stands, "{error} {seconds}");
            }
            // The clock was set back.
            assert!(refusals.get(&refused, at(NOW - 1)).is_none());
            let secret = Secret::new("r");
            let others = others("s").map(|other| refusals.key(&secret, other));
            let others = others
                .into_iter()
                .chain([key(&refusals, "rotated", "s"), key(&refusals, "r", "t")]);
            for other in others {
                assert!(refusals.get(&other, at(NOW)).is_none(), "{other:?}");
            }
        }
    }

    #[test]
    fn k16_a_request_is_the_same_whatever_the_case_of_its_application() {
        let refusals = Refusals::default();
        let secret = Secret::new("r");
        let key = |client_id: &str| {
            let client_id = client_id.to_owned();
            let of_client = Requested {
                client_id,
                ..requested("s")
            };
            refusals.key(&secret, of_client)
        };
        let guid = crate::fixtures::CLI;
        assert_eq!(key(guid), key(&guid.to_uppercase()));
        assert_ne!(key("c"), key("C"));
    }

    #[test]
    fn a_bad_token_is_bad_for_every_requested() {
        for suberror in ["bad_token", "token_expired"] {
            let refusals = Refusals::default();
            let rejection = refusal(&json!({ "error": "invalid_grant", "suberror": suberror }));
            refusals.remember(key(&refusals, "r", "s"), &rejection, None, at(NOW));
            let answer = |token| refusals.get(&key(&refusals, token, "t"), at(NOW));
            assert!(answer("r").is_some() && answer("rotated").is_none());
        }
    }

    #[test]
    fn k15_a_pause_is_the_requesteds_whatever_refresh_token_there_is() {
        let refusals = Refusals::default();
        let error = || Error::new(ErrorKind::AuthenticationFailed, "too short");
        let lasts = Duration::from_secs(30);
        refusals.pause(&key(&refusals, "r", "s"), error(), lasts, at(NOW));
        for (second, left) in [(0, Some(30)), (29, Some(1)), (30, None)] {
            let rotated = key(&refusals, "rotated", "s");
            let answer = refusals.get(&rotated, at(NOW + second));
            let retry_after = match answer {
                Some(Rejection::Failed(error)) => error.retry_after(),
                _ => None,
            };
            assert_eq!(retry_after, left.map(Duration::from_secs), "{second}");
        }
        let secret = Secret::new("r");
        for other in others("s").into_iter().chain([requested("t")]) {
            let other = refusals.key(&secret, other);
            assert!(refusals.get(&other, at(NOW)).is_none(), "{other:?}");
        }
    }

    #[test]
    fn a_server_is_left_alone_for_as_long_as_was_said() {
        let refusals = Refusals::default();
        let throttled = key(&refusals, "r", "s");
        let wait = Duration::from_secs(60);
        refusals.remember(throttled.clone(), &trouble(), Some(wait), at(NOW));
        for left in [60, 1] {
            let answer = refusals.get(&throttled, at(NOW + 60 - left));
            let Some(Rejection::Failed(error)) = answer else {
                panic!("{answer:?}")
            };
            assert_eq!(error.retry_after(), Some(Duration::from_secs(left)));
        }
        assert!(refusals.get(&throttled, at(NOW + 60)).is_none());
    }

    /// Whatever it says why: it means the request, and not the refresh token.
    #[test]
    fn a_server_that_throttles_with_a_refusal_is_left_alone_for_as_long_as_was_said() {
        for (status, wait) in [(429, 300), (503, 5)] {
            let refusals = Refusals::default();
            let throttled = key(&refusals, "r", "s");
            let body = json!({ "error": "invalid_grant", "suberror": "bad_token" });
            let rejection = refusal_with(status, &body);
            let leave_alone = Some(Duration::from_secs(wait));
            refusals.remember(throttled.clone(), &rejection, leave_alone, at(NOW));
            let stands = |second| refusals.get(&throttled, at(NOW + second)).is_some();
            assert!(stands(wait - 1) && !stands(wait), "{status}");
            let other = key(&refusals, "r", "t");
            assert!(refusals.get(&other, at(NOW)).is_none(), "{status}");
        }
    }

    #[test]
    fn what_may_be_better_next_time_is_not_remembered() {
        let refusals = Refusals::default();
        let key = key(&refusals, "r", "s");
        for rejection in [
            refusal(&json!({ "error": "invalid_scope" })),
            refusal(&json!({ "error": "consent_required" })),
        ] {
            refusals.remember(key.clone(), &rejection, None, at(NOW));
            assert!(refusals.get(&key, at(NOW)).is_none());
        }
    }

    #[test]
    fn an_answer_that_must_not_be_used_stands_for_five_seconds() {
        let refusals = Refusals::default();
        let key = key(&refusals, "r", "s");
        refusals.remember(key.clone(), &trouble(), None, at(NOW));
        for (second, stands) in [(0, true), (4, true), (5, false)] {
            let answer = refusals.get(&key, at(NOW + second));
            assert_eq!(answer.is_some(), stands, "{second}");
            if let Some(Rejection::Failed(error)) = answer {
                assert_eq!(error.retry_after(), None);
            }
        }
    }

    /// The longer of the two counts, and what is left of it is told.
    #[test]
    fn a_refusal_with_a_time_to_wait_stands_for_the_longer_of_both() {
        for (wait, lasts) in [(5, 120), (3600, 3600)] {
            let refusals = Refusals::default();
            let key = key(&refusals, "r", "s");
            let refused = refusal(&json!({ "error": "invalid_grant" }));
            let wait = Some(Duration::from_secs(wait));
            refusals.remember(key.clone(), &refused, wait, at(NOW));
            let stands = |second| refusals.get(&key, at(NOW + second)).is_some();
            assert!(stands(lasts - 1) && !stands(lasts), "{lasts}");
        }
    }

    #[test]
    fn beyond_the_capacity_the_first_to_end_goes() {
        const CAPACITY: usize = NegativeCache::<RefusalKey, Answer>::CAPACITY;
        let refusals = Refusals::default();
        for n in 0..=CAPACITY {
            let wait = Duration::from_secs(10 + n as u64);
            let key = key(&refusals, &n.to_string(), "s");
            refusals.remember(key, &trouble(), Some(wait), at(NOW));
        }
        let is_known = |n: usize| {
            let key = key(&refusals, &n.to_string(), "s");
            refusals.get(&key, at(NOW)).is_some()
        };
        assert!(!is_known(0) && is_known(1) && is_known(CAPACITY));
    }

    #[test]
    fn debug_shows_no_refresh_token() {
        let refusals = Refusals::default();
        let key = key(&refusals, "canary", "s");
        refusals.remember(key.clone(), &trouble(), Some(REFUSED_FOR), at(NOW));
        assert!(!format!("{refusals:?} {key:?}").contains("canary"));
    }
}
