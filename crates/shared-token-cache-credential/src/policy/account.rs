//! Selects the account that is meant among those in a cache. Pure.

use std::borrow::Cow;
use std::collections::HashMap;

use entra_token_endpoint::tenant::{PERSONAL_TENANT, is_adfs};
use msal_token_cache::identifier::{
    is_same_home_account_id, is_same_tenant, is_same_username, lower_home_account_id,
};
use token_credential::sanitize;

use crate::authentication_record::AuthenticationRecord;
use crate::policy::authority::KnowsEnvironment;
use crate::policy::cloud_entries::CloudEntries;
use crate::policy::domain::{is_domain, tenants_of};
use crate::policy::home_account::home_tenant;

#[cfg(test)]
mod tests;

/// The account that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SelectedAccount {
    /// In lower case, however the cache spells it.
    pub(crate) home_account_id: String,
    /// The newest name in the cache, fit to be shown.
    pub(crate) username: Option<String>,
    /// The only application whose tokens are used, or `None` for those of a family.
    pub(crate) client_id: Option<String>,
}

impl SelectedAccount {
    /// Returns the tenant that the account belongs to.
    pub(crate) fn home_tenant(&self) -> Option<&str> {
        home_tenant(&self.home_account_id)
    }

    /// Returns `true` for a personal account, as opposed to an organization's.
    pub(crate) fn is_personal(&self) -> bool {
        self.home_tenant()
            .is_some_and(|home| is_same_tenant(home, PERSONAL_TENANT))
    }
}

/// The reason why no account was selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SelectError {
    /// The cache holds no account with a refresh token for this cloud.
    None,
    /// It holds accounts, but not the one that is meant.
    NoMatch,
    /// The same, and no ID token tells which tenant has the domain name that was asked for.
    UnknownDomain,
    /// Several are left: username and home tenant of each.
    Several(Vec<(Option<String>, Option<String>)>),
}

/// The rule that selects one account of a cache.
///
/// No account or several accounts that match are an error: a credential never guesses.
#[derive(Clone, Debug)]
pub struct AccountSelector(pub(crate) Rule);

/// The kinds of an [`AccountSelector`].
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    /// The only account that passes this filter.
    Filtered(Filter),
    /// The account that signed in there.
    Recorded(AuthenticationRecord),
}

impl AccountSelector {
    /// Selects the only account with this user name and this home tenant. `None` matches all, an
    /// empty text none. ASCII case is ignored. A tenant is an ID, or a domain name that an ID token
    /// in the cache vouches for.
    pub fn matching(username: Option<String>, home_tenant: Option<String>) -> Self {
        Self(Rule::Filtered(Filter {
            username,
            tenant_id: home_tenant,
        }))
    }

    /// Selects the account of a sign-in, which needs no refresh token in the cache for a cached
    /// access token. Authority, tenants and clients of the record are not taken from it.
    pub fn of_record(record: AuthenticationRecord) -> Self {
        Self(Rule::Recorded(record))
    }
}

/// The applications whose cached tokens a credential uses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Clients {
    /// The Azure CLI, the applications that the account's refresh tokens were issued to, and those
    /// of their families.
    Family,
    /// One application, by its client ID. It redeems its own refresh tokens and those of its family.
    Only(String),
}

impl Clients {
    /// Returns the only application, if there is just one.
    fn only(&self) -> Option<&str> {
        match self {
            Self::Family => None,
            Self::Only(client_id) => Some(client_id),
        }
    }
}

/// A filter that all accounts pass unless a member is set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) username: Option<String>,
    pub(crate) tenant_id: Option<String>,
}

/// An account with everything that its entries say.
struct KnownAccount<'s> {
    home_account_id: String,
    /// Entries are in the order of the document: the last name is the newest.
    usernames: Vec<Cow<'s, str>>,
    of_broker: bool,
    has_refresh_token: bool,
    has_family_token: bool,
}

/// Selects the account that is meant.
pub(crate) fn select(
    entries: &CloudEntries<'_>,
    selector: &AccountSelector,
    clients: &Clients,
) -> Result<SelectedAccount, SelectError> {
    let selected = match &selector.0 {
        Rule::Filtered(filter) => only_match(entries, filter),
        Rule::Recorded(record) => recorded(entries, record),
    }?;
    Ok(SelectedAccount {
        client_id: clients.only().map(str::to_owned),
        ..selected
    })
}

