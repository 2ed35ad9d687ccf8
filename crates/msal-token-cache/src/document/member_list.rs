//! The members of an object, each name once.

use std::ops::Range;

use super::hash::hash;
use super::parts::{Known, MemberSpan, NameSpan};
use super::text::decode_name;

/// The members of an object, in their order.
pub(super) struct MemberList {
    found: Vec<MemberSpan>,
    /// The hashes of their names, escapes included.
    hashes: Vec<u64>,
    has_escapes: bool,
}

impl MemberList {
    pub(super) fn new() -> Self {
        // More than most objects have.
        const ROOM: usize = 16;
        Self {
            found: Vec::with_capacity(ROOM),
            hashes: Vec::with_capacity(ROOM),
            has_escapes: false,
        }
    }

    pub(super) fn push(&mut self, text: &str, name: NameSpan, value: Range<usize>, known: Known) {
        self.hashes.push(hash(text[name.range.clone()].as_bytes()));
        self.has_escapes |= name.is_escaped;
        self.found.push(MemberSpan {
            name: name.range,
            value,
            known,
        });
    }

    /// Returns each name once: of duplicates the first one's place and the last one's value.
    pub(super) fn finish(mut self, text: &str) -> (Vec<MemberSpan>, Flags) {
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
        let mut unique: Vec<MemberSpan> = Vec::with_capacity(self.found.len());
        for member in self.found {
            match places.entry(decode_name(&text[member.name.clone()])) {
                std::collections::hash_map::Entry::Occupied(first) => {
                    let first: &mut MemberSpan = &mut unique[*first.get()];
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
