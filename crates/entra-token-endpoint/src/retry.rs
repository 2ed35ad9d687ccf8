//! When a request is sent again: it is told what happened, and says what to do.

use std::time::{Duration, SystemTime};

use crate::token_endpoint::error::TransportErrorKind;
use crate::token_endpoint::reply::HttpResponse;

/// How often a request is sent again at most.
const MOST_RETRIES: u32 = 2;
/// The wait before the first retry; it doubles with each, and each is spread from half to one and a
/// half of it, so that callers who failed together do not come back together.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// A caller waits for a server that asks for this much patience; for more it fails at once.
const MOST_PATIENCE: Duration = Duration::from_secs(10);
/// A server is left alone for so long at most, whatever it asks for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// For how long a server is left alone that throttles and does not say for how long,
const AFTER_THROTTLING: Duration = Duration::from_secs(60);
/// and one that is in trouble.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);

/// The retries of one request.
#[derive(Debug)]
pub(crate) struct Retries {
    /// Whether the request may be sent again after the server may have acted on it.
    is_repeatable: bool,
    made: u32,
    delayed: u32,
    lost: bool,
}

/// What to do after a request that brought no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send it again after this wait.
    Again(Duration),
    /// Take what there is, and ask no more for so long.
    GiveUp(Option<Duration>),
}

impl Retries {
    pub(crate) fn new(is_repeatable: bool) -> Self {
        Self {
            is_repeatable,
            made: 0,
            delayed: 0,
            lost: false,
        }
    }

    /// Returns what to do after an answer, with so much time left; `spread` is a random number from 0 to 1.
    pub(crate) fn after_reply(
        &mut self,
        reply: &HttpResponse,
        now: SystemTime,
        left: Duration,
        spread: f64,
    ) -> Next {
        let status = reply.status();
        if status < 400 {
            return Next::GiveUp(None);
        }
        let retry_after = reply
            .retry_after()
            .and_then(|value| parse_retry_after(value, now));
        let is_patient = retry_after.is_none_or(|wait| wait <= MOST_PATIENCE);
        let again = match status {
            408 | 500..600 => is_patient && self.is_repeatable,
            // The server has not acted on it, and says when to ask again.
            429 => is_patient && retry_after.is_some(),
            _ => false,
        };
        if again && self.made < MOST_RETRIES {
            // A server that asks for less than the usual wait does not shorten it.
            let wait = self.delay(spread).max(retry_after.unwrap_or_default());
            if wait < left {
                self.made += 1;
                return Next::Again(wait);
            }
        }
        let asked = retry_after.filter(|wait| *wait >= FIRST_DELAY);
        Next::GiveUp(asked.or(match status {
            429 => Some(AFTER_THROTTLING),
            500..600 => Some(AFTER_TROUBLE),
            _ => None,
        }))
    }

    /// Returns what to do when there was no answer, with so much time left.
    pub(crate) fn after_error(
        &mut self,
        kind: TransportErrorKind,
        left: Duration,
        spread: f64,
    ) -> Next {
        if self.made == MOST_RETRIES {
            return Next::GiveUp(None);
        }
        let wait = match kind {
            TransportErrorKind::Connect => self.delay(spread),
            // A connection that the server closed just then, most likely: the next one is new. A
            // repeatable request may reach the server twice.
            TransportErrorKind::Lost if self.is_repeatable && !self.lost => {
                self.lost = true;
                Duration::ZERO
            }
            _ => return Next::GiveUp(None),
        };
        if wait >= left {
            return Next::GiveUp(None);
        }
        self.made += 1;
        Next::Again(wait)
    }

    fn delay(&mut self, spread: f64) -> Duration {
        let delay = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(self.delayed));
        self.delayed += 1;
        delay.mul_f64(0.5 + spread)
    }
}

