//! The attempts to refresh tokens ahead of their expiry.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::call::OwnedCall;
use crate::refresh_schedule::MIN_TIME_BETWEEN_ATTEMPTS;

/// More tokens than a program uses at once. A further one is refreshed when it is too old.
const CAPACITY: usize = 1024;

/// The times of the last attempts, by account and call.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<(String, OwnedCall), SystemTime>>);

impl Attempts {
    /// Returns `true` if the last attempt is [`MIN_TIME_BETWEEN_ATTEMPTS`] ago, and counts this as
    /// one.
    pub(crate) fn begin(&self, subject: &str, call: &OwnedCall, now: SystemTime) -> bool {
        let is_recent = |at: &SystemTime| {
            now.duration_since(*at)
                .is_ok_and(|since| since < MIN_TIME_BETWEEN_ATTEMPTS)
        };
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (subject.to_owned(), call.clone());
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

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::call::Call;

    const NOW: u64 = 1_800_000_000;

    fn call(scope: &str) -> OwnedCall {
        let call = Call {
            scopes: &[scope],
            tenant: Cow::Borrowed("t"),
            claims: None,
            enable_cae: false,
            force_refresh: false,
        };
        call.to_owned_call()
    }

    #[test]
    fn an_attempt_is_followed_by_a_pause() {
        let attempts = Attempts::default();
        let begin = |scope: &str, second| {
            let now = UNIX_EPOCH + Duration::from_secs(second);
            attempts.begin("ada", &call(scope), now)
        };
        assert!(begin("a", NOW) && !begin("a", NOW + 29) && begin("other", NOW));
        assert!(begin("a", NOW + 30) && !begin("a", NOW + 30));
        for n in 0..2 * CAPACITY {
            begin(&n.to_string(), NOW + 40);
        }
        let known = attempts.0.lock().unwrap().len();
        assert!(known <= CAPACITY, "{known}");
    }
}
