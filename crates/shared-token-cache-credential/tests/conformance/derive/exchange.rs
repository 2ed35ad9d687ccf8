//! K1 and K4: which refresh tokens are redeemed, as whom, in which order.

use super::authority::Authority;
use super::clause::{Clause, Rules};
use super::entry::{OWN_CLIENT, entries_or_none, int, is_not_anyones, is_refresh_token, known};
use super::whose::{Record, families};
use crate::json::Json;

/// A refresh token and the applications to redeem it as.
pub(super) struct Attempt {
    pub(super) entry: Json,
    pub(super) clients: Vec<String>,
    /// It belongs to a family, and to another application.
    pub(super) of_family: bool,
    /// The original forgets its refusal.
    pub(super) is_trial: bool,
}

/// The refresh tokens of the account in the order in which they are tried.
pub(super) fn attempts(
    cache: &Json,
    authority: &Authority,
    home_account_id: &str,
    record: Option<&Record>,
    now: i64,
    on: Rules,
) -> Vec<Attempt> {
    let of_account = entries_or_none(cache, "RefreshToken").filter(|entry| {
        let cloud = match record {
            Some(_) if !on.has(Clause::K12Host) => authority.knows(entry.str("environment")),
            None if !on.has(Clause::K4Cloud) => true,
            _ => authority.knows(entry.str("environment")),
        };
        entry.str("home_account_id") == Some(home_account_id)
            && cloud
            && if on.has(Clause::K3Malformed) {
                is_refresh_token(entry)
            } else {
                entry.has("secret")
            }
            && !(on.has(Clause::K2NotAnyones) && is_not_anyones(entry, now))
    });
    let mut attempts: Vec<Attempt> = match record {
        Some(record) => of_record(of_account, cache, authority, record, on),
        None => of_account
            .map(|entry| Attempt {
                clients: clients(cache, authority, entry, on),
                of_family: false,
                is_trial: false,
                entry: entry.clone(),
            })
            .collect(),
    };
    if on.has(Clause::K4Newest) {
        // Stable: what is equally new stays in document order.
        attempts.sort_by_key(|attempt| std::cmp::Reverse(last_change(cache, &attempt.entry)));
    }
    attempts
}

/// A record's application redeems its own tokens and those of its family.
fn of_record<'c>(
    of_account: impl Iterator<Item = &'c Json>,
    cache: &Json,
    authority: &Authority,
    record: &Record,
    on: Rules,
) -> Vec<Attempt> {
    let families = families(cache, authority, &record.client_id);
    let own = |entry: &Json| entry.str("client_id") == Some(&*record.client_id);
    let relative = |entry: &Json| {
        known(entry, "family_id").is_some_and(|family| match &families {
            // The original knows one family.
            None => family == "1" || on.has(Clause::K4Newest),
            Some(families) => families.contains(&family),
        })
    };
    let attempt = |entry: &Json, of_family| Attempt {
        entry: entry.clone(),
        clients: vec![record.client_id.clone()],
        of_family,
        // Where it does not know whether the application is of the family, it tries.
        is_trial: of_family && families.is_none(),
    };
    let all: Vec<_> = of_account.collect();
    if on.has(Clause::K4Newest) {
        let ours = all
            .into_iter()
            .filter(|entry| own(entry) || relative(entry));
        return ours.map(|entry| attempt(entry, false)).collect();
    }
    // The original: first the family's, then its own, each the newest first.
    let time = |entry: &&&Json| {
        std::cmp::Reverse(
            entry
                .get("last_modification_time")
                .and_then(int)
                .unwrap_or(0),
        )
    };
    let mut of_family: Vec<_> = all.iter().filter(|entry| relative(entry)).collect();
    of_family.sort_by_key(time);
    let mut its_own: Vec<_> = all.iter().filter(|entry| own(entry)).collect();
    its_own.sort_by_key(time);
    of_family
        .into_iter()
        .map(|entry| attempt(entry, true))
        .chain(its_own.into_iter().map(|entry| attempt(entry, false)))
        .collect()
}

/// As whom a refresh token is redeemed.
fn clients(cache: &Json, authority: &Authority, entry: &Json, on: Rules) -> Vec<String> {
    let mut clients = match known(entry, "client_id") {
        Some(own) if on.has(Clause::K1Client) => vec![own.to_owned()],
        _ => vec![OWN_CLIENT.to_owned()],
    };
    let Some(family) = known(entry, "family_id").filter(|_| on.has(Clause::K1Relatives)) else {
        return clients;
    };
    let relatives = entries_or_none(cache, "AppMetadata").filter(|app| {
        authority.knows(app.str("environment")) && app.str("family_id") == Some(family)
    });
    for relative in relatives.filter_map(|app| known(app, "client_id")) {
        if clients.len() < 3 && !clients.iter().any(|known| known == relative) {
            clients.push(relative.to_owned());
        }
    }
    clients
}

/// K4: "newest `last_modification_time` first (missing: the newest `cached_at` of that client's
/// access tokens, then document order)".
fn last_change(cache: &Json, token: &Json) -> Option<i64> {
    token
        .get("last_modification_time")
        .and_then(int)
        .or_else(|| {
            let same = |entry: &&Json| {
                ["home_account_id", "client_id"]
                    .iter()
                    .all(|name| entry.str(name) == token.str(name))
            };
            entries_or_none(cache, "AccessToken")
                .filter(same)
                .filter_map(|entry| entry.get("cached_at").and_then(int))
                .max()
        })
}
