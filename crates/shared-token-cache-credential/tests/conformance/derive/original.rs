//! What the original writes: MSAL Python's token cache.

use super::answer::{Granted, claims, decode};
use super::entry::{OWN_CLIENT, entries, int, key, known};
use crate::json::{Json, texts};
use crate::vector::Failure;

/// Removes the entry under the key that this one should have.
pub(super) fn remove(cache: &mut Json, section: &str, key: &str) {
    if let Some(section) = cache.get_mut(section) {
        section.remove(key);
    }
}

fn put(cache: &mut Json, section: &str, entry: Json) -> Result<(), Failure> {
    if !cache.has(section) {
        cache.set(section, Json::empty_object());
    }
    let key = key(section, &entry);
    let entries = cache.get_mut(section).ok_or(Failure::Other)?;
    if !entries.is_object() {
        return Err(Failure::Other);
    }
    entries.set(&key, entry);
    Ok(())
}

fn with_secret(cache: &Json, secret: &str) -> Vec<Json> {
    let entries = entries(cache, "RefreshToken").unwrap_or(&[]);
    let entries = entries.iter().map(|(_, entry)| entry);
    entries
        .filter(|entry| entry.str("secret") == Some(secret))
        .cloned()
        .collect()
}

fn check_type(entry: &Json) -> Result<(), Failure> {
    // An assertion.
    match entry.str("credential_type") {
        Some("RefreshToken") => Ok(()),
        _ => Err(Failure::Other),
    }
}

/// `invalid_grant`: every entry with the secret that was sent goes.
pub(super) fn evict(cache: &mut Json, secret: &str) -> Result<(), Failure> {
    for entry in with_secret(cache, secret) {
        check_type(&entry)?;
        remove(cache, "RefreshToken", &key("RefreshToken", &entry));
    }
    Ok(())
}

/// A new refresh token goes into the only entry that holds the one that was sent. Whether it did.
pub(super) fn rotate(
    cache: &mut Json,
    secret: &str,
    new: &Json,
    now: i64,
) -> Result<bool, Failure> {
    let [entry] = &*with_secret(cache, secret) else {
        return Ok(false);
    };
    rotate_entry(cache, entry, new, now)?;
    Ok(true)
}

/// The same with a record: the very entry that was redeemed is updated.
pub(super) fn rotate_entry(
    cache: &mut Json,
    entry: &Json,
    new: &Json,
    now: i64,
) -> Result<(), Failure> {
    check_type(entry)?;
    let mut entry = entry.clone();
    entry.set("secret", new.clone());
    entry.set("last_modification_time", Json::text(now.to_string()));
    put(cache, "RefreshToken", entry)
}

/// In what circumstances an answer is added.
pub(super) struct Circumstances<'a> {
    pub(super) host: &'a str,
    pub(super) tenant: &'a str,
    /// With a record: its application.
    pub(super) record_client: Option<&'a str>,
    /// The scopes that were asked for.
    pub(super) scopes: &'a [String],
    pub(super) now: i64,
}

impl Circumstances<'_> {
    fn client(&self) -> &str {
        self.record_client.unwrap_or(OWN_CLIENT)
    }
}

/// Whose token an answer is, and what else it says about the account.
struct Said {
    home_account_id: Json,
    /// Whether anything says so.
    is_known: bool,
    claims: Option<Json>,
    target: String,
}

impl Said {
    fn of(body: &Json, around: &Circumstances<'_>) -> Result<Self, Failure> {
        let odd = Failure::Other;
        let claims = match known(body, "id_token") {
            Some(text) => Some(claims(text).ok_or(odd)?),
            None => None,
        };
        let info = match body.get("client_info") {
            Some(info) => {
                let info = info.as_str().and_then(decode).filter(Json::is_object);
                Some(info.ok_or(odd)?)
            }
            None => None,
        };
        let uid = |info: &Json| Some(format!("{}.{}", info.str("uid")?, info.str("utid")?));
        let (is_known, home_account_id) = match (info.as_ref().and_then(uid), &claims) {
            (Some(id), _) => (true, Json::text(id)),
            (None, Some(claims)) => (true, claims.get("sub").cloned().ok_or(odd)?),
            (None, None) => (false, Json::Null),
        };
        // With a record, what was granted; otherwise what was asked for. Sorted either way.
        let mut scopes: Vec<&str> = match (around.record_client, body.str("scope")) {
            (Some(_), Some(scope)) => scope.split_whitespace().collect(),
            _ => around.scopes.iter().map(String::as_str).collect(),
        };
        scopes.sort_unstable();
        Ok(Self {
            home_account_id,
            is_known,
            target: scopes.join(" "),
            claims,
        })
    }

