//! Edits a text by copying the unchanged parts in the largest possible pieces.

use std::ops::Range;

use zeroize::Zeroizing;

use super::edits::SectionEdits;
use super::parts::{Entries, Known, MemberSpan};
use super::scan::known;
use super::section::Section;
use super::writer::Writer;

/// An edited text under construction.
pub(super) struct Splice<'d> {
    old: &'d str,
    out: Writer,
    /// The end of the old text that was copied or left out.
    done: usize,
}

impl<'d> Splice<'d> {
    pub(super) fn of(old: &'d str, added: usize) -> Self {
        Self {
            old,
            out: Writer::with_room_for(old.len() + added),
            done: 0,
        }
    }

    fn copy_to(&mut self, end: usize) {
        self.out.push(&self.old[self.done..end]);
        self.done = end;
    }

    /// Copies up to the beginning of a part, and leaves the part out.
    fn leave_out(&mut self, part: Range<usize>) {
        self.copy_to(part.start);
        self.done = part.end;
    }

    /// Inserts a text. Returns its range.
    fn put(&mut self, text: &str) -> Range<usize> {
        let start = self.out.text().len();
        self.out.push(text);
        start..start + text.len()
    }

    /// Inserts a text as a JSON string. Returns its range.
    fn put_string(&mut self, text: &str) -> Range<usize> {
        let start = self.out.text().len();
        self.out.push_string(text);
        start..self.out.text().len()
    }

    /// Returns the range that a part of the rest gets, if all before it is copied.
    fn place_of(&self, part: &Range<usize>) -> Range<usize> {
        let shift = self.out.text().len().wrapping_sub(self.done);
        part.start.wrapping_add(shift)..part.end.wrapping_add(shift)
    }

    fn moved(&self, member: &MemberSpan) -> MemberSpan {
        MemberSpan {
            name: self.place_of(&member.name),
            value: self.place_of(&member.value),
            known: member.known.moved(|part| self.place_of(part)),
        }
    }

    fn moved_all(&self, members: &[MemberSpan]) -> Vec<MemberSpan> {
        members.iter().map(|member| self.moved(member)).collect()
    }

    /// Returns a member of the document that is not edited, with its new ranges.
    pub(super) fn keep(
        &self,
        member: &MemberSpan,
        entries: Option<&Entries>,
    ) -> (MemberSpan, Entries) {
        let entries = match entries {
            Some(Entries::Listed(entries)) => Entries::Listed(self.moved_all(entries)),
            Some(Entries::Malformed) => Entries::Malformed,
            Some(Entries::Absent) | None => Entries::Absent,
        };
        (self.moved(member), entries)
    }

    /// Writes a section with its edits.
    pub(super) fn edit(
        &mut self,
        section: &MemberSpan,
        entries: &[MemberSpan],
        edits: &SectionEdits,
    ) -> (MemberSpan, Entries) {
        let name = self.place_of(&section.name);
        let start = self.place_of(&section.value).start;
        let removed = edits.changed.values().filter(|value| value.is_none());
        let edited = if removed.count() == entries.len() {
            self.leave_out(section.value.start + 1..section.value.end - 1);
            self.add(edits, true)
        } else {
            let mut edited = self.edit_entries(entries, edits);
            if let Some(last) = entries.last() {
                // Nothing to copy if the last one was left out.
                self.copy_to(last.value.end);
            }
            edited.extend(self.add(edits, false));
            edited
        };
        let end = self.place_of(&section.value).end;
        let member = MemberSpan {
            name,
            value: start..end,
            known: Known::default(),
        };
        (member, Entries::Listed(edited))
    }

    /// Writes entries of which some stay.
    fn edit_entries(&mut self, entries: &[MemberSpan], edits: &SectionEdits) -> Vec<MemberSpan> {
        let mut edited = Vec::with_capacity(entries.len() + edits.added.len());
        let mut next = 0;
        for (&position, value) in &edits.changed {
            edited.extend(self.moved_all(&entries[next..position]));
            next = position + 1;
            let entry = &entries[position];
            if let Some(value) = value {
                let name = self.place_of(&entry.name);
                self.leave_out(entry.value.clone());
                edited.push(self.entry(name, value));
            } else if edited.is_empty() {
                // The first one goes with the comma behind it.
                let end = entries
                    .get(position + 1)
                    .map_or(entry.value.end, |entry| entry.name.start);
                self.leave_out(entry.name.start..end);
            } else {
                // Any other one with the comma before it.
                self.leave_out(entries[position - 1].value.end..entry.value.end);
            }
        }
        edited.extend(self.moved_all(&entries[next..]));
        edited
    }

    /// Inserts a value behind its name.
    fn entry(&mut self, name: Range<usize>, value: &str) -> MemberSpan {
        let known = known(value);
        let value = self.put(value);
        MemberSpan {
            name,
            known: known.moved(|part| value.start + part.start..value.start + part.end),
            value,
        }
    }

    /// Writes new entries in the layout of the Python packages; `alone` if there are no others.
    fn add(&mut self, edits: &SectionEdits, alone: bool) -> Vec<MemberSpan> {
        let mut added = Vec::with_capacity(edits.added.len());
        for (key, value) in &edits.added {
            let is_first = alone && added.is_empty();
            self.put(if is_first {
                "\n        "
            } else {
                ",\n        "
            });
            let name = self.put_string(key);
            self.put(": ");
            added.push(self.entry(name, value));
        }
        if alone && !added.is_empty() {
            self.put("\n    ");
        }
        added
    }

    /// Writes a new section, as the first member of the document or behind the others.
    pub(super) fn add_section(
        &mut self,
        section: Section,
        edits: &SectionEdits,
        is_first: bool,
    ) -> (MemberSpan, Entries) {
        self.put(if is_first { "\n    " } else { ",\n    " });
        let name = self.put_string(section.name());
        self.put(": ");
        let start = self.put("{").start;
        let added = self.add(edits, true);
        let end = self.put("}").end;
        let member = MemberSpan {
            name,
            value: start..end,
            known: Known::default(),
        };
        (member, Entries::Listed(added))
    }

    /// Goes to the place of new members: behind the last one, or into a new pair of braces.
    pub(super) fn go_behind(&mut self, last: Option<&MemberSpan>) {
        if let Some(last) = last {
            self.copy_to(last.value.end);
        } else {
            self.done = self.old.len();
            self.put("{");
        }
    }

    /// Returns the text. `closes` is its end, if it was begun by [`go_behind`](Self::go_behind).
    pub(super) fn finish(mut self, closes: Option<&str>) -> Zeroizing<String> {
        match closes {
            Some(end) => {
                self.put(end);
            }
            None => self.copy_to(self.old.len()),
        }
        self.out.finish()
    }
}
