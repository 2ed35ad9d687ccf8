//! The byte ranges of a document's parts within its text.

use std::ops::Range;

/// The ranges of a member of a JSON object: its name, with the quotes, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberSpan {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
    pub(super) known: Known,
}

/// The name of a member: its range, with the quotes.
pub(super) struct NameSpan {
    pub(super) range: Range<usize>,
    pub(super) is_escaped: bool,
}

/// The ranges of the members of an entry that look-ups compare, without the quotes. A range is
/// empty if the entry has no such member, or if its text has to be decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// The `home_account_id`.
    pub(super) owner: Range<usize>,
    /// The `target`.
    pub(super) target: Range<usize>,
}

impl Known {
    /// Returns the ranges in a text that has the same parts at other places.
    pub(super) fn moved(&self, place_of: impl Fn(&Range<usize>) -> Range<usize>) -> Self {
        let moved = |part: &Range<usize>| {
            if part.is_empty() {
                0..0
            } else {
                place_of(part)
            }
        };
        Self {
            owner: moved(&self.owner),
            target: moved(&self.target),
        }
    }
}

/// The value of a section.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub(super) enum Entries {
    Absent,
    /// Not an object; it reads as empty and is never written.
    Malformed,
    Listed(Vec<MemberSpan>),
}

/// The parts of a document.
pub(super) struct Parts {
    pub(super) members: Vec<MemberSpan>,
    pub(super) sections: [Entries; 5],
    /// Set if two members or entries have one name; their order is then not that of the text.
    pub(super) has_duplicates: bool,
    /// Set if an entry's key is written with escapes.
    pub(super) has_escaped_keys: bool,
}

impl Parts {
    /// Returns the parts of an empty text.
    pub(super) fn empty() -> Self {
        Self {
            members: Vec::new(),
            sections: std::array::from_fn(|_| Entries::Absent),
            has_duplicates: false,
            has_escaped_keys: false,
        }
    }
}
