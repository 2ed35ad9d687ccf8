//! What a token endpoint's answer means. Pure: it judges an answer against what was asked, and
//! never shows any of the body.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use msal_token_cache::{Identity, RedeemedToken, Redemption};
use serde::Deserialize;
use serde_json::{Map, Value};
use token_credential::{Error, ErrorKind, Secret};
use zeroize::{Zeroize, Zeroizing};

use crate::access::LONGEST_LIFE;
use crate::refusal::{Refusal, is_transient};
use crate::request::Request;
use crate::token_endpoint::TokenReply;

/// What was asked, and of whom.
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a Request,
    /// The tenant in the address.
    pub(crate) tenant: &'a str,
    pub(crate) token: &'a RedeemedToken,
    pub(crate) client_id: &'a str,
    /// When the request was sent.
    pub(crate) at: SystemTime,
}

/// Why an answer holds no token for us.
#[derive(Debug)]
pub(crate) enum NoToken {
    /// The endpoint says why.
    Refused(Box<Refusal>),
    /// There was no answer, none that a token endpoint gives, or one that must not be used.
    Failed(Error),
}

/// Reads the answer to a redemption.
pub(crate) fn read(reply: &TokenReply, asked: &Asked<'_>) -> Result<Redemption, NoToken> {
    let status = reply.status();
    let unusable = |why: &str| {
        let text = format!("the token endpoint's answer (HTTP {status}) {why}");
        let error = Error::new(ErrorKind::AuthenticationFailed, text);
        NoToken::Failed(error.with_transient(is_transient(status)))
    };
    let body = reply.body();
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let members: Members = serde_json::from_slice(body).map_err(|_| {
        unusable("is not a JSON object; a proxy or a sign-in page may stand in between")
    })?;
    if members.has("error") {
        return Err(NoToken::Refused(Box::new(Refusal::read(reply, &members.0))));
    }
    if !(200..300).contains(&status) {
        return Err(unusable("says neither yes nor why not"));
    }
    let access_token = members
        .text("access_token")
        .ok_or_else(|| unusable("has no access_token"))?;
    if !access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable("has an access_token that no header can carry"));
    }
    // A token of another type is of no use without a key that we do not have.
    if members.has("token_type")
        && !members
            .text("token_type")
            .is_some_and(|token_type| token_type.eq_ignore_ascii_case("Bearer"))
    {
        return Err(unusable("has a token that is not a bearer token"));
    }
    let expires_on = members
        .expires_on(asked.at)
        .ok_or_else(|| unusable("does not say when the token expires"))?
        .min(asked.at + LONGEST_LIFE);

    let client_info = members.client_info().map_err(unusable)?;
    if let Some(info) = &client_info
        && !info.is_for(asked.token.home_account_id())
    {
        return Err(unusable("is for another account; nothing was stored"));
    }
    let id_token = members
        .text("id_token")
        .and_then(|token| Some((token, IdClaims::decode(token)?)));
    let tid = id_token
        .as_ref()
        .and_then(|(_, claims)| claims.tid.as_deref());
    if is_guid(asked.tenant) && tid.is_some_and(|tid| !tid.eq_ignore_ascii_case(asked.tenant)) {
        return Err(unusable("is for another tenant; nothing was stored"));
    }

    let realm = realm(asked.tenant, tid, client_info.as_ref());
    let target = asked.request.target(members.text("scope"));
    let mut redemption = Redemption::new(
        asked.token.clone(),
        realm,
        target,
        Secret::new(access_token),
        asked.at,
        expires_on,
    )
    .with_client_id(asked.client_id);
    if let Some(seconds) = members.seconds("ext_expires_in") {
        redemption = redemption.with_extended_expires_on(after(asked.at, seconds));
    }
    if let Some(seconds) = members.seconds("refresh_in") {
        redemption = redemption.with_refresh_on(after(asked.at, seconds));
    }
    if let Some(refresh_token) = members.text("refresh_token") {
        redemption = redemption.with_refresh_token(Secret::new(refresh_token));
    }
    if let Some(family_id) = members.text("foci") {
        redemption = redemption.with_family_id(family_id);
    }
    if let Some((token, claims)) = id_token {
        let identity = Identity::new(
            Secret::new(token),
            claims.oid.or(claims.sub),
            claims.preferred_username.or(claims.upn),
        );
        redemption = redemption.with_identity(identity);
    }
    Ok(redemption)
}

/// The tenant that the token is good in, as far as anything says so.
fn realm<'a>(
    tenant: &'a str,
    tid: Option<&'a str>,
    client_info: Option<&'a ClientInfo>,
) -> &'a str {
    if is_guid(tenant) {
        return tenant;
    }
    let is_home = matches!(tenant, "organizations" | "common");
    let home = client_info
        .filter(|_| is_home)
        .and_then(|info| info.utid.as_deref());
    tid.filter(|tid| !tid.is_empty()).or(home).unwrap_or(tenant)
}

