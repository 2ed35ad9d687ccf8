//! The ID token of a redemption.

use super::edit::{change_or_add, parsed};
use super::ids::LowerIds;
use super::redemption::{Identity, Redemption};
use crate::document::{Document, Edits, Entry, Section};
use crate::identifier::{is_same_client_id, is_same_environment, is_same_tenant};
use crate::schema::key;

/// Brings the ID token of the account, client and tenant up to date.
pub(super) fn merge(document: &Document, new: &Redemption, identity: &Identity, edits: &mut Edits) {
    let lower = LowerIds::of(new);
    let members = [
        ("credential_type", Some("IdToken")),
        ("secret", Some(identity.id_token.expose_secret())),
        ("home_account_id", Some(&*lower.home_account_id)),
        ("environment", Some(&*lower.environment)),
        ("realm", Some(&*lower.realm)),
        ("client_id", Some(&*lower.client_id)),
    ];
    let is_ours = |entry: &Entry<'_>| {
        let is = |name, is_same: fn(&str, &str) -> bool, own: &str| {
            entry.text(name).is_some_and(|known| is_same(&known, own))
        };
        is("environment", is_same_environment, new.environment())
            && is("client_id", is_same_client_id, &new.client_id)
            && is("realm", is_same_tenant, &new.realm)
    };
    let key = key::id_token(
        &lower.home_account_id,
        &lower.environment,
        &lower.client_id,
        &lower.realm,
    );
    let id = new.home_account_id();
    let mut entries = parsed(document, Section::IdToken, id, Entry::parse);
    let ours = entries.find(|(_, entry)| is_ours(entry));
    change_or_add(document, Section::IdToken, ours, key, &members, edits);
}
