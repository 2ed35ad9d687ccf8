//! Which cached access token may be handed out. Pure: it reads a snapshot and decides.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use msal_token_cache::identifier::{is_same_client_id, is_same_home_account_id, is_same_tenant};
use msal_token_cache::{AccessToken, Snapshot, Target, is_usable_secret};
use token_credential::{AccessTokenInfo, Secret};

use crate::account::Chosen;
use crate::authority::Authority;
use crate::candidates::newest_first;
use crate::displaced::Displaced;
use crate::overlay::{Kept, Unsaved};
use crate::reading::Reading;
use crate::tenant::{COMMON, ORGANIZATIONS, PERSONAL_PASSTHROUGH_TENANT, PERSONAL_TENANT, Tenant};

#[cfg(test)]
mod tests;

/// The application in whose name the original class signs in: the Azure CLI.
const OWN_CLIENT_ID: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// A token with less time left than this is not worth handing out: the caller's request may reach
/// the resource too late. The same five minutes as in every MSAL.
pub(crate) const MARGIN: Duration = Duration::from_secs(300);
/// A token with this much time left is better than none.
pub(crate) const LAST_RESORT_MARGIN: Duration = Duration::from_secs(30);
/// A token that is no older than this is as good as a new one will be: a server that issues none
/// with more than the margin left is not asked at every call.
pub(crate) const NEW_FOR: Duration = Duration::from_secs(30);
/// From this lifetime on a token is refreshed at half of it when the server named no time.
const HALF_LIFE_FROM: Duration = Duration::from_secs(2 * 3600);

/// Which tokens of the chosen account will do, whatever their scopes.
#[derive(Debug)]
pub(crate) struct Terms {
    authority: Authority,
    home_account_id: String,
    /// Applications in the order in which their tokens are preferred.
    client_ids: Vec<String>,
    /// The tenants that are the account's home, and the words that stand for it.
    home_realms: Vec<Cow<'static, str>>,
}

/// What a caller asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'q> {
    pub(crate) scopes: &'q [&'q str],
    pub(crate) tenant: Tenant<'q>,
    /// The id of that tenant, where it was asked for by a name that is known to lead there.
    pub(crate) tid: Option<&'q str>,
}

/// What a look-up found.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// A token to hand out.
    Hit(AccessTokenInfo),
    /// None, or one that is better than nothing.
    Miss(Option<AccessTokenInfo>),
}

/// What is asked of a token, wherever it is kept.
struct Offer<'o> {
    environment: &'o str,
    client_id: &'o str,
    realm: &'o str,
    target: &'o Target<'o>,
    cached_at: Option<SystemTime>,
    expires_on: SystemTime,
    refresh_on: Option<SystemTime>,
    /// Copied out of the snapshot when it is asked for.
    secret: &'o dyn Fn() -> &'o Secret,
}

impl Terms {
    pub(crate) fn new(reading: &Reading<'_>, chosen: &Chosen) -> Self {
        let authority = reading.authority;
        let mut client_ids: Vec<String> = Vec::new();
        let mut know = |client_id: &str| {
            if !client_ids
                .iter()
                .any(|known| is_same_client_id(known, client_id))
            {
                client_ids.push(client_id.to_owned());
            }
        };
        if let Some(only) = &chosen.client_id {
            know(only);
        } else {
            // The client that redeemed last comes first: its token is not hidden behind another
            // client's, which the resource may have refused.
            for token in newest_first(reading, chosen) {
                know(token.client_id());
            }
            know(OWN_CLIENT_ID);
            for app in reading.applications() {
                if app.family_id().is_some() {
                    know(app.client_id());
                }
            }
        }
        let home_realms = match chosen.home_tenant() {
            Some(_) if chosen.is_personal() => vec![
                PERSONAL_TENANT.into(),
                PERSONAL_PASSTHROUGH_TENANT.into(),
                ORGANIZATIONS.into(),
            ],
            Some(home) => vec![home.to_owned().into(), ORGANIZATIONS.into(), COMMON.into()],
            None => vec![ORGANIZATIONS.into(), COMMON.into()],
        };
        Self {
            authority: authority.clone(),
            home_account_id: chosen.home_account_id.clone(),
            client_ids,
            home_realms,
        }
    }

