//! K15: how long a granted token lives.

use super::answer::Granted;
use super::entry::whole;
use crate::json::Json;

const WEEK: i64 = 7 * 24 * 3600;

/// K15: what a granted token's times are.
pub(super) fn bound(granted: &mut Granted, now: i64, has_half_life: bool) {
    let body = &granted.body;
    let after = |name: &str| {
        let seconds = decimal(body.get(name)?)?;
        (1..=WEEK).contains(&seconds).then_some(now + seconds)
    };
    let at = |name: &str| {
        let time = decimal(body.get(name)?)?;
        (now..=now + WEEK).contains(&time).then_some(time)
    };
    let expires_on = after("expires_in").or_else(|| at("expires_on"));
    let expires_on = expires_on.unwrap_or(now);
    let life = expires_on - now;
    let refresh_on = after("refresh_in").filter(|time| *time < expires_on);
    let half_life = (has_half_life && life >= 7200).then_some(now + life / 2);
    granted.extended = after("ext_expires_in");
    granted.said_refresh_on = refresh_on;
    granted.refresh_on = refresh_on.or(half_life);
    granted.expires_on = expires_on;
    granted.is_spent = life < 30;
}

/// Whole seconds of a number or of decimal text; nothing negative.
fn decimal(value: &Json) -> Option<i64> {
    match value {
        Json::Number(number) => {
            let number = number.as_f64()?;
            (number >= 0.0).then(|| whole(number))
        }
        Json::Text(text) => {
            let (whole, fraction) = match text.trim().split_once('.') {
                Some(parts) => parts,
                None => (text.trim(), ""),
            };
            let is_digit = |b: u8| b.is_ascii_digit();
            let is_decimal =
                !whole.is_empty() && (whole.bytes().chain(fraction.bytes())).all(is_digit);
            is_decimal.then(|| whole.parse().unwrap_or(i64::MAX))
        }
        _ => None,
    }
}
