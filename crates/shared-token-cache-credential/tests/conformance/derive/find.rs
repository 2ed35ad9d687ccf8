//! K3: which cached access token may be handed out.

use super::authority::Authority;
use super::clause::{Clause, Rules};
use super::entry::{
    NoObject, OWN_CLIENT, can_be_sent, entries, entries_or_none, has_believable_times, holds,
    home_tenant, is_access_token, is_bearer, is_bound, key, known, time,
};
use super::identifier::Id;
use super::resource::agree;
use crate::json::{Json, texts};
use crate::outcome::{Info, Token};
use crate::vector::Failure;

/// What is asked of a token.
pub(super) struct Query<'q> {
    pub(super) authority: &'q Authority,
    pub(super) home_account_id: &'q str,
    pub(super) scopes: &'q [String],
    /// The tenant that the call is for.
    pub(super) tenant: &'q str,
    /// With a record: its application, and nothing else.
    pub(super) only_client: Option<&'q str>,
    /// The refresh tokens that would be tried.
    pub(super) candidates: &'q [Json],
    pub(super) now: i64,
    pub(super) on: Rules,
}

#[derive(Default)]
pub(super) struct Found {
    pub(super) hit: Option<Token>,
    /// With a record the original refreshes this one in the call.
    pub(super) is_due: bool,
    /// Better than nothing.
    pub(super) last_resort: Option<Token>,
    /// Expired entries, which the original removes.
    pub(super) expired: Vec<Json>,
}

const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
pub(super) const PASSTHROUGH: &str = "f8cdef31-a31e-4b4a-93e4-5f571e91255a";

pub(super) fn is_personal(home_account_id: &str) -> bool {
    home_tenant(home_account_id).is_some_and(|home| home.eq_ignore_ascii_case(PERSONAL))
}

/// Whether this is the tenant of all personal accounts.
pub(super) fn is_personal_tenant(tenant: &str) -> bool {
    tenant.eq_ignore_ascii_case(PERSONAL)
}

pub(super) fn is_word_for_home(tenant: &str, on: Rules) -> bool {
    matches!(&*Id::Tenant.plain(tenant, on), "organizations" | "common")
}

