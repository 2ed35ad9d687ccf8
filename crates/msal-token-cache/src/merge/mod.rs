//! How the result of a redemption goes into a cache that others share.
//!
//! Entries are matched by their members, never by the key they stand under; one that is rewritten
//! keeps its key and every member that is not ours. Merging the same redemption again changes
//! nothing, so it can be repeated on whatever a peer has put over it.

use std::borrow::Cow;

use crate::document::{Document, Edits, Entry, Section, new_entry};
use crate::identifier::{
    is_same_client_id, is_same_environment, is_same_tenant, lower_client_id, lower_environment,
    lower_home_account_id, lower_tenant,
};
use crate::merge::redemption::{Identity, Redemption};
use crate::schema::key;
use crate::schema::{AccessToken, Account, RefreshToken, Target, seconds_text};
use crate::{Result, Transaction, same_cloud};

mod app_metadata;
pub(crate) mod redemption;

/// What became of a redemption that was to be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Merged {
    /// The cache holds it.
    Stored,
    /// The refresh token's entry had gone: somebody signed the account out. Nothing was stored.
    SignedOut,
}

impl Transaction {
    /// Puts the result of a redemption into the cache. The access token takes the place of its
    /// [rivals](Target::is_rival_of) of the same account, client and tenant. The rotated refresh
    /// token goes into its entry, and account and ID token are brought up to date. Expired access
    /// tokens of the account go.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if a section that has to be written is
    /// not an object.
    pub fn merge(&mut self, redemption: &Redemption) -> Result<Merged> {
        self.merge_displacing(redemption, |_| {})
    }

    /// [Merges](Self::merge) the result of a redemption, and calls `displaced` with each rival that
    /// is removed. They may be good for other scopes as well: a program that keeps them in memory
    /// does not have to redeem for those again.
    ///
    /// `displaced` is called before anything is written, and again where the merge is repeated.
    ///
    /// # Errors
    ///
    /// As [`merge`](Self::merge).
    pub fn merge_displacing(
        &mut self,
        redemption: &Redemption,
        displaced: impl FnMut(&AccessToken<'_>),
    ) -> Result<Merged> {
        let snapshot = std::sync::Arc::clone(self.snapshot());
        let document = snapshot.document();
        let mut edits = Edits::default();
        if !merge_refresh_token(document, redemption, &mut edits) {
            return Ok(Merged::SignedOut);
        }
        if redemption.is_refresh_token_only {
            self.apply(&edits)?;
            return Ok(Merged::Stored);
        }
        merge_access_token(document, redemption, &mut edits, displaced);
        if let Some(identity) = &redemption.identity {
            merge_account(document, redemption, identity, &mut edits);
            merge_id_token(document, redemption, identity, &mut edits);
        }
        app_metadata::merge(document, redemption, &mut edits);
        self.apply(&edits)?;
        Ok(Merged::Stored)
    }
}

/// The identifiers of a redemption as new entries have them. An entry that is rewritten keeps its
/// own spelling.
struct Lower<'r> {
    home_account_id: Cow<'r, str>,
    environment: Cow<'r, str>,
    client_id: Cow<'r, str>,
    realm: Cow<'r, str>,
}

impl<'r> Lower<'r> {
    fn of(new: &'r Redemption) -> Self {
        Self {
            home_account_id: lower_home_account_id(&new.redeemed.home_account_id),
            environment: lower_environment(&new.redeemed.environment),
            client_id: lower_client_id(&new.client_id),
            realm: lower_tenant(&new.realm),
        }
    }
}

