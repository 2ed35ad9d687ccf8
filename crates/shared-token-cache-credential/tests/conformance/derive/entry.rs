//! Reading the entries of a cache: as Python does, and as the design asks.

use crate::json::Json;

/// The class's own application, the Azure CLI.
pub(super) const OWN_CLIENT: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// The entries of a section, or that the section is no object.
pub(super) fn entries<'c>(
    cache: &'c Json,
    section: &str,
) -> Result<&'c [(String, Json)], NoObject> {
    match cache.get(section) {
        None => Ok(&[]),
        Some(Json::Object(entries)) => Ok(entries),
        Some(_) => Err(NoObject),
    }
}

pub(super) struct NoObject;

/// The entries of a section; what is no object has none.
pub(super) fn entries_or_none<'c>(
    cache: &'c Json,
    section: &str,
) -> impl Iterator<Item = &'c Json> {
    let entries = cache.get(section).map_or(&[][..], Json::members);
    entries.iter().map(|(_, entry)| entry)
}

/// Python's `int()`.
pub(super) fn int(value: &Json) -> Option<i64> {
    match value {
        Json::Text(text) => int_of_text(text),
        Json::Number(number) => number.as_i64().or_else(|| Some(whole(number.as_f64()?))),
        Json::Bool(value) => Some(i64::from(*value)),
        _ => None,
    }
}

fn int_of_text(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let bad = |group: &str| group.is_empty() || !group.bytes().all(|b| b.is_ascii_digit());
    if digits.split('_').any(bad) {
        return None;
    }
    let number: f64 = digits.replace('_', "").parse().ok()?;
    let number = digits
        .replace('_', "")
        .parse()
        .unwrap_or_else(|_| whole(number));
    Some(if text.starts_with('-') {
        -number
    } else {
        number
    })
}

#[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
pub(super) fn whole(number: f64) -> i64 {
    number as i64
}

/// A text that is not empty.
pub(super) fn known<'e>(entry: &'e Json, name: &str) -> Option<&'e str> {
    entry.str(name).filter(|text| !text.is_empty())
}

/// Whether a member is there and neither null nor empty.
fn is_set(entry: &Json, name: &str) -> bool {
    !matches!(entry.get(name), None | Some(Json::Null)) && entry.str(name) != Some("")
}

/// Whether a refresh token has what makes it usable.
pub(super) fn is_refresh_token(entry: &Json) -> bool {
    ["secret", "home_account_id", "environment", "client_id"]
        .iter()
        .all(|name| known(entry, name).is_some())
}

/// Whether a refresh token belongs to somebody's session, or is past its own time.
pub(super) fn is_not_anyones(entry: &Json, now: i64) -> bool {
    ["user_assertion_hash", "ext", "ext_cache_key"]
        .iter()
        .any(|name| is_set(entry, name))
        || entry
            .get("expires_on")
            .and_then(int)
            .is_some_and(|end| end <= now)
}

/// Whether an access token has what makes it usable.
pub(super) fn is_access_token(entry: &Json) -> bool {
    [
        "secret",
        "home_account_id",
        "environment",
        "client_id",
        "realm",
    ]
    .iter()
    .all(|name| known(entry, name).is_some())
        && entry.str("target").is_some()
        && entry.get("expires_on").and_then(int).is_some()
}

pub(super) fn is_bound(entry: &Json) -> bool {
    [
        "key_id",
        "kid",
        "keyid",
        "ext_cache_key",
        "ext",
        "user_assertion_hash",
    ]
    .iter()
    .any(|name| entry.has(name))
}

pub(super) fn is_bearer(entry: &Json) -> bool {
    let kind = entry.str("credential_type");
    let of_type = match entry.get("token_type") {
        None | Some(Json::Null) => true,
        Some(Json::Text(text)) => text.is_empty() || text.eq_ignore_ascii_case("Bearer"),
        Some(_) => false,
    };
    kind == Some("AccessToken") && of_type
}

/// Whether the times of an access token can be true.
pub(super) fn has_believable_times(entry: &Json, now: i64) -> bool {
    let time = |name: &str| entry.get(name).and_then(int);
    time("expires_on").is_some_and(|end| end <= now.saturating_add(7 * 24 * 3600))
        && time("cached_at").is_none_or(|at| at <= now + 300)
}

/// Whether all of these scopes are in a target.
pub(super) fn holds<'s>(
    target: &str,
    scopes: impl IntoIterator<Item = &'s str>,
    case_counts: bool,
) -> bool {
    scopes.into_iter().all(|scope| {
        target
            .split_whitespace()
            .any(|own| own == scope || (!case_counts && own.eq_ignore_ascii_case(scope)))
    })
}

/// MSAL Python's key of an entry.
pub(super) fn key(section: &str, entry: &Json) -> String {
    let part = |name: &str| entry.str(name).unwrap_or_default();
    let (id, environment) = (part("home_account_id"), part("environment"));
    let (client, realm, target) = (part("client_id"), part("realm"), part("target"));
    let parts = match section {
        "AccessToken" => match known(entry, "ext_cache_key") {
            Some(ext) => vec![id, environment, "atext", client, realm, target, ext],
            None => vec![id, environment, "accesstoken", client, realm, target],
        },
        "RefreshToken" => vec![id, environment, "refreshtoken", client, "", target],
        "IdToken" => vec![id, environment, "idtoken", client, realm, ""],
        "Account" => vec![id, environment, realm],
        // The one that keeps its case.
        _ => return ["appmetadata", environment, client].join("-"),
    };
    parts.join("-").to_lowercase()
}

/// The tenant part of an account's id: what follows its only dot.
pub(super) fn home_tenant(home_account_id: &str) -> Option<&str> {
    let (_, tenant) = home_account_id.split_once('.')?;
    (!tenant.contains('.')).then_some(tenant)
}
