//! JSON strings and their texts.

use std::borrow::Cow;

use zeroize::Zeroizing;

/// A name or a value of a member.
#[derive(Clone, Copy)]
pub(crate) struct Json<'t> {
    /// The JSON text; a string with its quotes.
    pub(crate) text: &'t str,
    /// Set if it is a string without an escape.
    pub(super) is_plain: bool,
}

impl<'t> Json<'t> {
    /// Returns the text of a string. Returns `None` if this is not a string, or not a valid text.
    pub(crate) fn decoded(self) -> Option<Cow<'t, str>> {
        if self.is_plain {
            Some(Cow::Borrowed(&self.text[1..self.text.len() - 1]))
        } else {
            decode(self.text)
        }
    }

    /// Returns the text of this name, by [`decode_name`].
    pub(crate) fn name(self) -> Cow<'t, str> {
        if self.is_plain {
            Cow::Borrowed(&self.text[1..self.text.len() - 1])
        } else {
            decode_name(self.text)
        }
    }

    /// Returns `true` if this name has that text.
    #[inline]
    pub(crate) fn is_name(self, name: &str) -> bool {
        if self.is_plain {
            // Without a copy, and mostly told by the length.
            let json = self.text.as_bytes();
            json.len() == name.len() + 2 && &json[1..json.len() - 1] == name.as_bytes()
        } else {
            self.name() == name
        }
    }
}

/// Decodes a JSON string. Returns `None` for another value, and for a lone surrogate.
fn decode(json: &str) -> Option<Cow<'_, str>> {
    match json.strip_prefix('"')?.strip_suffix('"')? {
        plain if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str(json).ok().map(Cow::Owned),
    }
}

/// Decodes the name of a member. A name with a lone surrogate stays as it is written.
pub(super) fn decode_name(json: &str) -> Cow<'_, str> {
    decode(json).unwrap_or(Cow::Borrowed(json))
}

/// Encodes a text as a JSON string.
#[expect(
    clippy::expect_used,
    reason = "writing text into memory has no way to fail"
)]
pub(super) fn encode(text: &str) -> Zeroizing<String> {
    // No byte takes more than six when escaped: the text never moves while it grows.
    let mut json = Vec::with_capacity(6 * text.len() + 2);
    serde_json::to_writer(&mut json, text).expect("a text can be written into memory");
    Zeroizing::new(String::from_utf8(json).expect("JSON is UTF-8"))
}