/// Rotates the redeemed refresh token in its entry. `false` if there is no such entry any more.
fn merge_refresh_token(document: &Document, new: &Redemption, edits: &mut Edits) -> bool {
    let id = &*new.redeemed.home_account_id;
    let of_account: Vec<_> = parsed(document, Section::RefreshToken, id, RefreshToken::parse)
        .filter(|(_, entry)| {
            is_same_environment(entry.environment(), &new.redeemed.environment)
                && !entry.is_partitioned()
        })
        .collect();
    let of_client = |client_id: &str| {
        let client_id = client_id.to_owned();
        of_account
            .iter()
            .filter(move |(_, entry)| is_same_client_id(entry.client_id(), &client_id))
    };
    if of_client(&new.redeemed.client_id).next().is_none() {
        return false;
    }
    let Some(rotated) = &new.refresh_token else {
        return true;
    };
    let now = seconds_text(new.cached_at);
    let mut rotation = vec![
        ("secret", Some(rotated.expose_secret())),
        ("last_modification_time", Some(&*now)),
    ];
    // Without `foci` in the answer the entry keeps the family it has.
    rotation.extend(
        new.family_id
            .as_deref()
            .map(|family| ("family_id", Some(family))),
    );
    if of_client(&new.client_id).next().is_some() {
        // An entry with another secret was rotated by somebody else: both are good. Several may hold
        // the redeemed one, and all change. Else the same redemption, merged again, would go into
        // the next of them.
        let is_redeemed = |(_, entry): &&(usize, RefreshToken<'_>)| {
            let redeemed = new.redeemed.secret.expose_secret();
            entry.entry().is("secret", redeemed)
        };
        for (position, entry) in of_client(&new.client_id).filter(is_redeemed) {
            let members = entry.entry();
            change(Section::RefreshToken, *position, members, &rotation, edits);
        }
    } else {
        // Another application of the family redeemed it: the new token is that one's.
        let lower = Lower::of(new);
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
    true
}

fn merge_access_token(
    document: &Document,
    new: &Redemption,
    edits: &mut Edits,
    mut displaced: impl FnMut(&AccessToken<'_>),
) {
    let lower = Lower::of(new);
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
    let id = &*new.redeemed.home_account_id;
    let of_account: Vec<_> = parsed(document, Section::AccessToken, id, AccessToken::parse)
        .filter(|(_, entry)| same_cloud(entry.environment(), &new.redeemed.environment))
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
            && is_same_environment(entry.environment(), &new.redeemed.environment)
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

/// Whether an entry does all that the new token does and was asked for after it. Not with a secret
/// that cannot be sent or times that nobody believes: a look-up passes such an entry over, so it must
/// give way.
fn is_newer(entry: &AccessToken<'_>, new: &Redemption, target: &Target<'_>) -> bool {
    entry.is_usable()
        && entry.has_believable_times(new.cached_at)
        && entry
            .cached_at()
            .is_some_and(|cached_at| cached_at > new.cached_at)
        && entry.expires_on() > new.cached_at
        && entry.target().answers(target.scopes())
}

fn merge_account(document: &Document, new: &Redemption, identity: &Identity, edits: &mut Edits) {
    let id = &*new.redeemed.home_account_id;
    let of_account: Vec<_> = parsed(document, Section::Account, id, Account::parse)
        .filter(|(_, entry)| same_cloud(entry.environment(), &new.redeemed.environment))
        .collect();
    // What the ID token leaves out, the account's entries for other tenants may know: the last one
    // best, for entries come oldest first.
    let newest_first = || of_account.iter().rev().map(|(_, entry)| entry);
    let known_name = newest_first().find_map(Account::username);
    let source = newest_first().find_map(Account::account_source);
    let ours = of_account.iter().find(|(_, entry)| {
        is_same_environment(entry.environment(), &new.redeemed.environment)
            && is_same_tenant(&entry.realm(), &new.realm)
    });
    let own_name = ours.and_then(|(_, entry)| entry.username());
    let name = identity
        .username
        .as_deref()
        .or(own_name.as_deref())
        .or(known_name.as_deref());
    let local_id = identity.local_account_id.as_deref();
    if let Some((position, entry)) = ours {
        let known = [("local_account_id", local_id), ("username", name)];
        let known: Vec<_> = known
            .into_iter()
            .filter(|(_, text)| text.is_some())
            .collect();
        return change(Section::Account, *position, entry.entry(), &known, edits);
    }
    let lower = Lower::of(new);
    let members = [
        ("home_account_id", Some(&*lower.home_account_id)),
        ("environment", Some(&*lower.environment)),
        ("realm", Some(&*lower.realm)),
        ("local_account_id", local_id),
        // Empty where it is not known: MSAL Python takes the member for granted.
        ("username", name.or(Some(""))),
        ("authority_type", Some("MSSTS")),
        ("account_source", source.as_deref()),
    ];
    let key = key::account(&lower.home_account_id, &lower.environment, &lower.realm);
    add(document, Section::Account, key, &members, edits);
}

fn merge_id_token(document: &Document, new: &Redemption, identity: &Identity, edits: &mut Edits) {
    let lower = Lower::of(new);
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
        is(
            "environment",
            is_same_environment,
            &new.redeemed.environment,
        ) && is("client_id", is_same_client_id, &new.client_id)
            && is("realm", is_same_tenant, &new.realm)
    };
    let key = key::id_token(
        &lower.home_account_id,
        &lower.environment,
        &lower.client_id,
        &lower.realm,
    );
    let id = &new.redeemed.home_account_id;
    let mut entries = parsed(document, Section::IdToken, id, Entry::parse);
    let ours = entries.find(|(_, entry)| is_ours(entry));
    change_or_add(document, Section::IdToken, ours, key, &members, edits);
}

/// The entries of an account in a section that can be read, with their positions.
fn parsed<'d, E: 'd>(
    document: &'d Document,
    section: Section,
    home_account_id: &'d str,
    parse: impl Fn(&'d str) -> Option<E> + 'd,
) -> impl Iterator<Item = (usize, E)> {
    let entries = document.entries_of(section, home_account_id);
    entries.filter_map(move |(position, json)| Some((position, parse(json)?)))
}

type MemberTexts<'a> = [(&'a str, Option<&'a str>)];

fn change_or_add(
    document: &Document,
    section: Section,
    ours: Option<(usize, Entry<'_>)>,
    key: String,
    members: &MemberTexts<'_>,
    edits: &mut Edits,
) {
    match ours {
        Some((position, entry)) => change(section, position, &entry, members, edits),
        None => add(document, section, key, members, edits),
    }
}

/// Identifiers of an entry. One that was found has the same, perhaps in another spelling.
const IDENTIFIERS: [&str; 4] = ["home_account_id", "environment", "client_id", "realm"];

/// Sets members of an entry that was found, whose identifiers stay as they are spelled.
fn change(
    section: Section,
    position: usize,
    entry: &Entry<'_>,
    members: &MemberTexts<'_>,
    edits: &mut Edits,
) {
    let members = members.iter().copied();
    let members: Vec<_> = members
        .filter(|(name, _)| !IDENTIFIERS.contains(name))
        .collect();
    if let Some(entry) = entry.with(&members) {
        edits.replace(section, position, entry);
    }
}

/// Adds an entry under its key, or, where another entry stands there although its members say that
/// it is something else, under a longer one: nothing of others is overwritten.
fn add(
    document: &Document,
    section: Section,
    mut key: String,
    members: &MemberTexts<'_>,
    edits: &mut Edits,
) {
    let is_taken = |edits: &Edits, key: &str| {
        let mut taken = document.positions_at(section, key);
        taken.any(|position| !edits.removes(section, position))
    };
    while is_taken(edits, &key) {
        key.push('-');
    }
    edits.add(section, key, new_entry(members));
}
