//! Where the access tokens of each account stand, so that a look-up does not read those of others.

use std::collections::HashMap;

use crate::document::{Document, Section};

/// Positions in the `AccessToken` section by `home_account_id`, in document order.
#[derive(Default)]
pub(crate) struct Index(HashMap<Box<str>, Vec<usize>>);

impl Index {
    pub(crate) fn of(document: &Document) -> Self {
        let mut positions: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for position in 0..document.entries(Section::AccessToken).len() {
            let Some(account) = document.owner(Section::AccessToken, position) else {
                continue;
            };
            match positions.get_mut(&*account) {
                Some(known) => known.push(position),
                None => {
                    positions.insert(account.into(), vec![position]);
                }
            }
        }
        Self(positions)
    }

    pub(crate) fn of_account(&self, home_account_id: &str) -> &[usize] {
        self.0.get(home_account_id).map_or(&[], Vec::as_slice)
    }
}
