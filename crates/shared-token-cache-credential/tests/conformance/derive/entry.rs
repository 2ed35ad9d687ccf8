//! Reading the entries of a cache: as Python does, and as the design asks.

use crate::json::Json;

use super::clause::{Clause, Rules};

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

/// A time of an entry, in seconds.
pub(super) fn time(entry: &Json, name: &str, on: Rules) -> Option<i64> {
    let value = entry.get(name)?;
    let Some(text) = value.as_str().filter(|_| on.has(Clause::K3Fractions)) else {
        return int(value);
    };
    match text.trim().split_once('.') {
        Some((whole, fraction)) if fraction.chars().all(|c| c.is_ascii_digit()) => {
            int_of_text(whole)
        }
        _ => int_of_text(text),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
pub(super) fn whole(number: f64) -> i64 {
    number as i64
}

/// A text that is not empty.
pub(super) fn known<'e>(entry: &'e Json, name: &str) -> Option<&'e str> {
    entry.str(name).filter(|text| !text.is_empty())
}

/// Whether a member can be sent: of printable ASCII, and not too long.
pub(super) fn can_be_sent(entry: &Json, name: &str) -> bool {
    known(entry, name)
        .is_some_and(|text| text.len() <= 65536 && text.chars().all(|c| matches!(c, '!'..='~')))
}

/// Whether a refresh token has what makes it usable.
pub(super) fn is_refresh_token(entry: &Json) -> bool {
    let has = |name| known(entry, name).is_some();
    has("home_account_id")
        && has("environment")
        && can_be_sent(entry, "secret")
        && can_be_sent(entry, "client_id")
}

/// Whether a refresh token belongs to somebody's session, or is past its own time.
pub(super) fn is_not_anyones(entry: &Json, now: i64, on: Rules) -> bool {
    is_bound(entry) || time(entry, "expires_on", on).is_some_and(|end| end <= now)
}

/// Whether an access token has what makes it usable, but for what it takes to send it.
pub(super) fn is_access_token(entry: &Json, on: Rules) -> bool {
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
        && time(entry, "expires_on", on).is_some()
}

/// Whether something makes a token somebody's alone: a member that says so, in any spelling, or an
/// object or a list that nobody here knows.
pub(super) fn is_bound(entry: &Json) -> bool {
    const SAYS_SO: &str = " keyid kid ext extcachekey additionalcachekeycomponents \
        persistedcacheparameters userassertionhash requestedclaims requestedclaimshash resource ";
    const KNOWN: &str = " credential_type secret home_account_id environment client_id target \
        realm token_type cached_at expires_on extended_expires_on refresh_on \
        last_modification_time family_id ";
    let is_in = |list: &str, name: &str| list.contains(&format!(" {name} "));
    entry.members().iter().any(|(name, value)| {
        let (says_something, is_compound) = match value {
            Json::Null => (false, false),
            Json::Text(text) => (!text.is_empty(), false),
            Json::List(list) => (!list.is_empty(), true),
            Json::Object(members) => (!members.is_empty(), true),
            _ => (true, false),
        };
        let spelled = name.replace('_', "").to_ascii_lowercase();
        says_something && (is_in(SAYS_SO, &spelled) || (is_compound && !is_in(KNOWN, name)))
    })
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
pub(super) fn has_believable_times(entry: &Json, now: i64, on: Rules) -> bool {
    let time = |name: &str| time(entry, name, on);
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
