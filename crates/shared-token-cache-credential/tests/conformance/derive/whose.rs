//! K2: which account is meant.

use super::authority::Authority;
use super::clause::{Clause, Rules};
use super::entry::{
    NoObject, can_be_sent, entries, entries_or_none, home_tenant, is_not_anyones, is_refresh_token,
    known,
};
use super::identifier::Id;
use crate::json::Json;
use crate::vector::Failure;

/// What is asked about the account without a record.
pub(super) struct Filter<'f> {
    pub(super) username: Option<&'f str>,
    pub(super) tenant_id: Option<&'f str>,
}

#[derive(Clone)]
struct Candidate {
    id: String,
    names: Vec<Option<String>>,
    has_token: bool,
    has_family: bool,
}

/// The entries of a section that can be looked at.
fn seen<'c>(cache: &'c Json, section: &str, on: Rules) -> Result<Vec<&'c Json>, Failure> {
    let entries = match entries(cache, section) {
        Ok(entries) => entries,
        Err(NoObject) if on.has(Clause::K7Section) => &[],
        Err(NoObject) => return Err(Failure::AuthenticationFailed),
    };
    let mut seen = Vec::new();
    for (_, entry) in entries {
        match entry {
            Json::Object(_) => seen.push(entry),
            Json::Null => {}
            _ if on.has(Clause::K3Malformed) => {}
            _ => return Err(Failure::AuthenticationFailed),
        }
    }
    Ok(seen)
}

pub(super) fn choose(
    cache: &Json,
    authority: &Authority,
    filter: &Filter<'_>,
    now: i64,
    on: Rules,
) -> Result<String, Failure> {
    let refresh_tokens: Vec<_> = seen(cache, "RefreshToken", on)?
        .into_iter()
        .filter(|token| {
            authority.knows(token.str("environment"))
                && known(token, "home_account_id").is_some()
                && (on.has(Clause::K2AnyToken) || token.has("family_id"))
                && (!on.has(Clause::K3Malformed) || is_refresh_token(token))
                && (!on.has(Clause::K2NotAnyones) || !is_not_anyones(token, now, on))
        })
        .collect();
    let mut candidates: Vec<Candidate> = Vec::new();
    for account in seen(cache, "Account", on)? {
        let Some(id) = known(account, "home_account_id") else {
            continue;
        };
        if !authority.knows(account.str("environment")) {
            continue;
        }
        let name = account.str("username").map(str::to_owned);
        let mut tokens = refresh_tokens
            .iter()
            .filter(|token| Id::Account.is_same(token.str("home_account_id"), Some(id), on))
            .peekable();
        let has_token = tokens.peek().is_some();
        let of_broker = on.has(Clause::K3Broker) && account.str("account_source") == Some("broker");
        if let Some(same) = candidates
            .iter_mut()
            .find(|other| Id::Account.is_same(Some(&other.id), Some(id), on))
        {
            if !on.has(Clause::K2OneAccount) {
                same.names.clear();
            }
            same.names.push(name);
        } else if has_token || of_broker {
            candidates.push(Candidate {
                id: id.to_owned(),
                names: vec![name],
                has_token,
                has_family: tokens.any(|token| known(token, "family_id").is_some()),
            });
        }
    }
    let same_name = |name: &str, asked: &str| {
        name == asked
            || (on.has(Clause::K2NameCase) && lower_name(name, on) == lower_name(asked, on))
    };
    candidates.retain(|candidate| {
        let named = |asked: &str| {
            let mut names = candidate.names.iter().flatten();
            names.any(|name| same_name(name, asked))
        };
        filter.username.is_none_or(named)
            && filter
                .tenant_id
                .is_none_or(|asked| Id::Tenant.is_same(home_tenant(&candidate.id), Some(asked), on))
    });
    // A broker's account is meant where nobody else is.
    if candidates.iter().any(|candidate| candidate.has_token) {
        candidates.retain(|candidate| candidate.has_token);
    }
    let families = candidates.iter().filter(|candidate| candidate.has_family);
    if on.has(Clause::K2FamilyFirst) && families.count() == 1 {
        candidates.retain(|candidate| candidate.has_family);
    }
    match &*candidates {
        [only] => Ok(only.id.clone()),
        _ => Err(Failure::Unavailable),
    }
}

/// The account of a record, and the host at which the original finds it.
pub(super) fn recorded(
    cache: &Json,
    authority: &Authority,
    record: &Record,
    on: Rules,
) -> Result<String, Failure> {
    let accounts = seen(cache, "Account", on)?;
    // The original looks at one host after the other; ours at all of the cloud's.
    let own = authority.host();
    let at_own = |account: &&&Json| Id::Host.is_same(account.str("environment"), Some(&own), on);
    let counts = |account: &&&Json| {
        at_own(account) && matches!(account.str("authority_type"), None | Some("MSSTS" | "ADFS"))
    };
    let of_cloud: Vec<_> =
        if accounts.iter().any(|account| counts(&account)) && !on.has(Clause::K2OneAccount) {
            accounts.iter().filter(at_own).collect()
        } else {
            accounts
                .iter()
                .filter(|account| authority.knows(account.str("environment")))
                .collect()
        };
    let mut names: Vec<(String, Option<String>)> = Vec::new();
    for account in of_cloud {
        let id = account
            .str("home_account_id")
            .unwrap_or_default()
            .to_owned();
        match account.str("authority_type") {
            Some("MSSTS" | "ADFS") => {}
            None if !on.has(Clause::K3Malformed) => return Err(Failure::AuthenticationFailed),
            _ => continue,
        }
        if !on.has(Clause::K2OneAccount) {
            names.retain(|(other, _)| *other != id);
        }
        names.push((id, account.str("username").map(str::to_owned)));
    }
    if !on.has(Clause::K3Malformed) && names.iter().any(|(_, name)| name.is_none()) {
        return Err(Failure::AuthenticationFailed);
    }
    let asked = lower_name(&record.username, on);
    let is_it = |(id, name): &(String, Option<String>)| {
        Id::Account.is_same(Some(id), Some(&record.home_account_id), on)
            && (asked.is_empty()
                || name
                    .as_ref()
                    .is_some_and(|name| lower_name(name, on) == asked))
    };
    if names.iter().any(is_it) {
        Ok(record.home_account_id.clone())
    } else {
        Err(Failure::Unavailable)
    }
}

/// A name as it compares without case.
fn lower_name(name: &str, on: Rules) -> String {
    if on.has(Clause::K16Identifiers) {
        name.to_ascii_lowercase()
    } else {
        name.to_lowercase()
    }
}

/// What a record says.
pub(super) struct Record {
    pub(super) authority: String,
    pub(super) client_id: String,
    pub(super) home_account_id: String,
    pub(super) tenant_id: String,
    pub(super) username: String,
}

/// The families of an application by its `AppMetadata`; `None` if there is none.
pub(super) fn families<'c>(
    cache: &'c Json,
    authority: &Authority,
    client_id: &str,
    on: Rules,
) -> Option<Vec<&'c str>> {
    let of_client: Vec<_> = entries_or_none(cache, "AppMetadata")
        .filter(|app| {
            authority.knows(app.str("environment"))
                && Id::Client.is_same(app.str("client_id"), Some(client_id), on)
                && can_be_sent(app, "client_id")
        })
        .collect();
    if of_client.is_empty() {
        return None;
    }
    Some(
        of_client
            .into_iter()
            .filter_map(|app| known(app, "family_id"))
            .collect(),
    )
}
