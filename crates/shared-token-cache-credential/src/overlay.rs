//! What is known beyond the store: results that are not there yet, and tokens that are not there
//! any more.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use msal_token_cache::identifier::{is_same_client_id, is_same_home_account_id, is_same_tenant};
use msal_token_cache::{AccessToken, Redemption, Target, is_usable_secret, same_cloud};
use token_credential::Secret;

use crate::displaced::Displaced;

#[cfg(test)]
mod tests;

/// What was redeemed and is not in the store yet, or cannot be written there: it answers until it
/// expires, so that a store that is read-only costs no second redemption. Apart from that, the
/// tokens that such results displace in the store.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    held: ArcSwap<Held>,
    /// Counts the changes, each after it was made.
    changes: AtomicU64,
}

/// The lists, each with the oldest first.
#[derive(Clone, Debug, Default)]
struct Held {
    unsaved: Vec<Arc<Unsaved>>,
    displaced: Vec<Arc<Displaced>>,
    rotated: Vec<Rotated>,
}

/// A result whose refresh token is not in the store yet. It outlives its access token: the server
/// may have revoked the refresh token that the store shows.
#[derive(Clone, Debug)]
struct Rotated {
    redemption: Arc<Redemption>,
    until: SystemTime,
}

/// How long a rotated refresh token stands in for the stored one, at least.
const ROTATED_FOR: Duration = Duration::from_secs(3600);

/// The result of a redemption that is not in the store yet.
#[derive(Debug)]
pub(crate) struct Unsaved {
    pub(crate) redemption: Arc<Redemption>,
    /// Whether its own call would have none of the tokens that it replaces: it had claims or
    /// `force_refresh`.
    pub(crate) refuses_rivals: bool,
    /// Set by such a call, and passed on to the results that cover it. Tokens that this one replaces
    /// and that are from up to this time must not come back.
    pub(crate) refuses_until: Option<SystemTime>,
}

impl Unsaved {
    /// Returns a result that only goes into the store: its token is not handed out.
    pub(crate) fn not_kept(redemption: Arc<Redemption>) -> Self {
        Self {
            redemption,
            refuses_rivals: false,
            refuses_until: None,
        }
    }

    /// Whether it will go where an entry of its account is in the store, which was there first.
    pub(crate) fn displaces(&self, entry: &AccessToken<'_>) -> bool {
        self.is_rival_of(entry) && !self.is_older_than(entry)
    }

