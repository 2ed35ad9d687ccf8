//! Finds the parts of a JSON text, in one pass that decodes nothing.
//!
//! Accepts the same texts as `serde_json` for a raw value; a property test compares the two. Nesting
//! is bounded by memory, not by the stack.
#![expect(
    clippy::inline_always,
    reason = "what is called for each name and value keeps its place in a register; a tenth is gained"
)]

use std::borrow::Cow;

use super::member_list::{Flags, MemberList};
use super::parts::{Entries, Known, MemberSpan, NameSpan, Parts};
use super::plain_bytes::plain_length;
use super::section::Section;
use super::text::{Json, decode_name};

/// Returns the parts of a text; `None` if it is not a JSON object.
pub(super) fn parts_of(text: &str) -> Option<Parts> {
    let mut scanner = Scanner::of(text);
    let mut sections = std::array::from_fn(|_| Entries::Absent);
    let mut of_entries = Flags::default();
    let mut members = MemberList::new();
    scanner.blanks();
    scanner.object(|scanner, name| {
        let section = Section::named(&name_text(&name, text));
        let start = scanner.at;
        match section {
            Some(section) if scanner.peek() == Some(b'{') => {
                // Of two sections of one name the last one counts.
                let entries = scanner.entries(text, &mut of_entries)?;
                sections[section as usize] = Entries::Listed(entries);
            }
            Some(section) => {
                scanner.value()?;
                sections[section as usize] = Entries::Malformed;
            }
            None => scanner.value()?,
        }
        members.push(text, name, start..scanner.at, Known::default());
        Some(())
    })?;
    scanner.blanks();
    if scanner.at < text.len() {
        return None;
    }
    let (members, of_members) = members.finish(text);
    Some(Parts {
        members,
        sections,
        has_duplicates: of_members.has_duplicates || of_entries.has_duplicates,
        has_escaped_keys: of_entries.has_escaped_keys,
    })
}

/// Returns the places of the members of an entry that look-ups compare.
pub(super) fn known(entry: &str) -> Known {
    let mut scanner = Scanner::of(entry);
    scanner.entry().unwrap_or_default()
}

/// Calls `see` with the name and the value of each member. Returns `None` if the text is not an
/// object.
pub(crate) fn each_member<'t>(
    text: &'t str,
    mut see: impl FnMut(Json<'t>, Json<'t>),
) -> Option<()> {
    let mut scanner = Scanner::of(text);
    scanner.blanks();
    scanner.object(|scanner, name| {
        let start = scanner.at;
        let is_plain = if scanner.peek() == Some(b'"') {
            !scanner.string()?
        } else {
            scanner.value()?;
            false
        };
        let name = Json {
            text: &text[name.range],
            is_plain: !name.is_escaped,
        };
        let value = Json {
            text: &text[start..scanner.at],
            is_plain,
        };
        see(name, value);
        Some(())
    })?;
    scanner.blanks();
    (scanner.at == text.len()).then_some(())
}

fn name_text<'t>(name: &NameSpan, text: &'t str) -> Cow<'t, str> {
    let json = &text[name.range.clone()];
    if name.is_escaped {
        decode_name(json)
    } else {
        json[1..json.len() - 1].into()
    }
}

/// The text between two members of an entry as the Python packages write it, up to the next one's
/// first quote. One comparison is faster than one for each blank.
const NEXT_IN_ENTRY: &[u8] = b",\n            \"";

struct Scanner<'t> {
    bytes: &'t [u8],
    at: usize,
    /// The open brackets around the skipped value.
    open: Vec<u8>,
}

impl<'t> Scanner<'t> {
    fn of(text: &'t str) -> Self {
        Self {
            bytes: text.as_bytes(),
            at: 0,
            open: Vec::new(),
        }
    }