    /// Looks for a token that is good for all that is asked, in a snapshot and among the results that
    /// are not in the store yet. Behind these come the tokens that had to go from there.
    pub(crate) fn find(
        &self,
        snapshot: &Snapshot,
        kept: &Kept,
        query: &Query<'_>,
        now: SystemTime,
    ) -> Found {
        let mut best = Best {
            now,
            hit: None,
            last_resort: None,
        };
        let unsaved: Vec<&Unsaved> = kept
            .unsaved()
            .iter()
            .map(AsRef::as_ref)
            .filter(|kept| {
                let id = kept.redemption.home_account_id();
                is_same_home_account_id(id, &self.home_account_id)
                    && is_usable_secret(kept.redemption.access_token().expose_secret())
            })
            .collect();
        let mut entries: Vec<_> = if unsaved.is_empty() {
            let good_for_all = snapshot.access_tokens_for(&self.home_account_id, query.scopes);
            good_for_all.collect()
        } else {
            // What is kept may have to do with any of them.
            snapshot.access_tokens_of(&self.home_account_id).collect()
        };
        entries.retain(|entry| {
            entry.is_usable() && entry.is_plain_bearer() && entry.has_believable_times(now)
        });
        for entry in entries.iter().filter(|entry| !kept.refuses(entry)) {
            let offer = Offer {
                environment: entry.environment(),
                client_id: entry.client_id(),
                realm: entry.realm(),
                target: entry.target(),
                cached_at: entry.cached_at(),
                expires_on: entry.expires_on(),
                refresh_on: entry.refresh_on(),
                secret: &|| entry.secret(),
            };
            let is_displaced = unsaved.iter().any(|kept| kept.displaces(entry));
            best.consider(&offer, self.rank(&offer, query), |place| {
                if is_displaced {
                    Rank::Displaced(place)
                } else {
                    Rank::Stored(place)
                }
            });
        }
        // They come oldest first.
        for (age, kept) in unsaved.iter().rev().enumerate() {
            let redemption = &kept.redemption;
            let offer = Offer {
                environment: redemption.environment(),
                client_id: redemption.client_id(),
                realm: redemption.realm(),
                target: &Target::from(redemption.target()),
                cached_at: Some(redemption.cached_at()),
                expires_on: redemption.expires_on(),
                refresh_on: redemption.refresh_on(),
                secret: &|| redemption.access_token(),
            };
            // Another program got a newer one meanwhile.
            let is_displaced = entries.iter().any(|entry| kept.is_displaced_by(entry));
            best.consider(&offer, self.rank(&offer, query), |place| {
                if is_displaced {
                    Rank::Displaced(place)
                } else {
                    // Whatever application it is of: it is what was redeemed last.
                    Rank::Kept(age)
                }
            });
        }
        if best.hit.is_none() {
            self.consider_displaced(snapshot, kept, query, &mut best);
        }
        match best.hit {
            Some((_, hit)) => Found::Hit(hit),
            None => Found::Miss(best.last_resort.map(|(_, token)| token)),
        }
    }

    /// Looks among the tokens that had to go from the store.
    fn consider_displaced(
        &self,
        snapshot: &Snapshot,
        kept: &Kept,
        query: &Query<'_>,
        best: &mut Best,
    ) {
        let displaced = kept.displaced().iter();
        let is_own = |kept: &&Arc<Displaced>| {
            is_same_home_account_id(&kept.home_account_id, &self.home_account_id)
        };
        for kept in displaced.filter(is_own) {
            let offer = Offer {
                environment: &kept.environment,
                client_id: &kept.client_id,
                realm: &kept.realm,
                target: &kept.target(),
                cached_at: kept.cached_at,
                expires_on: kept.expires_on,
                refresh_on: kept.refresh_on,
                secret: &|| &kept.secret,
            };
            let rank = self.rank(&offer, query);
            // Few get as far as to have the account's entries read.
            let rank = rank
                .filter(|_| kept.is_displaced_by(snapshot.access_tokens_of(&self.home_account_id)));
            best.consider(&offer, rank, Rank::Displaced);
        }
    }

