//! Which of the cache's accounts is meant. Pure: it reads a snapshot and decides.

use std::borrow::Cow;
use std::collections::HashMap;

use msal_token_cache::identifier::{
    is_same_home_account_id, is_same_tenant, is_same_username, lower_home_account_id,
};
use token_credential::sanitize;

use crate::authentication_record::AuthenticationRecord;
use crate::authority::KnowsEnvironment;
use crate::domain::{is_domain, tenants_of};
use crate::reading::Reading;
use crate::tenant::{PERSONAL_TENANT, is_adfs};

#[cfg(test)]
mod tests;

/// An account that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// In lower case, however the cache spells it.
    pub(crate) home_account_id: String,
    /// The newest name that the cache knows, as it may be shown.
    pub(crate) username: Option<String>,
    /// The only application whose tokens will do; without it, those of several may.
    pub(crate) client_id: Option<String>,
}

impl Chosen {
    /// The tenant that the account belongs to: what follows the only dot of its id.
    pub(crate) fn home_tenant(&self) -> Option<&str> {
        home_tenant(&self.home_account_id)
    }

    /// Whether it is somebody's own account, and not an organization's.
    pub(crate) fn is_personal(&self) -> bool {
        self.home_tenant()
            .is_some_and(|home| is_same_tenant(home, PERSONAL_TENANT))
    }
}

/// Why no account was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotChosen {
    /// The cache holds no account with a refresh token for this cloud.
    None,
    /// It holds accounts, but not the one that is meant.
    NoMatch,
    /// The same, and no ID token tells which tenant has the domain name that was asked for.
    UnknownDomain,
    /// Several are left: username and home tenant of each.
    Several(Vec<(Option<String>, Option<String>)>),
}

/// What the program said about the account that it means.
#[derive(Clone, Debug)]
pub(crate) enum Whose {
    /// The only one that this lets through.
    Filtered(Filter),
    /// The one that signed in there, for tokens of the application that it signed in with.
    Recorded(AuthenticationRecord),
}

/// Which accounts are let through: all of them, unless something is set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) username: Option<String>,
    pub(crate) tenant_id: Option<String>,
}

/// An account with all that its entries say.
struct Candidate<'s> {
    home_account_id: String,
    /// Entries come oldest first: the last name is the newest.
    usernames: Vec<Cow<'s, str>>,
    of_broker: bool,
    has_refresh_token: bool,
    has_family_token: bool,
}

pub(crate) fn choose(reading: &Reading<'_>, whose: &Whose) -> Result<Chosen, NotChosen> {
    match whose {
        Whose::Filtered(filter) => only_match(reading, filter),
        Whose::Recorded(record) => recorded(reading, record),
    }
}

fn only_match(reading: &Reading<'_>, filter: &Filter) -> Result<Chosen, NotChosen> {
    let mut candidates = with_tokens(reading);
    if candidates.is_empty() {
        return Err(NotChosen::None);
    }
    let asked = filter.tenant_id.as_deref();
    let of_domain = asked.filter(|tenant| is_domain(tenant));
    let of_domain = of_domain.map_or_else(Vec::new, |domain| tenants_of(reading, domain));
    candidates.retain(|candidate| candidate.passes(filter, &of_domain));
    // Somebody whom a broker signed in is asked for only where nobody else can be meant.
    if candidates.iter().any(|other| other.has_refresh_token) {
        candidates.retain(|candidate| candidate.has_refresh_token);
    }
    let of_family = candidates.iter().filter(|other| other.has_family_token);
    if of_family.count() == 1 {
        candidates.retain(|candidate| candidate.has_family_token);
    }
    match <[Candidate<'_>; 1]>::try_from(candidates) {
        Ok([only]) => Ok(Chosen {
            username: only.username(),
            home_account_id: only.home_account_id,
            client_id: None,
        }),
        Err(none) if none.is_empty() => Err(match asked {
            Some(domain) if is_domain(domain) && of_domain.is_empty() => NotChosen::UnknownDomain,
            _ => NotChosen::NoMatch,
        }),
        Err(several) => Err(NotChosen::Several(
            several
                .into_iter()
                .map(|candidate| {
                    let tenant = home_tenant(&candidate.home_account_id).map(sanitize);
                    (candidate.username(), tenant)
                })
                .collect(),
        )),
    }
}

