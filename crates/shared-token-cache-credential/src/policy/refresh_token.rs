//! The refresh tokens to redeem, in their order, and the applications to redeem them under. Pure.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::SystemTime;

use msal_token_cache::identifier::{is_same_client_id, is_same_home_account_id};
use msal_token_cache::{RedeemedToken, RefreshToken, Snapshot};

use crate::policy::account::SelectedAccount;
use crate::policy::cloud_entries::CloudEntries;

/// A refresh token with the applications to redeem it under, its own first.
#[derive(Clone, Debug)]
pub(crate) struct RefreshCandidate {
    pub(crate) token: RedeemedToken,
    pub(crate) client_ids: Vec<String>,
}

/// The most applications under which a refresh token is tried besides its own.
const MAX_FAMILY_CLIENTS: usize = 2;

/// Returns the refresh tokens that get tokens of the account, the newest first.
pub(crate) fn newest_first<'r, 's>(
    entries: &'r CloudEntries<'s>,
    selected: &SelectedAccount,
) -> Vec<&'r RefreshToken<'s>> {
    let mut tokens: Vec<_> = entries
        .redeemable()
        .iter()
        .filter(|token| {
            is_same_home_account_id(token.home_account_id(), &selected.home_account_id)
                && selected.client_id.as_deref().is_none_or(|client_id| {
                    is_same_client_id(token.client_id(), client_id)
                        || is_relative(entries, client_id, token)
                })
        })
        .collect();
    // The sort is stable: what is equally new stays in document order.
    tokens.sort_by_cached_key(|token| Reverse(last_change(entries.snapshot, token)));
    tokens
}

/// Returns the refresh tokens to try, in their order. The caller limits how many.
pub(crate) fn candidates(
    entries: &CloudEntries<'_>,
    selected: &SelectedAccount,
) -> Vec<RefreshCandidate> {
    let tokens = newest_first(entries, selected);
    let relatives = match selected.client_id {
        Some(_) => HashMap::new(),
        None => relatives(entries, &tokens),
    };
    let client_ids = |token: &RefreshToken<'_>| match &selected.client_id {
        Some(client_id) => vec![client_id.clone()],
        None => client_ids(token, &relatives),
    };
    let attempts = tokens.into_iter().map(|token| RefreshCandidate {
        token: token.into(),
        client_ids: client_ids(token),
    });
    attempts.collect()
}

/// Returns `true` if an application may redeem another one's refresh token: it is of that token's
/// family, or nothing is known about it yet.
fn is_relative(entries: &CloudEntries<'_>, client_id: &str, token: &RefreshToken<'_>) -> bool {
    let mut known = entries
        .applications()
        .filter(|app| is_same_client_id(app.client_id(), client_id))
        .peekable();
    token.family_id().is_some_and(|family| {
        known.peek().is_none() || known.any(|app| app.family_id().as_ref() == Some(&family))
    })
}

/// Returns the time at which the entry was last replaced. A writer that does not note it left a
/// trace in the access tokens that it got.
fn last_change(snapshot: &Snapshot, token: &RefreshToken<'_>) -> Option<SystemTime> {
    token.last_modification_time().or_else(|| {
        snapshot
            .access_tokens_of(token.home_account_id())
            .filter(|access| is_same_client_id(access.client_id(), token.client_id()))
            .filter_map(|access| access.cached_at())
            .max()
    })
}

/// Returns the first applications of each of the tokens' families, one more than a token is tried
/// under besides its own, which may be among them.
fn relatives<'s>(
    entries: &CloudEntries<'s>,
    tokens: &[&RefreshToken<'s>],
) -> HashMap<Cow<'s, str>, Vec<String>> {
    let families = tokens.iter().filter_map(|token| token.family_id());
    let mut relatives: HashMap<_, _> = families.map(|family| (family, Vec::new())).collect();
    if relatives.is_empty() {
        return relatives;
    }
    for app in entries.applications() {
        if let Some(known) = app.family_id().and_then(|id| relatives.get_mut(&id))
            && known.len() <= MAX_FAMILY_CLIENTS
            && !known
                .iter()
                .any(|known| is_same_client_id(known, app.client_id()))
        {
            known.push(app.client_id().to_owned());
        }
    }
    relatives
}