/// Reads a `Retry-After` (RFC 9110 section 10.2.3): seconds or a date. What has passed is now, and
/// nobody is left alone for more than an hour.
fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => {
            Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_RETRY_AFTER.as_secs_f64()))
        }
        Ok(_) => return None,
        Err(_) => {
            let date = httpdate::parse_http_date(value).ok()?;
            date.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    const LEFT: Duration = s(60);

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn reply(status: u16, retry_after: Option<&str>) -> HttpResponse {
        let reply = HttpResponse::new(status, "");
        match retry_after {
            Some(retry_after) => reply.with_retry_after(retry_after),
            None => reply,
        }
    }

    /// What follows on the same answer, time and again, to the end.
    fn course(status: u16, retry_after: Option<&str>) -> (Vec<Duration>, Option<Duration>) {
        let mut retries = Retries::new(true);
        let mut waits = Vec::new();
        loop {
            match retries.after_reply(&reply(status, retry_after), at(NOW), LEFT, 0.5) {
                Next::Again(wait) => waits.push(wait),
                Next::GiveUp(leave_alone) => return (waits, leave_alone),
            }
        }
    }

    #[test]
    fn trouble_is_met_twice_more_and_throttling_when_the_server_says_when() {
        for (status, retry_after, waits, leave_alone) in [
            (200, None, &[][..], None),
            (200, Some("5"), &[], None),
            (400, None, &[], None),
            (400, Some("5"), &[], Some(s(5))),
            (404, None, &[], None),
            (408, None, &[s(1), s(2)], None),
            (500, None, &[s(1), s(2)], Some(s(5))),
            (505, None, &[s(1), s(2)], Some(s(5))),
            (599, None, &[s(1), s(2)], Some(s(5))),
            (503, Some("3"), &[s(3), s(3)], Some(s(3))),
            (503, Some("0"), &[s(1), s(2)], Some(s(5))),
            (503, Some("0.001"), &[s(1), s(2)], Some(s(5))),
            (503, Some("1.5"), &[ms(1500), s(2)], Some(ms(1500))),
            (400, Some("0.001"), &[], None),
            (503, Some("11"), &[], Some(s(11))),
            (503, Some("soon"), &[s(1), s(2)], Some(s(5))),
            (429, None, &[], Some(s(60))),
            (429, Some("soon"), &[], Some(s(60))),
            (429, Some("10"), &[s(10), s(10)], Some(s(10))),
            (429, Some("11"), &[], Some(s(11))),
            (429, Some("1000000000"), &[], Some(s(3600))),
            (429, Some("-1"), &[s(1), s(2)], Some(s(60))),
            (429, Some("0.001"), &[s(1), s(2)], Some(s(60))),
        ] {
            let course = course(status, retry_after);
            let expected = (waits.to_vec(), leave_alone);
            assert_eq!(course, expected, "{status} {retry_after:?}");
        }
    }

    #[test]
    fn a_lost_connection_is_replaced_once_and_at_once() {
        let mut retries = Retries::new(true);
        let mut after = |kind| retries.after_error(kind, LEFT, 0.5);
        assert_eq!(after(TransportErrorKind::Lost), Next::Again(s(0)));
        assert_eq!(after(TransportErrorKind::Lost), Next::GiveUp(None));
        assert_eq!(after(TransportErrorKind::Connect), Next::Again(s(1)));
        assert_eq!(after(TransportErrorKind::Connect), Next::GiveUp(None));
        for kind in [
            TransportErrorKind::Tls,
            TransportErrorKind::Interrupted,
            TransportErrorKind::Unreadable,
            TransportErrorKind::Setup,
            TransportErrorKind::Closed,
        ] {
            let next = Retries::new(true).after_error(kind, LEFT, 0.5);
            assert_eq!(next, Next::GiveUp(None), "{kind:?}");
        }
    }

    #[test]
    fn a_request_that_is_not_repeatable_is_sent_again_only_if_the_server_cannot_have_acted() {
        for (status, retry_after, next) in [
            (408, None, Next::GiveUp(None)),
            (500, None, Next::GiveUp(Some(s(5)))),
            (503, Some("3"), Next::GiveUp(Some(s(3)))),
            (599, Some("0"), Next::GiveUp(Some(s(5)))),
            (429, None, Next::GiveUp(Some(s(60)))),
            (429, Some("3"), Next::Again(s(3))),
            (429, Some("11"), Next::GiveUp(Some(s(11)))),
        ] {
            let mut retries = Retries::new(false);
            let after = retries.after_reply(&reply(status, retry_after), at(NOW), LEFT, 0.5);
            assert_eq!(after, next, "{status} {retry_after:?}");
        }
        for kind in [
            TransportErrorKind::Lost,
            TransportErrorKind::Interrupted,
            TransportErrorKind::Unreadable,
        ] {
            let next = Retries::new(false).after_error(kind, LEFT, 0.5);
            assert_eq!(next, Next::GiveUp(None), "{kind:?}");
        }
        let next = Retries::new(false).after_error(TransportErrorKind::Connect, LEFT, 0.5);
        assert_eq!(next, Next::Again(s(1)));
    }

    #[test]
    fn a_wait_that_outlasts_the_call_is_the_next_calls() {
        for (left, status, retry_after, expected) in [
            (6, 429, Some("5"), Next::Again(s(5))),
            (5, 429, Some("5"), Next::GiveUp(Some(s(5)))),
            (1, 503, None, Next::GiveUp(Some(s(5)))),
            (0, 408, None, Next::GiveUp(None)),
        ] {
            let reply = reply(status, retry_after);
            let next = Retries::new(true).after_reply(&reply, at(NOW), s(left), 0.5);
            assert_eq!(next, expected, "{left} {status}");
        }
        for (left, kind, expected) in [
            (2, TransportErrorKind::Connect, Next::Again(s(1))),
            (1, TransportErrorKind::Connect, Next::GiveUp(None)),
            (0, TransportErrorKind::Lost, Next::GiveUp(None)),
        ] {
            let next = Retries::new(true).after_error(kind, s(left), 0.5);
            assert_eq!(next, expected, "{left} {kind:?}");
        }
    }

    #[test]
    fn k9_a_retry_after_never_shortens_the_usual_wait() {
        for (retry_after, spread, expected) in [
            ("0.001", 0.0, [500, 1000]),
            ("0.6", 0.0, [600, 1000]),
            ("0.001", 1.0, [1500, 3000]),
            ("2", 1.0, [2000, 3000]),
        ] {
            let mut retries = Retries::new(true);
            let mut next =
                || retries.after_reply(&reply(503, Some(retry_after)), at(NOW), LEFT, spread);
            let next = [next(), next()];
            assert_eq!(
                next,
                expected.map(|wait| Next::Again(ms(wait))),
                "{retry_after}"
            );
        }
        // Nor with no time left for a wait.
        let next =
            Retries::new(true).after_reply(&reply(503, Some("0.001")), at(NOW), ms(400), 0.5);
        assert_eq!(next, Next::GiveUp(Some(s(5))));
    }

    #[test]
    fn waits_are_spread_around_their_measure() {
        for (spread, expected) in [(0.0, 500), (0.25, 750), (1.0, 1500)] {
            let next = Retries::new(true).after_reply(&reply(500, None), at(NOW), LEFT, spread);
            assert_eq!(next, Next::Again(Duration::from_millis(expected)));
        }
    }

    #[test]
    fn a_retry_after_is_seconds_or_a_date() {
        let parse = |value: &str| parse_retry_after(value, at(NOW));
        for (value, expected) in [
            (" 20 ", Some(s(20))),
            ("1.5", Some(Duration::from_millis(1500))),
            ("-7", Some(s(0))),
            ("1e300", Some(s(3600))),
            ("NaN", None),
            ("inf", None),
            ("", None),
            ("later", None),
            ("20 s", None),
            ("0x10", None),
        ] {
            assert_eq!(parse(value), expected, "{value}");
        }
        for (date, expected) in [
            (at(NOW + 90), s(90)),
            (at(NOW), s(0)),
            (at(NOW - 90), s(0)),
            (at(NOW + 1_000_000), s(3600)),
        ] {
            assert_eq!(parse(&httpdate::fmt_http_date(date)), Some(expected));
        }
        // The two older forms of a date, which a recipient has to read as well.
        for date in ["Friday, 15-Jan-27 08:01:30 GMT", "Fri Jan 15 08:01:30 2027"] {
            assert_eq!(parse(date), Some(s(90)), "{date}");
        }
    }
}
