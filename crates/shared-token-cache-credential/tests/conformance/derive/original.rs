//! What the original writes: MSAL Python's token cache.

use super::answer::{Granted, claims, decode};
use super::entry::{OWN_CLIENT, entries, int, key};
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

/// invalid_grant: every entry with the secret that was sent goes.
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
    check_type(entry)?;
    let mut entry = entry.clone();
    entry.set("secret", new.clone());
    entry.set("last_modification_time", Json::text(now.to_string()));
    put(cache, "RefreshToken", entry)?;
    Ok(true)
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

/// Adds what was granted, without the rotation.
pub(super) fn add(
    cache: &mut Json,
    granted: &Granted,
    around: &Circumstances<'_>,
) -> Result<(), Failure> {
    let body = &granted.body;
    let odd = Failure::Other;
    let id_token = body.str("id_token").filter(|text| !text.is_empty());
    let claims = match id_token {
        Some(text) => Some(claims(text).ok_or(odd)?),
        None => None,
    };
    let claim = |name: &str| claims.as_ref().and_then(|claims| claims.get(name)).cloned();
    let info = match body.get("client_info") {
        Some(info) => Some(
            info.as_str()
                .and_then(decode)
                .filter(Json::is_object)
                .ok_or(odd)?,
        ),
        None => None,
    };
    let uid = |info: &Json| Some(format!("{}.{}", info.str("uid")?, info.str("utid")?));
    let (is_known, id) = match (info.as_ref().and_then(uid), &claims) {
        (Some(id), _) => (true, Json::text(id)),
        (None, Some(claims)) => (true, claims.get("sub").cloned().ok_or(odd)?),
        (None, None) => (false, Json::Null),
    };
    let client = around.record_client.unwrap_or(OWN_CLIENT);
    let mut scopes: Vec<&str> = around.scopes.iter().map(String::as_str).collect();
    scopes.sort_unstable();
    let asked = scopes.join(" ");
    let target = match (around.record_client, body.str("scope")) {
        (Some(_), Some(scope)) => {
            let mut granted: Vec<&str> = scope.split(' ').collect();
            granted.sort_unstable();
            granted.join(" ")
        }
        _ => asked,
    };
    let now = around.now;
    if !matches!(granted.access_token, Json::Null) && granted.access_token.as_str() != Some("") {
        let expires_in = match body.get("expires_in") {
            Some(value) => int(value).ok_or(odd)?,
            None => granted.expires_on - now,
        };
        let ext = body
            .get("ext_expires_in")
            .map_or(Some(expires_in), int)
            .ok_or(odd)?;
        let mut entry = texts([("credential_type", Some("AccessToken"))]);
        entry.set("secret", granted.access_token.clone());
        entry.set("home_account_id", id.clone());
        entry.set("environment", Json::text(around.host));
        entry.set("client_id", Json::text(client));
        entry.set("target", Json::text(&target));
        entry.set("realm", Json::text(around.tenant));
        let token_type = body.get("token_type").cloned();
        entry.set(
            "token_type",
            token_type.unwrap_or_else(|| Json::text("Bearer")),
        );
        entry.set("cached_at", Json::text(now.to_string()));
        entry.set("expires_on", Json::text((now + expires_in).to_string()));
        entry.set("extended_expires_on", Json::text((now + ext).to_string()));
        match body.get("refresh_in") {
            Some(Json::Text(_)) => return Err(odd),
            _ => {
                if let Some(refresh_on) = granted.refresh_on {
                    entry.set("refresh_on", Json::text(refresh_on.to_string()));
                }
            }
        }
        put(cache, "AccessToken", entry)?;
    }
    if is_known && around.record_client.is_none() {
        let mut entry = texts([
            ("environment", Some(around.host)),
            ("realm", Some(around.tenant)),
            (
                "authority_type",
                Some(if around.tenant == "adfs" {
                    "ADFS"
                } else {
                    "MSSTS"
                }),
            ),
        ]);
        entry.set("home_account_id", id.clone());
        let local = claim("oid").or_else(|| claim("sub")).unwrap_or(Json::Null);
        entry.set("local_account_id", local);
        let name = claim("preferred_username").or_else(|| claim("upn"));
        entry.set("username", name.unwrap_or_else(|| Json::text("")));
        put(cache, "Account", entry)?;
    }
    let mut owner = texts([
        ("environment", Some(around.host)),
        ("client_id", Some(client)),
    ]);
    let app = owner.clone();
    owner.set("home_account_id", id);
    if let Some(id_token) = id_token {
        let mut entry = owner.clone();
        entry.set("credential_type", Json::text("IdToken"));
        entry.set("secret", Json::text(id_token));
        entry.set("realm", Json::text(around.tenant));
        put(cache, "IdToken", entry)?;
    }
    if let Some(secret) = body.str("refresh_token").filter(|text| !text.is_empty()) {
        let mut entry = owner;
        entry.set("credential_type", Json::text("RefreshToken"));
        entry.set("secret", Json::text(secret));
        entry.set("target", Json::text(target));
        entry.set("last_modification_time", Json::text(now.to_string()));
        if let Some(foci) = body.get("foci") {
            entry.set("family_id", foci.clone());
        }
        put(cache, "RefreshToken", entry)?;
    }
    let mut entry = app;
    if let Some(foci) = body.get("foci") {
        entry.set("family_id", foci.clone());
    }
    put(cache, "AppMetadata", entry)
}
