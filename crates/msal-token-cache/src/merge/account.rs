//! The account of a redemption.

use super::edit::{add, change, parsed};
use super::ids::LowerIds;
use super::redemption::{Identity, Redemption};
use crate::document::{Document, Edits, Section};
use crate::identifier::{is_same_environment, is_same_tenant};
use crate::schema::cloud::same_cloud;
use crate::schema::{Account, key};

/// Brings the account's entry for the tenant up to date, or adds one. A known name is never blanked.
pub(super) fn merge(document: &Document, new: &Redemption, edits: &mut Edits) {
    let id = new.home_account_id();
    let of_account: Vec<_> = parsed(document, Section::Account, id, Account::parse)
        .filter(|(_, entry)| same_cloud(entry.environment(), new.environment()))
        .collect();
    // What the ID token leaves out, the account's entries for other tenants may know: the last one
    // best, for entries come oldest first.
    let newest_first = || of_account.iter().rev().map(|(_, entry)| entry);
    let known_name = newest_first().find_map(Account::username);
    let known_source = newest_first().find_map(Account::account_source);
    let ours = of_account.iter().find(|(_, entry)| {
        is_same_environment(entry.environment(), new.environment())
            && is_same_tenant(&entry.realm(), &new.realm)
    });
    let own_name = ours.and_then(|(_, entry)| entry.username());
    let identity = new.identity();
    let name = identity
        .and_then(Identity::username)
        .or(own_name.as_deref())
        .or(known_name.as_deref());
    let local_id = identity.and_then(Identity::local_account_id);
    // A redemption does not change how the account signed in.
    let new_source = new.sign_in().map(|sign_in| &*sign_in.grant_type);
    if let Some((position, entry)) = ours {
        let known = [
            ("local_account_id", local_id),
            ("username", name),
            ("account_source", new_source),
        ];
        let known: Vec<_> = known
            .into_iter()
            .filter(|(_, text)| text.is_some())
            .collect();
        return change(Section::Account, *position, entry.entry(), &known, edits);
    }
    let lower = LowerIds::of(new);
    let members = [
        ("home_account_id", Some(&*lower.home_account_id)),
        ("environment", Some(&*lower.environment)),
        ("realm", Some(&*lower.realm)),
        ("local_account_id", local_id),
        // Empty where it is not known: MSAL Python takes the member for granted.
        ("username", name.or(Some(""))),
        ("authority_type", Some("MSSTS")),
        ("account_source", new_source.or(known_source.as_deref())),
    ];
    let key = key::account(&lower.home_account_id, &lower.environment, &lower.realm);
    add(document, Section::Account, key, &members, edits);
}
