//! What an answer holds: K8, and what K7 says of an account that it names.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::authority::is_tenant;
use super::clause::{Clause, Rules};
use super::entry::{home_tenant, int, whole};
use super::find::{PASSTHROUGH, is_personal, is_personal_tenant, is_word_for_home};
use super::identifier::Id;
use super::lifetime;
use crate::json::Json;
use crate::vector::{Answer, Failure};

/// A token that was granted.
pub(super) struct Granted {
    pub(super) body: Json,
    pub(super) access_token: Json,
    pub(super) expires_on: i64,
    pub(super) refresh_on: Option<i64>,
    pub(super) token_type: Json,
    /// The times that the server named, for the store.
    pub(super) extended: Option<i64>,
    pub(super) said_refresh_on: Option<i64>,
    /// K15: it is not handed out.
    pub(super) is_spent: bool,
}

/// A refusal of the server's.
#[derive(Clone)]
pub(super) struct Refusal {
    pub(super) error: String,
    pub(super) lets_others_try: bool,
    /// The same would be refused again.
    pub(super) stands: bool,
    /// The refresh token itself is of no use any more.
    pub(super) is_of_token: bool,
}

pub(super) enum NoToken {
    /// The answer has the member `error`.
    Refused(Refusal),
    Failed(Failure),
}

/// The body of an answer, if it is an object that is not empty.
pub(super) fn body(answer: &Answer, on: Rules, of_record: bool) -> Result<Json, NoToken> {
    let failed = |failure| Err(NoToken::Failed(failure));
    let text = answer.text();
    if on.has(Clause::K8Answer) {
        let text = text.trim_start_matches('\u{feff}');
        return match Json::parse(text) {
            Some(body) if body.is_object() => Ok(body),
            _ => failed(Failure::AuthenticationFailed),
        };
    }
    if of_record {
        // Whatever its type; an empty object is as good as any.
        let body = Json::parse(&text).filter(Json::is_object);
        let body = body.filter(|_| answer.status.is_none_or(|status| status < 500));
        return body.map_or_else(|| failed(Failure::AuthenticationFailed), Ok);
    }
    if text.is_empty() {
        return failed(Failure::AuthenticationFailed);
    }
    let content_type = answer.header("Content-Type").unwrap_or("application/json");
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_json = content_type.ends_with("json");
    let Some(body) = Json::parse(text.trim_start_matches('\u{feff}')).filter(|_| is_json) else {
        return failed(Failure::Other);
    };
    match &body {
        Json::Object(members) if !members.is_empty() => Ok(body),
        Json::Object(_) | Json::Null | Json::Bool(false) => failed(Failure::AuthenticationFailed),
        Json::Text(text) if text.is_empty() => failed(Failure::AuthenticationFailed),
        Json::List(list) if list.is_empty() => failed(Failure::AuthenticationFailed),
        Json::Number(number) if number.as_f64() == Some(0.0) => {
            failed(Failure::AuthenticationFailed)
        }
        _ => failed(Failure::Other),
    }
}

/// K4: errors after which another refresh token may do,
const GO_ON: [&str; 7] = [
    "invalid_grant",
    "interaction_required",
    "login_required",
    "consent_required",
    "client_mismatch",
    "unauthorized_client",
    "invalid_client",
];
const GO_ON_CODES: [i64; 5] = [65001, 65002, 700_007, 700_016, 7_000_218];
/// and those after which none will.
const STOP: [&str; 2] = ["invalid_scope", "invalid_request"];
const STOP_CODES: [i64; 8] = [70011, 500_011, 90002, 50020, 50034, 90072, 50057, 50196];

/// The refusal that a body is.
pub(super) fn refusal(body: &Json, status: u16, on: Rules) -> Option<Refusal> {
    let says_nothing = match body.get("error")? {
        Json::Null | Json::Bool(false) => true,
        Json::Text(text) => text.trim().is_empty(),
        Json::List(list) => list.is_empty(),
        Json::Object(members) => members.is_empty(),
        Json::Bool(true) | Json::Number(_) => false,
    };
    if says_nothing && on.has(Clause::K8Answer) && (200..300).contains(&status) {
        return None;
    }
    let error = body.str("error").unwrap_or_default();
    let suberror = body.str("suberror").unwrap_or_default();
    let codes: Vec<i64> = match body.get("error_codes") {
        Some(Json::List(codes)) => codes.iter().filter_map(int).collect(),
        _ => Vec::new(),
    };
    let has = |list: &[i64]| codes.iter().any(|code| list.contains(code));
    let in_trouble = matches!(status, 408 | 429 | 500..=599)
        || matches!(error, "temporarily_unavailable" | "server_error");
    let by_word = !STOP.contains(&error) && (GO_ON.contains(&error) || GO_ON.contains(&suberror));
    let lets_others_try = !in_trouble && !has(&STOP_CODES) && (has(&GO_ON_CODES) || by_word);
    Some(Refusal {
        error: error.to_owned(),
        lets_others_try,
        stands: matches!(error, "invalid_grant" | "interaction_required") || has(&GO_ON_CODES),
        is_of_token: matches!(suberror, "bad_token" | "token_expired"),
    })
}

