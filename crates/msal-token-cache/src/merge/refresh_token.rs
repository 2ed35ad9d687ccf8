//! The refresh token of a redemption.

use super::edit::{MemberTexts, add, change, parsed};
use super::ids::LowerIds;
use super::redemption::{RedeemedToken, Redemption};
use crate::document::{Document, Edits, Entry, Section};
use crate::identifier::{is_same_client_id, is_same_environment};
use crate::schema::{RefreshToken, is_bound, key, seconds_text};

/// Rotates the redeemed refresh token in its entry. Returns `false` if the entry is gone.
pub(super) fn rotate(
    document: &Document,
    new: &Redemption,
    redeemed: &RedeemedToken,
    edits: &mut Edits,
) -> bool {
    let id = new.home_account_id();
    let of_account: Vec<_> = parsed(document, Section::RefreshToken, id, RefreshToken::parse)
        .filter(|(_, entry)| {
            is_same_environment(entry.environment(), new.environment()) && !entry.is_partitioned()
        })
        .collect();
    let of_client = |client_id: &str| {
        let client_id = client_id.to_owned();
        of_account
            .iter()
            .filter(move |(_, entry)| is_same_client_id(entry.client_id(), &client_id))
    };
    if of_client(&redeemed.client_id).next().is_none() {
        return false;
    }
    let Some(rotation) = Rotation::of(new) else {
        return true;
    };
    if of_client(&new.client_id).next().is_some() {
        // An entry with another secret was rotated by somebody else: both are good. Several may hold
        // the redeemed one, and all change. Else the same redemption, merged again, would go into
        // the next of them.
        let is_redeemed = |(_, entry): &&(usize, RefreshToken<'_>)| {
            entry.entry().is("secret", redeemed.secret.expose_secret())
        };
        for (position, entry) in of_client(&new.client_id).filter(is_redeemed) {
            let (entry, members) = (entry.entry(), rotation.members());
            change(Section::RefreshToken, *position, entry, &members, edits);
        }
    } else {
        // Another application of the family redeemed it: the new token is that one's.
        add_new(document, new, &rotation.members(), edits);
    }
    true
}

/// Puts the refresh token of a sign-in into the entries of its account, client and host, or adds
/// one. All of them change: any other secret is of an earlier sign-in, which may have been revoked.
pub(super) fn put(document: &Document, new: &Redemption, edits: &mut Edits) {
    let Some(rotation) = Rotation::of(new) else {
        return;
    };
    let members = rotation.members();
    let id = new.home_account_id();
    let is = |entry: &Entry<'_>, name, is_same: fn(&str, &str) -> bool, own: &str| {
        entry.text(name).is_some_and(|known| is_same(&known, own))
    };
    // An entry without a secret is mended, and not passed over.
    let ours: Vec<_> = parsed(document, Section::RefreshToken, id, Entry::parse)
        .filter(|(_, entry)| {
            is(entry, "environment", is_same_environment, new.environment())
                && is(entry, "client_id", is_same_client_id, &new.client_id)
                && !is_bound(entry)
        })
        .collect();
    for (position, entry) in &ours {
        change(Section::RefreshToken, *position, entry, &members, edits);
    }
    if ours.is_empty() {
        add_new(document, new, &members, edits);
    }
}

/// The texts of the members that a new refresh token changes.
struct Rotation<'r> {
    secret: &'r str,
    last_modification_time: String,
    /// Without `foci` in the answer the entry keeps the family it has.
    family_id: Option<&'r str>,
}

impl<'r> Rotation<'r> {
    /// Returns `None` if there is no new refresh token.
    fn of(new: &'r Redemption) -> Option<Self> {
        Some(Self {
            secret: new.refresh_token.as_ref()?.expose_secret(),
            last_modification_time: seconds_text(new.cached_at),
            family_id: new.family_id.as_deref(),
        })
    }

    fn members(&self) -> Vec<(&str, Option<&str>)> {
        let mut members = vec![
            ("secret", Some(self.secret)),
            (
                "last_modification_time",
                Some(&*self.last_modification_time),
            ),
        ];
        members.extend(self.family_id.map(|family| ("family_id", Some(family))));
        members
    }
}

fn add_new(document: &Document, new: &Redemption, rotation: &MemberTexts<'_>, edits: &mut Edits) {
    let lower = LowerIds::of(new);
    let mut members = vec![
        ("credential_type", Some("RefreshToken")),
        ("home_account_id", Some(&*lower.home_account_id)),
        ("environment", Some(&*lower.environment)),
        ("client_id", Some(&*lower.client_id)),
        ("target", Some(&*new.target)),
    ];
    members.extend(rotation);
    let id = &lower.home_account_id;
    let key = key::refresh_token(id, &lower.environment, &lower.client_id, &new.target);
    add(document, Section::RefreshToken, key, &members, edits);
}
