//! The text of a cache and where its parts stand in it.
//!
//! Only what is asked for is decoded, and what is not edited is written back as it was found, byte
//! for byte: unknown sections, entries and members survive because nobody ever takes them apart.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

#[cfg(test)]
mod tests;

/// The sections of the unified MSAL cache schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    AccessToken,
    RefreshToken,
    IdToken,
    Account,
    AppMetadata,
}

impl Section {
    const ALL: [Self; 5] = [
        Self::AccessToken,
        Self::RefreshToken,
        Self::IdToken,
        Self::Account,
        Self::AppMetadata,
    ];

    /// The name of the top-level member.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "AccessToken",
            Self::RefreshToken => "RefreshToken",
            Self::IdToken => "IdToken",
            Self::Account => "Account",
            Self::AppMetadata => "AppMetadata",
        }
    }
}

/// A member of a JSON object: where its name (with the quotes) and its value stand in the text.
#[derive(Clone)]
struct Member {
    name: Range<usize>,
    value: Range<usize>,
}

/// What became of a section's value.
enum Entries {
    Absent,
    /// Not an object; reads as empty and is never written.
    Malformed,
    Listed(Vec<Member>),
}

/// A parsed cache text.
pub(crate) struct Document {
    text: Zeroizing<String>,
    members: Vec<Member>,
    sections: [Entries; 5],
}

/// Why a text is not a cache.
#[derive(Debug)]
pub(crate) enum NotADocument {
    Syntax { line: usize, column: usize },
    NotAnObject,
    NotUtf8,
}

impl fmt::Display for NotADocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line, column } => write!(f, "not JSON at line {line}, column {column}"),
            Self::NotAnObject => f.write_str("not a JSON object"),
            Self::NotUtf8 => f.write_str("not UTF-8 text"),
        }
    }
}

impl Document {
    /// A cache with nothing in it.
    pub(crate) fn empty() -> Self {
        let sections = std::array::from_fn(|_| Entries::Absent);
        Self {
            text: Zeroizing::new(String::new()),
            members: Vec::new(),
            sections,
        }
    }

    /// Takes a text apart as far as the entries of the known sections. Of duplicate names the
    /// first one's place and the last one's value count, as in Python.
    pub(crate) fn parse(text: Zeroizing<String>) -> Result<Self, NotADocument> {
        let members = object_members(&text, 0..text.len()).map_err(|error| {
            if error.is_data() {
                NotADocument::NotAnObject
            } else {
                NotADocument::Syntax {
                    line: error.line(),
                    column: error.column(),
                }
            }
        })?;
        let sections = Section::ALL.map(|section| {
            match members
                .iter()
                .find(|m| decode_name(&text[m.name.clone()]) == section.name())
            {
                None => Entries::Absent,
                Some(member) => object_members(&text, member.value.clone())
                    .map_or(Entries::Malformed, Entries::Listed),
            }
        });
        Ok(Self {
            text,
            members,
            sections,
        })
    }

    /// The whole text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the section's value is not an object, so that it cannot be added to.
    pub(crate) fn is_malformed(&self, section: Section) -> bool {
        matches!(self.sections[section as usize], Entries::Malformed)
    }

    fn listed(&self, section: Section) -> &[Member] {
        match &self.sections[section as usize] {
            Entries::Listed(entries) => entries,
            Entries::Absent | Entries::Malformed => &[],
        }
    }

    /// The entries of a section, as JSON text, in their order.
    pub(crate) fn entries(&self, section: Section) -> impl ExactSizeIterator<Item = &str> {
        self.listed(section)
            .iter()
            .map(|entry| &self.text[entry.value.clone()])
    }

    /// The entry at this position, as JSON text.
    pub(crate) fn entry(&self, section: Section, position: usize) -> Option<&str> {
        self.listed(section)
            .get(position)
            .map(|entry| &self.text[entry.value.clone()])
    }

