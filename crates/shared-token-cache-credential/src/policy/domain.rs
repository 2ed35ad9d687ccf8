//! The tenants of a domain name, as far as a cache knows them. Pure.

use std::collections::HashSet;

use entra_token_endpoint::tenant::PERSONAL_TENANT;
use msal_token_cache::identifier::{
    is_guid, is_host, is_same_tenant, lower_home_account_id, lower_tenant,
};
use msal_token_cache::{Account, IdToken};

use crate::policy::authority::KnowsEnvironment;
use crate::policy::cloud_entries::CloudEntries;
use crate::policy::home_account::home_tenant;
use crate::policy::id_token::IdClaims;

/// Returns `true` if a tenant is given by a domain name.
pub(crate) fn is_domain(tenant: &str) -> bool {
    tenant.contains('.') && is_host(tenant)
}

/// Returns the IDs of the tenants with this domain name.
///
/// An account's name ends in a domain of its home tenant, so only ID tokens of the home tenant tell.
/// A personal account may have any name.
pub(crate) fn tenants_of(entries: &CloudEntries<'_>, domain: &str) -> Vec<String> {
    let ends_in_it = |name: &str| {
        let end = name.rsplit_once('@').map(|(_, end)| end);
        end.is_some_and(|end| is_same_tenant(end, domain))
    };
    let knows = |environment: &str| entries.authority.knows(environment);
    let accounts = entries.snapshot.accounts();
    let is_of_domain = |account: &Account<'_>| {
        let home = home_tenant(account.home_account_id());
        knows(account.environment())
            && home.is_some_and(|home| is_same_tenant(&account.realm(), home))
            && account.username().is_some_and(|name| ends_in_it(&name))
    };
    // In lower case.
    let of_domain: HashSet<String> = accounts
        .filter(is_of_domain)
        .map(|account| lower_home_account_id(account.home_account_id()).into_owned())
        .collect();
    let mut tenants: Vec<String> = Vec::new();
    for token in entries.snapshot.id_tokens().filter(IdToken::is_usable) {
        let id = token.home_account_id();
        let (Some(home), true) = (home_tenant(id), knows(token.environment())) else {
            continue;
        };
        let is_known = tenants.iter().any(|known| is_same_tenant(known, home));
        if is_known || !is_guid(home) || is_same_tenant(home, PERSONAL_TENANT) {
            continue;
        }
        let claims = IdClaims::decode(token.secret());
        let of_home = |claims: &IdClaims| claims.tid().is_some_and(|tid| is_same_tenant(tid, home));
        let Some(claims) = claims.filter(of_home) else {
            continue;
        };
        let mut names = ["upn", "preferred_username"].into_iter();
        if names.any(|name| claims.text(name).is_some_and(ends_in_it))
            || of_domain.contains(&*lower_home_account_id(id))
        {
            tenants.push(lower_tenant(home).into_owned());
        }
    }
    tenants
}
