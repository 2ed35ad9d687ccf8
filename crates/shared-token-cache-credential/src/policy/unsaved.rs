//! The results that a store does not hold yet, and the tokens that it holds no more. Pure: each
//! change returns the whole as it is afterwards.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use msal_token_cache::identifier::{is_same_client_id, is_same_home_account_id, is_same_tenant};
use msal_token_cache::{AccessToken, Redemption, Target, is_usable_secret, same_cloud};
use token_credential::{Error, Secret};
use token_credential_engine::{UnsavedView, Written};

use crate::policy::displaced::{Displaced, refuses};

#[cfg(test)]
mod tests;

/// The knowledge beyond the store, each list with the oldest first.
///
/// A result that cannot be written answers calls until it expires, so that a read-only store costs
/// no second redemption. Beside the results are the tokens that they displace in the store.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnsavedResults {
    results: Vec<Arc<UnsavedResult>>,
    displaced: Vec<Arc<Displaced>>,
    rotated: Vec<Rotated>,
}

/// The result of a redemption.
#[derive(Debug)]
pub(crate) struct Obtained {
    pub(crate) redemption: Arc<Redemption>,
    pub(crate) access_token: Usefulness,
    /// Whether its call refuses every token that this one replaces: it had claims or
    /// `force_refresh`.
    pub(crate) refuses_rivals: bool,
}

/// The use of a new access token.
#[derive(Debug)]
pub(crate) enum Usefulness {
    /// It is handed out.
    Usable,
    /// A cached one outlasts it and is handed out in its place.
    Outlasted,
    /// It must not be handed out.
    Unusable(Error),
}

/// A result whose refresh token the store does not hold yet. It outlives its access token: the
/// server may have revoked the refresh token that the store shows.
#[derive(Clone, Debug)]
struct Rotated {
    redemption: Arc<Redemption>,
    until: SystemTime,
}

/// The shortest time for which a rotated refresh token stands in for the stored one.
const ROTATED_FOR: Duration = Duration::from_secs(3600);

/// A result whose access token the store does not hold yet.
#[derive(Debug)]
pub(crate) struct UnsavedResult {
    pub(crate) redemption: Arc<Redemption>,
    /// Tokens that this one replaces and that were cached up to this time must not come back. Set
    /// by a call that refuses them, and passed on to the results that cover it.
    pub(crate) refuses_until: Option<SystemTime>,
}

impl UnsavedResult {
    /// Returns `true` if it will take the place of an older entry of its account in the store.
    pub(crate) fn displaces(&self, entry: &AccessToken<'_>) -> bool {
        self.is_rival_of(entry) && !self.is_older_than(entry)
    }

    /// Returns `true` if a newer entry of its account is in its place in the store.
    pub(crate) fn is_displaced_by(&self, entry: &AccessToken<'_>) -> bool {
        self.is_rival_of(entry) && self.is_older_than(entry)
    }

    /// Returns its token as one that a later result displaces.
    pub(crate) fn displaced_by_us(&self) -> Displaced {
        self.displaced(true)
    }

    /// Returns its token as one that the store holds, where others may displace it.
    pub(crate) fn displaced_by_others(&self) -> Displaced {
        self.displaced(false)
    }

    fn displaced(&self, is_by_us: bool) -> Displaced {
        let redemption = &self.redemption;
        Displaced {
            home_account_id: redemption.home_account_id().to_owned(),
            environment: redemption.environment().to_owned(),
            client_id: redemption.client_id().to_owned(),
            realm: redemption.realm().to_owned(),
            target: redemption.target().to_owned(),
            secret: redemption.access_token().clone(),
            cached_at: Some(redemption.cached_at()),
            expires_on: redemption.expires_on(),
            refresh_on: redemption.refresh_on(),
            refuses_until: self.refuses_until,
            is_by_us,
        }
    }

    fn refuses(&self, entry: &AccessToken<'_>) -> bool {
        refuses(self.refuses_until, entry.cached_at()) && self.is_rival_of(entry)
    }

    fn is_rival_of(&self, entry: &AccessToken<'_>) -> bool {
        let target = Target::from(self.redemption.target());
        is_same_client_id(entry.client_id(), self.redemption.client_id())
            && is_same_tenant(entry.realm(), self.redemption.realm())
            && entry.target().is_rival_of(&target)
    }

    fn is_older_than(&self, entry: &AccessToken<'_>) -> bool {
        let cached_at = entry.cached_at();
        cached_at.is_some_and(|cached_at| cached_at > self.redemption.cached_at())
    }
}

/// The unsaved results as a look-up sees them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept<'k> {
    before: &'k UnsavedResults,
    after: &'k UnsavedResults,
}

impl<'k> Kept<'k> {
    pub(crate) fn new(view: &'k UnsavedView<UnsavedResults>) -> Self {
        Self {
            before: view.before_reading(),
            after: view.after_reading(),
        }
    }

