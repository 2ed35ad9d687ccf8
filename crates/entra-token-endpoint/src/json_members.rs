//! The members of a JSON object, undecoded.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Number, Value};
use token_credential::Secret;

/// The members of a response, each as it is written, and of two of one name the last. A secret is
/// copied once, into custody, and a member that nobody asks for is never decoded.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Members<'a>(#[serde(borrow)] BTreeMap<String, &'a RawValue>);

impl<'a> Members<'a> {
    /// Reads an object. Returns `None` if the text is not a JSON object.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Returns `true` if a member is present, whatever it says.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns a member that is neither missing nor null, as JSON.
    pub(crate) fn json(&self, name: &str) -> Option<&'a str> {
        let json = self.0.get(name)?.get();
        (json != "null").then_some(json)
    }

    /// Returns the text of a member that is a string and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        decode(self.json(name)?).filter(|text| !text.is_empty())
    }

    /// Returns the same text in custody.
    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret::new)
    }

    /// Returns `true` if a member is present, and neither null, false nor empty.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        let Some(json) = self.json(name) else {
            return false;
        };
        match serde_json::from_str(json) {
            Ok(Value::Null | Value::Bool(false)) => false,
            Ok(Value::String(text)) => !text.trim().is_empty(),
            Ok(Value::Array(list)) => !list.is_empty(),
            Ok(Value::Object(members)) => !members.is_empty(),
            // A text without a meaning says something, too.
            Ok(Value::Bool(true) | Value::Number(_)) | Err(_) => true,
        }
    }

    /// Returns `true` for a number of any sign and size, be it as a text.
    pub(crate) fn is_number(&self, name: &str) -> bool {
        let number = |json: &str| match decode(json) {
            Some(text) => text.trim().parse::<f64>().is_ok(),
            None => serde_json::from_str::<Number>(json).is_ok(),
        };
        self.json(name).is_some_and(number)
    }

    /// Returns a number of seconds that is not negative, as a number or as decimal text, without its
    /// fraction.
    pub(crate) fn seconds(&self, name: &str) -> Option<u64> {
        let json = self.json(name)?;
        if let Some(text) = decode(json) {
            return decimal_seconds(text.trim());
        }
        let number: Number = serde_json::from_str(json).ok()?;
        let whole = number.as_u64();
        let cut = || number.as_f64().filter(|number| *number >= 0.0);
        whole.or_else(|| cut().map(whole_seconds))
    }
}

/// Returns the text of a JSON string. `None` for another type, or a string that is not Unicode.
pub(crate) fn decode(json: &str) -> Option<Cow<'_, str>> {
    match json.strip_prefix('"')?.strip_suffix('"')? {
        plain if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str(json).ok().map(Cow::Owned),
    }
}

/// Reads digits, behind which a point and further digits may stand.
fn decimal_seconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    let digits = whole.bytes().map(|byte| u64::from(byte - b'0'));
    Some(digits.fold(0, |seconds: u64, digit| {
        seconds.saturating_mul(10).saturating_add(digit)
    }))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates"
)]
fn whole_seconds(number: f64) -> u64 {
    number as u64
}
