//! The state of a store at one look.

use crate::fs::stamp::Stamp;

/// What a look at the store saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Observation {
    /// Nothing: there was no look yet, or the content changed during it.
    Unknown,
    /// The stamp of the content; `None` if there was no content.
    Stamped(Option<Stamp>),
}

impl Observation {
    /// Returns `true` if the content of this look is still there in the later one.
    ///
    /// Content that was seen right after a change has to be seen again: the next change may have
    /// had the same stamp.
    pub(super) fn holds_in(self, now: Self) -> bool {
        let is_young = |seen| matches!(seen, Self::Stamped(Some(stamp)) if Stamp::is_young(&stamp));
        self == now && (!is_young(self) || is_young(now))
    }
}
