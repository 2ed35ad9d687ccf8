//! K1 and K4: which refresh tokens are redeemed, as whom, in which order.

use super::authority::Authority;
use super::clause::{Clause, Rules};
use super::entry::{
    OWN_CLIENT, can_be_sent, entries_or_none, int, is_not_anyones, is_refresh_token, key, known,
    time,
};
use super::identifier::Id;
use super::whose::{Record, families};
use crate::json::{Json, texts};

/// A refresh token and the applications to redeem it as.
pub(super) struct Attempt {
    pub(super) entry: Json,
    pub(super) clients: Vec<String>,
    /// With a record the original tries the family's tokens unasked where it knows nothing of the
    /// application; an error then goes unseen.
    pub(super) is_guess: bool,
}

/// The refresh tokens of the account in the order in which they would be tried, each after what
/// came before it was refused.
pub(super) fn attempts(
    cache: &Json,
    authority: &Authority,
    home_account_id: &str,
    record: Option<&Record>,
    now: i64,
    on: Rules,
) -> Vec<Attempt> {
    let of_account = entries_or_none(cache, "RefreshToken").filter(|entry| {
        let any_cloud = record.is_none() && !on.has(Clause::K4Cloud);
        Id::Account.is_same(entry.str("home_account_id"), Some(home_account_id), on)
            && (any_cloud || authority.knows(entry.str("environment")))
            && if on.has(Clause::K3Malformed) {
                is_refresh_token(entry)
            } else {
                entry.has("secret")
            }
            && !(on.has(Clause::K2NotAnyones) && is_not_anyones(entry, now, on))
    });
    let mut attempts: Vec<Attempt> = match record {
        Some(record) if on.has(Clause::K4Newest) => {
            let families = families(cache, authority, &record.client_id, on);
            let may = |entry: &&Json| {
                let is_relative = |family| match &families {
                    None => true,
                    Some(families) => families.contains(&family),
                };
                Id::Client.is_same(entry.str("client_id"), Some(&record.client_id), on)
                    || known(entry, "family_id").is_some_and(is_relative)
            };
            let ours = of_account.filter(may);
            ours.map(|entry| Attempt::with(record, entry, false))
                .collect()
        }
        Some(record) => {
            let of_account: Vec<_> = of_account.collect();
            let hosts = authority.hosts();
            let at_host = |host: &String| of_record(&of_account, cache, host, record);
            hosts.iter().flat_map(at_host).collect()
        }
        None => of_account
            .map(|entry| Attempt {
                clients: clients(cache, authority, entry, on),
                is_guess: false,
                entry: entry.clone(),
            })
            .collect(),
    };
    if on.has(Clause::K4Newest) {
        // Stable: what is equally new stays in document order.
        attempts.sort_by_key(|attempt| std::cmp::Reverse(last_change(cache, &attempt.entry, on)));
    }
    attempts
}

/// What the original tries at a host with a record: first the tokens of its application's family,
/// then those of the application, each the newest first.
fn of_record(of_account: &[&Json], cache: &Json, host: &str, record: &Record) -> Vec<Attempt> {
    // It finds what is known of the application by its key.
    let app = texts([
        ("environment", Some(host)),
        ("client_id", Some(&*record.client_id)),
    ]);
    let apps = cache.get("AppMetadata");
    let app = apps.and_then(|apps| apps.get(&key("AppMetadata", &app)));
    let is_unknown = app.is_none_or(|app| app.members().is_empty());
    let family = match app {
        // It knows one family.
        _ if is_unknown => Some("1"),
        Some(app) => known(app, "family_id"),
        None => None,
    };
    let newest_first = |may: &dyn Fn(&Json) -> bool| {
        let at_host = |entry: &Json| entry.str("environment") == Some(host);
        let mut tokens: Vec<&Json> = of_account.to_vec();
        tokens.retain(|entry| at_host(entry) && may(entry));
        tokens.sort_by_key(|entry| {
            let time = entry.get("last_modification_time").and_then(int);
            std::cmp::Reverse(time.unwrap_or(0))
        });
        tokens
    };
    let relatives = newest_first(&|entry| family.is_some() && entry.str("family_id") == family);
    let own = newest_first(&|entry| entry.str("client_id") == Some(&*record.client_id));
    let relatives = relatives
        .iter()
        .map(|entry| Attempt::with(record, entry, is_unknown));
    let own = own.iter().map(|entry| Attempt::with(record, entry, false));
    relatives.chain(own).collect()
}

impl Attempt {
    fn with(record: &Record, entry: &Json, is_guess: bool) -> Self {
        Self {
            entry: entry.clone(),
            clients: vec![record.client_id.clone()],
            is_guess,
        }
    }
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
        authority.knows(app.str("environment"))
            && app.str("family_id") == Some(family)
            && can_be_sent(app, "client_id")
    });
    for relative in relatives.filter_map(|app| known(app, "client_id")) {
        let is_it = |known: &String| Id::Client.is_same(Some(known), Some(relative), on);
        if clients.len() < 3 && !clients.iter().any(is_it) {
            clients.push(relative.to_owned());
        }
    }
    clients
}

/// K4: when a refresh token was last replaced; where it does not say, when its client last got an
/// access token.
fn last_change(cache: &Json, token: &Json, on: Rules) -> Option<i64> {
    time(token, "last_modification_time", on).or_else(|| {
        let same = |entry: &&Json| {
            [("home_account_id", Id::Account), ("client_id", Id::Client)]
                .iter()
                .all(|(name, id)| id.is_same(entry.str(name), token.str(name), on))
        };
        entries_or_none(cache, "AccessToken")
            .filter(same)
            .filter_map(|entry| time(entry, "cached_at", on))
            .max()
    })
}
