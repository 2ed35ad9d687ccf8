//! Times as the cache writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::document::Entry;

/// The last second of the year 9999. Date converters of other programs fail beyond it.
const LAST_SECOND: u64 = 253_402_300_799;

/// Returns the time that a member of an entry holds, in seconds since the epoch, as a string or a
/// number.
pub(crate) fn time_of(entry: &Entry<'_>, name: &str) -> Option<SystemTime> {
    match entry.text(name) {
        Some(text) => parse_seconds(&text),
        None => parse_number(entry.json(name)?),
    }
}

/// Parses seconds since the epoch: a decimal number, whose fraction is cut off.
///
/// Accepts the same texts as Python's `int()`: with blanks around it, a sign, and single
/// underscores between the digits. The time is clamped to the years 1970 to 9999.
fn parse_seconds(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut seconds: u64 = 0;
    for group in digits.split('_') {
        if group.is_empty() || !group.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        for digit in group.bytes() {
            seconds = seconds
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'));
        }
    }
    Some(clamped(if negative { 0 } else { seconds }))
}

/// Parses the same from a JSON number.
fn parse_number(json: &str) -> Option<SystemTime> {
    if let Some(time) = parse_seconds(json) {
        return Some(time);
    }
    let number: f64 = json.parse().ok()?;
    // A cast saturates, and what is not a number becomes 0.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturating is meant"
    )]
    Some(clamped(number as u64))
}

/// Returns a time as the cache writes it.
pub(crate) fn seconds_text(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
        .to_string()
}

fn clamped(seconds: u64) -> SystemTime {
    let since = Duration::from_secs(seconds.min(LAST_SECOND));
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(time: Option<SystemTime>) -> Option<String> {
        time.map(seconds_text)
    }

    #[test]
    fn reads_what_python_reads_and_cuts_fractions() {
        for (text, expected) in [
            ("1700000000", Some("1700000000")),
            (" 170 ", Some("170")),
            ("1_7", Some("17")),
            ("+5", Some("5")),
            ("-5", Some("0")),
            ("99999999999999999999", Some("253402300799")),
            ("", None),
            ("_1", None),
            ("1__7", None),
            ("1.5", Some("1")),
            ("1748000000.202", Some("1748000000")),
            (" -1.999 ", Some("0")),
            ("7.", Some("7")),
            (".5", None),
            ("1.5.1", None),
            ("1.-5", None),
            ("1.5e3", None),
            ("0x10", None),
        ] {
            assert_eq!(
                seconds(parse_seconds(text)).as_deref(),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_number_loses_its_fraction() {
        for (json, expected) in [
            ("1700000000", "1700000000"),
            ("1700000000.9", "1700000000"),
            ("1.7e9", "1700000000"),
            ("-1.5", "0"),
            ("1e999", "253402300799"),
        ] {
            assert_eq!(
                seconds(parse_number(json)).as_deref(),
                Some(expected),
                "{json}"
            );
        }
    }
}
