//! The conclusions that every look-up in one snapshot shares. Pure.

use crate::policy::access_token::Criteria;
use crate::policy::account::{AccountSelector, Clients, SelectError, SelectedAccount, select};
use crate::policy::cloud_entries::CloudEntries;

/// The account in a snapshot that is meant, or the reason why no account is selected.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) account: Result<ServedAccount, SelectError>,
}

/// The account that is meant, and the criteria for its tokens.
#[derive(Debug)]
pub(crate) struct ServedAccount {
    pub(crate) selected: SelectedAccount,
    pub(crate) criteria: Criteria,
}

impl View {
    /// Selects the account among these entries.
    pub(crate) fn new(
        entries: &CloudEntries<'_>,
        selector: &AccountSelector,
        clients: &Clients,
    ) -> Self {
        let account = select(entries, selector, clients).map(|selected| {
            let criteria = Criteria::new(entries, &selected);
            ServedAccount { selected, criteria }
        });
        Self { account }
    }
}
