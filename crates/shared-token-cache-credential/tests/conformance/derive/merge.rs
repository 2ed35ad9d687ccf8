//! K7: how ours writes what was granted.

use super::answer::{Granted, claims, decode, is_guid, is_usable, tid};
use super::authority::Authority;
use super::clause::Rules;
use super::entry::{
    can_be_sent, has_believable_times, holds, home_tenant, is_access_token, is_bearer, is_bound,
    key, known, time,
};
use super::find::{PASSTHROUGH, is_personal, is_word_for_home};
use super::identifier::Id;
use super::resource::{share, stored};
use crate::json::{Json, texts};

/// What was redeemed, and how.
pub(super) struct Redeemed<'r> {
    /// The refresh token's entry.
    pub(super) entry: &'r Json,
    pub(super) client: &'r str,
    pub(super) authority: &'r Authority,
    /// The tenant in the address.
    pub(super) tenant: &'r str,
    /// The scopes of the caller.
    pub(super) scopes: &'r [String],
    /// K14: whether scopes are told apart by their resource.
    pub(super) by_resource: bool,
    pub(super) now: i64,
    pub(super) on: Rules,
}

impl Redeemed<'_> {
    fn part(&self, name: &str) -> &str {
        self.entry.str(name).unwrap_or_default()
    }

    fn is_owner(&self, entry: &Json) -> bool {
        let own = Some(self.part("home_account_id"));
        Id::Account.is_same(entry.str("home_account_id"), own, self.on)
    }

    fn is_account(&self, entry: &Json) -> bool {
        self.is_owner(entry) && self.authority.knows(entry.str("environment"))
    }

    fn is_host(&self, entry: &Json) -> bool {
        let own = Some(self.part("environment"));
        Id::Host.is_same(entry.str("environment"), own, self.on)
    }

    fn is_client(&self, entry: &Json) -> bool {
        Id::Client.is_same(entry.str("client_id"), Some(self.client), self.on)
    }

    fn is_realm(&self, entry: &Json, realm: &str) -> bool {
        Id::Tenant.is_same(entry.str("realm"), Some(realm), self.on)
    }

    /// The identifiers of a new entry.
    fn ids(&self, realm: &str) -> [(&'static str, String); 4] {
        [
            ("home_account_id", Id::Account, self.part("home_account_id")),
            ("environment", Id::Host, self.part("environment")),
            ("client_id", Id::Client, self.client),
            ("realm", Id::Tenant, realm),
        ]
        .map(|(name, id, text)| (name, id.plain(text, self.on)))
    }
}

/// The cache with what was granted; `None` where a section that must be written is no object.
pub(super) fn merge(cache: &Json, granted: &Granted, around: &Redeemed<'_>) -> Option<Json> {
    let mut cache = cache.clone();
    let body = &granted.body;
    let id_token = known(body, "id_token");
    let identity = id_token.and_then(|text| Some((text, claims(text)?)));
    let tid = tid(identity.as_ref().map(|(_, claims)| claims));
    let info = body.str("client_info").and_then(decode);
    let utid = info.as_ref().and_then(|info| info.str("utid"));
    let id = around.part("home_account_id");
    let lower = tid.filter(|tid| is_guid(tid)).map(str::to_ascii_lowercase);
    let home = home_tenant(id).filter(|home| !home.is_empty());
    let realm = match (around.tenant, home) {
        (tenant, _) if is_guid(tenant) => tenant,
        // A realm at home is one that is looked for there.
        (tenant, Some(home)) if is_word_for_home(tenant, around.on) => match tid {
            Some(tid) if is_personal(id) && tid.eq_ignore_ascii_case(PASSTHROUGH) => PASSTHROUGH,
            Some(_) => home,
            None if utid.is_some() => home,
            None if is_personal(id) => "organizations",
            None => tenant,
        },
        (tenant, None) if is_word_for_home(tenant, around.on) => tenant,
        (tenant, _) => lower.as_deref().unwrap_or(tenant),
    };
    let mut target: Vec<&str> = known(body, "scope")
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    if around.by_resource {
        target = stored(&target, around.scopes);
    }
    for scope in around.scopes {
        if !target.iter().any(|known| known.eq_ignore_ascii_case(scope)) {
            target.push(scope);
        }
    }
    let target = target.join(" ");

    if let Some(secret) = known(body, "refresh_token").filter(|text| is_usable(text)) {
        rotate(&mut cache, secret, &target, body, around)?;
    }
    if granted.is_spent {
        return Some(cache);
    }
    put_access_token(&mut cache, granted, realm, &target, around)?;
    if let Some((id_token, claims)) = identity.as_ref().filter(|(text, _)| is_usable(text)) {
        put_account(&mut cache, claims, realm, around)?;
        let ids = around.ids(realm);
        let members = [
            ("credential_type", Some("IdToken")),
            ("secret", Some(*id_token)),
        ];
        let is_it = |entry: &Json| {
            around.is_owner(entry)
                && around.is_host(entry)
                && around.is_realm(entry, realm)
                && around.is_client(entry)
        };
        put(&mut cache, "IdToken", is_it, &ids, &members)?;
    }
    put_app(&mut cache, known(body, "foci"), around)?;
    Some(cache)
}