/// Reads a body that is no refusal.
pub(super) fn granted(
    body: Json,
    status: u16,
    now: i64,
    of_record: bool,
    on: Rules,
) -> Result<Granted, Failure> {
    let has_half_life = on.has(Clause::K8Answer) || !of_record;
    let mut granted = if on.has(Clause::K8Answer) {
        granted_ours(body, status, now, on)
    } else if of_record {
        granted_with_record(body, now, on)
    } else {
        granted_without_record(body, now, on)
    }?;
    if on.has(Clause::K15Lifetime) {
        lifetime::bound(&mut granted, now, has_half_life);
    }
    Ok(granted)
}

fn granted_without_record(body: Json, now: i64, on: Rules) -> Result<Granted, Failure> {
    let time = |name: &str| match body.get(name) {
        None => Ok(None),
        Some(value) => int(value).map(Some).ok_or(Failure::Other),
    };
    let expires_on = match (time("expires_on")?, time("expires_in")) {
        (Some(expires_on), _) => expires_on,
        (None, expires_in) => now + expires_in?.ok_or(Failure::AuthenticationFailed)?,
    };
    let refresh_in = match time("refresh_in")? {
        None if expires_on - now >= 7200 => Some((expires_on - now) / 2),
        refresh_in => refresh_in,
    };
    let token_type = body.get("token_type").cloned();
    let token_type = token_type.unwrap_or_else(|| Json::text("Bearer"));
    check_bearer(&token_type, on)?;
    Ok(Granted {
        access_token: body.get("access_token").cloned().ok_or(Failure::Other)?,
        expires_on,
        refresh_on: refresh_in.map(|seconds| now + seconds),
        token_type: shown_type(token_type, on),
        extended: named(&body, "ext_expires_in", now),
        said_refresh_on: named(&body, "refresh_in", now),
        is_spent: false,
        body,
    })
}

/// With a record MSAL takes everything that is no error; whether a token is in it is seen later.
fn granted_with_record(body: Json, now: i64, on: Rules) -> Result<Granted, Failure> {
    let time = |name: &str| match body.get(name) {
        None => Ok(None),
        Some(value) => int(value).map(Some).ok_or(Failure::Other),
    };
    let in_seconds = time("expires_in")?.map(|seconds| now + seconds);
    let expires_on = match in_seconds {
        Some(expires_on) => expires_on,
        None => time("expires_on")?.unwrap_or(now + 600),
    };
    let token_type = body.get("token_type").cloned();
    let token_type = token_type.unwrap_or_else(|| Json::text("Bearer"));
    check_bearer(&token_type, on)?;
    Ok(Granted {
        access_token: body.get("access_token").cloned().unwrap_or(Json::Null),
        expires_on,
        refresh_on: time("refresh_in")?.map(|seconds| now + seconds),
        token_type: shown_type(token_type, on),
        extended: named(&body, "ext_expires_in", now),
        said_refresh_on: named(&body, "refresh_in", now),
        is_spent: false,
        body,
    })
}

/// A time that the server names, in whatever form.
fn named(body: &Json, name: &str, now: i64) -> Option<i64> {
    let seconds = match body.get(name)? {
        Json::Number(number) => whole(number.as_f64()?),
        Json::Text(text) => whole(text.trim().parse().ok()?),
        _ => return None,
    };
    Some(now.saturating_add(seconds))
}