fn is_guid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12]
        && text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn after(time: SystemTime, seconds: u64) -> SystemTime {
    time + Duration::from_secs(seconds).min(LONGEST_LIFE)
}

/// The members of an answer; what they hold is overwritten when they go.
#[derive(Deserialize)]
#[serde(transparent)]
struct Members(Map<String, Value>);

impl Members {
    /// Whether a member is there, whatever it says.
    fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// A number of seconds, as a number or a text; nothing that is not a time.
    fn seconds(&self, name: &str) -> Option<u64> {
        match self.0.get(name)? {
            Value::Number(number) => number
                .as_u64()
                .or_else(|| number.as_f64().map(whole_seconds)),
            Value::String(text) => text
                .trim()
                .parse::<f64>()
                .ok()
                .filter(|n| n.is_finite())
                .map(whole_seconds),
            _ => None,
        }
    }

    fn expires_on(&self, asked_at: SystemTime) -> Option<SystemTime> {
        match self.seconds("expires_on") {
            Some(seconds) => UNIX_EPOCH.checked_add(Duration::from_secs(seconds.min(1 << 40))),
            None => Some(after(asked_at, self.seconds("expires_in")?)),
        }
    }

    /// Whose token it is, if the answer says so. What is there and says nothing is an error: the
    /// answer could be anybody's.
    fn client_info(&self) -> Result<Option<ClientInfo>, &'static str> {
        match self.0.get("client_info") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => decode_base64(text)
                .and_then(|json| serde_json::from_slice(&json).ok())
                .map(Some)
                .ok_or("names an account that cannot be read; nothing was stored"),
            Some(_) => Err("names an account in no known way; nothing was stored"),
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for (_, value) in &mut self.0 {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates"
)]
fn whole_seconds(number: f64) -> u64 {
    number as u64
}

/// The account that an answer is for, as far as it says so.
#[derive(Deserialize)]
struct ClientInfo {
    uid: Option<String>,
    utid: Option<String>,
}

impl ClientInfo {
    /// Whether it names this account; one that names nobody is for whoever asked, half a name is
    /// nobody's.
    fn is_for(&self, home_account_id: &str) -> bool {
        match (&self.uid, &self.utid) {
            (Some(user), Some(tenant)) => {
                format!("{user}.{tenant}").eq_ignore_ascii_case(home_account_id)
            }
            (user, tenant) => user.is_none() && tenant.is_none(),
        }
    }
}

/// What we read of an ID token. Its signature is not checked: it came over the same connection as
/// the access token itself (`OpenID` Connect Core section 3.1.3.7).
#[derive(Deserialize)]
struct IdClaims {
    tid: Option<String>,
    oid: Option<String>,
    sub: Option<String>,
    preferred_username: Option<String>,
    upn: Option<String>,
}

impl IdClaims {
    fn decode(token: &str) -> Option<Self> {
        let payload = decode_base64(token.split('.').nth(1)?)?;
        serde_json::from_slice(&payload).ok()
    }
}

