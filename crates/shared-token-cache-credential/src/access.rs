//! Which cached access token may be handed out. Pure: it reads a snapshot and decides.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use msal_token_cache::identifier::{is_same_client_id, is_same_home_account_id, is_same_tenant};
use msal_token_cache::{AccessToken, Redemption, Snapshot, Target, is_usable_secret};
use token_credential::{AccessTokenInfo, Secret};

use crate::account::Chosen;
use crate::authority::Authority;
use crate::candidates::newest_first;
use crate::reading::Reading;
use crate::tenant::{COMMON, ORGANIZATIONS, PERSONAL_TENANT, Tenant};

#[cfg(test)]
mod tests;

/// The application in whose name the original class signs in: the Azure CLI.
const OWN_CLIENT_ID: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
/// The tenant in which personal accounts use Azure.
const PERSONAL_PASSTHROUGH_TENANT: &str = "f8cdef31-a31e-4b4a-93e4-5f571e91255a";

/// A token with less time left than this is not worth handing out: the caller's request may reach
/// the resource too late. The same five minutes as in every MSAL.
pub(crate) const MARGIN: Duration = Duration::from_secs(300);
/// A token with this much time left is better than none.
const LAST_RESORT_MARGIN: Duration = Duration::from_secs(30);
/// A token that is no older than this is as good as a new one will be: a server that issues none
/// with more than the margin left is not asked at every call.
const NEW_FOR: Duration = Duration::from_secs(30);
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

    /// Looks for a token that is good for all that is asked, in a snapshot and among what could not
    /// be written yet.
    pub(crate) fn find(
        &self,
        snapshot: &Snapshot,
        kept: &[Arc<Redemption>],
        query: &Query<'_>,
        now: SystemTime,
    ) -> Found {
        let mut best = Best {
            now,
            hit: None,
            last_resort: None,
        };
        let mut entries: Vec<_> = if kept.is_empty() {
            let good_for_all = snapshot.access_tokens_for(&self.home_account_id, query.scopes);
            good_for_all.collect()
        } else {
            // What is kept may have to do with any of them.
            snapshot.access_tokens_of(&self.home_account_id).collect()
        };
        entries.retain(|entry| {
            entry.is_usable() && entry.is_plain_bearer() && entry.has_believable_times(now)
        });
        let kept: Vec<_> = kept
            .iter()
            .filter(|kept| {
                is_same_home_account_id(kept.redeemed().home_account_id(), &self.home_account_id)
                    && is_usable_secret(kept.access_token().expose_secret())
            })
            // Another program got a newer one meanwhile.
            .filter(|kept| {
                !entries
                    .iter()
                    .any(|entry| is_other_of(kept, entry) && !is_older(entry, kept))
            })
            .collect();
        for entry in &entries {
            // After a claims challenge the resource has refused what a kept token replaces.
            if kept.iter().any(|kept| is_other_of(kept, entry)) {
                continue;
            }
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
            best.consider(&offer, self.rank(&offer, query).map(Rank::Stored));
        }
        // They come oldest first.
        for (age, kept) in kept.iter().rev().enumerate() {
            let offer = Offer {
                environment: kept.redeemed().environment(),
                client_id: kept.client_id(),
                realm: kept.realm(),
                target: &Target::from(kept.target()),
                cached_at: Some(kept.cached_at()),
                expires_on: kept.expires_on(),
                refresh_on: kept.refresh_on(),
                secret: &|| kept.access_token(),
            };
            // Whatever application it is of: it is what was redeemed last.
            best.consider(&offer, self.rank(&offer, query).map(|_| Rank::Kept(age)));
        }
        match best.hit {
            Some((_, hit)) => Found::Hit(hit),
            None => Found::Miss(best.last_resort.map(|(_, token)| token)),
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
            && offer.target.contains(query.scopes.iter().copied());
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
}

/// The best of what was considered, with its rank.
struct Best {
    now: SystemTime,
    hit: Option<(Rank, AccessTokenInfo)>,
    last_resort: Option<(Rank, AccessTokenInfo)>,
}

impl Best {
    fn consider(&mut self, offer: &Offer<'_>, rank: Option<Rank>) {
        let Some(rank) = rank else { return };
        let is_usable = offer.expires_on >= self.now + LAST_RESORT_MARGIN;
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
    expires_on > now + MARGIN
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
    (life >= HALF_LIFE_FROM).then(|| cached_at + Duration::from_secs(life.as_secs() / 2))
}

/// Whether only one of a token that could not be written yet and an entry would be in the store.
fn is_other_of(kept: &Redemption, entry: &AccessToken<'_>) -> bool {
    is_same_client_id(entry.client_id(), kept.client_id())
        && is_same_tenant(entry.realm(), kept.realm())
        && entry.target().intersects(&Target::from(kept.target()))
}

fn is_older(entry: &AccessToken<'_>, kept: &Redemption) -> bool {
    entry
        .cached_at()
        .is_none_or(|cached_at| cached_at <= kept.cached_at())
}
