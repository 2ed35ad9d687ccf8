//! Which refresh tokens to redeem, under which application, in which order. Pure.

use std::cmp::Reverse;
use std::time::SystemTime;

use msal_token_cache::{RedeemedToken, RefreshToken, Snapshot};

use crate::account::{Chosen, redeemable};
use crate::authority::Authority;

/// A refresh token and the applications to redeem it under, its own first.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) token: RedeemedToken,
    pub(crate) client_ids: Vec<String>,
}

/// At most so many refresh tokens are tried in one call,
const MOST_TOKENS: usize = 3;
/// and each of them under so many applications besides its own.
const MOST_RELATIVES: usize = 2;

/// The account's refresh tokens, the newest first.
pub(crate) fn newest_first<'s>(
    snapshot: &'s Snapshot,
    authority: &Authority,
    chosen: &Chosen,
    now: SystemTime,
) -> Vec<RefreshToken<'s>> {
    let mut tokens: Vec<_> = redeemable(snapshot, authority, now)
        .filter(|token| token.home_account_id() == chosen.home_account_id)
        .collect();
    // The sort is stable: what is equally new stays in document order.
    tokens.sort_by_cached_key(|token| Reverse(last_change(snapshot, token)));
    tokens
}

/// What to try, in turn.
pub(crate) fn candidates(
    snapshot: &Snapshot,
    authority: &Authority,
    chosen: &Chosen,
    now: SystemTime,
) -> Vec<Candidate> {
    newest_first(snapshot, authority, chosen, now)
        .iter()
        .take(MOST_TOKENS)
        .map(|token| Candidate {
            token: token.into(),
            client_ids: client_ids(snapshot, authority, token),
        })
        .collect()
}

/// When the entry was last replaced. A writer that does not say so left a trace in the access
/// tokens that it got.
fn last_change(snapshot: &Snapshot, token: &RefreshToken<'_>) -> Option<SystemTime> {
    token.last_modification_time().or_else(|| {
        snapshot
            .access_tokens_of(token.home_account_id())
            .filter(|access| access.client_id().eq_ignore_ascii_case(token.client_id()))
            .filter_map(|access| access.cached_at())
            .max()
    })
}

/// A token is always good under the application it was issued to; if it belongs to a family and
/// that application has left it, another member may still be let in.
fn client_ids(snapshot: &Snapshot, authority: &Authority, token: &RefreshToken<'_>) -> Vec<String> {
    let mut client_ids = vec![token.client_id().to_owned()];
    if let Some(family) = token.family_id() {
        let relatives = snapshot.app_metadata().filter(|app| {
            authority.knows(app.environment()) && app.family_id() == Some(family.clone())
        });
        for relative in relatives {
            let known = |known: &String| known.eq_ignore_ascii_case(relative.client_id());
            if client_ids.len() <= MOST_RELATIVES && !client_ids.iter().any(known) {
                client_ids.push(relative.client_id().to_owned());
            }
        }
    }
    client_ids
}
