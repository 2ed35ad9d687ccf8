//! K7: how ours writes what was granted.

use super::answer::{Granted, claims, decode, is_guid};
use super::authority::Authority;
use super::entry::{
    has_believable_times, holds, int, is_access_token, is_bearer, is_bound, is_not_anyones,
    is_refresh_token, key, known,
};
use super::find::is_word_for_home;
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
}

impl Redeemed<'_> {
    fn part(&self, name: &str) -> &str {
        self.entry.str(name).unwrap_or_default()
    }

    /// Members that an entry of this account at this very host has.
    fn owner(&self) -> [(&str, Option<&str>); 2] {
        ["home_account_id", "environment"].map(|name| (name, Some(self.part(name))))
    }

    fn is_account(&self, entry: &Json) -> bool {
        entry.str("home_account_id") == Some(self.part("home_account_id"))
            && self.authority.knows(entry.str("environment"))
    }

    fn is_host(&self, entry: &Json) -> bool {
        entry.str("environment") == Some(self.part("environment"))
    }
}

/// The cache with what was granted; `None` where a section that must be written is no object.
pub(super) fn merge(cache: &Json, granted: &Granted, around: &Redeemed<'_>) -> Option<Json> {
    let mut cache = cache.clone();
    let body = &granted.body;
    let id_token = known(body, "id_token");
    let identity = id_token.and_then(|text| Some((text, claims(text)?)));
    let tid = identity
        .as_ref()
        .and_then(|(_, claims)| known(claims, "tid"));
    let info = body.str("client_info").and_then(decode);
    let utid = info.as_ref().and_then(|info| info.str("utid"));
    let realm = match around.tenant {
        tenant if is_guid(tenant) => tenant,
        tenant => {
            let home = utid.filter(|_| is_word_for_home(tenant));
            tid.or(home).unwrap_or(tenant)
        }
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

    if let Some(secret) = known(body, "refresh_token") {
        rotate(&mut cache, secret, &target, body, around)?;
    }
    put_access_token(&mut cache, granted, realm, &target, around)?;
    if let Some((id_token, claims)) = &identity {
        put_account(&mut cache, claims, realm, around)?;
        let [id, environment] = around.owner();
        let members = [
            ("credential_type", Some("IdToken")),
            ("secret", Some(*id_token)),
            id,
            environment,
            ("realm", Some(realm)),
            ("client_id", Some(around.client)),
        ];
        let is_it = |entry: &Json| {
            entry.str("home_account_id") == Some(around.part("home_account_id"))
                && around.is_host(entry)
                && entry.str("realm") == Some(realm)
                && entry.str("client_id") == Some(around.client)
        };
        put(&mut cache, "IdToken", is_it, &members)?;
    }
    let members = [
        ("client_id", Some(around.client)),
        ("environment", Some(around.part("environment"))),
        ("family_id", known(body, "foci")),
    ];
    let is_it =
        |entry: &Json| around.is_host(entry) && entry.str("client_id") == Some(around.client);
    put(&mut cache, "AppMetadata", is_it, &members)?;
    Some(cache)
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

/// Sets the members of an entry where it stands, or adds one.
fn put(
    cache: &mut Json,
    name: &str,
    is_it: impl Fn(&Json) -> bool,
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
    let entry = texts(members.iter().copied());
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
    let [id, environment] = around.owner();
    let now = around.now.to_string();
    let members = [
        ("credential_type", Some("RefreshToken")),
        id,
        environment,
        ("client_id", Some(around.client)),
        ("target", Some(target)),
        ("secret", Some(secret)),
        ("last_modification_time", Some(&*now)),
        ("family_id", known(body, "foci")),
    ];
    let entries = section(cache, "RefreshToken")?;
    let mut of_client = entries.iter_mut().map(|(_, entry)| entry).filter(|entry| {
        is_refresh_token(entry)
            && !is_not_anyones(entry, i64::MIN)
            && entry.str("home_account_id") == Some(around.part("home_account_id"))
            && around.is_host(entry)
            && entry.str("client_id") == Some(around.client)
    });
    let mut is_first = true;
    for entry in &mut of_client {
        is_first = false;
        if entry.str("secret") == Some(around.part("secret")) {
            for (member, text) in &members[5..] {
                if let Some(text) = text {
                    entry.set(member, Json::text(*text));
                }
            }
            return Some(());
        }
    }
    // Another application of the family redeemed it: the new token is that one's.
    if is_first {
        put(cache, "RefreshToken", |_| false, &members)?;
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
    let is_ours = |entry: &Json| is_access_token(entry) && around.is_account(entry);
    let is_rival = |entry: &Json| {
        is_ours(entry)
            && is_bearer(entry)
            && !is_bound(entry)
            && entry.str("client_id") == Some(around.client)
            && entry.str("realm") == Some(realm)
            && (same_scopes(entry) || intersects(entry))
    };
    let time = |entry: &Json, name: &str| entry.get(name).and_then(int);
    // Somebody asked later, and got all of that.
    let outdoes = |entry: &Json| {
        is_rival(entry)
            && has_believable_times(entry, now)
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
    let seconds = |name: &str| match granted.body.get(name)? {
        Json::Text(text) => text.trim().parse::<f64>().ok().map(super::entry::whole),
        Json::Number(number) => number.as_f64().map(super::entry::whole),
        _ => None,
    };
    let extended = seconds("ext_expires_in").map(|ext| whole(now + ext));
    // Only what the server said.
    let refresh_on = seconds("refresh_in").map(|refresh| whole(now + refresh));
    let [id, environment] = around.owner();
    let members = [
        ("credential_type", Some("AccessToken")),
        ("secret", granted.access_token.as_str()),
        id,
        environment,
        ("client_id", Some(around.client)),
        ("target", Some(target)),
        ("realm", Some(realm)),
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
    put(cache, "AccessToken", |_| false, &members)
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
        around.is_account(entry) && around.is_host(entry) && entry.str("realm") == Some(realm)
    };
    let entries = section(cache, "Account")?;
    let own = entries.iter().find(|(_, entry)| is_it(entry));
    let own_name = own.and_then(|(_, entry)| known(entry, "username"));
    let own_name = own_name.map(str::to_owned);
    let is_new = own.is_none();
    let known_name = known_of_account(cache, "username");
    let name = name.or(own_name.as_deref()).or(known_name.as_deref());
    let source = known_of_account(cache, "account_source").filter(|_| is_new);
    let [id, environment] = around.owner();
    let members = [
        id,
        environment,
        ("realm", Some(realm)),
        ("local_account_id", local),
        ("username", if is_new { name.or(Some("")) } else { name }),
        ("authority_type", Some("MSSTS").filter(|_| is_new)),
        ("account_source", source.as_deref()),
    ];
    put(cache, "Account", is_it, &members)
}