/// One entry of an application in a cloud is left, with what all of them know.
fn put_app(cache: &mut Json, family: Option<&str>, around: &Redeemed<'_>) -> Option<()> {
    let is_it =
        |entry: &Json| around.authority.knows(entry.str("environment")) && around.is_client(entry);
    let [_, environment, client, _] = around.ids("");
    let entries = section(cache, "AppMetadata")?;
    let mut all: Vec<(String, Json)> = entries.clone();
    all.retain(|(_, entry)| is_it(entry));
    // The best first: of the host that programs ask.
    all.sort_by_key(|(_, app)| around.authority.place(app.str("environment"), around.on));
    let Some((kept, others)) = all.split_first() else {
        let members = [("family_id", family)];
        return put(
            cache,
            "AppMetadata",
            |_| false,
            &[client, environment],
            &members,
        );
    };
    entries.retain(|(key, _)| !others.iter().any(|(other, _)| other == key));
    let (_, entry) = entries.iter_mut().find(|(key, _)| *key == kept.0)?;
    let known_family = all.iter().find_map(|(_, app)| known(app, "family_id"));
    if let Some(family) = family.or(known_family) {
        entry.set("family_id", Json::text(family));
    }
    for (name, value) in others.iter().flat_map(|(_, other)| other.members()) {
        if !entry.has(name) {
            entry.set(name, value.clone());
        }
    }
    Some(())
}

/// The section to write, made if it is not there.
fn section<'c>(cache: &'c mut Json, name: &str) -> Option<&'c mut Vec<(String, Json)>> {
    if !cache.has(name) {
        cache.set(name, Json::empty_object());
    }
    match cache.get_mut(name)? {
        Json::Object(entries) => Some(entries),
        _ => None,
    }
}

