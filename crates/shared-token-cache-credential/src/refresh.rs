//! Refreshing a token ahead of its time, while the one at hand is handed out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use token_credential::AccessTokenInfo;
use tokio::runtime::Handle;

use crate::access::MARGIN;
use crate::credential::Inner;
use crate::request::{Call, Request};

/// How far the processes that share a token spread their refreshing.
const WINDOW: Duration = Duration::from_secs(300);
/// How long it is at least from one attempt for a token to the next.
const PAUSE: Duration = Duration::from_secs(30);
/// More tokens than a program uses at once.
const CAPACITY: usize = 1024;

/// When this credential refreshes.
#[derive(Debug)]
pub(crate) struct Refreshing {
    /// Where in the window: a number from 0 to 1, another one in each process.
    spread: f64,
    /// When what was last attempted.
    attempts: Mutex<HashMap<(String, Arc<Request>), SystemTime>>,
}

impl Refreshing {
    pub(crate) fn new() -> Self {
        Self {
            spread: fastrand::f64(),
            attempts: Mutex::default(),
        }
    }

    /// From when on a token is to be refreshed: soon after the time that the server, or its
    /// lifetime, names, and before it is too late. Never if it is too late by then: the calls that
    /// miss will do.
    pub(crate) fn due(&self, token: &AccessTokenInfo) -> Option<SystemTime> {
        let refresh_on = token.refresh_on()?;
        let left = token.expires_on().duration_since(refresh_on).ok()?;
        let window = left.checked_sub(MARGIN)?.min(WINDOW);
        refresh_on.checked_add(window.mul_f64(self.spread))
    }

    /// Whether it is time for an attempt, which this then is.
    fn attempt(&self, home_account_id: &str, request: &Arc<Request>, now: SystemTime) -> bool {
        let is_recent = |at: &SystemTime| now.duration_since(*at).is_ok_and(|since| since < PAUSE);
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (home_account_id.to_owned(), Arc::clone(request));
        if attempts.get(&key).is_some_and(is_recent) {
            return false;
        }
        if attempts.len() >= CAPACITY {
            attempts.retain(|_, at| is_recent(at));
        }
        attempts.len() < CAPACITY && {
            attempts.insert(key, now);
            true
        }
    }
}

impl Inner {
    /// Begins to refresh the token that such a call gets, unless that was attempted a moment ago.
    /// Never waits, and does nothing outside a runtime or after a close.
    pub(crate) fn refresh_ahead(self: &Arc<Self>, home_account_id: &str, call: &Call<'_>) {
        let Some(refreshing) = &self.refreshing else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let request = Arc::new(call.to_request());
        if refreshing.attempt(home_account_id, &request, self.clock.now()) {
            // Closed: then it ends with what there is.
            let _ = self.begin_ahead(&runtime, home_account_id.to_owned(), request);
        }
    }

    /// Whether a token need not be refreshed yet.
    pub(crate) fn is_current(&self, token: &AccessTokenInfo, now: SystemTime) -> bool {
        let due = self.refreshing.as_ref().and_then(|r| r.due(token));
        due.is_none_or(|due| now < due)
    }

    /// Until when nothing is to be decided about a token: it is neither too old nor to be refreshed.
    pub(crate) fn current_until(&self, token: &AccessTokenInfo) -> SystemTime {
        let too_old = token.expires_on().checked_sub(MARGIN);
        let too_old = too_old.unwrap_or(SystemTime::UNIX_EPOCH);
        let due = self.refreshing.as_ref().and_then(|r| r.due(token));
        due.map_or(too_old, |due| due.min(too_old))
    }
}

#[cfg(test)]
mod tests {
    use token_credential::{Secret, TokenRequestOptions};

    use super::*;
    use crate::fixtures::{ARM, NOW, at};
    use crate::tenant::Tenants;

    fn token(refresh_on: Option<u64>, expires_on: u64) -> AccessTokenInfo {
        let token = AccessTokenInfo::new(Secret::new("t"), at(expires_on));
        match refresh_on {
            Some(refresh_on) => token.with_refresh_on(at(refresh_on)),
            None => token,
        }
    }

    #[test]
    fn a_token_is_due_within_a_window_that_ends_before_it_is_too_late() {
        for (spread, refresh_on, expires_on, due) in [
            (0.0, Some(NOW), NOW + 3600, Some(NOW)),
            (1.0, Some(NOW), NOW + 3600, Some(NOW + 300)),
            (0.5, Some(NOW), NOW + 500, Some(NOW + 100)),
            (1.0, Some(NOW), NOW + 300, Some(NOW)),
            (1.0, Some(NOW), NOW + 299, None),
            (1.0, Some(NOW + 10), NOW, None),
            (1.0, None, NOW + 3600, None),
        ] {
            let refreshing = Refreshing {
                spread,
                attempts: Mutex::default(),
            };
            let found = refreshing.due(&token(refresh_on, expires_on));
            assert_eq!(found, due.map(at), "{spread} {refresh_on:?} {expires_on}");
        }
    }

    #[test]
    fn a_thousand_processes_are_spread_over_the_window() {
        let token = token(Some(NOW), NOW + 3600);
        let mut due: Vec<_> = (0..1_000)
            .map(|_| Refreshing::new().due(&token).unwrap())
            .collect();
        due.sort_unstable();
        let (first, last) = (due[0], due[999]);
        assert!(first >= at(NOW) && last <= at(NOW + 300));
        assert!(last.duration_since(first).unwrap() >= WINDOW.mul_f64(0.8));
        // Evenly: no tenth of the window has more than twice its share.
        for tenth in 0..10 {
            let [from, to] = [tenth, tenth + 1].map(|n| at(NOW + 30 * n));
            let share = due.iter().filter(|due| (from..to).contains(*due)).count();
            assert!((50..200).contains(&share), "{tenth}: {share}");
        }
    }

    fn request(scope: &str) -> Arc<Request> {
        let tenants = Tenants::of_account(Vec::new());
        let options = TokenRequestOptions::default();
        let request = Call::new(&[scope], &options, &tenants).map(Call::to_request);
        Arc::new(request.unwrap())
    }

    #[test]
    fn an_attempt_is_followed_by_a_pause() {
        let refreshing = Refreshing::new();
        let attempt = |scope: &str, second| refreshing.attempt("ada", &request(scope), at(second));
        assert!(attempt(ARM, NOW) && !attempt(ARM, NOW + 29) && attempt("other", NOW));
        assert!(attempt(ARM, NOW + 30) && !attempt(ARM, NOW + 30));
        for n in 0..2 * CAPACITY {
            attempt(&n.to_string(), NOW + 40);
        }
        let known = refreshing.attempts.lock().unwrap().len();
        assert!(known <= CAPACITY, "{known}");
    }
}