fn only_match(entries: &CloudEntries<'_>, filter: &Filter) -> Result<SelectedAccount, SelectError> {
    let mut candidates = with_tokens(entries);
    if candidates.is_empty() {
        return Err(SelectError::None);
    }
    let asked = filter.tenant_id.as_deref();
    let of_domain = asked.filter(|tenant| is_domain(tenant));
    let of_domain = of_domain.map_or_else(Vec::new, |domain| tenants_of(entries, domain));
    candidates.retain(|candidate| candidate.passes(filter, &of_domain));
    // A broker's account is selected only where no other one can be meant.
    if candidates.iter().any(|other| other.has_refresh_token) {
        candidates.retain(|candidate| candidate.has_refresh_token);
    }
    let of_family = candidates.iter().filter(|other| other.has_family_token);
    if of_family.count() == 1 {
        candidates.retain(|candidate| candidate.has_family_token);
    }
    match <[KnownAccount<'_>; 1]>::try_from(candidates) {
        Ok([only]) => Ok(SelectedAccount {
            username: only.username(),
            home_account_id: only.home_account_id,
            client_id: None,
        }),
        Err(none) if none.is_empty() => Err(match asked {
            Some(domain) if is_domain(domain) && of_domain.is_empty() => SelectError::UnknownDomain,
            _ => SelectError::NoMatch,
        }),
        Err(several) => Err(SelectError::Several(
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

/// Returns the accounts that tokens can be had of: with a refresh token, or kept by a broker, which
/// leaves access tokens only.
fn with_tokens<'s>(entries: &CloudEntries<'s>) -> Vec<KnownAccount<'s>> {
    // By the account: its presence says that there is a refresh token, the value that one is of a
    // family.
    let mut tokens: HashMap<Cow<'_, str>, bool> = HashMap::new();
    for token in entries.redeemable() {
        let id = lower_home_account_id(token.home_account_id());
        *tokens.entry(id).or_default() |= token.family_id().is_some();
    }
    let mut candidates: Vec<KnownAccount<'s>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for account in entries
        .snapshot
        .accounts()
        .filter(|account| entries.authority.knows(account.environment()))
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
        candidates.push(KnownAccount {
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

/// Returns the account of a record, with a refresh token or without: a cached access token needs
/// no refresh token.
fn recorded(
    entries: &CloudEntries<'_>,
    record: &AuthenticationRecord,
) -> Result<SelectedAccount, SelectError> {
    let mut usernames: Vec<String> = entries
        .snapshot
        .accounts()
        .filter(|account| {
            is_same_home_account_id(account.home_account_id(), record.home_account_id())
                && entries.authority.knows(account.environment())
                && matches!(account.authority_type().as_deref(), Some("MSSTS" | "ADFS"))
        })
        .map(|account| account.username().unwrap_or_default().into_owned())
        .collect();
    let is_known = usernames
        .iter()
        .any(|known| record.username().is_empty() || is_same_username(known, record.username()));
    if !is_known {
        return Err(SelectError::NoMatch);
    }
    usernames.retain(|known| !known.is_empty());
    Ok(SelectedAccount {
        home_account_id: lower_home_account_id(record.home_account_id()).into_owned(),
        username: usernames.last().map(|newest| sanitize(newest)),
        client_id: None,
    })
}

/// Returns `true` if the cache says that an account is one of AD FS.
pub(crate) fn is_of_adfs(entries: &CloudEntries<'_>, home_account_id: &str) -> bool {
    let mut entries = entries.snapshot.accounts().filter(|account| {
        is_same_home_account_id(account.home_account_id(), home_account_id)
            && entries.authority.knows(account.environment())
    });
    entries.any(|account| account.authority_type().as_deref().is_some_and(is_adfs))
}

impl KnownAccount<'_> {
    /// Returns the newest name, fit to be shown.
    fn username(&self) -> Option<String> {
        self.usernames.last().map(|newest| sanitize(newest))
    }

    /// Returns `true` if it passes. `of_domain` are the tenants that have the filter's domain name.
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
