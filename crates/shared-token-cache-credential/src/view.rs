use std::sync::Arc;
use std::time::SystemTime;

use msal_token_cache::Snapshot;

use crate::access::{Found, Query, Terms};
use crate::account::{Chosen, NotChosen, Whose, choose};
use crate::overlay::Kept;
use crate::reading::Reading;

/// What this credential sees in a cache, until that or what is kept in memory changes.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) kept: Kept,
    pub(crate) account: Result<ChosenAccount, NotChosen>,
}

/// The account that is meant, and which tokens of it will do.
#[derive(Debug)]
pub(crate) struct ChosenAccount {
    pub(crate) chosen: Chosen,
    terms: Terms,
}

impl View {
    pub(crate) fn new(
        snapshot: &Arc<Snapshot>,
        kept: Kept,
        reading: &Reading<'_>,
        whose: &Whose,
    ) -> Self {
        let account = choose(reading, whose).map(|chosen| {
            let terms = Terms::new(reading, &chosen);
            ChosenAccount { chosen, terms }
        });
        Self {
            snapshot: Arc::clone(snapshot),
            kept,
            account,
        }
    }

    /// Whether nothing has changed since.
    pub(crate) fn is_of(&self, snapshot: &Arc<Snapshot>, kept: &Kept) -> bool {
        self.snapshot.version() == snapshot.version() && self.kept.is_of_same_time(kept)
    }

    /// Looks for a token of the account that is good for all that is asked.
    pub(crate) fn find(
        &self,
        account: &ChosenAccount,
        query: &Query<'_>,
        now: SystemTime,
    ) -> Found {
        account.terms.find(&self.snapshot, &self.kept, query, now)
    }
}