/// Sets the members of an entry where it stands, or adds one with these identifiers.
fn put(
    cache: &mut Json,
    name: &str,
    is_it: impl Fn(&Json) -> bool,
    ids: &[(&'static str, String)],
    members: &[(&str, Option<&str>)],
) -> Option<()> {
    let entries = section(cache, name)?;
    if let Some((_, entry)) = entries.iter_mut().find(|(_, entry)| is_it(entry)) {
        for (member, text) in members {
            if let Some(text) = text {
                entry.set(member, Json::text(*text));
            }
        }
        return Some(());
    }
    let ids = ids.iter().map(|(name, id)| (*name, Some(&**id)));
    let entry = texts(ids.chain(members.iter().copied()));
    let mut key = key(name, &entry);
    // Nothing of others is overwritten, whatever it stands under.
    while entries.iter().any(|(taken, _)| *taken == key) {
        key.push('-');
    }
    entries.push((key, entry));
    Some(())
}

fn rotate(
    cache: &mut Json,
    secret: &str,
    target: &str,
    body: &Json,
    around: &Redeemed<'_>,
) -> Option<()> {
    let now = around.now.to_string();
    let members = [
        ("credential_type", Some("RefreshToken")),
        ("target", Some(target)),
        ("secret", Some(secret)),
        ("last_modification_time", Some(&*now)),
        ("family_id", known(body, "foci")),
    ];
    let entries = section(cache, "RefreshToken")?;
    let has = |entry: &Json, name| known(entry, name).is_some();
    let mut of_client = entries.iter_mut().map(|(_, entry)| entry).filter(|entry| {
        has(entry, "secret")
            && !is_bound(entry)
            && around.is_owner(entry)
            && around.is_host(entry)
            && around.is_client(entry)
    });
    let mut is_first = true;
    // All that hold the redeemed one: merged again, the same goes into none of them.
    for entry in &mut of_client {
        is_first = false;
        if entry.str("secret") == Some(around.part("secret")) {
            for (member, text) in &members[2..] {
                if let Some(text) = text {
                    entry.set(member, Json::text(*text));
                }
            }
        }
    }
    // Another application of the family redeemed it: the new token is that one's.
    if is_first {
        let [id, environment, client, _] = around.ids("");
        let ids = [id, environment, client];
        put(cache, "RefreshToken", |_| false, &ids, &members)?;
    }
    Some(())
}

fn put_access_token(
    cache: &mut Json,
    granted: &Granted,
    realm: &str,
    target: &str,
    around: &Redeemed<'_>,
) -> Option<()> {
    let now = around.now;
    let entries = section(cache, "AccessToken")?;
    let own = target.split_whitespace();
    let same_scopes = |entry: &Json| {
        let theirs = entry.str("target").unwrap_or_default();
        holds(theirs, own.clone(), false) && holds(target, theirs.split_whitespace(), false)
    };
    let of_sign_in = ["openid", "profile", "offline_access", "email"];
    let intersects = |entry: &Json| {
        let theirs = entry.str("target").unwrap_or_default();
        if around.by_resource {
            return share(target, theirs);
        }
        own.clone()
            .filter(|scope| {
                !of_sign_in
                    .iter()
                    .any(|word| word.eq_ignore_ascii_case(scope))
            })
            .any(|scope| holds(theirs, [scope], false))
    };
    let is_ours = |entry: &Json| is_access_token(entry, around.on) && around.is_account(entry);
    let is_rival = |entry: &Json| {
        is_ours(entry)
            && is_bearer(entry)
            && !is_bound(entry)
            && around.is_client(entry)
            && around.is_realm(entry, realm)
            && (same_scopes(entry) || intersects(entry))
    };
    let time = |entry: &Json, name: &str| time(entry, name, around.on);
    // Somebody asked later, and got all of that.
    let outdoes = |entry: &Json| {
        is_rival(entry)
            && can_be_sent(entry, "secret")
            && has_believable_times(entry, now, around.on)
            && time(entry, "cached_at").is_some_and(|at| at > now)
            && time(entry, "expires_on").is_some_and(|end| end > now)
            && holds(entry.str("target").unwrap_or_default(), own.clone(), false)
    };
    let is_outdone = entries.iter().any(|(_, entry)| outdoes(entry));
    let place = |entry: &Json| {
        !is_outdone && is_rival(entry) && same_scopes(entry) && around.is_host(entry)
    };
    let place = entries
        .iter()
        .find(|(_, entry)| place(entry))
        .map(|(key, _)| key.clone());
    entries.retain(|(key, entry)| {
        let goes = (is_rival(entry) && !outdoes(entry))
            || (is_ours(entry) && time(entry, "expires_on").is_some_and(|end| end < now));
        !goes || place.as_ref() == Some(key)
    });
    if is_outdone {
        return Some(());
    }
    let whole = |seconds: i64| seconds.to_string();
    let cached_at = whole(now);
    let expires_on = whole(granted.expires_on);
    let extended = granted.extended.map(whole);
    // Only what the server said.
    let refresh_on = granted.said_refresh_on.map(whole);
    let members = [
        ("credential_type", Some("AccessToken")),
        ("secret", granted.access_token.as_str()),
        ("target", Some(target)),
        ("token_type", Some("Bearer")),
        ("cached_at", Some(&*cached_at)),
        ("expires_on", Some(&*expires_on)),
        (
            "extended_expires_on",
            Some(extended.as_deref().unwrap_or(&expires_on)),
        ),
        ("refresh_on", refresh_on.as_deref()),
    ];
    if let Some((_, entry)) = entries
        .iter_mut()
        .find(|(key, _)| Some(key) == place.as_ref())
    {
        if refresh_on.is_none() {
            entry.remove("refresh_on");
        }
        for (member, text) in members {
            if let Some(text) = text {
                entry.set(member, Json::text(text));
            }
        }
        return Some(());
    }
    let ids = around.ids(realm);
    put(cache, "AccessToken", |_| false, &ids, &members)
}

fn put_account(cache: &mut Json, claims: &Json, realm: &str, around: &Redeemed<'_>) -> Option<()> {
    let name = known(claims, "preferred_username").or_else(|| known(claims, "upn"));
    let local = known(claims, "oid").or_else(|| known(claims, "sub"));
    let known_of_account = |cache: &Json, member: &str| {
        let entries = cache.get("Account").map_or(&[][..], Json::members);
        let mut entries = entries.iter().rev().map(|(_, entry)| entry);
        entries.find_map(|entry| {
            known(entry, member)
                .filter(|_| around.is_account(entry))
                .map(str::to_owned)
        })
    };
    let is_it = |entry: &Json| {
        around.is_account(entry) && around.is_host(entry) && around.is_realm(entry, realm)
    };
    let entries = section(cache, "Account")?;
    let own = entries.iter().find(|(_, entry)| is_it(entry));
    let own_name = own.and_then(|(_, entry)| known(entry, "username"));
    let own_name = own_name.map(str::to_owned);
    let is_new = own.is_none();
    let known_name = known_of_account(cache, "username");
    let name = name.or(own_name.as_deref()).or(known_name.as_deref());
    let source = known_of_account(cache, "account_source").filter(|_| is_new);
    let [id, environment, _, realm] = around.ids(realm);
    let members = [
        ("local_account_id", local),
        ("username", if is_new { name.or(Some("")) } else { name }),
        ("authority_type", Some("MSSTS").filter(|_| is_new)),
        ("account_source", source.as_deref()),
    ];
    put(cache, "Account", is_it, &[id, environment, realm], &members)
}