    /// Returns the results that the store does not hold, the oldest first.
    pub(crate) fn unsaved(self) -> &'k [Arc<UnsavedResult>] {
        &self.before.results
    }

    /// Returns the tokens that the store may not hold any more.
    pub(crate) fn displaced(self) -> &'k [Arc<Displaced>] {
        &self.after.displaced
    }

    /// Returns `true` if an entry must not come back. After a claims challenge the resource has
    /// refused the tokens that the new one replaces. A result that is still kept came later.
    pub(crate) fn refuses(self, entry: &AccessToken<'_>) -> bool {
        let id = entry.home_account_id();
        let unsaved = self.unsaved().iter();
        let unsaved =
            unsaved.filter(|kept| is_same_home_account_id(kept.redemption.home_account_id(), id));
        let displaced = self.displaced().iter();
        let displaced = displaced.filter(|kept| is_same_home_account_id(&kept.home_account_id, id));
        let is_refused = unsaved.clone().any(|kept| kept.refuses(entry))
            || displaced.clone().any(|kept| kept.refuses(entry));
        let secret = || entry.secret().expose_secret();
        is_refused
            && !unsaved
                .into_iter()
                .any(|kept| kept.redemption.access_token().expose_secret() == secret())
            && !displaced
                .into_iter()
                .any(|kept| kept.secret.expose_secret() == secret())
    }
}

/// More than a process asks for. Beyond it the oldest are dropped.
const CAPACITY: usize = 1024;

impl UnsavedResults {
    /// Adds the result of a redemption.
    pub(crate) fn with(&self, new: &Obtained) -> Self {
        let results = match new.access_token {
            Usefulness::Usable => self.with_access_token(&new.redemption, new.refuses_rivals),
            Usefulness::Outlasted | Usefulness::Unusable(_) => self.clone(),
        };
        results.with_rotated(&new.redemption)
    }

    /// Adds a result in place of those that the store would not hold beside it. They are displaced,
    /// unless its call refuses them.
    fn with_access_token(&self, redemption: &Arc<Redemption>, refuses_rivals: bool) -> Self {
        let now = redemption.cached_at();
        let is_good = |old: &&Arc<UnsavedResult>| old.redemption.expires_on() > now;
        let (replaced, mut results): (Vec<_>, Vec<_>) = self
            .results
            .iter()
            .filter(is_good)
            .cloned()
            .partition(|old| replaces(redemption, &old.redemption));
        let mut displaced = self.displaced.clone();
        displaced.retain(|old| old.expires_on > now);
        let replaced = replaced.iter().map(|old| old.displaced_by_us());
        add(&mut displaced, replaced);
        // It stands for those that it covers, also in what they refuse.
        let (covered, mut displaced): (Vec<_>, Vec<_>) = displaced
            .into_iter()
            .partition(|old| old.is_covered_by(redemption));
        let until = covered.iter().map(|old| old.refuses_until).max().flatten();
        displaced.retain(|old| !(refuses_rivals && old.is_rival_of(redemption)));
        if results.len() >= CAPACITY {
            results.remove(0);
        }
        results.push(Arc::new(UnsavedResult {
            redemption: Arc::clone(redemption),
            refuses_until: if refuses_rivals { Some(now) } else { until },
        }));
        Self {
            results,
            displaced,
            rotated: self.rotated.clone(),
        }
    }

    /// Adds tokens that are about to leave the store, but for those that a result refuses.
    pub(crate) fn with_displaced(&self, going: &[Displaced]) -> Self {
        let is_refused = |token: &Displaced| {
            self.results.iter().any(|new| {
                refuses(new.refuses_until, token.cached_at) && token.is_rival_of(&new.redemption)
            }) || self
                .displaced
                .iter()
                .any(|old| old.refuses_displaced(token))
        };
        // A result of ours that was refused is not kept any more.
        let is_kept = |token: &Displaced| self.displaced.iter().any(|old| old.is(token));
        let mut displaced = self.displaced.clone();
        let comes = |token: &&Displaced| is_kept(token) || !is_refused(token);
        add(&mut displaced, going.iter().filter(comes).cloned());
        Self {
            displaced,
            ..self.clone()
        }
    }

    /// Returns the results after a write of one of them.
    pub(crate) fn after_write(&self, result: &Obtained, written: Written) -> Self {
        match written {
            Written::Stored => self.stored(result, false),
            Written::InPart => self.stored(result, true),
            Written::SignedOut => self.signed_out(&result.redemption),
            Written::NotStored => self.clone(),
        }
    }

    /// Moves a result behind the store, which holds its access token now, and from where others
    /// may displace it.
    fn stored(&self, stored: &Obtained, keeps_refresh_token: bool) -> Self {
        let is_same = |redemption: &Arc<Redemption>| Arc::ptr_eq(redemption, &stored.redemption);
        let mut displaced = self.displaced.clone();
        // One that was replaced meanwhile is among the displaced already, or was refused.
        let result = self.results.iter().find(|old| is_same(&old.redemption));
        add(&mut displaced, result.map(|old| old.displaced_by_others()));
        let mut rotated = self.rotated.clone();
        rotated.retain(|kept| keeps_refresh_token || !is_same(&kept.redemption));
        Self {
            displaced,
            results: without(&self.results, |old| is_same(&old.redemption)),
            rotated,
        }
    }