    /// The keys under which the entries of a section stand.
    pub(crate) fn keys(&self, section: Section) -> impl Iterator<Item = Cow<'_, str>> {
        self.listed(section)
            .iter()
            .map(|entry| decode_name(&self.text[entry.name.clone()]))
    }

    /// The text with these edits; everything else is copied as it stands.
    pub(crate) fn edited(&self, edits: &Edits) -> Zeroizing<String> {
        let mut out = Writer::with_room_for(self.text.len() + edits.length());
        let mut first = true;
        let mut member = |out: &mut Writer| {
            out.push(if first { "{\n    " } else { ",\n    " });
            first = false;
        };
        let mut written = [false; 5];
        for Member { name, value } in &self.members {
            let name = &self.text[name.clone()];
            member(&mut out);
            out.push(name);
            out.push(": ");
            let section = Section::ALL
                .into_iter()
                .find(|section| decode_name(name) == section.name());
            match section.map(|section| (section, edits.of(section))) {
                Some((section, Some(edits))) => {
                    written[section as usize] = true;
                    self.push_section(section, edits, &mut out);
                }
                _ => out.push(&self.text[value.clone()]),
            }
        }
        for section in Section::ALL
            .into_iter()
            .filter(|section| !written[*section as usize])
        {
            let Some(edits) = edits.of(section) else {
                continue;
            };
            member(&mut out);
            out.push(&encode(section.name()));
            out.push(": ");
            self.push_section(section, edits, &mut out);
        }
        out.push(if first { "{}" } else { "\n}" });
        out.finish()
    }

    fn push_section(&self, section: Section, edits: &SectionEdits, out: &mut Writer) {
        let mut first = true;
        let mut push = |name: &str, value: &str| {
            out.push(if first { "{\n        " } else { ",\n        " });
            first = false;
            out.push(name);
            out.push(": ");
            out.push(value);
        };
        for (position, entry) in self.listed(section).iter().enumerate() {
            let name = &self.text[entry.name.clone()];
            match edits.changed.get(&position) {
                None => push(name, &self.text[entry.value.clone()]),
                Some(Some(value)) => push(name, value),
                Some(None) => {}
            }
        }
        for (key, value) in &edits.added {
            push(&encode(key), value);
        }
        out.push(if first { "{}" } else { "\n    }" });
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("len", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// What to change in a document; positions are those of [`Document::entries`].
#[derive(Default)]
pub(crate) struct Edits([SectionEdits; 5]);

#[derive(Default)]
struct SectionEdits {
    /// `None` removes the entry.
    changed: HashMap<usize, Option<Zeroizing<String>>>,
    added: Vec<(String, Zeroizing<String>)>,
}

impl Edits {
    /// Puts another value under the key at which the entry was found.
    pub(crate) fn replace(&mut self, section: Section, position: usize, value: Zeroizing<String>) {
        self.0[section as usize]
            .changed
            .insert(position, Some(value));
    }

    /// Takes the entry out.
    pub(crate) fn remove(&mut self, section: Section, position: usize) {
        self.0[section as usize].changed.insert(position, None);
    }

    /// Whether the entry is taken out.
    pub(crate) fn removes(&self, section: Section, position: usize) -> bool {
        matches!(self.0[section as usize].changed.get(&position), Some(None))
    }

    /// Adds an entry behind the others.
    pub(crate) fn add(&mut self, section: Section, key: String, value: Zeroizing<String>) {
        self.0[section as usize].added.push((key, value));
    }

    /// The sections that these edits need.
    pub(crate) fn sections(&self) -> impl Iterator<Item = Section> {
        Section::ALL
            .into_iter()
            .filter(|section| self.of(*section).is_some())
    }

    fn of(&self, section: Section) -> Option<&SectionEdits> {
        let edits = &self.0[section as usize];
        (!edits.changed.is_empty() || !edits.added.is_empty()).then_some(edits)
    }

    /// About what the edits add to a text.
    fn length(&self) -> usize {
        let of_section = |edits: &SectionEdits| {
            let added = edits
                .added
                .iter()
                .map(|(key, value)| key.len() + value.len() + 32);
            let changed = edits
                .changed
                .values()
                .flatten()
                .map(|value| value.len() + 32);
            64 + added.chain(changed).sum::<usize>()
        };
        self.0.iter().map(of_section).sum()
    }
}

/// A text under construction that leaves no copy behind when it grows.
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

    /// What was written so far.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    pub(crate) fn finish(self) -> Zeroizing<String> {
        self.0
    }
}

/// Decodes a JSON string. `None` for what is not one, or has no meaning as text: a lone surrogate.
pub(crate) fn decode(json: &str) -> Option<Cow<'_, str>> {
    match json.strip_prefix('"')?.strip_suffix('"')? {
        plain if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str(json).ok().map(Cow::Owned),
    }
}

/// Decodes the name of a member; one that has no meaning as text stands for itself.
pub(crate) fn decode_name(json: &str) -> Cow<'_, str> {
    decode(json).unwrap_or(Cow::Borrowed(json))
}

/// Encodes a text as a JSON string.
#[expect(
    clippy::expect_used,
    reason = "writing text into memory has no way to fail"
)]
pub(crate) fn encode(text: &str) -> Zeroizing<String> {
    // No byte takes more than six when escaped, so the text never moves while it grows.
    let mut json = Vec::with_capacity(6 * text.len() + 2);
    serde_json::to_writer(&mut json, text).expect("a text can be written into memory");
    Zeroizing::new(String::from_utf8(json).expect("JSON is UTF-8"))
}

/// The members of the object that stands at `range`, with their places in `text`.
fn object_members(text: &str, range: Range<usize>) -> serde_json::Result<Vec<Member>> {
    struct Members<'t> {
        text: &'t str,
    }

    impl<'t> Visitor<'t> for Members<'t> {
        type Value = Vec<Member>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let place = |raw: &RawValue| {
                let start = raw.get().as_ptr() as usize - self.text.as_ptr() as usize;
                start..start + raw.get().len()
            };
            let mut members: Vec<Member> = Vec::new();
            let mut places: HashMap<Cow<'t, str>, usize> = HashMap::new();
            while let Some((name, value)) = map.next_entry::<&'t RawValue, &'t RawValue>()? {
                let member = Member {
                    name: place(name),
                    value: place(value),
                };
                match places.entry(decode_name(name.get())) {
                    std::collections::hash_map::Entry::Occupied(first) => {
                        members[*first.get()].value = member.value;
                    }
                    std::collections::hash_map::Entry::Vacant(place) => {
                        place.insert(members.len());
                        members.push(member);
                    }
                }
            }
            Ok(members)
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(&text[range]);
    let members = deserializer.deserialize_map(Members { text })?;
    deserializer.end()?;
    Ok(members)
}
