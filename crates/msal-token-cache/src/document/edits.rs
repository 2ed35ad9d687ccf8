//! Changes to a document.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::plain_bytes::is_plain;
use super::section::Section;
use crate::wipe::wipe;

/// Changes to a document, by the positions of `Document::entries`.
#[derive(Default)]
pub(crate) struct Edits([SectionEdits; 5]);

#[derive(Default)]
pub(super) struct SectionEdits {
    /// `None` removes the entry.
    pub(super) changed: BTreeMap<usize, Option<Zeroizing<String>>>,
    pub(super) added: Vec<(String, Zeroizing<String>)>,
}

impl Drop for SectionEdits {
    fn drop(&mut self) {
        let changed = self.changed.values_mut().flatten();
        let added = self.added.iter_mut().map(|(_, value)| value);
        for value in changed.chain(added) {
            wipe(std::mem::take(&mut **value).into_bytes());
        }
    }
}

impl Edits {
    /// Sets the value of an entry, which keeps its key.
    pub(crate) fn replace(&mut self, section: Section, position: usize, value: Zeroizing<String>) {
        self.0[section as usize]
            .changed
            .insert(position, Some(value));
    }

    /// Removes the entry.
    pub(crate) fn remove(&mut self, section: Section, position: usize) {
        self.0[section as usize].changed.insert(position, None);
    }

    /// Returns `true` if the entry is removed.
    pub(crate) fn removes(&self, section: Section, position: usize) -> bool {
        matches!(self.0[section as usize].changed.get(&position), Some(None))
    }

    /// Adds an entry behind the others.
    pub(crate) fn add(&mut self, section: Section, key: String, value: Zeroizing<String>) {
        self.0[section as usize].added.push((key, value));
    }

    /// Returns the sections that these edits change.
    pub(crate) fn sections(&self) -> impl Iterator<Item = Section> {
        Section::ALL
            .into_iter()
            .filter(|section| self.of(*section).is_some())
    }

    pub(super) fn of(&self, section: Section) -> Option<&SectionEdits> {
        let edits = &self.0[section as usize];
        (!edits.changed.is_empty() || !edits.added.is_empty()).then_some(edits)
    }

    pub(super) fn has_escaped_keys(&self) -> bool {
        let mut added = self.0.iter().flat_map(|edits| &edits.added);
        added.any(|(key, _)| !is_plain(key))
    }

    /// Returns an estimate of the bytes that the edits add to a text.
    pub(super) fn length(&self) -> usize {
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