impl Query<'_> {
    fn has(&self, clause: Clause) -> bool {
        self.on.has(clause)
    }

    pub(super) fn find(&self, cache: &Json) -> Result<Found, Failure> {
        let failed = match self.only_client {
            Some(_) => Failure::AuthenticationFailed,
            None => Failure::Unavailable,
        };
        let entries = match entries(cache, "AccessToken") {
            Ok(entries) => entries,
            Err(NoObject) if self.has(Clause::K7Section) => &[],
            Err(NoObject) => return Err(failed),
        };
        let clients = self.clients(cache);
        let mut found = Found::default();
        let mut expired: Vec<&Json> = Vec::new();
        let mut hits: Vec<(usize, i64, &Json)> = Vec::new();
        let mut last_resorts: Vec<(usize, i64, &Json)> = Vec::new();
        let preferred = self.preferred();
        let first = entries
            .iter()
            .filter(|(key, _)| Some(key) == preferred.as_ref());
        let others = entries
            .iter()
            .filter(|(key, _)| Some(key) != preferred.as_ref());
        for (place, entry) in first.chain(others) {
            let is_usable = is_access_token(entry, self.on) && can_be_sent(entry, "secret");
            if self.has(Clause::K3Malformed) && !is_usable {
                continue;
            }
            let expires_on = time(entry, "expires_on", self.on).ok_or(failed)?;
            if expires_on < self.now {
                expired.push(entry);
                continue;
            }
            // What stands under that key is asked for nothing else.
            let is_preferred = Some(place) == preferred.as_ref();
            let of_session = !self.has(Clause::K3Unbound) && entry.has("ext_cache_key");
            let id = entry.str("home_account_id");
            if !Id::Account.is_same(id, Some(self.home_account_id), self.on)
                || (of_session && !is_preferred)
            {
                continue;
            }
            let target = match entry.get("target") {
                None => "",
                Some(target) => target.as_str().ok_or(failed)?,
            };
            let scopes = self.scopes.iter().map(String::as_str);
            let has_scopes = is_preferred
                || (holds(target, scopes, !self.has(Clause::K3Scopes))
                    && (!self.has(Clause::K14Resources) || agree(target, self.scopes)));
            if !has_scopes || !self.will_do(entry) {
                continue;
            }
            let client = entry.str("client_id");
            let is_it = |known: &String| Id::Client.is_same(Some(known), client, self.on);
            let rank = clients.iter().position(is_it);
            let rank = match rank {
                Some(rank) => rank,
                None if self.only_client.is_none() && !self.has(Clause::K3Client) => 0,
                None => continue,
            };
            let left = expires_on - self.now;
            let least = match self.only_client {
                Some(_) if !self.has(Clause::K13Margin) => 300,
                _ => 301,
            };
            if left >= least {
                hits.push((rank, expires_on, entry));
                if !self.has(Clause::K3Client) {
                    // The original stops at the first.
                    break;
                }
            } else if left >= 30 {
                last_resorts.push((rank, expires_on, entry));
            }
        }
        if let Some(hit) = best(&hits) {
            found.is_due = self.only_client.is_some()
                && time(hit, "refresh_on", self.on).is_some_and(|on| on < self.now);
            found.hit = Some(self.token(hit, failed)?);
        } else {
            // In their order, wherever the look-up began.
            let of_all = entries.iter().map(|(_, entry)| entry);
            let is_expired = |entry: &&Json| expired.iter().any(|one| std::ptr::eq(*one, *entry));
            found.expired = of_all.filter(is_expired).cloned().collect();
        }
        if let Some(entry) = best(&last_resorts) {
            found.last_resort = Some(self.token(entry, failed)?);
        }
        Ok(found)
    }

    /// With a record the original looks first at the very key of what it asks for.
    fn preferred(&self) -> Option<String> {
        let client = self.only_client.filter(|_| !self.has(Clause::K3Client))?;
        let host = self.authority.host();
        let mut scopes = self.scopes.to_vec();
        scopes.sort_unstable();
        let target = scopes.join(" ");
        let entry = texts([
            ("home_account_id", Some(self.home_account_id)),
            ("environment", Some(&*host)),
            ("client_id", Some(client)),
            ("realm", Some(self.tenant)),
            ("target", Some(&target)),
        ]);
        Some(key("AccessToken", &entry))
    }

    /// Whether cloud, type, tenant, bonds and times are as they should be.
    fn will_do(&self, entry: &Json) -> bool {
        let own = self.authority.host();
        let cloud = match self.only_client {
            // The original asks for the very host of the authority.
            Some(_) if !self.has(Clause::K3Cloud) => {
                Id::Host.is_same(entry.str("environment"), Some(&own), self.on)
            }
            None if !self.has(Clause::K3Cloud) => true,
            _ => self.authority.knows(entry.str("environment")),
        };
        let realm = entry.str("realm").unwrap_or_default();
        let tenant = match self.only_client {
            Some(_) if !self.has(Clause::K3Tenant) => {
                Id::Tenant.is_same(Some(realm), Some(self.tenant), self.on)
            }
            None if !self.has(Clause::K3Tenant) => true,
            _ => self
                .realms()
                .into_iter()
                .any(|own| Id::Tenant.is_same(Some(own), Some(realm), self.on)),
        };
        cloud
            && tenant
            && (!self.has(Clause::K3Bearer) || is_bearer(entry))
            && !(self.has(Clause::K3Unbound) && is_bound(entry))
            && (!self.has(Clause::K3Times) || has_believable_times(entry, self.now, self.on))
    }

    fn realms(&self) -> Vec<&str> {
        let home = home_tenant(self.home_account_id);
        let is_personal = self.has(Clause::K3Personal) && is_personal(self.home_account_id);
        match self.tenant {
            tenant
                if !(is_word_for_home(tenant, self.on)
                    || is_personal && is_personal_tenant(tenant)) =>
            {
                vec![tenant]
            }
            _ if is_personal => vec![PERSONAL, PASSTHROUGH, "organizations"],
            _ => home
                .into_iter()
                .chain(["organizations", "common"])
                .collect(),
        }
    }

    /// The applications whose tokens will do, the preferred ones first.
    fn clients(&self, cache: &Json) -> Vec<String> {
        if let Some(only) = self.only_client {
            return vec![only.to_owned()];
        }
        let holders = self
            .candidates
            .iter()
            .filter_map(|token| token.str("client_id"));
        let relatives = entries_or_none(cache, "AppMetadata")
            .filter(|app| {
                self.authority.knows(app.str("environment"))
                    && known(app, "family_id").is_some()
                    && can_be_sent(app, "client_id")
            })
            .filter_map(|app| app.str("client_id"));
        let clients = holders.chain([OWN_CLIENT]).chain(relatives);
        clients.map(str::to_owned).collect()
    }

    fn token(&self, entry: &Json, failed: Failure) -> Result<Token, Failure> {
        let expires_on = time(entry, "expires_on", self.on).ok_or(failed)?;
        let refresh_on = match entry.get("refresh_on") {
            None => None,
            Some(_) => match time(entry, "refresh_on", self.on) {
                Some(time) => Some(time),
                // What is optional and unreadable is as absent.
                None if self.has(Clause::K3Malformed) => None,
                None => return Err(failed),
            },
        };
        let lived_from = time(entry, "cached_at", self.on);
        let half_life = || {
            let life = expires_on - lived_from?;
            (self.has(Clause::K7HalfLife) && life >= 7200)
                .then(|| lived_from?.checked_add(life / 2))?
        };
        let token_type = entry.get("token_type").cloned();
        let token_type = token_type.unwrap_or_else(|| Json::text("Bearer"));
        Ok(Token {
            secret: entry.get("secret").cloned().ok_or(failed)?,
            expires_on,
            info: Some(Info {
                refresh_on: refresh_on.or_else(half_life),
                token_type: if self.has(Clause::K3Bearer) {
                    Json::text("Bearer")
                } else {
                    token_type
                },
            }),
        })
    }
}

/// The first of the lowest rank; within a rank the one that expires last.
fn best<'e>(entries: &[(usize, i64, &'e Json)]) -> Option<&'e Json> {
    let mut best: Option<&(usize, i64, &Json)> = None;
    for entry in entries {
        let better = best
            .is_none_or(|(rank, end, _)| entry.0 < *rank || (entry.0 == *rank && entry.1 > *end));
        if better {
            best = Some(entry);
        }
    }
    best.map(|(.., entry)| *entry)
}
