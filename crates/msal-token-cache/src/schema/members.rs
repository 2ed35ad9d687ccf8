use std::borrow::Cow;
use std::time::SystemTime;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use token_credential::Secret;
use zeroize::Zeroizing;

use super::time::{parse_number, parse_seconds};
use crate::document::{Writer, decode, decode_name, encode};

/// The members of one entry, in their order.
pub(crate) struct Members<'s>(Vec<Member<'s>>);

struct Member<'s> {
    name: Cow<'s, str>,
    /// The name as it stands in the text, with the quotes.
    name_json: &'s str,
    /// The value, still JSON text.
    json: &'s str,
}

impl<'s> Members<'s> {
    /// `None` if the text is not an object.
    pub(crate) fn parse(json: &'s str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The value of a member; of duplicates the last one counts.
    fn json(&self, name: &str) -> Option<&'s str> {
        self.0
            .iter()
            .rev()
            .find(|member| member.name == name)
            .map(|member| member.json)
    }

    /// The text of a member that is a string.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'s, str>> {
        decode(self.json(name)?)
    }

    /// The text of a member that is a string and not empty.
    pub(crate) fn non_empty(&self, name: &str) -> Option<Cow<'s, str>> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// Whether a member is this text.
    pub(crate) fn is(&self, name: &str, text: &str) -> bool {
        self.text(name).is_some_and(|known| known == text)
    }

    /// A member that is a secret.
    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        match self.non_empty(name)? {
            Cow::Borrowed(text) => Some(Secret::new(text)),
            Cow::Owned(text) => Some(Secret::new(text)),
        }
    }

    /// A time, in seconds since the epoch, as a string or a number.
    pub(crate) fn time(&self, name: &str) -> Option<SystemTime> {
        match self.text(name) {
            Some(text) => parse_seconds(&text),
            None => parse_number(self.json(name)?),
        }
    }

    /// The entry with these members set to a text, or taken out; the others as they are. `None` if
    /// that is what it is already.
    pub(crate) fn with(&self, changes: &[(&str, Option<&str>)]) -> Option<Zeroizing<String>> {
        let is_so = |(name, text): &(&str, Option<&str>)| match text {
            Some(text) => self.text(name).is_some_and(|known| known == *text),
            None => !self.has(name),
        };
        if changes.iter().all(is_so) {
            return None;
        }
        let mut entry = EntryWriter::new();
        for (position, member) in self.0.iter().enumerate() {
            let name = &member.name;
            if self.0[position + 1..]
                .iter()
                .any(|later| later.name == *name)
            {
                continue;
            }
            match changes.iter().find(|(changed, _)| changed == name) {
                Some((_, Some(text))) => entry.json(member.name_json, &encode(text)),
                Some((_, None)) => {}
                None => entry.json(member.name_json, member.json),
            }
        }
        for (name, text) in changes.iter().filter(|(name, _)| !self.has(name)) {
            if let Some(text) = text {
                entry.text(name, text);
            }
        }
        Some(entry.finish())
    }

    /// Whether there is a member of this name, whatever its value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.json(name).is_some()
    }

    /// Whether there is a member of this name that is neither null nor an empty string.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.json(name)
            .is_some_and(|json| json != "null" && json != "\"\"")
    }
}

/// A new entry with these members, those that have a text.
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

    fn json(&mut self, name_json: &str, json: &str) {
        self.0.push(if self.0.text().len() == 1 {
            "\n            "
        } else {
            ",\n            "
        });
        self.0.push(name_json);
        self.0.push(": ");
        self.0.push(json);
    }

    fn text(&mut self, name: &str, text: &str) {
        self.json(&encode(name), &encode(text));
    }

    fn finish(mut self) -> Zeroizing<String> {
        self.0.push("\n        }");
        self.0.finish()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(12);
                while let Some((name, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
                    members.push(Member {
                        name: decode_name(name.get()),
                        name_json: name.get(),
                        json: value.get(),
                    });
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