    fn rest(&self) -> &'t [u8] {
        &self.bytes[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                _ => return,
            }
            // An indented text has many in a row.
            while let Some(chunk) = self.bytes[self.at..].first_chunk::<8>() {
                let others = u64::from_le_bytes(*chunk) ^ u64::from_le_bytes(*b"        ");
                self.at += others.trailing_zeros() as usize / 8;
                if others != 0 {
                    break;
                }
            }
        }
    }

    /// Reads an object, each of whose values `value` reads from its first byte on.
    fn object(&mut self, mut value: impl FnMut(&mut Self, NameSpan) -> Option<()>) -> Option<()> {
        self.takes(b'{')?;
        self.blanks();
        if self.takes(b'}').is_some() {
            return Some(());
        }
        loop {
            let name = self.name()?;
            value(self, name)?;
            if self.rest().starts_with(NEXT_IN_ENTRY) {
                self.at += NEXT_IN_ENTRY.len() - 1;
                continue;
            }
            self.blanks();
            if self.takes(b'}').is_some() {
                return Some(());
            }
            self.takes(b',')?;
            self.blanks();
        }
    }

    /// Reads a name, up to the first byte of its value.
    #[inline(always)]
    fn name(&mut self) -> Option<NameSpan> {
        let start = self.at;
        let is_escaped = self.string()?;
        let range = start..self.at;
        if self.rest().starts_with(b": \"") {
            self.at += 2;
        } else {
            self.blanks();
            self.takes(b':')?;
            self.blanks();
        }
        Some(NameSpan { range, is_escaped })
    }

    fn entries(&mut self, text: &str, flags: &mut Flags) -> Option<Vec<MemberSpan>> {
        let mut members = MemberList::new();
        self.object(|scanner, name| {
            let start = scanner.at;
            let known = if scanner.peek() == Some(b'{') {
                scanner.entry()?
            } else {
                scanner.value()?;
                Known::default()
            };
            members.push(text, name, start..scanner.at, known);
            Some(())
        })?;
        let (entries, own) = members.finish(text);
        flags.has_duplicates |= own.has_duplicates;
        flags.has_escaped_keys |= own.has_escaped_keys;
        Some(entries)
    }

    /// Reads an entry. Returns the places of the members that look-ups compare.
    fn entry(&mut self) -> Option<Known> {
        let mut known = Known::default();
        let mut is_sure = true;
        self.object(|scanner, name| {
            // An escaped name may be another spelling of one of these.
            is_sure &= !name.is_escaped;
            let place = match &scanner.bytes[name.range] {
                br#""home_account_id""# => &mut known.owner,
                br#""target""# => &mut known.target,
                _ => return scanner.value(),
            };
            *place = 0..0;
            let start = scanner.at;
            if scanner.peek() != Some(b'"') {
                return scanner.value();
            }
            let is_escaped = scanner.string()?;
            if !is_escaped && scanner.at > start + 2 {
                *place = start + 1..scanner.at - 1;
            }
            Some(())
        })?;
        Some(if is_sure { known } else { Known::default() })
    }

    /// Reads any value, from its first byte to behind its last.
    #[inline(always)]
    fn value(&mut self) -> Option<()> {
        if self.peek() == Some(b'"') {
            self.string().map(|_| ())
        } else {
            self.other_value()
        }
    }

    /// Reads a value that is mostly no string.
    fn other_value(&mut self) -> Option<()> {
        self.open.clear();
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' => {
                    self.at += 1;
                    self.blanks();
                    if self.takes(b'}').is_none() {
                        self.open.push(b'{');
                        self.name()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    self.blanks();
                    if self.takes(b']').is_none() {
                        self.open.push(b'[');
                        continue;
                    }
                }
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => self.number()?,
            }
            if !self.goes_on()? {
                return Some(());
            }
        }
    }

    /// Goes from behind a value to the next one within the open brackets. Returns `false` if there is
    /// no next one.
    fn goes_on(&mut self) -> Option<bool> {
        while let Some(&bracket) = self.open.last() {
            self.blanks();
            let next = self.peek()?;
            self.at += 1;
            match (bracket, next) {
                (b'{', b'}') | (b'[', b']') => {
                    self.open.pop();
                }
                (_, b',') => {
                    self.blanks();
                    if bracket == b'{' {
                        self.name()?;
                    }
                    return Some(true);
                }
                _ => return None,
            }
        }
        Some(false)
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..]
            .starts_with(word)
            .then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.takes(b'-');
        if self.takes(b'0').is_none() {
            self.digits()?;
        }
        if self.takes(b'.').is_some() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let rest = &self.bytes[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }

    /// Reads a string with its quotes. Returns `true` if it has an escape.
    #[inline(always)]
    fn string(&mut self) -> Option<bool> {
        self.takes(b'"')?;
        self.at += plain_length(self.rest());
        if self.takes(b'"').is_some() {
            return Some(false);
        }
        self.escaped()
    }

    /// Reads a string, from its first escape to behind its last byte.
    #[cold]
    fn escaped(&mut self) -> Option<bool> {
        loop {
            self.takes(b'\\')?;
            match self.peek()? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                b'u' => {
                    let digits = self.bytes.get(self.at + 1..self.at + 5)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return None;
                    }
                    self.at += 5;
                }
                _ => return None,
            }
            self.at += plain_length(self.rest());
            if self.takes(b'"').is_some() {
                return Some(true);
            }
        }
    }
}