fn decode_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // Some senders pad, some leave bits behind the last byte.
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&URL_SAFE, config)
        .decode(text)
        .ok()
        .map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use msal_token_cache::Merged;
    use msal_token_cache::{MemoryPersistence, TokenCache};
    use serde_json::json;
    use test_support::{CacheBuilder, FakeAccount};
    use token_credential::TokenRequestOptions;

    use super::*;
    use crate::fixtures::{ARM, CLI, CLOUD, NOW, at, refresh_tokens};

    const TENANT: &str = "11111111-2222-3333-4444-555555555555";

    fn ada() -> FakeAccount {
        FakeAccount::new("ada@contoso.example")
    }

    fn cache() -> CacheBuilder {
        CacheBuilder::new().signed_in(&ada(), CLOUD, CLI, "refresh token")
    }

    fn read_at(tenant: &str, status: u16, body: impl Into<Vec<u8>>) -> Result<Redemption, NoToken> {
        let request = Request::new(&[ARM], &TokenRequestOptions::default()).unwrap();
        let [token] = refresh_tokens(&cache()).try_into().unwrap();
        let asked = Asked {
            request: &request,
            tenant,
            token: &token,
            client_id: CLI,
            at: at(NOW),
        };
        read(&TokenReply::new(status, body), &asked)
    }

    /// The answer to a redemption at `organizations`, with these members besides what must be.
    fn read_with(members: &Value) -> Result<Redemption, NoToken> {
        read_with_at("organizations", members)
    }

    fn read_with_at(tenant: &str, members: &Value) -> Result<Redemption, NoToken> {
        let mut body = json!({ "access_token": "canary", "expires_in": 3600 });
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        read_at(tenant, 200, body.to_string())
    }

    /// The text of the error for an answer that is no answer.
    #[track_caller]
    fn unusable(answer: Result<Redemption, NoToken>) -> String {
        let Err(NoToken::Failed(error)) = answer else {
            panic!("not unusable");
        };
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        error.to_string()
    }

    fn base64(json: &Value) -> String {
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json.to_string())
    }

    fn id_token(claims: &Value) -> String {
        format!("{}.{}.canary", base64(&json!({})), base64(claims))
    }

    #[test]
    fn what_is_no_token_is_not_taken_for_one() {
        for (status, body, why) in [
            (200, "", "not a JSON object"),
            (200, "<html>canary</html>", "not a JSON object"),
            (407, "<html>canary</html>", "(HTTP 407)"),
            (200, "{\"access_token\":\"canary", "not a JSON object"),
            (200, "[\"canary\"]", "not a JSON object"),
            (200, "null", "not a JSON object"),
            (200, "{} canary", "not a JSON object"),
            (200, "{}", "no access_token"),
            (200, r#"{"access_token":""}"#, "no access_token"),
            (
                200,
                r#"{"access_token":7,"expires_in":1}"#,
                "no access_token",
            ),
            (
                200,
                r#"{"access_token":"canary"}"#,
                "when the token expires",
            ),
            (
                200,
                r#"{"access_token":"canary","expires_in":null}"#,
                "when",
            ),
            (
                200,
                r#"{"access_token":"canary","expires_in":"soon"}"#,
                "when",
            ),
            (
                200,
                r#"{"access_token":"canary","expires_in":"inf"}"#,
                "when",
            ),
            (
                200,
                r#"{"access_token":"canary\r\nx: y","expires_in":1}"#,
                "no header",
            ),
            (
                200,
                r#"{"access_token":"canary\u00e9","expires_in":1}"#,
                "no header",
            ),
            (
                307,
                r#"{"access_token":"canary","expires_in":1}"#,
                "neither yes nor",
            ),
            (
                503,
                r#"{"access_token":"canary","expires_in":1}"#,
                "neither yes nor",
            ),
        ] {
            let text = unusable(read_at("organizations", status, body));
            assert!(text.contains(why), "{body}: {text}");
        }
        let Err(NoToken::Failed(busy)) = read_at("organizations", 503, "<html>") else {
            panic!("not unusable");
        };
        assert!(busy.is_transient());
        for token_type in [json!("pop"), json!(""), json!(null), json!(["Bearer"])] {
            let text = unusable(read_with(&json!({ "token_type": token_type })));
            assert!(text.contains("not a bearer token"), "{text}");
        }
    }

    #[test]
    fn an_error_is_a_refusal_whatever_else_there_is() {
        for (status, error) in [(200, json!("invalid_grant")), (400, json!(null))] {
            let body = json!({ "error": error, "access_token": "canary", "expires_in": 3600 });
            let refused = read_at("organizations", status, body.to_string());
            assert!(matches!(refused, Err(NoToken::Refused(_))), "{body}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let body = "\u{feff}{\"access_token\":\"canary\",\"expires_in\":3600}";
        assert!(read_at("organizations", 200, body).is_ok());
    }

    #[test]
    fn a_lifetime_is_read_in_every_form_and_capped() {
        let week = 7 * 24 * 3600;
        for (members, life) in [
            (json!({ "expires_in": 3600 }), 3600),
            (json!({ "expires_in": "3600" }), 3600),
            (json!({ "expires_in": " 3599.9 " }), 3599),
            (json!({ "expires_in": 3599.9 }), 3599),
            (json!({ "expires_in": 0 }), 0),
            (json!({ "expires_in": -5 }), 0),
            (json!({ "expires_in": "-5" }), 0),
            (json!({ "expires_in": u64::MAX }), week),
            (json!({ "expires_in": 1e300 }), week),
            (json!({ "expires_on": (NOW + 60).to_string() }), 60),
            (json!({ "expires_on": u64::MAX }), week),
        ] {
            let answer = read_with(&members).unwrap();
            assert_eq!(answer.expires_on(), at(NOW + life), "{members}");
        }
        let answer = read_with(&json!({ "refresh_in": "1800" })).unwrap();
        assert_eq!(answer.refresh_on(), Some(at(NOW + 1800)));
        let answer = read_with(&json!({ "refresh_in": {}, "expires_in": 9000 })).unwrap();
        assert_eq!(answer.refresh_on(), None);
    }

    #[test]
    fn an_answer_is_for_the_account_that_asked() {
        let info = |uid: Value, utid: Value| base64(&json!({ "uid": uid, "utid": utid }));
        let FakeAccount { uid, utid, .. } = ada();
        for good in [
            json!(null),
            json!(""),
            json!(base64(&json!({}))),
            json!(base64(&json!({ "other": 1 }))),
            json!(info(json!(uid), json!(utid))),
            json!(info(json!(uid.to_uppercase()), json!(utid))),
            json!(format!("{}=", info(json!(uid), json!(utid)))),
        ] {
            let answer = read_with(&json!({ "client_info": good }));
            assert!(answer.is_ok(), "{good}");
        }
        for bad in [
            json!(info(json!("eve"), json!(utid))),
            json!(info(json!(uid), json!(TENANT))),
            json!(info(json!(uid), json!(null))),
            json!(info(json!(null), json!(utid))),
            json!(info(json!(7), json!(utid))),
            json!("canary"),
            json!("{}"),
            json!(7),
            json!({ "uid": uid, "utid": utid }),
        ] {
            let text = unusable(read_with(&json!({ "client_info": bad })));
            assert!(text.contains("nothing was stored"), "{text}");
        }
    }

    #[test]
    fn the_realm_is_the_best_that_is_known() {
        let tid = |tid: &str| json!({ "id_token": id_token(&json!({ "tid": tid })) });
        let info = json!({ "client_info": ada().client_info() });
        let mut both = tid(TENANT);
        both["client_info"] = info["client_info"].clone();
        for (tenant, members, realm) in [
            ("organizations", json!({}), "organizations"),
            ("organizations", info.clone(), &*ada().utid),
            ("organizations", both, TENANT),
            ("organizations", tid(""), "organizations"),
            ("common", info.clone(), &*ada().utid),
            ("contoso.example", info.clone(), "contoso.example"),
            (TENANT, info, TENANT),
            (TENANT, tid(&TENANT.to_uppercase()), TENANT),
        ] {
            let answer = read_with_at(tenant, &members).unwrap();
            assert_eq!(answer.realm(), realm, "{tenant} {members}");
        }
        let text = unusable(read_with_at(TENANT, &tid(&ada().utid)));
        assert!(
            text.contains("another tenant; nothing was stored"),
            "{text}"
        );
    }

    #[test]
    fn an_id_token_that_cannot_be_read_costs_nothing() {
        for bad in [
            json!("canary"),
            json!("a.b.c"),
            json!("a..c"),
            json!(7),
            json!(""),
        ] {
            let answer = read_with(&json!({ "id_token": bad })).unwrap();
            assert_eq!(stored(&answer)["IdToken"], json!(null), "{bad}");
        }
    }

    /// The cache after the answer was merged into it.
    fn stored(answer: &Redemption) -> Value {
        let store = MemoryPersistence::holding(cache().to_json());
        let merged = TokenCache::new(store.clone()).modify(|edit| edit.merge(answer));
        assert_eq!(merged.unwrap(), Merged::Stored);
        serde_json::from_slice(&store.content().unwrap()).unwrap()
    }

    #[test]
    fn odd_members_are_passed_over() {
        let answer = read_with(&json!({
            "scope": 7, "refresh_token": {}, "foci": 1, "ext_expires_in": [], "token_type": "bearer",
        }))
        .unwrap();
        assert_eq!(answer.target(), ARM);
        assert_eq!(answer.token_type(), "Bearer");
        assert!(answer.refresh_token().is_none());
        let cache = stored(&answer);
        let token = cache["RefreshToken"]
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap();
        assert_eq!(token["secret"], "refresh token");
        assert_eq!(token.get("family_id"), None);
    }

    #[test]
    fn names_come_from_the_id_token_as_far_as_it_has_them() {
        for (claims, id, name) in [
            (
                json!({ "oid": "o", "sub": "s", "preferred_username": "p", "upn": "u" }),
                "o",
                "p",
            ),
            (json!({ "sub": "s", "upn": "u" }), "s", "u"),
            (json!({}), &*ada().oid, "ada@contoso.example"),
        ] {
            let tid = json!(ada().utid);
            let mut claims = claims;
            claims["tid"] = tid;
            let answer = read_with(&json!({ "id_token": id_token(&claims) })).unwrap();
            let cache = stored(&answer);
            let accounts = cache["Account"].as_object().unwrap();
            assert_eq!(accounts.len(), 1);
            let account = accounts.values().next().unwrap();
            assert_eq!(account["local_account_id"], id, "{claims}");
            assert_eq!(account["username"], name, "{claims}");
        }
    }
}
