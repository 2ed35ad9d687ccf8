//! Edits of single entries. An entry is matched by its members, never by its key.

use crate::document::{Document, Edits, Entry, Section, new_entry};

/// Returns the readable entries of an account in a section, with their positions.
pub(super) fn parsed<'d, E: 'd>(
    document: &'d Document,
    section: Section,
    home_account_id: &'d str,
    parse: impl Fn(&'d str) -> Option<E> + 'd,
) -> impl Iterator<Item = (usize, E)> {
    let entries = document.entries_of(section, home_account_id);
    entries.filter_map(move |(position, json)| Some((position, parse(json)?)))
}

/// Members with their new texts; `None` takes a member out.
pub(super) type MemberTexts<'a> = [(&'a str, Option<&'a str>)];

/// Sets members of the entry that was found, or adds one under its key.
pub(super) fn change_or_add(
    document: &Document,
    section: Section,
    ours: Option<(usize, Entry<'_>)>,
    key: String,
    members: &MemberTexts<'_>,
    edits: &mut Edits,
) {
    match ours {
        Some((position, entry)) => change(section, position, &entry, members, edits),
        None => add(document, section, key, members, edits),
    }
}

/// The identifiers of an entry. An entry that was found has the same ones, perhaps spelled in another
/// way.
const IDENTIFIERS: [&str; 4] = ["home_account_id", "environment", "client_id", "realm"];

/// Sets members of an entry that was found. Its identifiers keep their spelling.
pub(super) fn change(
    section: Section,
    position: usize,
    entry: &Entry<'_>,
    members: &MemberTexts<'_>,
    edits: &mut Edits,
) {
    let members = members.iter().copied();
    let members: Vec<_> = members
        .filter(|(name, _)| !IDENTIFIERS.contains(name))
        .collect();
    if let Some(entry) = entry.with(&members) {
        edits.replace(section, position, entry);
    }
}

/// Adds an entry under its key, or under a longer one if the key is taken by an entry with other
/// identifiers: nothing of others is overwritten.
pub(super) fn add(
    document: &Document,
    section: Section,
    mut key: String,
    members: &MemberTexts<'_>,
    edits: &mut Edits,
) {
    let is_taken = |edits: &Edits, key: &str| {
        let mut taken = document.positions_at(section, key);
        taken.any(|position| !edits.removes(section, position))
    };
    while is_taken(edits, &key) {
        key.push('-');
    }
    edits.add(section, key, new_entry(members));
}
