//! Where the access tokens of each account stand, so that a look-up does not read those of others.

use crate::document::{Document, Section, hash};

/// Positions in the `AccessToken` section by the hash of the `home_account_id`, and in document
/// order where that is the same.
#[derive(Default)]
pub(crate) struct Index(Vec<(u64, usize)>);

impl Index {
    pub(crate) fn of(document: &Document) -> Self {
        let positions = 0..document.entries(Section::AccessToken).len();
        let mut positions: Vec<_> = positions
            .filter_map(|position| {
                let account = document.owner(Section::AccessToken, position)?;
                Some((hash(account.as_bytes()), position))
            })
            .collect();
        positions.sort_unstable();
        Self(positions)
    }

    /// Where an account's tokens stand, and perhaps those of others.
    pub(crate) fn near(&self, home_account_id: &str) -> impl Iterator<Item = usize> + use<'_> {
        let hash = hash(home_account_id.as_bytes());
        let first = self.0.partition_point(|(other, _)| *other < hash);
        let same = self.0[first..]
            .iter()
            .take_while(move |(other, _)| *other == hash);
        same.map(|(_, position)| *position)
    }
}
