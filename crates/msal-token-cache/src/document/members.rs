//! The members of an object, each name once.

use std::ops::Range;

use super::scan::Name;
use super::{Known, Member, decode_name};

/// The members of an object, as they come.
pub(super) struct Members {
    found: Vec<Member>,
    /// Of their names, as they are written.
    hashes: Vec<u64>,
    has_escapes: bool,
}

impl Members {
    pub(super) fn new() -> Self {
        // More than most objects have.
        const ROOM: usize = 16;
        Self {
            found: Vec::with_capacity(ROOM),
            hashes: Vec::with_capacity(ROOM),
            has_escapes: false,
        }
    }

    pub(super) fn push(&mut self, text: &str, name: Name, value: Range<usize>, known: Known) {
        self.hashes.push(hash(text[name.range.clone()].as_bytes()));
        self.has_escapes |= name.is_escaped;
        self.found.push(Member {
            name: name.range,
            value,
            known,
        });
    }

    /// Each name once: of duplicates the first one's place and the last one's value.
    pub(super) fn finish(mut self, text: &str) -> (Vec<Member>, Flags) {
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

#[derive(Default)]
pub(super) struct Flags {
    pub(super) has_duplicates: bool,
    pub(super) has_escaped_keys: bool,
}

/// Tells names apart that differ, mostly; where it does not, they are compared.
pub(crate) fn hash(name: &[u8]) -> u64 {
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

/// The first words of the fraction of the golden ratio.
const SALT: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xF39C_C060_5CED_C834];

#[expect(clippy::cast_possible_truncation, reason = "both halves are meant")]
fn mix(hash: u64, chunk: &[u8; 16]) -> u64 {
    let word = u128::from_le_bytes(*chunk);
    let (low, high) = (word as u64, (word >> 64) as u64);
    let product = u128::from(low ^ SALT[0] ^ hash) * u128::from(high ^ SALT[1]);
    product as u64 ^ (product >> 64) as u64
}

/// Two texts of 32 bytes with this at each end that have the same hash: what is multiplied by
/// nothing does not count.
#[cfg(test)]
pub(crate) fn twins(end: &str) -> [String; 2] {
    let room = 16 - end.len();
    let is_name = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_alphanumeric);
    let begin = (0..).find_map(|number: u32| {
        let begin = format!("{end}{number:0room$}");
        let chunk = begin.as_bytes().first_chunk().expect("16 bytes");
        let nothing = (mix(32, chunk) ^ SALT[0]).to_le_bytes();
        let nothing = std::str::from_utf8(&nothing).ok()?;
        is_name(nothing.as_bytes()).then(|| begin + nothing)
    });
    let begin = begin.expect("such a number");
    let twins = ["one", "two"].map(|text| format!("{begin}{text:x>0$}{end}", 8 - end.len()));
    assert_eq!(hash(twins[0].as_bytes()), hash(twins[1].as_bytes()));
    twins
}
