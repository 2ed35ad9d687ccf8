//! When a token is too old, and when it is refreshed. Pure.

use std::time::{Duration, SystemTime};

use token_credential::AccessTokenInfo;

/// The remaining lifetime below which a token is not handed out without need: the caller's request
/// may reach the resource too late. The same five minutes as in every MSAL.
pub const EXPIRY_MARGIN: Duration = Duration::from_secs(300);
/// The remaining lifetime with which a token is handed out if no new one is to be had.
pub const LAST_RESORT_MARGIN: Duration = Duration::from_secs(30);
/// The shortest time from one attempt to refresh a token to the next, and the age up to which a
/// token counts as new.
pub const MIN_TIME_BETWEEN_ATTEMPTS: Duration = Duration::from_secs(30);
/// With less left than this a new token is too old before the next attempt.
const SHORT_LIVED: Duration = MIN_TIME_BETWEEN_ATTEMPTS.saturating_add(LAST_RESORT_MARGIN);

/// How far the processes that share a token spread their refreshing.
const WINDOW: Duration = Duration::from_secs(300);

/// Returns the time until a token expires, `None` once it has. A sum could overflow instead.
pub fn time_left(expires_on: SystemTime, now: SystemTime) -> Option<Duration> {
    expires_on.duration_since(now).ok()
}

/// Returns `true` if a token has more than [`EXPIRY_MARGIN`] left.
pub fn is_fresh(expires_on: SystemTime, now: SystemTime) -> bool {
    time_left(expires_on, now) > Some(EXPIRY_MARGIN)
}

/// Returns `true` if a token has less than a minute left: it ends before the endpoint may be asked
/// for the next one.
pub fn is_short_lived(expires_on: SystemTime, now: SystemTime) -> bool {
    time_left(expires_on, now).unwrap_or_default() < SHORT_LIVED
}

/// The points in time at which this process refreshes tokens ahead of their expiry.
#[derive(Debug)]
pub(crate) struct RefreshSchedule {
    /// The place of this process in the window, from 0 to 1; `None` if nothing is refreshed ahead.
    spread: Option<f64>,
}

impl RefreshSchedule {
    /// Refreshes at this place in the window, from 0 to 1, or never.
    pub(crate) fn new(spread: Option<f64>) -> Self {
        Self { spread }
    }

    /// Returns when this process refreshes the token: its own point in the five minutes after
    /// `refresh_on`, or `None` if that is too close to expiry.
    pub(crate) fn due(&self, token: &AccessTokenInfo) -> Option<SystemTime> {
        let refresh_on = token.refresh_on()?;
        let left = token.expires_on().duration_since(refresh_on).ok()?;
        let window = left.checked_sub(EXPIRY_MARGIN)?.min(WINDOW);
        refresh_on.checked_add(window.mul_f64(self.spread?))
    }

    /// Returns `true` if the token is not due for a refresh.
    pub(crate) fn is_current(&self, token: &AccessTokenInfo, now: SystemTime) -> bool {
        self.due(token).is_none_or(|due| now < due)
    }

    /// Returns the time up to which nothing is to be decided about a token: it is neither too old
    /// nor due for a refresh.
    pub(crate) fn current_until(&self, token: &AccessTokenInfo) -> SystemTime {
        let too_old = token.expires_on().checked_sub(EXPIRY_MARGIN);
        let too_old = too_old.unwrap_or(SystemTime::UNIX_EPOCH);
        self.due(token).map_or(too_old, |due| due.min(too_old))
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use token_credential::Secret;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

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
            let schedule = RefreshSchedule::new(Some(spread));
            let token = token(refresh_on, expires_on);
            let found = schedule.due(&token);
            assert_eq!(found, due.map(at), "{spread} {refresh_on:?} {expires_on}");
            assert_eq!(RefreshSchedule::new(None).due(&token), None);
        }
    }

    #[test]
    fn a_thousand_processes_are_spread_over_the_window() {
        let token = token(Some(NOW), NOW + 3600);
        let mut due: Vec<_> = (0..1_000)
            .map(|_| {
                let schedule = RefreshSchedule::new(Some(fastrand::f64()));
                schedule.due(&token).unwrap()
            })
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

    #[test]
    fn nothing_is_to_be_decided_until_a_token_is_due_or_too_old() {
        let schedule = RefreshSchedule::new(Some(0.0));
        for (refresh_on, expires_on, until) in [
            (Some(NOW + 1800), NOW + 3600, NOW + 1800),
            (None, NOW + 3600, NOW + 3300),
            (Some(NOW + 3400), NOW + 3600, NOW + 3300),
            (None, 300, 0),
        ] {
            let token = token(refresh_on, expires_on);
            assert_eq!(schedule.current_until(&token), at(until), "{refresh_on:?}");
        }
    }

    #[test]
    fn margins_end_where_they_say() {
        assert!(is_fresh(at(NOW + 301), at(NOW)) && !is_fresh(at(NOW + 300), at(NOW)));
        assert!(is_short_lived(at(NOW + 59), at(NOW)) && !is_short_lived(at(NOW + 60), at(NOW)));
        assert!(is_short_lived(at(NOW), at(NOW + 1)));
    }
}
