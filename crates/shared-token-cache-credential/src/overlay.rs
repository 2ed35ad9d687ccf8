use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use msal_token_cache::{Redemption, Target};
use token_credential::Secret;

/// What was redeemed and is not in the store yet, or cannot be written there: it answers until it
/// expires, so that a store that is read-only costs no second redemption.
#[derive(Debug, Default)]
pub(crate) struct Overlay(Mutex<Vec<Arc<Redemption>>>);

/// More than a process asks for; beyond it the oldest go.
const CAPACITY: usize = 1024;

impl Overlay {
    /// Keeps the result of a redemption, in place of what it replaces.
    pub(crate) fn keep(&self, new: Arc<Redemption>) {
        let mut kept = self.kept();
        kept.retain(|old| old.expires_on() > new.cached_at() && !replaces(&new, old));
        if kept.len() >= CAPACITY {
            kept.remove(0);
        }
        kept.push(new);
    }

    /// Lets go of what the store holds by now.
    pub(crate) fn forget(&self, stored: &Arc<Redemption>) {
        self.kept().retain(|kept| !Arc::ptr_eq(kept, stored));
    }

    /// What is kept for an account.
    pub(crate) fn of_account(&self, home_account_id: &str) -> Vec<Arc<Redemption>> {
        let is_theirs =
            |kept: &&Arc<Redemption>| kept.redeemed().home_account_id() == home_account_id;
        self.kept()
            .iter()
            .filter(is_theirs)
            .map(Arc::clone)
            .collect()
    }

    /// The refresh token that has replaced this one although the store does not show it.
    pub(crate) fn rotated(&self, redeemed: &Secret, now: SystemTime) -> Option<Secret> {
        let kept = self.kept();
        let newest_first = kept.iter().rev().filter(|kept| kept.expires_on() > now);
        newest_first
            .filter(|kept| {
                kept.redeemed().secret().expose_secret() == redeemed.expose_secret()
                    && kept.redeemed().client_id() == kept.client_id()
            })
            .find_map(|kept| kept.refresh_token().cloned())
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Arc<Redemption>>> {
        // A list of finished values: nothing in it can be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the store would not hold both either.
fn replaces(new: &Redemption, old: &Redemption) -> bool {
    new.redeemed().home_account_id() == old.redeemed().home_account_id()
        && new.redeemed().environment() == old.redeemed().environment()
        && new.client_id() == old.client_id()
        && new.realm() == old.realm()
        && Target::from(new.target()).intersects(&Target::from(old.target()))
}
