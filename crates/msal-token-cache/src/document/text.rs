//! JSON strings and what they stand for.

use std::borrow::Cow;

use zeroize::Zeroizing;

/// A name or a value of a member.
#[derive(Clone, Copy)]
pub(crate) struct Json<'t> {
    /// As it stands in the text; a string with its quotes.
    pub(crate) text: &'t str,
    /// Whether it is a string without an escape in it.
    pub(super) is_plain: bool,
}

impl<'t> Json<'t> {
    /// The text that a string stands for. `None` if this is no string, or means no text.
    pub(crate) fn decoded(self) -> Option<Cow<'t, str>> {
        if self.is_plain {
            Some(Cow::Borrowed(&self.text[1..self.text.len() - 1]))
        } else {
            decode(self.text)
        }
    }

    /// The text that this name stands for, as [`decode_name`] says.
    pub(crate) fn name(self) -> Cow<'t, str> {
        if self.is_plain {
            Cow::Borrowed(&self.text[1..self.text.len() - 1])
        } else {
            decode_name(self.text)
        }
    }

    /// Whether this name stands for that text.
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

/// Decodes a JSON string. `None` for what is not one, or has no meaning as text: a lone surrogate.
fn decode(json: &str) -> Option<Cow<'_, str>> {
    match json.strip_prefix('"')?.strip_suffix('"')? {
        plain if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str(json).ok().map(Cow::Owned),
    }
}

/// Decodes the name of a member; one that has no meaning as text stands for itself.
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
