use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use msal_token_cache::identifier::{lower_client_id, lower_home_account_id};
use token_credential::{Error, Secret};

use crate::answer::NoToken;

/// What the token endpoint refused lately, so that it is not asked the same again right away: an
/// endpoint that throttles is left alone, and a refresh token that was refused stays refused.
#[derive(Debug, Default)]
pub(crate) struct Throttling {
    /// Refresh tokens are known by a keyed hash only.
    hasher: RandomState,
    answers: Mutex<HashMap<Key, Answer>>,
}

/// What makes two requests the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// `None` for what holds for the purpose, whichever of the account's refresh tokens is redeemed.
    refresh_token: Option<u64>,
    /// `None` for what holds for the refresh token wherever and for whatever it is redeemed.
    purpose: Option<Purpose>,
}

/// What a refresh token is redeemed for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Purpose {
    pub(crate) home_account_id: String,
    pub(crate) client_id: String,
    pub(crate) url: String,
    pub(crate) scope: String,
    pub(crate) claims: Option<String>,
}

#[derive(Debug)]
struct Answer {
    no_token: NoToken,
    since: SystemTime,
    until: SystemTime,
    /// Whether the end is one that the server meant.
    is_throttled: bool,
}

/// For how long an answer that must not be used stands.
const AFTER_BAD_ANSWER: Duration = Duration::from_secs(5);
/// For how long a refusal stands.
const REFUSED_FOR: Duration = Duration::from_secs(120);
/// More than a process asks for; beyond it the one that ends first goes.
const CAPACITY: usize = 1024;

impl Throttling {
    /// The key of a request.
    pub(crate) fn key(&self, refresh_token: &Secret, purpose: Purpose) -> Key {
        Key {
            refresh_token: Some(self.hasher.hash_one(refresh_token.expose_secret())),
            purpose: Some(Purpose {
                home_account_id: lower_home_account_id(&purpose.home_account_id).into_owned(),
                client_id: lower_client_id(&purpose.client_id).into_owned(),
                ..purpose
            }),
        }
    }

    /// The answer that such a request got lately and would get again.
    pub(crate) fn answer(&self, key: &Key, now: SystemTime) -> Option<NoToken> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = [key, &key.of_token(), &key.of_purpose()]
            .into_iter()
            .filter_map(|key| answers.get(key))
            // A clock that was set back must not prolong it.
            .find(|answer| answer.since <= now && now < answer.until)?;
        let no_token = answer.no_token.clone();
        Some(match answer.until.duration_since(now) {
            Ok(left) if answer.is_throttled => no_token.with_retry_after(left),
            _ => no_token,
        })
    }

    /// Remembers why a request got no token, where asking again would not help; `leave_alone` is
    /// for how long the server is not to be asked.
    pub(crate) fn remember(
        &self,
        key: Key,
        no_token: &NoToken,
        leave_alone: Option<Duration>,
        now: SystemTime,
    ) {
        let refused = match no_token {
            NoToken::Refused(refusal) if refusal.response().revokes_refresh_token() => {
                Some(key.of_token())
            }
            NoToken::Refused(refusal) if refusal.response().is_final() => Some(key.clone()),
            _ => None,
        };
        if let Some(key) = refused {
            let lasts = leave_alone.map_or(REFUSED_FOR, |wait| wait.max(REFUSED_FOR));
            self.put(key, no_token.clone(), now, lasts, leave_alone.is_some());
        } else if let Some(leave_alone) = leave_alone {
            self.put(key, no_token.clone(), now, leave_alone, true);
        } else if let NoToken::Failed(_) = no_token {
            // An answer that must not be used: the next one may be as bad, and cost as much.
            self.put(key, no_token.clone(), now, AFTER_BAD_ANSWER, false);
        }
    }

    /// Remembers that the tokens for this purpose are too short for now: each comes with another
    /// refresh token, so it is not that one's.
    pub(crate) fn pause(&self, key: &Key, error: Error, lasts: Duration, now: SystemTime) {
        self.put(key.of_purpose(), NoToken::Failed(error), now, lasts, true);
    }

    fn put(
        &self,
        key: Key,
        no_token: NoToken,
        now: SystemTime,
        lasts: Duration,
        is_throttled: bool,
    ) {
        let answer = Answer {
            no_token,
            since: now,
            until: now.checked_add(lasts).unwrap_or(now),
            is_throttled,
        };
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= CAPACITY && !answers.contains_key(&key) {
            answers.retain(|_, answer| now < answer.until);
            let ends_first = answers.iter().min_by_key(|(_, answer)| answer.until);
            let ends_first = ends_first.map(|(key, _)| key.clone());
            if let Some(key) = ends_first.filter(|_| answers.len() >= CAPACITY) {
                answers.remove(&key);
            }
        }
        answers.insert(key, answer);
    }
}

