//! Finds where the parts of a JSON text stand, in one pass that decodes nothing.
//!
//! Accepts what `serde_json` accepts as a raw value, and nothing else; a property test holds the
//! two against each other. Nesting is bounded by memory, not by the stack.
#![expect(
    clippy::inline_always,
    reason = "what is called for each name and value keeps its place in a register; a tenth is gained"
)]

use std::borrow::Cow;
use std::ops::Range;

use super::{Entries, Known, Member, Section, decode, decode_name};

/// Where the parts of a cache stand.
pub(super) struct Places {
    pub(super) members: Vec<Member>,
    pub(super) sections: [Entries; 5],
    /// Whether there are two members or entries of one name; then their order is not that of the
    /// text.
    pub(super) has_duplicates: bool,
    /// Whether an entry's key is written with escapes.
    pub(super) has_escaped_keys: bool,
}

/// The parts of a text; `None` if it is not a JSON object.
pub(super) fn places(text: &str) -> Option<Places> {
    let mut scanner = Scanner::of(text);
    let mut sections = std::array::from_fn(|_| Entries::Absent);
    let mut of_entries = Flags::default();
    let mut members = Members::new();
    scanner.blanks();
    scanner.object(|scanner, name| {
        let section = Section::named(&name.text(text));
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
    Some(Places {
        members,
        sections,
        has_duplicates: of_members.has_duplicates || of_entries.has_duplicates,
        has_escaped_keys: of_entries.has_escaped_keys,
    })
}

/// Where the members of an entry stand that look-ups go by.
pub(super) fn known(entry: &str) -> Known {
    let mut scanner = Scanner::of(entry);
    scanner.entry().unwrap_or_default()
}

/// A name or a value of a member.
#[derive(Clone, Copy)]
pub(crate) struct Json<'t> {
    /// As it stands in the text; a string with its quotes.
    pub(crate) text: &'t str,
    /// Whether it is a string without an escape in it.
    is_plain: bool,
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

    /// Whether this name is that text; one that has no meaning as text stands for itself.
    #[inline]
    pub(crate) fn is_name(self, name: &str) -> bool {
        if self.is_plain {
            // Without a copy, and mostly told by the length.
            let json = self.text.as_bytes();
            json.len() == name.len() + 2 && &json[1..json.len() - 1] == name.as_bytes()
        } else {
            decode_name(self.text) == name
        }
    }
}

/// Shows the name and the value of each member of an object; `None` if the text is not one.
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

/// Whether a text stands for itself in a JSON string.
pub(super) fn is_plain(text: &str) -> bool {
    plain_length(text.as_bytes()) == text.len()
}

/// What the Python packages put between the members of an entry, up to the next one's first quote:
/// to know it at a glance is faster than to look at each blank.
const NEXT_IN_ENTRY: &[u8] = b",\n            \"";

struct Scanner<'t> {
    bytes: &'t [u8],
    at: usize,
    /// The brackets that are open around what is skipped.
    open: Vec<u8>,
}

/// The name of a member, with the quotes.
struct Name {
    range: Range<usize>,
    is_escaped: bool,
}

impl Name {
    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let json = &text[self.range.clone()];
        if self.is_escaped {
            decode_name(json)
        } else {
            json[1..json.len() - 1].into()
        }
    }
}

#[derive(Default)]
struct Flags {
    has_duplicates: bool,
    has_escaped_keys: bool,
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

