//! Selects the cached access token to hand out. Pure.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use entra_token_endpoint::Authority;
use entra_token_endpoint::tenant::{
    COMMON, ORGANIZATIONS, PERSONAL_PASSTHROUGH_TENANT, PERSONAL_TENANT,
};
use msal_token_cache::identifier::{is_same_client_id, is_same_home_account_id, is_same_tenant};
use msal_token_cache::{AccessToken, Target, is_usable_secret};
use token_credential::{AccessTokenInfo, Secret};
use token_credential_engine::{
    Found, LAST_RESORT_MARGIN, MIN_TIME_BETWEEN_ATTEMPTS, is_fresh, time_left,
};

use crate::policy::account::SelectedAccount;
use crate::policy::authority::KnowsEnvironment;
use crate::policy::cache_snapshot::CacheSnapshot;
use crate::policy::cloud_entries::CloudEntries;
use crate::policy::displaced::Displaced;
use crate::policy::refresh_token::newest_first;
use crate::policy::tenant::Tenant;
use crate::policy::unsaved::{Kept, UnsavedResult};

#[cfg(test)]
mod tests;

/// The application in whose name the original class signs in: the Azure CLI.
const OWN_CLIENT_ID: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// The shortest lifetime at half of which a token is refreshed when the server named no time.
const HALF_LIFE_FROM: Duration = Duration::from_secs(2 * 3600);

/// The criteria for tokens of the selected account, apart from their scopes.
#[derive(Debug)]
pub(crate) struct Criteria {
    authority: Authority,
    home_account_id: String,
    /// Applications in the order in which their tokens are preferred.
    client_ids: Vec<String>,
    /// The tenants that are the account's home, and the words that stand for it.
    home_realms: Vec<Cow<'static, str>>,
}

/// The token that a call asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'q> {
    pub(crate) scopes: &'q [&'q str],
    pub(crate) tenant: Tenant<'q>,
    /// The ID of that tenant, if it was asked for by a name that is known to lead there.
    pub(crate) tid: Option<&'q str>,
}

/// A token in the store or in memory.
struct Candidate<'o> {
    environment: &'o str,
    client_id: &'o str,
    realm: &'o str,
    target: &'o Target<'o>,
    cached_at: Option<SystemTime>,
    expires_on: SystemTime,
    refresh_on: Option<SystemTime>,
    /// Copied out of the snapshot only if the token is selected.
    secret: &'o dyn Fn() -> &'o Secret,
}

impl Criteria {
    pub(crate) fn new(entries: &CloudEntries<'_>, selected: &SelectedAccount) -> Self {
        let authority = entries.authority;
        let mut client_ids: Vec<String> = Vec::new();
        let mut know = |client_id: &str| {
            if !client_ids
                .iter()
                .any(|known| is_same_client_id(known, client_id))
            {
                client_ids.push(client_id.to_owned());
            }
        };
        if let Some(only) = &selected.client_id {
            know(only);
        } else {
            // The client that redeemed last comes first: its token is not hidden behind another
            // client's, which the resource may have refused.
            for token in newest_first(entries, selected) {
                know(token.client_id());
            }
            know(OWN_CLIENT_ID);
            for app in entries.applications() {
                if app.family_id().is_some() {
                    know(app.client_id());
                }
            }
        }
        let home_realms = match selected.home_tenant() {
            Some(_) if selected.is_personal() => vec![
                PERSONAL_TENANT.into(),
                PERSONAL_PASSTHROUGH_TENANT.into(),
                ORGANIZATIONS.into(),
            ],
            Some(home) => vec![home.to_owned().into(), ORGANIZATIONS.into(), COMMON.into()],
            None => vec![ORGANIZATIONS.into(), COMMON.into()],
        };
        Self {
            authority: authority.clone(),
            home_account_id: selected.home_account_id.clone(),
            client_ids,
            home_realms,
        }
    }