    /// Drops the results for the account of one that found its refresh token gone, because the
    /// account has signed out. Results of other applications have refresh tokens of their own.
    fn signed_out(&self, found: &Redemption) -> Self {
        let id = found.home_account_id();
        let client_id = found.client_id();
        Self {
            results: without(&self.results, |old| {
                is_same_home_account_id(old.redemption.home_account_id(), id)
                    && is_same_client_id(old.redemption.client_id(), client_id)
            }),
            displaced: without(&self.displaced, |old| {
                is_same_home_account_id(&old.home_account_id, id)
            }),
            rotated: self.without_rotated_of(|other| is_same_home_account_id(other, id)),
        }
    }

    /// Returns the accounts that are signed in no more, of those with a result or a displaced
    /// token. `is_signed_in` takes the account and its environment.
    pub(crate) fn signed_out_accounts(
        &self,
        is_signed_in: impl Fn(&str, &str) -> bool,
    ) -> Vec<&str> {
        let results = self.results.iter().map(|old| &old.redemption);
        let results = results.map(|old| (old.home_account_id(), old.environment()));
        let displaced = self.displaced.iter();
        let displaced = displaced.map(|old| (&*old.home_account_id, &*old.environment));
        let mut accounts: Vec<_> = displaced.chain(results).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts.retain(|(id, environment)| !is_signed_in(id, environment));
        accounts.into_iter().map(|(id, _)| id).collect()
    }

    /// Drops the results and displaced tokens of accounts that are in `seen`. A later one may be of
    /// a later sign-in.
    pub(crate) fn without_accounts(&self, ids: &[&str], seen: &Self) -> Self {
        Self {
            results: without(&self.results, |old| {
                ids.contains(&old.redemption.home_account_id()) && is_in(old, &seen.results)
            }),
            displaced: without(&self.displaced, |old| {
                ids.contains(&&*old.home_account_id) && is_in(old, &seen.displaced)
            }),
            rotated: self.without_rotated_of(|id| ids.contains(&id)),
        }
    }

    /// Returns the refresh token that has replaced this one although the store does not show it.
    pub(crate) fn rotated(&self, redeemed: &Secret, now: SystemTime) -> Option<Secret> {
        let newest_first = self.rotated.iter().rev().filter(|kept| kept.until > now);
        let redemptions = newest_first.map(|kept| &kept.redemption);
        redemptions
            .filter(|kept| {
                let token = kept.redeemed();
                token
                    .is_some_and(|token| token.secret().expose_secret() == redeemed.expose_secret())
            })
            .find_map(|kept| kept.refresh_token().cloned())
    }

    /// Adds the refresh token of a result, if that takes the place of the redeemed one.
    fn with_rotated(mut self, new: &Arc<Redemption>) -> Self {
        let is_usable = |token: &Secret| is_usable_secret(token.expose_secret());
        let is_rotated = new.refresh_token().is_some_and(is_usable)
            && is_same_client_id(new.origin().client_id(), new.client_id());
        if is_rotated {
            let (least, end) = (new.cached_at().checked_add(ROTATED_FOR), new.expires_on());
            self.rotated.push(Rotated {
                redemption: Arc::clone(new),
                until: least.map_or(end, |least| least.max(end)),
            });
            let surplus = self.rotated.len().saturating_sub(CAPACITY);
            self.rotated.drain(..surplus);
        }
        self
    }

    /// Returns the rotated refresh tokens without those of accounts.
    fn without_rotated_of(&self, goes: impl Fn(&str) -> bool) -> Vec<Rotated> {
        let stays = |kept: &&Rotated| !goes(kept.redemption.home_account_id());
        self.rotated.iter().filter(stays).cloned().collect()
    }
}

/// Returns `true` if the store would not hold both either.
fn replaces(new: &Redemption, old: &Redemption) -> bool {
    let (one, other) = (new.origin(), old.origin());
    is_same_home_account_id(one.home_account_id(), other.home_account_id())
        && same_cloud(one.environment(), other.environment())
        && is_same_client_id(new.client_id(), old.client_id())
        && is_same_tenant(new.realm(), old.realm())
        && Target::from(new.target()).is_rival_of(&Target::from(old.target()))
}

/// Adds tokens behind the others, with everything known of the same ones.
fn add(displaced: &mut Vec<Arc<Displaced>>, new: impl IntoIterator<Item = Displaced>) {
    for mut token in new {
        displaced.retain(|old| !token.absorb(old));
        displaced.push(Arc::new(token));
    }
    let surplus = displaced.len().saturating_sub(CAPACITY);
    displaced.drain(..surplus);
}

fn without<T>(list: &[Arc<T>], goes: impl Fn(&Arc<T>) -> bool) -> Vec<Arc<T>> {
    list.iter().filter(|item| !goes(item)).cloned().collect()
}

fn is_in<T>(item: &Arc<T>, list: &[Arc<T>]) -> bool {
    list.iter().any(|other| Arc::ptr_eq(item, other))
}