    fn claim(&self, name: &str) -> Option<Json> {
        self.claims.as_ref()?.get(name).cloned()
    }
}

/// Adds what was granted, without the rotation.
pub(super) fn add(
    cache: &mut Json,
    granted: &Granted,
    around: &Circumstances<'_>,
) -> Result<(), Failure> {
    let body = &granted.body;
    let said = Said::of(body, around)?;
    if !matches!(granted.access_token, Json::Null) && granted.access_token.as_str() != Some("") {
        add_access_token(cache, granted, &said, around)?;
    }
    if said.is_known && around.record_client.is_none() {
        add_account(cache, &said, around)?;
    }
    let mut app = texts([
        ("environment", Some(around.host)),
        ("client_id", Some(around.client())),
    ]);
    let mut owner = app.clone();
    owner.set("home_account_id", said.home_account_id.clone());
    if let Some(id_token) = known(body, "id_token") {
        let mut entry = owner.clone();
        entry.set("credential_type", Json::text("IdToken"));
        entry.set("secret", Json::text(id_token));
        entry.set("realm", Json::text(around.tenant));
        put(cache, "IdToken", entry)?;
    }
    let foci = body.get("foci");
    if let Some(secret) = known(body, "refresh_token") {
        let mut entry = owner;
        entry.set("credential_type", Json::text("RefreshToken"));
        entry.set("secret", Json::text(secret));
        entry.set("target", Json::text(&said.target));
        entry.set("last_modification_time", Json::text(around.now.to_string()));
        if let Some(foci) = foci {
            entry.set("family_id", foci.clone());
        }
        put(cache, "RefreshToken", entry)?;
    }
    if let Some(foci) = foci {
        app.set("family_id", foci.clone());
    }
    put(cache, "AppMetadata", app)
}

fn add_access_token(
    cache: &mut Json,
    granted: &Granted,
    said: &Said,
    around: &Circumstances<'_>,
) -> Result<(), Failure> {
    let odd = Failure::Other;
    let (body, now) = (&granted.body, around.now);
    let expires_in = match body.get("expires_in") {
        Some(value) => int(value).ok_or(odd)?,
        None => granted.expires_on - now,
    };
    let ext = body.get("ext_expires_in").map_or(Some(expires_in), int);
    let mut entry = texts([
        ("credential_type", Some("AccessToken")),
        ("environment", Some(around.host)),
        ("client_id", Some(around.client())),
        ("target", Some(&said.target)),
        ("realm", Some(around.tenant)),
    ]);
    entry.set("secret", granted.access_token.clone());
    entry.set("home_account_id", said.home_account_id.clone());
    let token_type = body.get("token_type").cloned();
    entry.set(
        "token_type",
        token_type.unwrap_or_else(|| Json::text("Bearer")),
    );
    let times = [
        ("cached_at", now),
        ("expires_on", now + expires_in),
        ("extended_expires_on", now + ext.ok_or(odd)?),
    ];
    for (name, time) in times {
        entry.set(name, Json::text(time.to_string()));
    }
    if matches!(body.get("refresh_in"), Some(Json::Text(_))) {
        return Err(odd);
    }
    if let Some(refresh_on) = granted.refresh_on {
        entry.set("refresh_on", Json::text(refresh_on.to_string()));
    }
    put(cache, "AccessToken", entry)
}

fn add_account(cache: &mut Json, said: &Said, around: &Circumstances<'_>) -> Result<(), Failure> {
    let kind = if around.tenant == "adfs" {
        "ADFS"
    } else {
        "MSSTS"
    };
    let mut entry = texts([
        ("environment", Some(around.host)),
        ("realm", Some(around.tenant)),
        ("authority_type", Some(kind)),
    ]);
    entry.set("home_account_id", said.home_account_id.clone());
    let local = said.claim("oid").or_else(|| said.claim("sub"));
    entry.set("local_account_id", local.unwrap_or(Json::Null));
    let name = said
        .claim("preferred_username")
        .or_else(|| said.claim("upn"));
    entry.set("username", name.unwrap_or_else(|| Json::text("")));
    put(cache, "Account", entry)
}
