//! The secret of an entry.

use std::borrow::Cow;
use std::sync::OnceLock;

use token_credential::Secret;

use super::usable::is_usable_secret;
use crate::document::Entry;

/// The secret of an entry. It is copied on the first [`get`](Self::get): of many entries that a
/// look-up reads, one is used.
pub(crate) struct EntrySecret<'s> {
    text: &'s str,
    copy: OnceLock<Secret>,
}

impl<'s> EntrySecret<'s> {
    /// Returns the entry's secret, if it has one that is not empty.
    pub(crate) fn of(entry: &Entry<'s>) -> Option<Self> {
        Some(match entry.non_empty("secret")? {
            Cow::Borrowed(text) => Self {
                text,
                copy: OnceLock::new(),
            },
            Cow::Owned(text) => Self {
                text: "",
                copy: Secret::new(text).into(),
            },
        })
    }

    /// Returns `true` if it can be sent. Does not copy it.
    pub(crate) fn is_usable(&self) -> bool {
        let copy = self.copy.get();
        is_usable_secret(copy.map_or(self.text, Secret::expose_secret))
    }

    pub(crate) fn get(&self) -> &Secret {
        self.copy.get_or_init(|| Secret::new(self.text))
    }
}
