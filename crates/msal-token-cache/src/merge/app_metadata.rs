//! What is known about an application: one entry in a cloud, whichever of its hosts it names.

use std::borrow::Cow;

use super::{Lower, add};
use crate::document::{Document, Edits, Section};
use crate::identifier::{is_same_client_id, is_same_environment};
use crate::redemption::Redemption;
use crate::schema::Members;
use crate::{key, same_cloud};

/// Leaves one entry of the application in the cloud. msal-node looks in all hosts of the cloud and
/// throws at every refresh if it finds two, so an entry is only added where there is no other, and
/// several of others become one: what each knows is kept, in the entry of the host that the refresh
/// token is of, else in one that names a family, else in the first.
pub(super) fn merge(document: &Document, new: &Redemption, edits: &mut Edits) {
    let is_of_cloud = |entry: &Members<'_>| {
        let text = |name| entry.text(name);
        text("client_id").is_some_and(|id| is_same_client_id(&id, &new.client_id))
            && text("environment").is_some_and(|host| same_cloud(&host, &new.redeemed.environment))
    };
    let mut entries: Vec<_> = document
        .entries(Section::AppMetadata)
        .enumerate()
        .filter_map(|(position, json)| Some((position, Members::parse(json)?)))
        .filter(|(_, entry)| is_of_cloud(entry))
        .collect();
    let is_of_host = |entry: &Members<'_>| {
        let host = entry.text("environment");
        host.is_some_and(|host| is_same_environment(&host, &new.redeemed.environment))
    };
    // Stable: the first of those that are as good.
    entries.sort_by_key(|(_, entry)| (!is_of_host(entry), family_id(entry).is_none()));
    let known = entries.iter().find_map(|(_, entry)| family_id(entry));
    let family = new.family_id.as_deref().or(known.as_deref());
    let family = family.map(|family| ("family_id", Some(family)));
    let Some(((position, kept), others)) = entries.split_first() else {
        let lower = Lower::of(new);
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

fn family_id<'s>(entry: &Members<'s>) -> Option<Cow<'s, str>> {
    entry.non_empty("family_id")
}
