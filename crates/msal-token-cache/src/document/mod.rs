//! The text of a cache, and the places of its parts.
//!
//! An entry is decoded on demand, and written back byte for byte if it is not edited. So unknown
//! sections, entries and members survive: nothing takes them apart.

mod edits;
mod entry;
mod error;
mod hash;
mod member_list;
mod parts;
mod plain_bytes;
mod scan;
mod section;
mod splice;
#[cfg(test)]
mod tests;
mod text;
mod writer;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

pub(crate) use self::edits::Edits;
pub(crate) use self::entry::{Entry, new_entry};
pub(crate) use self::error::NotADocument;
use self::error::why_not;
pub(crate) use self::hash::hash_without_case;
#[cfg(test)]
pub(crate) use self::hash::twins;
use self::parts::{Entries, MemberSpan, Parts};
use self::scan::parts_of;
pub(crate) use self::section::Section;
use self::splice::Splice;
use self::text::decode_name;
use self::writer::Writer;
use crate::identifier::is_same_home_account_id;
use crate::wipe::wipe;

/// A parsed cache text.
pub(crate) struct Document {
    text: Zeroizing<String>,
    parts: Parts,
}

impl Document {
    /// Returns a cache without content.
    pub(crate) fn empty() -> Self {
        Self {
            text: Zeroizing::new(String::new()),
            parts: Parts::empty(),
        }
    }

    /// Parses a text down to the entries of the known sections. Of duplicate names, the first one's
    /// place and the last one's value count, as in Python.
    pub(crate) fn parse(text: Zeroizing<String>) -> Result<Self, NotADocument> {
        match parts_of(&text) {
            Some(parts) => Ok(Self { text, parts }),
            None => Err(why_not(&text)),
        }
    }

    /// Returns the whole text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns `true` if the section's value is not an object, so that no entry can be added.
    pub(crate) fn is_malformed(&self, section: Section) -> bool {
        matches!(self.parts.sections[section as usize], Entries::Malformed)
    }

    fn listed(&self, section: Section) -> &[MemberSpan] {
        match &self.parts.sections[section as usize] {
            Entries::Listed(entries) => entries,
            Entries::Absent | Entries::Malformed => &[],
        }
    }

    /// Returns the entries of a section, as JSON text, in their order.
    pub(crate) fn entries(&self, section: Section) -> impl ExactSizeIterator<Item = &str> {
        self.listed(section)
            .iter()
            .map(|entry| &self.text[entry.value.clone()])
    }

    /// Returns the entry at this position, as JSON text.
    pub(crate) fn entry(&self, section: Section, position: usize) -> Option<&str> {
        self.listed(section)
            .get(position)
            .map(|entry| &self.text[entry.value.clone()])
    }