    /// Looks for a token that answers the query, in the snapshot and among the unsaved results. The
    /// tokens that were displaced in the store come last.
    pub(crate) fn find(
        &self,
        snapshot: &CacheSnapshot,
        kept: Kept<'_>,
        query: &Query<'_>,
        now: SystemTime,
    ) -> Found {
        let mut selection = Selection {
            now,
            hit: None,
            last_resort: None,
        };
        let unsaved: Vec<&UnsavedResult> = kept
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
            // An unsaved result may displace any of them.
            snapshot.access_tokens_of(&self.home_account_id).collect()
        };
        entries.retain(|entry| {
            entry.is_usable() && entry.is_plain_bearer() && entry.has_believable_times(now)
        });
        for entry in entries.iter().filter(|entry| !kept.refuses(entry)) {
            let candidate = Candidate {
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
            selection.consider(&candidate, self.rank(&candidate, query), |place| {
                if is_displaced {
                    Rank::Displaced(place)
                } else {
                    Rank::Stored(place)
                }
            });
        }
        // They are in the order of age, the oldest first.
        for (age, kept) in unsaved.iter().rev().enumerate() {
            let redemption = &kept.redemption;
            let candidate = Candidate {
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
            selection.consider(&candidate, self.rank(&candidate, query), |place| {
                if is_displaced {
                    Rank::Displaced(place)
                } else {
                    // Of any application: it was redeemed last.
                    Rank::Kept(age)
                }
            });
        }
        if selection.hit.is_none() {
            self.consider_displaced(snapshot, kept, query, &mut selection);
        }
        match selection.hit {
            Some((_, hit)) => Found::Hit(hit),
            None => Found::Miss(selection.last_resort.map(|(_, token)| token)),
        }
    }

    /// Looks among the tokens that were displaced in the store.
    fn consider_displaced(
        &self,
        snapshot: &CacheSnapshot,
        kept: Kept<'_>,
        query: &Query<'_>,
        selection: &mut Selection,
    ) {
        let displaced = kept.displaced().iter();
        let is_own = |kept: &&Arc<Displaced>| {
            is_same_home_account_id(&kept.home_account_id, &self.home_account_id)
        };
        for kept in displaced.filter(is_own) {
            let candidate = Candidate {
                environment: &kept.environment,
                client_id: &kept.client_id,
                realm: &kept.realm,
                target: &kept.target(),
                cached_at: kept.cached_at,
                expires_on: kept.expires_on,
                refresh_on: kept.refresh_on,
                secret: &|| &kept.secret,
            };
            let rank = self.rank(&candidate, query);
            // Few candidates get so far that the account's entries are read.
            let rank = rank
                .filter(|_| kept.is_displaced_by(snapshot.access_tokens_of(&self.home_account_id)));
            selection.consider(&candidate, rank, Rank::Displaced);
        }
    }

    /// Returns the place of the token's application in the order of preference, if the token meets
    /// the criteria.
    fn rank(&self, candidate: &Candidate<'_>, query: &Query<'_>) -> Option<usize> {
        let is_realm = |realm: &str| is_same_tenant(realm, candidate.realm);
        let is_good_in_tenant = match query.tenant {
            Tenant::Home(_) => self.home_realms.iter().any(|realm| is_realm(realm)),
            Tenant::Named(tenant) => is_realm(tenant) || query.tid.is_some_and(is_realm),
        };
        let will_do = is_good_in_tenant
            && self.authority.knows(candidate.environment)
            && candidate.target.answers(query.scopes.iter().copied());
        if !will_do {
            return None;
        }
        self.client_ids
            .iter()
            .position(|client_id| is_same_client_id(client_id, candidate.client_id))
    }
}

/// The rank of a token in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// In memory, behind so many newer ones: the resource may have refused an older one.
    Kept(usize),
    /// In the snapshot, of the application at this place.
    Stored(usize),
    /// In store or memory, of the application at this place, displaced by another token.
    Displaced(usize),
}

/// The best of the considered tokens, with their ranks.
struct Selection {
    now: SystemTime,
    hit: Option<(Rank, AccessTokenInfo)>,
    last_resort: Option<(Rank, AccessTokenInfo)>,
}

impl Selection {
    /// Selects the candidate if it is better than the present selection. `place` is its
    /// application's, if it meets the criteria.
    fn consider(
        &mut self,
        candidate: &Candidate<'_>,
        place: Option<usize>,
        rank: impl FnOnce(usize) -> Rank,
    ) {
        let Some(rank) = place.map(rank) else { return };
        // Also in memory: the clock may have been set back since.
        if !AccessToken::are_believable(candidate.cached_at, candidate.expires_on, self.now) {
            return;
        }
        let is_usable = time_left(candidate.expires_on, self.now) >= Some(LAST_RESORT_MARGIN);
        let place = if is_fresh(candidate.expires_on, self.now)
            || (is_usable && is_new(candidate.cached_at, self.now))
        {
            &mut self.hit
        } else if is_usable {
            &mut self.last_resort
        } else {
            return;
        };
        let is_better = place.as_ref().is_none_or(|(known, token)| {
            rank < *known || (rank == *known && candidate.expires_on > token.expires_on())
        });
        if is_better {
            let info = info(
                (candidate.secret)(),
                candidate.cached_at,
                candidate.expires_on,
                candidate.refresh_on,
            );
            *place = Some((rank, info));
        }
    }
}

/// Returns `true` if a token was issued a moment ago: the server would issue one that lasts no
/// longer. A token from the future may be of any age.
fn is_new(cached_at: Option<SystemTime>, now: SystemTime) -> bool {
    let age = cached_at.and_then(|cached_at| now.duration_since(cached_at).ok());
    age.is_some_and(|age| age < MIN_TIME_BETWEEN_ATTEMPTS)
}

/// Returns a token with everything known about it.
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

/// Returns the refresh time of a token for which the server named none.
fn half_life(cached_at: SystemTime, expires_on: SystemTime) -> Option<SystemTime> {
    let life = expires_on.duration_since(cached_at).ok()?;
    // Whole seconds, as everything in the cache.
    let half = Duration::from_secs(life.as_secs() / 2);
    cached_at
        .checked_add(half)
        .filter(|_| life >= HALF_LIFE_FROM)
}