/// Returns the applications to redeem a token under. It always works under the one that it was
/// issued to; if that one has left its family, another member may still be let in.
fn client_ids(
    token: &RefreshToken<'_>,
    relatives: &HashMap<Cow<'_, str>, Vec<String>>,
) -> Vec<String> {
    let family = token.family_id().and_then(|id| relatives.get(&id));
    let others = family
        .into_iter()
        .flatten()
        .filter(|id| !is_same_client_id(id, token.client_id()));
    let own = std::iter::once(token.client_id().to_owned());
    own.chain(others.take(MAX_FAMILY_CLIENTS).cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount};

    use super::*;
    use crate::fixtures::{CLOUD, NOW, at, authority, snapshot};

    fn ada() -> FakeAccount {
        FakeAccount::new("ada@contoso.example")
    }

    /// A refresh token of Ada's under a client of the same name, changed at this second.
    fn token(cache: CacheBuilder, client_id: &str, changed: Option<u64>) -> CacheBuilder {
        let cache = cache.refresh_token(&ada(), CLOUD, client_id, client_id, None);
        match changed {
            Some(second) => cache.with("last_modification_time", json!(second.to_string())),
            None => cache.without("last_modification_time"),
        }
    }

    /// Each candidate's clients, its own first.
    fn clients(cache: &CacheBuilder) -> Vec<Vec<String>> {
        // A refresh token bears its own client's name.
        attempts(cache, None)
            .into_iter()
            .inspect(|(secret, client_ids)| assert_eq!(*secret, client_ids[0]))
            .map(|(_, client_ids)| client_ids)
            .collect()
    }

    /// Each candidate's secret and the clients that it is tried under, for tokens of any client
    /// or of one only.
    fn attempts(cache: &CacheBuilder, client_id: Option<&str>) -> Vec<(String, Vec<String>)> {
        let selected = SelectedAccount {
            home_account_id: ada().home_account_id(),
            username: None,
            client_id: client_id.map(str::to_owned),
        };
        let (snapshot, authority) = (snapshot(cache), authority());
        let entries = CloudEntries::new(&snapshot, &authority, at(NOW));
        candidates(&entries, &selected)
            .into_iter()
            .map(|attempt| {
                let secret = attempt.token.secret().expose_secret().to_owned();
                (secret, attempt.client_ids)
            })
            .collect()
    }

    #[test]
    fn the_newest_are_tried_first() {
        let mut cache = CacheBuilder::new();
        for (client_id, changed) in [("a", 10), ("b", 30), ("c", 20), ("d", 30)] {
            cache = token(cache, client_id, Some(changed));
        }
        assert_eq!(clients(&cache), [["b"], ["d"], ["c"], ["a"]]);
    }

    #[test]
    fn what_does_not_say_when_it_changed_is_as_new_as_its_access_tokens() {
        let mut cache = CacheBuilder::new();
        for (client_id, changed) in [("traceless", None), ("az", None), ("vs", Some(50))] {
            cache = token(cache, client_id, changed);
        }
        for (target, cached_at) in [("x", 40), ("y", 60)] {
            let spec = AccessTokenSpec {
                client_id: "az",
                secret: "s",
                target,
                cached_at: Some(cached_at),
                ..AccessTokenSpec::default()
            };
            cache = cache.access_token(&ada(), spec);
        }
        assert_eq!(clients(&cache), [["az"], ["vs"], ["traceless"]]);
    }

    #[test]
    fn others_and_unusable_tokens_are_no_candidates() {
        let bob = FakeAccount::new("bob@contoso.example");
        let with = |client_id: &str, member: &str, value: Value| {
            token(CacheBuilder::new(), client_id, Some(1)).with(member, value)
        };
        for cache in [
            CacheBuilder::new().refresh_token(&bob, CLOUD, "bobs", "bobs", None),
            with("a", "environment", json!("login.microsoftonline.us")),
            with("a", "ext_cache_key", json!("x")),
            with("a", "expires_on", json!("1")),
            with("a", "secret", Value::Null),
        ] {
            assert!(clients(&cache).is_empty(), "{}", cache.to_json());
        }
    }

    #[test]
    fn a_family_token_is_tried_under_two_relatives_at_most() {
        let cache = token(CacheBuilder::new(), "own", Some(2)).with("family_id", json!("1"));
        let cache = token(cache, "loner", Some(1))
            .app_metadata(CLOUD, "own", Some("1"))
            .app_metadata(CLOUD, "loner", None)
            .app_metadata(CLOUD, "of-another-family", Some("2"))
            .app_metadata("login.microsoftonline.us", "of-another-cloud", Some("1"));
        assert_eq!(clients(&cache), [["own"], ["loner"]]);
        let cache = cache
            .app_metadata("login.windows.net", "first", Some("1"))
            .app_metadata(CLOUD, "first", Some("1"))
            .app_metadata(CLOUD, "second", Some("1"))
            .app_metadata(CLOUD, "third", Some("1"));
        let expected = [vec!["own", "first", "second"], vec!["loner"]];
        assert_eq!(clients(&cache), expected);
    }

    #[test]
    fn a_record_s_application_redeems_its_own_tokens_and_its_family_s() {
        let family = |cache: CacheBuilder, client_id: &str, family: &str, changed| {
            token(cache, client_id, Some(changed)).with("family_id", json!(family))
        };
        let cache = token(CacheBuilder::new(), "recorded", Some(1));
        let cache = token(cache, "stranger", Some(2));
        let cache = family(cache, "relative", "1", 3);
        let cache = family(cache, "other-family", "2", 4);
        let secrets = |cache: &CacheBuilder| {
            let attempts = attempts(cache, Some("recorded"));
            assert!(attempts.iter().all(|(_, clients)| *clients == ["recorded"]));
            attempts
                .into_iter()
                .map(|(secret, _)| secret)
                .collect::<Vec<_>>()
        };
        // As long as nothing is known of it, any family may be its own.
        assert_eq!(secrets(&cache), ["other-family", "relative", "recorded"]);
        let known = |family| {
            cache
                .clone()
                .app_metadata("login.windows.net", "recorded", family)
        };
        assert_eq!(secrets(&known(Some("1"))), ["relative", "recorded"]);
        assert_eq!(secrets(&known(None)), ["recorded"]);
    }
}
