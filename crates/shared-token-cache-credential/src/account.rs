//! Which of the cache's accounts is meant. Pure: it reads a snapshot and decides.

use msal_token_cache::{Account, RefreshToken, Snapshot};
use std::time::SystemTime;

use crate::authority::Authority;
use crate::text::clean;

#[cfg(test)]
mod tests;

/// An account that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) home_account_id: String,
    /// The newest name that the cache knows, as it may be shown.
    pub(crate) username: Option<String>,
}

impl Chosen {
    /// The tenant that the account belongs to: what follows the only dot of its id.
    pub(crate) fn home_tenant(&self) -> Option<&str> {
        home_tenant(&self.home_account_id)
    }
}

/// Why no account was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotChosen {
    /// The cache holds no account with a refresh token for this cloud.
    None,
    /// It holds accounts, but none that the filter lets through.
    NoMatch,
    /// Several are left: username and home tenant of each.
    Several(Vec<(Option<String>, Option<String>)>),
}

/// What the program said about the account that it means.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) username: Option<String>,
    pub(crate) tenant_id: Option<String>,
}

/// An account with all that its entries say.
struct Candidate {
    chosen: Chosen,
    usernames: Vec<String>,
    has_family_token: bool,
}

pub(crate) fn choose(
    snapshot: &Snapshot,
    authority: &Authority,
    filter: &Filter,
    now: SystemTime,
) -> Result<Chosen, NotChosen> {
    let refresh_tokens: Vec<_> = redeemable(snapshot, authority, now).collect();
    let mut candidates: Vec<Candidate> = Vec::new();
    for account in snapshot
        .accounts()
        .filter(|account| authority.knows(account.environment()))
    {
        let id = account.home_account_id();
        let mut theirs = refresh_tokens
            .iter()
            .filter(|token| token.home_account_id() == id);
        if let Some(known) = candidates
            .iter_mut()
            .find(|known| known.chosen.home_account_id == id)
        {
            known.add(&account);
        } else if let Some(first) = theirs.next() {
            let has_family_token =
                first.family_id().is_some() || theirs.any(|token| token.family_id().is_some());
            let chosen = Chosen {
                home_account_id: id.to_owned(),
                username: None,
            };
            let mut candidate = Candidate {
                chosen,
                usernames: Vec::new(),
                has_family_token,
            };
            candidate.add(&account);
            candidates.push(candidate);
        }
    }
    if candidates.is_empty() {
        return Err(NotChosen::None);
    }
    candidates.retain(|candidate| candidate.passes(filter));
    if candidates
        .iter()
        .filter(|candidate| candidate.has_family_token)
        .count()
        == 1
    {
        candidates.retain(|candidate| candidate.has_family_token);
    }
    match <[Candidate; 1]>::try_from(candidates) {
        Ok([only]) => Ok(only.chosen),
        Err(none) if none.is_empty() => Err(NotChosen::NoMatch),
        Err(several) => Err(NotChosen::Several(
            several
                .into_iter()
                .map(|candidate| {
                    let tenant = candidate.chosen.home_tenant().map(clean);
                    (candidate.chosen.username, tenant)
                })
                .collect(),
        )),
    }
}

/// The refresh tokens that may be redeemed at this authority by whoever asks: in its cloud, not
/// past their time, and nobody else's.
pub(crate) fn redeemable<'s>(
    snapshot: &'s Snapshot,
    authority: &Authority,
    now: SystemTime,
) -> impl Iterator<Item = RefreshToken<'s>> {
    snapshot.refresh_tokens().filter(move |token| {
        authority.knows(token.environment())
            && !token.is_partitioned()
            && token.expires_on().is_none_or(|expires_on| expires_on > now)
    })
}

impl Candidate {
    fn add(&mut self, account: &Account<'_>) {
        if let Some(username) = account.username() {
            // Entries come oldest first: the last name is the newest.
            self.chosen.username = Some(clean(&username));
            self.usernames.push(username.into_owned());
        }
    }

    fn passes(&self, filter: &Filter) -> bool {
        let Filter {
            username,
            tenant_id,
        } = filter;
        let same_name = |asked: &String| {
            let asked = asked.to_lowercase();
            self.usernames
                .iter()
                .any(|known| known.to_lowercase() == asked)
        };
        let same_tenant = |asked: &String| {
            self.chosen
                .home_tenant()
                .is_some_and(|home| home.eq_ignore_ascii_case(asked))
        };
        username.as_ref().is_none_or(same_name) && tenant_id.as_ref().is_none_or(same_tenant)
    }
}

fn home_tenant(home_account_id: &str) -> Option<&str> {
    let (_, tenant) = home_account_id.split_once('.')?;
    (!tenant.is_empty() && !tenant.contains('.')).then_some(tenant)
}