    /// The place of the token's application in the order of preference, if the token will do.
    fn rank(&self, offer: &Offer<'_>, query: &Query<'_>) -> Option<usize> {
        let is_realm = |realm: &str| is_same_tenant(realm, offer.realm);
        let is_good_in_tenant = match query.tenant {
            Tenant::Home(_) => self.home_realms.iter().any(|realm| is_realm(realm)),
            Tenant::Named(tenant) => is_realm(tenant) || query.tid.is_some_and(is_realm),
        };
        let will_do = is_good_in_tenant
            && self.authority.knows(offer.environment)
            && offer.target.answers(query.scopes.iter().copied());
        if !will_do {
            return None;
        }
        self.client_ids
            .iter()
            .position(|client_id| is_same_client_id(client_id, offer.client_id))
    }
}

/// The place of a token in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// In memory, with so many newer ones: the resource may have refused the older.
    Kept(usize),
    /// In the snapshot, of the application at this place.
    Stored(usize),
    /// Wherever it is, of the application at this place: in the store another one takes its turn.
    Displaced(usize),
}

/// The best of what was considered, with its rank.
struct Best {
    now: SystemTime,
    hit: Option<(Rank, AccessTokenInfo)>,
    last_resort: Option<(Rank, AccessTokenInfo)>,
}

impl Best {
    /// Takes what is offered if it is better than what there is. `place` is the one of its
    /// application, if the token will do.
    fn consider(
        &mut self,
        offer: &Offer<'_>,
        place: Option<usize>,
        rank: impl FnOnce(usize) -> Rank,
    ) {
        let Some(rank) = place.map(rank) else { return };
        // Also in memory: the clock may have been set back since.
        if !AccessToken::are_believable(offer.cached_at, offer.expires_on, self.now) {
            return;
        }
        let is_usable = time_left(offer.expires_on, self.now) >= Some(LAST_RESORT_MARGIN);
        let place = if is_fresh(offer.expires_on, self.now)
            || (is_usable && is_new(offer.cached_at, self.now))
        {
            &mut self.hit
        } else if is_usable {
            &mut self.last_resort
        } else {
            return;
        };
        let is_better = place.as_ref().is_none_or(|(known, token)| {
            rank < *known || (rank == *known && offer.expires_on > token.expires_on())
        });
        if is_better {
            let info = info(
                (offer.secret)(),
                offer.cached_at,
                offer.expires_on,
                offer.refresh_on,
            );
            *place = Some((rank, info));
        }
    }
}

/// Whether a token has enough time left to be handed out as it is.
pub(crate) fn is_fresh(expires_on: SystemTime, now: SystemTime) -> bool {
    time_left(expires_on, now) > Some(MARGIN)
}

/// Returns the time until a token expires, `None` once it has. A sum could overflow instead.
fn time_left(expires_on: SystemTime, now: SystemTime) -> Option<Duration> {
    expires_on.duration_since(now).ok()
}

/// Whether a token was issued a moment ago. One from the future may be of any age.
fn is_new(cached_at: Option<SystemTime>, now: SystemTime) -> bool {
    let age = cached_at.and_then(|cached_at| now.duration_since(cached_at).ok());
    age.is_some_and(|age| age < NEW_FOR)
}

/// A token with all that is known about it.
pub(crate) fn info(
    token: &Secret,
    cached_at: Option<SystemTime>,
    expires_on: SystemTime,
    refresh_on: Option<SystemTime>,
) -> AccessTokenInfo {
    let info = AccessTokenInfo::new(token.clone(), expires_on);
    match refresh_on.or_else(|| half_life(cached_at?, expires_on)) {
        Some(refresh_on) => info.with_refresh_on(refresh_on),
        None => info,
    }
}

/// From when on a token should be refreshed for which the server named no such time.
fn half_life(cached_at: SystemTime, expires_on: SystemTime) -> Option<SystemTime> {
    let life = expires_on.duration_since(cached_at).ok()?;
    // Whole seconds, as everything in the cache.
    let half = Duration::from_secs(life.as_secs() / 2);
    cached_at
        .checked_add(half)
        .filter(|_| life >= HALF_LIFE_FROM)
}
