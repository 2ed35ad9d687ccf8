//! The metadata of an application: one entry in a cloud, under any of its hosts.

use std::borrow::Cow;

use super::edit::add;
use super::ids::LowerIds;
use super::redemption::Redemption;
use crate::document::{Document, Edits, Entry, Section};
use crate::identifier::is_same_client_id;
use crate::schema::cloud::{place_in_cloud, same_cloud};
use crate::schema::key;

/// Leaves one entry of the application in the cloud. msal-node looks in all hosts of the cloud and
/// throws at every refresh if it finds two, so an entry is only added if there is no other.
///
/// Several entries become one, with the members of all. The entry of the host that programs ask
/// stays: MSAL Python and MSAL Go name that host, and would add their entry again with every
/// answer.
pub(super) fn merge(document: &Document, new: &Redemption, edits: &mut Edits) {
    let is_of_cloud = |entry: &Entry<'_>| {
        let text = |name| entry.text(name);
        text("client_id").is_some_and(|id| is_same_client_id(&id, &new.client_id))
            && text("environment").is_some_and(|host| same_cloud(&host, new.environment()))
    };
    let mut entries: Vec<_> = document
        .entries(Section::AppMetadata)
        .enumerate()
        .filter_map(|(position, json)| Some((position, Entry::parse(json)?)))
        .filter(|(_, entry)| is_of_cloud(entry))
        .collect();
    // Stable: of several of one host the first.
    entries.sort_by_key(|(_, entry)| {
        let host = entry.text("environment");
        host.as_deref().map(place_in_cloud)
    });
    let known = entries.iter().find_map(|(_, entry)| family_id(entry));
    let family = new.family_id.as_deref().or(known.as_deref());
    let family = family.map(|family| ("family_id", Some(family)));
    let Some(((position, kept), others)) = entries.split_first() else {
        let lower = LowerIds::of(new);
        let ids = [
            ("client_id", Some(&*lower.client_id)),
            ("environment", Some(&*lower.environment)),
        ];
        let members: Vec<_> = ids.into_iter().chain(family).collect();
        let key = key::app_metadata(&lower.environment, &lower.client_id);
        return add(document, Section::AppMetadata, key, &members, edits);
    };
    for (position, _) in others {
        edits.remove(Section::AppMetadata, *position);
    }
    let others: Vec<_> = others.iter().map(|(_, entry)| entry).collect();
    if let Some(entry) = kept.with_rest(family.as_slice(), &others) {
        edits.replace(Section::AppMetadata, *position, entry);
    }
}

fn family_id<'s>(entry: &Entry<'s>) -> Option<Cow<'s, str>> {
    entry.non_empty("family_id")
}