    /// An object whose values `value` reads, each from its first byte on.
    fn object(&mut self, mut value: impl FnMut(&mut Self, Name) -> Option<()>) -> Option<()> {
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

    /// A name and all that stands between it and its value.
    #[inline(always)]
    fn name(&mut self) -> Option<Name> {
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
        Some(Name { range, is_escaped })
    }

    fn entries(&mut self, text: &str, flags: &mut Flags) -> Option<Vec<Member>> {
        let mut members = Members::new();
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

    /// An entry, and where the members stand in it that look-ups go by.
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

    /// Any value, from its first byte to behind its last.
    #[inline(always)]
    fn value(&mut self) -> Option<()> {
        if self.peek() == Some(b'"') {
            self.string().map(|_| ())
        } else {
            self.other_value()
        }
    }

    /// The same, for what is mostly no string.
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

    /// Behind a value: goes to the next one within the open brackets, if there is one.
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

    /// A string with its quotes, and whether there is an escape in it.
    #[inline(always)]
    fn string(&mut self) -> Option<bool> {
        self.takes(b'"')?;
        self.at += plain_length(self.rest());
        if self.takes(b'"').is_some() {
            return Some(false);
        }
        self.escaped()
    }

    /// A string, from its first escape to behind its last byte.
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

/// How far it is to the next byte that means something in a string, or may not stand there.
#[inline]
fn plain_length(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((chunk, behind)) = rest.split_first_chunk::<16>() {
        if has_special(chunk) {
            return bytes.len() - rest.len() + first_special(chunk);
        }
        rest = behind;
        // Most strings are short; the others are tokens of a kilobyte or two.
        if bytes.len() - rest.len() == 96 {
            while let Some((chunk, behind)) = rest.split_first_chunk::<64>()
                && !has_special(chunk)
            {
                rest = behind;
            }
        }
    }
    let plain = rest.iter().take_while(|byte| !is_special(**byte)).count();
    bytes.len() - rest.len() + plain
}

/// Quote, backslash or control character.
fn is_special(byte: u8) -> bool {
    // So that the quote follows the control characters.
    byte ^ 2 <= b'"' ^ 2 || byte == b'\\'
}

/// Without a way out in the middle: so it is done in large steps.
fn has_special<const N: usize>(chunk: &[u8; N]) -> bool {
    let special = chunk.iter().map(|byte| is_special(*byte));
    special.fold(false, |found, is_special| found | is_special)
}

/// Where the first special byte stands, of which there is one.
fn first_special(chunk: &[u8; 16]) -> usize {
    const ONES: u128 = u128::MAX / 255;
    let repeated = |byte: u8| ONES * u128::from(byte);
    // Marks bytes in their highest bit. Exact for the first one: only behind it is there a carry.
    let below = |word: u128, limit: u8| word.wrapping_sub(repeated(limit)) & !word;
    let word = u128::from_le_bytes(*chunk);
    let special = below(word ^ repeated(2), (b'"' ^ 2) + 1) | below(word ^ repeated(b'\\'), 1);
    (special & repeated(0x80)).trailing_zeros() as usize / 8
}

/// The members of an object, as they come.
struct Members {
    found: Vec<Member>,
    /// Of their names, as they are written.
    hashes: Vec<u64>,
    has_escapes: bool,
}

impl Members {
    fn new() -> Self {
        // More than most objects have.
        const ROOM: usize = 16;
        Self {
            found: Vec::with_capacity(ROOM),
            hashes: Vec::with_capacity(ROOM),
            has_escapes: false,
        }
    }

    fn push(&mut self, text: &str, name: Name, value: Range<usize>, known: Known) {
        self.hashes.push(hash(text[name.range.clone()].as_bytes()));
        self.has_escapes |= name.is_escaped;
        self.found.push(Member {
            name: name.range,
            value,
            known,
        });
    }

    /// Each name once: of duplicates the first one's place and the last one's value.
    fn finish(mut self, text: &str) -> (Vec<Member>, Flags) {
        self.hashes.sort_unstable();
        let mut flags = Flags {
            has_duplicates: false,
            has_escaped_keys: self.has_escapes,
        };
        // Names that are written the same have the same hash; those with escapes may be the same
        // although they are written in another way.
        if !self.has_escapes && self.hashes.windows(2).all(|pair| pair[0] != pair[1]) {
            return (self.found, flags);
        }
        let mut places = std::collections::HashMap::new();
        let mut unique: Vec<Member> = Vec::with_capacity(self.found.len());
        for member in self.found {
            match places.entry(decode_name(&text[member.name.clone()])) {
                std::collections::hash_map::Entry::Occupied(first) => {
                    let first: &mut Member = &mut unique[*first.get()];
                    (first.value, first.known) = (member.value, member.known);
                    flags.has_duplicates = true;
                }
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(unique.len());
                    unique.push(member);
                }
            }
        }
        (unique, flags)
    }
}

/// Tells names apart that differ, mostly; where it does not, they are compared.
pub(crate) fn hash(name: &[u8]) -> u64 {
    // The words of the fraction of the golden ratio.
    const SALT: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xF39C_C060_5CED_C834];
    #[expect(clippy::cast_possible_truncation, reason = "both halves are meant")]
    let mix = |hash: u64, chunk: &[u8; 16]| {
        let word = u128::from_le_bytes(*chunk);
        let (low, high) = (word as u64, (word >> 64) as u64);
        let product = u128::from(low ^ SALT[0] ^ hash) * u128::from(high ^ SALT[1]);
        product as u64 ^ (product >> 64) as u64
    };
    let (chunks, rest) = name.as_chunks::<16>();
    let hash = chunks.iter().fold(name.len() as u64, mix);
    match name.last_chunk::<16>() {
        _ if rest.is_empty() => hash,
        // Some of it for the second time.
        Some(end) => mix(hash, end),
        None => {
            let mut padded = [0; 16];
            padded[..rest.len()].copy_from_slice(rest);
            mix(hash, &padded)
        }
    }
}
