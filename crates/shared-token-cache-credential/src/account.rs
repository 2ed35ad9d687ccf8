//! Which of the cache's accounts is meant. Pure: it reads a snapshot and decides.

use std::time::SystemTime;

use msal_token_cache::{Account, RefreshToken, Snapshot};

use crate::authentication_record::AuthenticationRecord;
use crate::authority::Authority;
use crate::tenant::PERSONAL_TENANT;
use crate::text::clean;

#[cfg(test)]
mod tests;

/// An account that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
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
            .is_some_and(|home| home.eq_ignore_ascii_case(PERSONAL_TENANT))
    }
}

/// Why no account was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotChosen {
    /// The cache holds no account with a refresh token for this cloud.
    None,
    /// It holds accounts, but not the one that is meant.
    NoMatch,
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
struct Candidate {
    chosen: Chosen,
    usernames: Vec<String>,
    of_broker: bool,
    has_refresh_token: bool,
    has_family_token: bool,
}

pub(crate) fn choose(
    snapshot: &Snapshot,
    authority: &Authority,
    whose: &Whose,
    now: SystemTime,
) -> Result<Chosen, NotChosen> {
    match whose {
        Whose::Filtered(filter) => only_match(snapshot, authority, filter, now),
        Whose::Recorded(record) => recorded(snapshot, authority, record),
    }
}

fn only_match(
    snapshot: &Snapshot,
    authority: &Authority,
    filter: &Filter,
    now: SystemTime,
) -> Result<Chosen, NotChosen> {
    let mut candidates = with_tokens(snapshot, authority, now);
    if candidates.is_empty() {
        return Err(NotChosen::None);
    }
    candidates.retain(|candidate| candidate.passes(filter));
    // Somebody whom a broker signed in is asked for only where nobody else can be meant.
    if candidates.iter().any(|other| other.has_refresh_token) {
        candidates.retain(|candidate| candidate.has_refresh_token);
    }
    let of_family = candidates.iter().filter(|other| other.has_family_token);
    if of_family.count() == 1 {
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

/// The accounts that tokens can be had of: with a refresh token, or kept by a broker, who leaves
/// access tokens only.
fn with_tokens(snapshot: &Snapshot, authority: &Authority, now: SystemTime) -> Vec<Candidate> {
    let refresh_tokens: Vec<_> = redeemable(snapshot, authority, now).collect();
    let mut candidates: Vec<Candidate> = Vec::new();
    for account in snapshot
        .accounts()
        .filter(|account| authority.knows(account.environment()))
    {
        let id = account.home_account_id();
        let of_broker = account.account_source().as_deref() == Some("broker");
        let known = candidates
            .iter_mut()
            .find(|known| known.chosen.home_account_id == id);
        if let Some(known) = known {
            known.of_broker |= of_broker;
            known.add(&account);
            continue;
        }
        let mut theirs = refresh_tokens
            .iter()
            .filter(|token| token.home_account_id() == id)
            .peekable();
        let mut candidate = Candidate {
            chosen: Chosen {
                home_account_id: id.to_owned(),
                username: None,
                client_id: None,
            },
            usernames: Vec::new(),
            of_broker,
            has_refresh_token: theirs.peek().is_some(),
            has_family_token: theirs.any(|token| token.family_id().is_some()),
        };
        candidate.add(&account);
        candidates.push(candidate);
    }
    // Only now: any of an account's entries may say that it is a broker's.
    candidates.retain(|candidate| candidate.has_refresh_token || candidate.of_broker);
    candidates
}

/// The account of a record, whether it has a refresh token or not: a cached access token needs
/// none.
fn recorded(
    snapshot: &Snapshot,
    authority: &Authority,
    record: &AuthenticationRecord,
) -> Result<Chosen, NotChosen> {
    let mut usernames: Vec<String> = snapshot
        .accounts()
        .filter(|account| {
            account.home_account_id() == record.home_account_id()
                && authority.knows(account.environment())
                && matches!(account.authority_type().as_deref(), Some("MSSTS" | "ADFS"))
        })
        .map(|account| account.username().unwrap_or_default().into_owned())
        .collect();
    let is_known = usernames
        .iter()
        .any(|known| record.username().is_empty() || is_same_name(known, record.username()));
    if !is_known {
        return Err(NotChosen::NoMatch);
    }
    usernames.retain(|known| !known.is_empty());
    Ok(Chosen {
        home_account_id: record.home_account_id().to_owned(),
        username: usernames.last().map(|newest| clean(newest)),
        client_id: Some(record.client_id().to_owned()),
    })
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
            self.usernames
                .iter()
                .any(|known| is_same_name(known, asked))
        };
        let same_tenant = |asked: &String| self.chosen.home_tenant() == Some(asked.as_str());
        username.as_ref().is_none_or(same_name) && tenant_id.as_ref().is_none_or(same_tenant)
    }
}

fn is_same_name(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn home_tenant(home_account_id: &str) -> Option<&str> {
    let (_, tenant) = home_account_id.split_once('.')?;
    (!tenant.is_empty() && !tenant.contains('.')).then_some(tenant)
}