    /// Returns the `home_account_id` of the entry at this position, if it has one.
    pub(crate) fn owner(&self, section: Section, position: usize) -> Option<Cow<'_, str>> {
        let entry = self.listed(section).get(position)?;
        if entry.known.owner.is_empty() {
            Entry::parse(&self.text[entry.value.clone()])?.non_empty("home_account_id")
        } else {
            Some(Cow::Borrowed(&self.text[entry.known.owner.clone()]))
        }
    }

    /// Returns the `target` of the entry at this position, if that is known without decoding.
    pub(crate) fn known_target(&self, section: Section, position: usize) -> Option<&str> {
        let target = &self.listed(section).get(position)?.known.target;
        (!target.is_empty()).then(|| &self.text[target.clone()])
    }

    /// Returns the entries of an account, with their positions.
    pub(crate) fn entries_of<'d>(
        &'d self,
        section: Section,
        home_account_id: &'d str,
    ) -> impl Iterator<Item = (usize, &'d str)> {
        self.entries(section)
            .enumerate()
            .filter(move |(position, _)| {
                self.owner(section, *position)
                    .is_some_and(|owner| is_same_home_account_id(&owner, home_account_id))
            })
    }

    /// Returns the positions of the entries with this key: at most one.
    pub(crate) fn positions_at<'d>(
        &'d self,
        section: Section,
        key: &'d str,
    ) -> impl Iterator<Item = usize> + 'd {
        let is_at = move |name: &Range<usize>| {
            if self.parts.has_escaped_keys {
                decode_name(&self.text[name.clone()]) == key
            } else {
                name.len() == key.len() + 2 && &self.text[name.start + 1..name.end - 1] == key
            }
        };
        let entries = self.listed(section).iter().enumerate();
        entries
            .filter(move |(_, entry)| is_at(&entry.name))
            .map(|(position, _)| position)
    }

    /// Returns the document with these edits. The rest is copied byte for byte, and not parsed again;
    /// duplicates are reduced to the part that counts.
    ///
    /// A malformed section stays as it is.
    pub(crate) fn edited(&self, edits: &Edits) -> Result<Self, NotADocument> {
        if self.parts.has_duplicates {
            return Self::parse(self.without_duplicates())?.edited(edits);
        }
        let mut splice = Splice::of(&self.text, edits.length());
        let mut members = Vec::with_capacity(self.parts.members.len() + Section::ALL.len());
        let mut sections = std::array::from_fn(|_| Entries::Absent);
        for member in &self.parts.members {
            let section = Section::named(&decode_name(&self.text[member.name.clone()]));
            let entries = section.map(|section| &self.parts.sections[section as usize]);
            let edits = section.and_then(|section| edits.of(section));
            let (member, entries) = match (entries, edits) {
                (Some(Entries::Listed(entries)), Some(edits)) => {
                    splice.edit(member, entries, edits)
                }
                _ => splice.keep(member, entries),
            };
            members.push(member);
            if let Some(section) = section {
                sections[section as usize] = entries;
            }
        }
        let last = self.parts.members.last();
        let mut closes = last.is_none().then_some("}");
        splice.go_behind(last);
        for section in Section::ALL {
            if let Some(edits) = edits.of(section)
                && matches!(self.parts.sections[section as usize], Entries::Absent)
            {
                let (member, entries) = splice.add_section(section, edits, members.is_empty());
                members.push(member);
                sections[section as usize] = entries;
                closes = closes.map(|_| "\n}");
            }
        }
        let escaped_keys = self.parts.has_escaped_keys || edits.has_escaped_keys();
        let text = splice.finish(closes);
        let parts = Parts {
            members,
            sections,
            has_duplicates: false,
            has_escaped_keys: escaped_keys,
        };
        Ok(Self { text, parts })
    }

    /// Returns the text with each name once.
    fn without_duplicates(&self) -> Zeroizing<String> {
        let mut out = Writer::with_room_for(self.text.len() + self.text.len() / 4);
        out.push("{");
        for (position, MemberSpan { name, value, .. }) in self.parts.members.iter().enumerate() {
            let name = &self.text[name.clone()];
            out.push(if position == 0 { "\n    " } else { ",\n    " });
            out.push(name);
            out.push(": ");
            match Section::named(&decode_name(name)).map(|section| self.listed(section)) {
                Some(entries) if !entries.is_empty() => self.push_entries(entries, &mut out),
                _ => out.push(&self.text[value.clone()]),
            }
        }
        out.push("\n}");
        out.finish()
    }

    fn push_entries(&self, entries: &[MemberSpan], out: &mut Writer) {
        for (position, entry) in entries.iter().enumerate() {
            out.push(if position == 0 {
                "{\n        "
            } else {
                ",\n        "
            });
            out.push(&self.text[entry.name.clone()]);
            out.push(": ");
            out.push(&self.text[entry.value.clone()]);
        }
        out.push("\n    }");
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        wipe(std::mem::take(&mut *self.text).into_bytes());
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("len", &self.text.len())
            .finish_non_exhaustive()
    }
}