/// Whether a text can be a token: what a header can carry, and no more than 64 KiB.
pub(super) fn is_usable(text: &str) -> bool {
    (1..=64 * 1024).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// What the record path of the original makes of an answer that lacks something.
pub(super) fn check_complete(body: &Json) -> Result<(), Failure> {
    if body.has("access_token") && body.has("expires_in") {
        Ok(())
    } else if body.members().is_empty() {
        Err(Failure::Unavailable)
    } else {
        Err(Failure::AuthenticationFailed)
    }
}

fn granted_ours(body: Json, status: u16, now: i64, on: Rules) -> Result<Granted, Failure> {
    let failed = Failure::AuthenticationFailed;
    if !(200..300).contains(&status) {
        return Err(failed);
    }
    let token = body.str("access_token").unwrap_or_default();
    let is_too_long = |name: &str| body.str(name).is_some_and(|text| text.len() > 64 * 1024);
    if !is_usable(token) || is_too_long("refresh_token") || is_too_long("id_token") {
        return Err(failed);
    }
    let seconds = |name: &str| match body.get(name)? {
        Json::Number(number) => Some(whole(number.as_f64()?)),
        Json::Text(text) => Some(whole(text.trim().parse().ok()?)),
        _ => None,
    };
    let expires_on = match (seconds("expires_on"), seconds("expires_in")) {
        (Some(expires_on), _) => expires_on,
        // Judged in its turn.
        (None, expires_in) if on.has(Clause::K15Lifetime) => now + expires_in.unwrap_or(0),
        (None, expires_in) => now + expires_in.ok_or(failed)?,
    };
    let half_life = || (expires_on - now >= 7200).then(|| (expires_on - now) / 2);
    let refresh_in = seconds("refresh_in").or_else(half_life);
    let token_type = body.get("token_type").cloned();
    let token_type = token_type.unwrap_or_else(|| Json::text("Bearer"));
    check_bearer(&token_type, on)?;
    Ok(Granted {
        access_token: Json::text(token),
        expires_on: expires_on.min(now + 7 * 24 * 3600),
        refresh_on: refresh_in.map(|seconds| now + seconds),
        token_type: shown_type(token_type, on),
        extended: named(&body, "ext_expires_in", now),
        said_refresh_on: named(&body, "refresh_in", now),
        is_spent: false,
        body,
    })
}

/// K3: only a bearer token is of use; null is as absent.
fn check_bearer(token_type: &Json, on: Rules) -> Result<(), Failure> {
    let is_bearer = match token_type {
        Json::Null => true,
        other => other
            .as_str()
            .is_some_and(|text| text.eq_ignore_ascii_case("Bearer")),
    };
    if on.has(Clause::K3Bearer) && !is_bearer {
        return Err(Failure::AuthenticationFailed);
    }
    Ok(())
}

fn shown_type(token_type: Json, on: Rules) -> Json {
    if on.has(Clause::K3Bearer) {
        Json::text("Bearer")
    } else {
        token_type
    }
}

/// The payload of base64url, with padding or without.
pub(super) fn decode(text: &str) -> Option<Json> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let bytes = GeneralPurpose::new(&URL_SAFE, config).decode(text).ok()?;
    Json::parse(std::str::from_utf8(&bytes).ok()?)
}

/// What an id token says, if it can be read.
pub(super) fn claims(id_token: &str) -> Option<Json> {
    decode(id_token.split('.').nth(1)?).filter(Json::is_object)
}

pub(super) fn is_guid(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// The tenant that an ID token names, if it can be one.
pub(super) fn tid(claims: Option<&Json>) -> Option<&str> {
    claims?.str("tid").filter(|tid| is_tenant(tid))
}

/// K7: whether an answer is for this account and for the tenant in the address.
pub(super) fn check_account(
    body: &Json,
    home_account_id: &str,
    tenant: &str,
    on: Rules,
) -> Result<(), Failure> {
    let failed = Err(Failure::AuthenticationFailed);
    let info = match body.get("client_info") {
        None | Some(Json::Null) => None,
        Some(Json::Text(text)) if text.is_empty() => None,
        Some(Json::Text(text)) => match decode(text).filter(Json::is_object) {
            Some(info) => Some(info),
            None => return failed,
        },
        Some(_) => return failed,
    };
    let ids = info
        .as_ref()
        .map(|info| (info.str("uid"), info.str("utid")));
    let claims = body.str("id_token").and_then(claims);
    let tid = tid(claims.as_ref());
    match ids.unwrap_or_default() {
        (None, None) => {
            let oid = claims.as_ref().and_then(|claims| claims.str("oid"));
            let (uid, utid) = home_account_id.split_once('.').unwrap_or_default();
            let is_home = tid.is_some_and(|tid| {
                is_guid(tid) && tid.eq_ignore_ascii_case(utid) && !is_personal_tenant(tid)
            });
            let is_other = oid.is_some_and(|oid| is_guid(oid) && !oid.eq_ignore_ascii_case(uid));
            if is_home && is_other {
                return failed;
            }
        }
        (Some(uid), Some(utid))
            if Id::Account.is_same(Some(&format!("{uid}.{utid}")), Some(home_account_id), on) => {}
        _ => return failed,
    }
    let home = home_tenant(home_account_id).filter(|home| !home.is_empty());
    let is_another = |tid: &str| match home {
        _ if is_guid(tenant) => !tid.eq_ignore_ascii_case(tenant),
        Some(home) if is_word_for_home(tenant, on) => {
            let is_ours = tid.eq_ignore_ascii_case(home);
            let is_passthrough =
                is_personal(home_account_id) && tid.eq_ignore_ascii_case(PASSTHROUGH);
            !is_ours && !is_passthrough
        }
        _ => false,
    };
    if tid.is_some_and(is_another) {
        return failed;
    }
    Ok(())
}
