//! The access token of a redemption, and those that it replaces.

use super::edit::{add, change, parsed};
use super::ids::LowerIds;
use super::redemption::Redemption;
use crate::document::{Document, Edits, Section};
use crate::identifier::{is_same_client_id, is_same_environment, is_same_tenant};
use crate::schema::cloud::same_cloud;
use crate::schema::{AccessToken, Target, key, seconds_text};

/// Puts the access token in the place of its rivals, and removes expired ones of the account.
pub(super) fn merge(
    document: &Document,
    new: &Redemption,
    edits: &mut Edits,
    mut displaced: impl FnMut(&AccessToken<'_>),
) {
    let lower = LowerIds::of(new);
    let target = Target::from(&*new.target);
    let [cached_at, expires_on] = [new.cached_at, new.expires_on].map(seconds_text);
    let extended_expires_on = new.extended_expires_on.map(seconds_text);
    let refresh_on = new.refresh_on.map(seconds_text);
    let members = [
        ("credential_type", Some("AccessToken")),
        ("secret", Some(new.access_token.expose_secret())),
        ("home_account_id", Some(&*lower.home_account_id)),
        ("environment", Some(&*lower.environment)),
        ("client_id", Some(&*lower.client_id)),
        ("target", Some(&*new.target)),
        ("realm", Some(&*lower.realm)),
        ("token_type", Some("Bearer")),
        ("cached_at", Some(&*cached_at)),
        ("expires_on", Some(&*expires_on)),
        (
            "extended_expires_on",
            extended_expires_on.as_deref().or(Some(&*expires_on)),
        ),
        ("refresh_on", refresh_on.as_deref()),
    ];
    let id = new.home_account_id();
    let of_account: Vec<_> = parsed(document, Section::AccessToken, id, AccessToken::parse)
        .filter(|(_, entry)| same_cloud(entry.environment(), new.environment()))
        .collect();
    let has_same_scopes = |entry: &AccessToken<'_>| entry.target().is_same_as(&target);
    // An entry beside which the new one must not stand.
    let is_rival = |entry: &AccessToken<'_>| {
        is_same_client_id(entry.client_id(), &new.client_id)
            && is_same_tenant(entry.realm(), &new.realm)
            && entry.is_plain_bearer()
            && entry.target().is_rival_of(&target)
    };
    let (rivals, others): (Vec<_>, Vec<_>) = of_account
        .into_iter()
        .partition(|(_, entry)| is_rival(entry));
    // A peer asked later than we did: what it got stays, and ours is not wanted.
    let (newer, rivals): (Vec<_>, Vec<_>) = rivals
        .into_iter()
        .partition(|(_, entry)| is_newer(entry, new, &target));
    let is_outdone = !newer.is_empty();
    let place = rivals.iter().find(|(_, entry)| {
        !is_outdone
            && is_same_environment(entry.environment(), new.environment())
            && has_same_scopes(entry)
    });
    let kept = place.map(|(position, _)| *position);
    for (position, entry) in &rivals {
        if Some(*position) != kept {
            displaced(entry);
            edits.remove(Section::AccessToken, *position);
        }
    }
    for (position, entry) in others.iter().chain(&newer) {
        if entry.expires_on() < new.cached_at {
            edits.remove(Section::AccessToken, *position);
        }
    }
    if is_outdone {
        return;
    }
    if let Some((position, entry)) = place {
        let known = entry.entry();
        return change(Section::AccessToken, *position, known, &members, edits);
    }
    let key = key::access_token(
        &lower.home_account_id,
        &lower.environment,
        &lower.client_id,
        &lower.realm,
        &new.target,
    );
    add(document, Section::AccessToken, key, &members, edits);
}

/// Returns `true` if an entry answers every call that the new token answers, and is newer. An entry
/// with an unusable secret or unbelievable times has to give way, because look-ups pass over it.
fn is_newer(entry: &AccessToken<'_>, new: &Redemption, target: &Target<'_>) -> bool {
    entry.is_usable()
        && entry.has_believable_times(new.cached_at)
        && entry
            .cached_at()
            .is_some_and(|cached_at| cached_at > new.cached_at)
        && entry.expires_on() > new.cached_at
        && entry.target().answers(target.scopes())
}
