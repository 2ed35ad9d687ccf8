//! The members of an answer.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;
use token_credential::Secret;

/// The members of an answer, each as it stands there, and of two of one name the last: what is
/// secret is copied once, into custody, and what is not asked for is never decoded.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Members<'a>(#[serde(borrow)] BTreeMap<String, &'a RawValue>);

impl<'a> Members<'a> {
    /// `None` if the text is not a JSON object.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether a member is there, whatever it says.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A member that is neither missing nor null, as JSON.
    pub(crate) fn json(&self, name: &str) -> Option<&'a str> {
        let json = self.0.get(name)?.get();
        (json != "null").then_some(json)
    }

    /// The text of a member that is a string and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        decode(self.json(name)?).filter(|text| !text.is_empty())
    }

    /// The same of one that must not be seen.
    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret::new)
    }

    /// A number of seconds, as a number or a text; nothing that is not a time.
    pub(crate) fn seconds(&self, name: &str) -> Option<u64> {
        let json = self.json(name)?;
        if let Some(text) = decode(json) {
            let number = text.trim().parse::<f64>().ok();
            return number.filter(|n| n.is_finite()).map(whole_seconds);
        }
        let number: Number = serde_json::from_str(json).ok()?;
        let whole = number.as_u64();
        whole.or_else(|| number.as_f64().map(whole_seconds))
    }
}

/// The text of a JSON string. `None` for what is not one, or has no meaning as text.
pub(super) fn decode(json: &str) -> Option<Cow<'_, str>> {
    match json.strip_prefix('"')?.strip_suffix('"')? {
        plain if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str(json).ok().map(Cow::Owned),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates"
)]
fn whole_seconds(number: f64) -> u64 {
    number as u64
}