/// The accounts that tokens can be had of: with a refresh token, or kept by a broker, who leaves
/// access tokens only.
fn with_tokens<'s>(reading: &Reading<'s>) -> Vec<Candidate<'s>> {
    // By the account: whether there is a refresh token, and whether there is one of a family.
    let mut tokens: HashMap<Cow<'_, str>, bool> = HashMap::new();
    for token in reading.redeemable() {
        let id = lower_home_account_id(token.home_account_id());
        *tokens.entry(id).or_default() |= token.family_id().is_some();
    }
    let mut candidates: Vec<Candidate<'s>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for account in reading
        .snapshot
        .accounts()
        .filter(|account| reading.authority.knows(account.environment()))
    {
        let id = lower_home_account_id(account.home_account_id());
        let of_broker = account.account_source().as_deref() == Some("broker");
        let known = places
            .get(&*id)
            .and_then(|place| candidates.get_mut(*place));
        if let Some(known) = known {
            known.of_broker |= of_broker;
            known.usernames.extend(account.username());
            continue;
        }
        let has_family_token = tokens.get(&*id);
        places.insert(id.clone().into_owned(), candidates.len());
        candidates.push(Candidate {
            usernames: account.username().into_iter().collect(),
            of_broker,
            has_refresh_token: has_family_token.is_some(),
            has_family_token: has_family_token.copied().unwrap_or_default(),
            home_account_id: id.into_owned(),
        });
    }
    // Only now: any of an account's entries may say that it is a broker's.
    candidates.retain(|candidate| candidate.has_refresh_token || candidate.of_broker);
    candidates
}

/// The account of a record, whether it has a refresh token or not: a cached access token needs
/// none.
fn recorded(reading: &Reading<'_>, record: &AuthenticationRecord) -> Result<Chosen, NotChosen> {
    let mut usernames: Vec<String> = reading
        .snapshot
        .accounts()
        .filter(|account| {
            is_same_home_account_id(account.home_account_id(), record.home_account_id())
                && reading.authority.knows(account.environment())
                && matches!(account.authority_type().as_deref(), Some("MSSTS" | "ADFS"))
        })
        .map(|account| account.username().unwrap_or_default().into_owned())
        .collect();
    let is_known = usernames
        .iter()
        .any(|known| record.username().is_empty() || is_same_username(known, record.username()));
    if !is_known {
        return Err(NotChosen::NoMatch);
    }
    usernames.retain(|known| !known.is_empty());
    Ok(Chosen {
        home_account_id: lower_home_account_id(record.home_account_id()).into_owned(),
        username: usernames.last().map(|newest| sanitize(newest)),
        client_id: Some(record.client_id().to_owned()),
    })
}

/// Whether the cache says that an account is one of AD FS.
pub(crate) fn is_of_adfs(reading: &Reading<'_>, home_account_id: &str) -> bool {
    let mut entries = reading.snapshot.accounts().filter(|account| {
        is_same_home_account_id(account.home_account_id(), home_account_id)
            && reading.authority.knows(account.environment())
    });
    entries.any(|account| account.authority_type().as_deref().is_some_and(is_adfs))
}

impl Candidate<'_> {
    /// The newest name, as it may be shown.
    fn username(&self) -> Option<String> {
        self.usernames.last().map(|newest| sanitize(newest))
    }

    /// Whether it is let through; `of_domain` are the tenants that have the domain name in the filter.
    fn passes(&self, filter: &Filter, of_domain: &[String]) -> bool {
        let Filter {
            username,
            tenant_id,
        } = filter;
        let same_name = |asked: &String| {
            self.usernames
                .iter()
                .any(|known| is_same_username(known, asked))
        };
        let same_tenant = |asked: &String| {
            home_tenant(&self.home_account_id).is_some_and(|home| {
                let mut tenants = of_domain.iter().chain([asked]);
                tenants.any(|tenant| is_same_tenant(tenant, home))
            })
        };
        username.as_ref().is_none_or(same_name) && tenant_id.as_ref().is_none_or(same_tenant)
    }
}

/// The tenant that an account belongs to: what follows the only dot of its id.
pub(crate) fn home_tenant(home_account_id: &str) -> Option<&str> {
    let (_, tenant) = home_account_id.split_once('.')?;
    (!tenant.is_empty() && !tenant.contains('.')).then_some(tenant)
}
