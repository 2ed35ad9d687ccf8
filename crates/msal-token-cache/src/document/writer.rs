//! Texts that are written piece by piece.

use zeroize::Zeroizing;

use super::plain_bytes::is_plain;
use super::text::encode;

/// A text under construction. It leaves no copy behind when it grows.
pub(crate) struct Writer(Zeroizing<String>);

impl Writer {
    pub(crate) fn with_room_for(length: usize) -> Self {
        Self(Zeroizing::new(String::with_capacity(length)))
    }

    pub(crate) fn push(&mut self, text: &str) {
        if self.0.capacity() - self.0.len() < text.len() {
            // A `String` that grows by itself frees the old place without overwriting it.
            let mut larger = String::with_capacity(2 * self.0.capacity() + text.len());
            larger.push_str(&self.0);
            self.0 = Zeroizing::new(larger);
        }
        self.0.push_str(text);
    }

    /// Writes a text as a JSON string.
    pub(crate) fn push_string(&mut self, text: &str) {
        if is_plain(text) {
            self.push("\"");
            self.push(text);
            self.push("\"");
        } else {
            self.push(&encode(text));
        }
    }

    /// Returns the text so far.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    pub(crate) fn finish(self) -> Zeroizing<String> {
        self.0
    }
}