    /// Whether an entry of its account is in the store where this would go, and came later.
    pub(crate) fn is_displaced_by(&self, entry: &AccessToken<'_>) -> bool {
        self.is_rival_of(entry) && self.is_older_than(entry)
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

/// What an overlay held at some time.
#[derive(Debug)]
pub(crate) struct Kept {
    held: Arc<Held>,
    /// When the store had been read.
    later: Arc<Held>,
    changes: u64,
}

impl Kept {
    /// The results that are not in the store, the oldest first.
    pub(crate) fn unsaved(&self) -> &[Arc<Unsaved>] {
        &self.held.unsaved
    }

    /// The tokens that may have gone from the store.
    pub(crate) fn displaced(&self) -> &[Arc<Displaced>] {
        &self.later.displaced
    }

    /// Whether an entry must not come back. After a claims challenge the resource has refused what
    /// the new token replaces; but a result that is still kept came later.
    pub(crate) fn refuses(&self, entry: &AccessToken<'_>) -> bool {
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

    /// Whether nothing has changed in between.
    pub(crate) fn is_of_same_time(&self, other: &Self) -> bool {
        self.changes == other.changes
    }
}

/// More than a process asks for; beyond it the oldest go.
const CAPACITY: usize = 1024;

impl Overlay {
    /// What is kept now. To be asked before the store is read: a result that moves there meanwhile
    /// is then in both.
    pub(crate) fn kept(&self) -> Kept {
        // The count first: a change in between then shows.
        let changes = self.changes.load(Ordering::Acquire);
        let held = self.held.load_full();
        Kept {
            later: Arc::clone(&held),
            held,
            changes,
        }
    }

    /// The same once the store was read: a token that moved from there meanwhile is then in both.
    pub(crate) fn after_reading(&self, kept: Kept) -> Kept {
        Kept {
            later: self.held.load_full(),
            ..kept
        }
    }

    /// Whether nothing has changed since.
    pub(crate) fn is_at(&self, kept: &Kept) -> bool {
        self.changes.load(Ordering::Acquire) == kept.changes
    }

    /// Keeps the result of a redemption, in place of those that the store would not hold beside it.
    /// They are displaced, unless its call would have none of them.
    pub(crate) fn keep(&self, redemption: &Arc<Redemption>, refuses_rivals: bool) -> Arc<Unsaved> {
        let now = redemption.cached_at();
        let unsaved = |refuses_until| {
            Arc::new(Unsaved {
                redemption: Arc::clone(redemption),
                refuses_rivals,
                refuses_until,
            })
        };
        let mut new = unsaved(None);
        self.change(|held| {
            let is_good = |old: &&Arc<Unsaved>| old.redemption.expires_on() > now;
            let (replaced, mut kept): (Vec<_>, Vec<_>) = held
                .unsaved
                .iter()
                .filter(is_good)
                .cloned()
                .partition(|old| replaces(redemption, &old.redemption));
            let mut displaced = held.displaced.clone();
            displaced.retain(|old| old.expires_on > now);
            add(
                &mut displaced,
                replaced.iter().map(|old| Displaced::by_us(old)),
            );
            // It stands for those that it covers, also in what they refuse.
            let (covered, mut displaced): (Vec<_>, Vec<_>) = displaced
                .into_iter()
                .partition(|old| old.is_covered_by(redemption));
            let until = covered.iter().map(|old| old.refuses_until).max().flatten();
            new = unsaved(if refuses_rivals { Some(now) } else { until });
            displaced.retain(|old| !(refuses_rivals && old.is_rival_of(redemption)));
            if kept.len() >= CAPACITY {
                kept.remove(0);
            }
            kept.push(Arc::clone(&new));
            let held = Held {
                unsaved: kept,
                displaced,
                rotated: held.rotated.clone(),
            };
            held.with_rotated(redemption)
        });
        new
    }

    /// Keeps tokens that are about to go from the store, but for those that a result refuses.
    pub(crate) fn displace(&self, going: &[Displaced]) {
        if going.is_empty() {
            return;
        }
        self.change(|held| {
            let is_refused = |token: &Displaced| {
                held.unsaved.iter().any(|new| {
                    refuses(new.refuses_until, token.cached_at)
                        && token.is_rival_of(&new.redemption)
                }) || held
                    .displaced
                    .iter()
                    .any(|old| old.refuses_displaced(token))
            };
            // A result of ours that was refused is not kept any more.
            let is_kept = |token: &Displaced| held.displaced.iter().any(|old| old.is(token));
            let mut displaced = held.displaced.clone();
            let comes = |token: &&Displaced| is_kept(token) || !is_refused(token);
            add(&mut displaced, going.iter().filter(comes).cloned());
            Held {
                displaced,
                ..held.clone()
            }
        });
    }

    /// Moves a result behind the store, which holds it now, and from where others may displace it.
    pub(crate) fn stored(&self, stored: &Arc<Unsaved>) {
        self.change(|held| {
            let is_it = |old: &Arc<Unsaved>| Arc::ptr_eq(old, stored);
            let mut displaced = held.displaced.clone();
            // One that was replaced meanwhile has found its place, or was refused.
            if held.unsaved.iter().any(is_it) {
                add(&mut displaced, [Displaced::by_others(stored)]);
            }
            let mut rotated = held.rotated.clone();
            rotated.retain(|kept| !Arc::ptr_eq(&kept.redemption, &stored.redemption));
            Held {
                displaced,
                unsaved: without(&held.unsaved, is_it),
                rotated,
            }
        });
    }

    /// Lets go of what was kept for the account of a result that found its refresh token gone, for
    /// it has signed out. Results of other applications have refresh tokens of their own.
    pub(crate) fn signed_out(&self, found: &Unsaved) {
        let id = found.redemption.home_account_id();
        let client_id = found.redemption.client_id();
        self.change(|held| Held {
            unsaved: without(&held.unsaved, |old| {
                is_same_home_account_id(old.redemption.home_account_id(), id)
                    && is_same_client_id(old.redemption.client_id(), client_id)
            }),
            displaced: without(&held.displaced, |old| {
                is_same_home_account_id(&old.home_account_id, id)
            }),
            rotated: held.without_rotated_of(|other| is_same_home_account_id(other, id)),
        });
    }

    /// Lets go of what was kept at some time of accounts that are signed in no more, and returns
    /// whether there was any.
    pub(crate) fn forget_signed_out(
        &self,
        kept: &Kept,
        is_signed_in: impl Fn(&str) -> bool,
    ) -> bool {
        let of_unsaved = kept.held.unsaved.iter();
        let of_unsaved = of_unsaved.map(|old| old.redemption.home_account_id());
        let of_displaced = kept.held.displaced.iter();
        let mut ids: Vec<_> = of_displaced
            .map(|old| &*old.home_account_id)
            .chain(of_unsaved)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| !is_signed_in(id));
        if ids.is_empty() {
            return false;
        }
        // What came later may be of a later sign-in.
        let was_kept = |old: &Arc<Unsaved>| is_in(old, &kept.held.unsaved);
        let was_displaced = |old: &Arc<Displaced>| is_in(old, &kept.held.displaced);
        self.change(|held| Held {
            unsaved: without(&held.unsaved, |old| {
                ids.contains(&old.redemption.home_account_id()) && was_kept(old)
            }),
            displaced: without(&held.displaced, |old| {
                ids.contains(&&*old.home_account_id) && was_displaced(old)
            }),
            rotated: held.without_rotated_of(|id| ids.contains(&id)),
        });
        true
    }

    fn change(&self, mut change: impl FnMut(&Held) -> Held) {
        self.held.rcu(|held| change(held));
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Keeps the refresh token of a result until the store holds it.
    pub(crate) fn rotate(&self, new: &Arc<Redemption>) {
        self.change(|held| held.clone().with_rotated(new));
    }

    /// The refresh token that has replaced this one although the store does not show it.
    pub(crate) fn rotated(&self, redeemed: &Secret, now: SystemTime) -> Option<Secret> {
        let held = self.held.load();
        let newest_first = held.rotated.iter().rev().filter(|kept| kept.until > now);
        let redemptions = newest_first.map(|kept| &kept.redemption);
        redemptions
            .filter(|kept| {
                let token = kept.redeemed();
                token.is_some_and(|it| it.secret().expose_secret() == redeemed.expose_secret())
            })
            .find_map(|kept| kept.refresh_token().cloned())
    }
}

impl Held {
    /// The same with the refresh token of a result, if that takes the place of the redeemed one.
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

    /// The same without the refresh tokens of accounts.
    fn without_rotated_of(&self, goes: impl Fn(&str) -> bool) -> Vec<Rotated> {
        let stays = |kept: &&Rotated| !goes(kept.redemption.home_account_id());
        self.rotated.iter().filter(stays).cloned().collect()
    }
}

/// Whether the store would not hold both either.
fn replaces(new: &Redemption, old: &Redemption) -> bool {
    let (one, other) = (new.origin(), old.origin());
    is_same_home_account_id(one.home_account_id(), other.home_account_id())
        && same_cloud(one.environment(), other.environment())
        && is_same_client_id(new.client_id(), old.client_id())
        && is_same_tenant(new.realm(), old.realm())
        && Target::from(new.target()).is_rival_of(&Target::from(old.target()))
}

/// Whether a token that was cached then must not come back where rivals are refused up to this time.
pub(crate) fn refuses(until: Option<SystemTime>, cached_at: Option<SystemTime>) -> bool {
    until.is_some_and(|until| cached_at.is_none_or(|cached_at| cached_at <= until))
}

/// Adds tokens behind the others. What is known of the same ones goes with them.
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
