//! One entry of a section, member by member.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::scan::each_member;
use super::text::Json;
use super::writer::Writer;

/// The members of one entry, in their order.
pub(crate) struct Entry<'s>(Vec<Member<'s>>);

struct Member<'s> {
    name: Json<'s>,
    value: Json<'s>,
}

impl<'s> Entry<'s> {
    /// Parses an entry. Returns `None` if the text is not an object.
    pub(crate) fn parse(json: &'s str) -> Option<Self> {
        let mut members = Vec::with_capacity(16);
        each_member(json, |name, value| {
            members.push(Member { name, value });
        })?;
        Some(Self(members))
    }

    /// Returns the value of a member; of duplicates, that of the last one.
    fn value(&self, name: &str) -> Option<Json<'s>> {
        self.0
            .iter()
            .rev()
            .find(|member| member.name.is_name(name))
            .map(|member| member.value)
    }

    /// Returns the text of a member that is a string.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'s, str>> {
        self.value(name)?.decoded()
    }

    /// Returns the text of a member that is a string and not empty.
    pub(crate) fn non_empty(&self, name: &str) -> Option<Cow<'s, str>> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// Returns `true` if a member is this text.
    pub(crate) fn is(&self, name: &str, text: &str) -> bool {
        self.text(name).is_some_and(|known| known == text)
    }

    /// Returns the value of a member, as JSON text.
    pub(crate) fn json(&self, name: &str) -> Option<&'s str> {
        self.value(name).map(|value| value.text)
    }

    /// Returns the entry with these members set to a text, or removed. Returns `None` if that changes
    /// nothing.
    pub(crate) fn with(&self, changes: &[(&str, Option<&str>)]) -> Option<Zeroizing<String>> {
        self.with_rest(changes, &[])
    }

    /// Returns the same with those members of other entries that it does not have itself.
    pub(crate) fn with_rest(
        &self,
        changes: &[(&str, Option<&str>)],
        others: &[&Self],
    ) -> Option<Zeroizing<String>> {
        let mut rest: Vec<(Cow<'_, str>, &Member<'_>)> = Vec::new();
        for member in others.iter().flat_map(|other| other.0.iter().rev()) {
            let name = member.name.name();
            let is_changed = changes.iter().any(|(changed, _)| *changed == name);
            if !is_changed && !self.has(&name) && !rest.iter().any(|(known, _)| *known == name) {
                rest.push((name, member));
            }
        }
        let is_so = |(name, text): &(&str, Option<&str>)| match text {
            Some(text) => self.text(name).is_some_and(|known| known == *text),
            None => !self.has(name),
        };
        if rest.is_empty() && changes.iter().all(is_so) {
            return None;
        }
        let mut entry = EntryWriter::new();
        for (position, member) in self.0.iter().enumerate() {
            let name = member.name.name();
            let mut later = self.0[position + 1..].iter();
            if later.any(|later| later.name.is_name(&name)) {
                continue;
            }
            match changes.iter().find(|(changed, _)| *changed == name) {
                Some((_, Some(text))) => entry.name(member.name.text).push_string(text),
                Some((_, None)) => {}
                None => entry.name(member.name.text).push(member.value.text),
            }
        }
        for (name, text) in changes.iter().filter(|(name, _)| !self.has(name)) {
            if let Some(text) = text {
                entry.text(name, text);
            }
        }
        for (_, member) in rest {
            entry.name(member.name.text).push(member.value.text);
        }
        Some(entry.finish())
    }

    /// Returns `true` if there is a member of this name, with any value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Returns `true` if a member of this name is neither null nor empty.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some_and(says_something)
    }

    /// Returns `true` if a set member meets this condition on its name and on its being an object or a
    /// list.
    pub(crate) fn any_set(&self, meets: impl Fn(&str, bool) -> bool) -> bool {
        self.0.iter().enumerate().any(|(position, member)| {
            let is_compound = member.value.text.starts_with(['{', '[']);
            says_something(member.value) && {
                let name = member.name.name();
                let mut later = self.0[position + 1..].iter();
                meets(&name, is_compound) && !later.any(|later| later.name.is_name(&name))
            }
        })
    }
}

/// Returns `true` if a value is neither null nor an empty string, object or list.
fn says_something(json: Json<'_>) -> bool {
    let text = json.text;
    match text.as_bytes() {
        [b'{' | b'[', inner @ .., _] => !inner.iter().all(u8::is_ascii_whitespace),
        _ => text != "null" && text != "\"\"",
    }
}

/// Returns a new entry with those of these members that have a text.
pub(crate) fn new_entry(members: &[(&str, Option<&str>)]) -> Zeroizing<String> {
    let mut entry = EntryWriter::new();
    for (name, text) in members {
        if let Some(text) = text {
            entry.text(name, text);
        }
    }
    entry.finish()
}

/// An entry under construction, laid out as the Python packages do.
struct EntryWriter(Writer);

impl EntryWriter {
    fn new() -> Self {
        let mut out = Writer::with_room_for(4096);
        out.push("{");
        Self(out)
    }

    /// Begins a member, whose name is JSON text already. The caller writes the value.
    fn name(&mut self, name_json: &str) -> &mut Writer {
        self.next().push(name_json);
        self.0.push(": ");
        &mut self.0
    }

    fn text(&mut self, name: &str, text: &str) {
        self.next().push_string(name);
        self.0.push(": ");
        self.0.push_string(text);
    }

    /// Goes to the place of the next member.
    fn next(&mut self) -> &mut Writer {
        self.0.push(if self.0.text().len() == 1 {
            "\n            "
        } else {
            ",\n            "
        });
        &mut self.0
    }

    fn finish(mut self) -> Zeroizing<String> {
        self.0.push("\n        }");
        self.0.finish()
    }
}