impl Key {
    fn of_token(&self) -> Self {
        Self {
            refresh_token: self.refresh_token,
            purpose: None,
        }
    }

    fn of_purpose(&self) -> Self {
        Self {
            refresh_token: None,
            purpose: self.purpose.clone(),
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
    use crate::refusal_text::Refusal;

    fn refusal(body: &Value) -> NoToken {
        refusal_with(400, body)
    }

    fn refusal_with(status: u16, body: &Value) -> NoToken {
        match TokenResponse::parse(&HttpResponse::new(status, body.to_string())) {
            Err(TokenError::Refused(response)) => {
                NoToken::Refused(Box::new(Refusal::new(*response, "c")))
            }
            other => panic!("not refused: {other:?}"),
        }
    }

    fn trouble() -> NoToken {
        NoToken::Failed(Error::new(ErrorKind::AuthenticationFailed, "trouble"))
    }

    /// The key of a request in which these differ.
    fn key(throttling: &Throttling, refresh_token: &str, scope: &str) -> Key {
        throttling.key(&Secret::new(refresh_token), purpose(scope))
    }

    fn purpose(scope: &str) -> Purpose {
        Purpose {
            home_account_id: "a".to_owned(),
            client_id: "c".to_owned(),
            url: "u".to_owned(),
            scope: scope.to_owned(),
            claims: None,
        }
    }

    /// Purposes each of which differs in one part from [`purpose`] of the same scope.
    fn others(scope: &str) -> [Purpose; 4] {
        let other = |change: fn(&mut Purpose)| {
            let mut other = purpose(scope);
            change(&mut other);
            other
        };
        [
            other(|purpose| purpose.home_account_id.push('b')),
            other(|purpose| purpose.client_id.push('d')),
            other(|purpose| purpose.url.push('v')),
            other(|purpose| purpose.claims = Some("{}".to_owned())),
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
            let throttling = Throttling::default();
            let refused = key(&throttling, "r", "s");
            let no_token = refusal(&json!({ "error": error, "error_codes": [code] }));
            throttling.remember(refused.clone(), &no_token, None, at(NOW));
            for (seconds, stands) in [(0, true), (119, true), (120, false)] {
                let answer = throttling.answer(&refused, at(NOW + seconds));
                assert_eq!(answer.is_some(), stands, "{error} {seconds}");
            }
            // The clock was set back.
            assert!(throttling.answer(&refused, at(NOW - 1)).is_none());
            let secret = Secret::new("r");
            let others = others("s").map(|other| throttling.key(&secret, other));
            let others = others
                .into_iter()
                .chain([key(&throttling, "rotated", "s"), key(&throttling, "r", "t")]);
            for other in others {
                assert!(throttling.answer(&other, at(NOW)).is_none(), "{other:?}");
            }
        }
    }

    #[test]
    fn k16_a_request_is_the_same_whatever_the_case_of_its_application() {
        let throttling = Throttling::default();
        let secret = Secret::new("r");
        let key = |client_id: &str| {
            let client_id = client_id.to_owned();
            let of_client = Purpose {
                client_id,
                ..purpose("s")
            };
            throttling.key(&secret, of_client)
        };
        let guid = crate::fixtures::CLI;
        assert_eq!(key(guid), key(&guid.to_uppercase()));
        assert_ne!(key("c"), key("C"));
    }

    #[test]
    fn a_bad_token_is_bad_for_every_purpose() {
        for suberror in ["bad_token", "token_expired"] {
            let throttling = Throttling::default();
            let no_token = refusal(&json!({ "error": "invalid_grant", "suberror": suberror }));
            throttling.remember(key(&throttling, "r", "s"), &no_token, None, at(NOW));
            let answer = |token| throttling.answer(&key(&throttling, token, "t"), at(NOW));
            assert!(answer("r").is_some() && answer("rotated").is_none());
        }
    }

    #[test]
    fn k15_a_pause_is_the_purposes_whatever_refresh_token_there_is() {
        let throttling = Throttling::default();
        let error = || Error::new(ErrorKind::AuthenticationFailed, "too short");
        let lasts = Duration::from_secs(30);
        throttling.pause(&key(&throttling, "r", "s"), error(), lasts, at(NOW));
        for (second, left) in [(0, Some(30)), (29, Some(1)), (30, None)] {
            let rotated = key(&throttling, "rotated", "s");
            let answer = throttling.answer(&rotated, at(NOW + second));
            let retry_after = match answer {
                Some(NoToken::Failed(error)) => error.retry_after(),
                _ => None,
            };
            assert_eq!(retry_after, left.map(Duration::from_secs), "{second}");
        }
        let secret = Secret::new("r");
        for other in others("s").into_iter().chain([purpose("t")]) {
            let other = throttling.key(&secret, other);
            assert!(throttling.answer(&other, at(NOW)).is_none(), "{other:?}");
        }
    }

    #[test]
    fn a_server_is_left_alone_for_as_long_as_was_said() {
        let throttling = Throttling::default();
        let throttled = key(&throttling, "r", "s");
        let wait = Duration::from_secs(60);
        throttling.remember(throttled.clone(), &trouble(), Some(wait), at(NOW));
        for left in [60, 1] {
            let answer = throttling.answer(&throttled, at(NOW + 60 - left));
            let Some(NoToken::Failed(error)) = answer else {
                panic!("{answer:?}")
            };
            assert_eq!(error.retry_after(), Some(Duration::from_secs(left)));
        }
        assert!(throttling.answer(&throttled, at(NOW + 60)).is_none());
    }

    /// Whatever it says why: it means the request, and not the refresh token.
    #[test]
    fn a_server_that_throttles_with_a_refusal_is_left_alone_for_as_long_as_was_said() {
        for (status, wait) in [(429, 300), (503, 5)] {
            let throttling = Throttling::default();
            let throttled = key(&throttling, "r", "s");
            let body = json!({ "error": "invalid_grant", "suberror": "bad_token" });
            let no_token = refusal_with(status, &body);
            let leave_alone = Some(Duration::from_secs(wait));
            throttling.remember(throttled.clone(), &no_token, leave_alone, at(NOW));
            let stands = |second| throttling.answer(&throttled, at(NOW + second)).is_some();
            assert!(stands(wait - 1) && !stands(wait), "{status}");
            let other = key(&throttling, "r", "t");
            assert!(throttling.answer(&other, at(NOW)).is_none(), "{status}");
        }
    }

    #[test]
    fn what_may_be_better_next_time_is_not_remembered() {
        let throttling = Throttling::default();
        let key = key(&throttling, "r", "s");
        for no_token in [
            refusal(&json!({ "error": "invalid_scope" })),
            refusal(&json!({ "error": "consent_required" })),
        ] {
            throttling.remember(key.clone(), &no_token, None, at(NOW));
            assert!(throttling.answer(&key, at(NOW)).is_none());
        }
    }

    #[test]
    fn an_answer_that_must_not_be_used_stands_for_five_seconds() {
        let throttling = Throttling::default();
        let key = key(&throttling, "r", "s");
        throttling.remember(key.clone(), &trouble(), None, at(NOW));
        for (second, stands) in [(0, true), (4, true), (5, false)] {
            let answer = throttling.answer(&key, at(NOW + second));
            assert_eq!(answer.is_some(), stands, "{second}");
            if let Some(NoToken::Failed(error)) = answer {
                assert_eq!(error.retry_after(), None);
            }
        }
    }

    /// The longer of the two counts, and what is left of it is told.
    #[test]
    fn a_refusal_with_a_time_to_wait_stands_for_the_longer_of_both() {
        for (wait, lasts) in [(5, 120), (3600, 3600)] {
            let throttling = Throttling::default();
            let key = key(&throttling, "r", "s");
            let refused = refusal(&json!({ "error": "invalid_grant" }));
            let wait = Some(Duration::from_secs(wait));
            throttling.remember(key.clone(), &refused, wait, at(NOW));
            let stands = |second| throttling.answer(&key, at(NOW + second)).is_some();
            assert!(stands(lasts - 1) && !stands(lasts), "{lasts}");
        }
    }

    #[test]
    fn beyond_the_capacity_the_first_to_end_goes() {
        let throttling = Throttling::default();
        for n in 0..=CAPACITY {
            let wait = Duration::from_secs(10 + n as u64);
            let key = key(&throttling, &n.to_string(), "s");
            throttling.remember(key, &trouble(), Some(wait), at(NOW));
        }
        let is_known = |n: usize| {
            let key = key(&throttling, &n.to_string(), "s");
            throttling.answer(&key, at(NOW)).is_some()
        };
        assert!(!is_known(0) && is_known(1) && is_known(CAPACITY));
    }

    #[test]
    fn debug_shows_no_refresh_token() {
        let throttling = Throttling::default();
        let key = key(&throttling, "canary", "s");
        throttling.remember(key.clone(), &trouble(), Some(REFUSED_FOR), at(NOW));
        assert!(!format!("{throttling:?} {key:?}").contains("canary"));
    }
}
