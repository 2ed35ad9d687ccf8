//! Says what a look-up must come to, from the rules and the cache's JSON alone: every entry is
//! looked at, nothing is indexed or remembered, and none of the credential's code is called.

use serde_json::Value;

use crate::cache::Cache;
use crate::maker::{CLI, PERSONAL, PERSONAL_PASSTHROUGH};
use crate::query::{Query, Record};
use crate::reading::{Cloud, Id, Millis, can_be_sent, given, home_tenant, is_tenant, text, time};

/// A token with no more than this left is not handed out,
const MARGIN: Millis = 300_000;
/// unless it is younger than this and has this much left.
const NEW_FOR: Millis = 30_000;
/// Nothing lives longer.
const LONGEST_LIFE: Millis = 7 * 24 * 3600 * 1000;
/// No writer's clock is further ahead.
const CLOCK_SKEW: Millis = 300_000;

/// Members that say that a token is somebody's alone, however they are spelled.
const BINDING: [&str; 10] = [
    "key_id",
    "kid",
    "ext_cache_key",
    "ext",
    "user_assertion_hash",
    "additional_cache_key_components",
    "requested_claims",
    "requested_claims_hash",
    "resource",
    "persisted_cache_parameters",
];
/// Members that a plain token may have.
const ORDINARY: [&str; 14] = [
    "cached_at",
    "client_id",
    "credential_type",
    "environment",
    "expires_on",
    "extended_expires_on",
    "family_id",
    "home_account_id",
    "last_modification_time",
    "realm",
    "refresh_on",
    "secret",
    "target",
    "token_type",
];

/// What every sign-in asks for, of whatever resource.
const SIGN_IN: [&str; 4] = ["openid", "profile", "offline_access", "email"];

/// What a look-up must come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// One of these tokens is handed out, by secret: those that are preferred alike.
    Hit(Vec<String>),
    /// There is an account and no token for it.
    Miss,
    /// There is no account, or not one that is meant.
    Unavailable,
    /// The tenant of the call is not allowed.
    Refused,
    /// The credential or the call is not valid.
    Invalid,
}

impl Verdict {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Hit(_) => "hit",
            Self::Miss => "miss",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::Invalid => "invalid",
        }
    }
}

/// What can be wrong with a token.
pub(crate) const FAULTS: [&str; 13] = [
    "account",
    "cloud",
    "client",
    "tenant",
    "kind",
    "token type",
    "binding",
    "scopes",
    "resource",
    "expired",
    "too long a life",
    "from the future",
    "cannot be sent",
];

/// A verdict and how it came about.
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    /// From how many applications a token was there for the taking.
    pub(crate) rivals: usize,
    /// For which single reason tokens were held back that are good in every other way.
    pub(crate) held_back: Vec<&'static str>,
}

impl From<Verdict> for Judgement {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            rivals: 0,
            held_back: Vec::new(),
        }
    }
}

/// Who the tokens must belong to, and the applications in the order of preference.
struct Terms {
    home_account_id: String,
    client_ids: Vec<String>,
    realms: Vec<String>,
}

pub(crate) fn judge(cache: &Cache, query: &Query, now: Millis) -> Judgement {
    let authority = match &query.record {
        // It names the host alone.
        Some(record) => format!("https://{}", record.authority),
        None => query.authority.clone(),
    };
    let Some(cloud) = Cloud::of(&authority) else {
        return Verdict::Invalid.into();
    };
    let tenants = [query.tenant_id.as_deref(), query.call_tenant.as_deref()];
    if tenants
        .into_iter()
        .flatten()
        .any(|tenant| !tenant.is_empty() && !is_tenant(tenant))
    {
        return Verdict::Invalid.into();
    }
    if query.scopes.is_empty()
        || query.scopes.iter().any(|scope| {
            scope.is_empty() || scope.contains(|c: char| c.is_whitespace() || c.is_control())
        })
    {
        return Verdict::Invalid.into();
    }
    let terms = match &query.record {
        Some(record) => of_record(cache, query, record, &cloud),
        None => of_filters(cache, query, &cloud, now),
    };
    match terms {
        Ok(terms) => look_up(cache, query, &cloud, &terms, now),
        Err(verdict) => verdict.into(),
    }
}

/// K2 and K5: whom the filters mean, and in which tenant.
fn of_filters(cache: &Cache, query: &Query, cloud: &Cloud, now: Millis) -> Result<Terms, Verdict> {
    let asked = given(query.call_tenant.as_deref());
    let governed = asked.filter(|_| !query.allowed.is_empty());
    let is_home = |tenant: &str| Id::Tenant.is_same(tenant, "organizations");
    if governed.is_some_and(|tenant| !is_home(tenant) && !query.allows(tenant)) {
        return Err(Verdict::Refused);
    }
    let refresh_tokens: Vec<&Value> = cache
        .refresh_tokens()
        .filter(|token| is_redeemable(token, cloud, now))
        .collect();
    let accounts: Vec<&Value> = cache
        .accounts()
        .filter(|account| {
            text(account, "home_account_id").is_some() && cloud.knows(account, "environment")
        })
        .collect();
    let mut ids: Vec<String> = accounts
        .iter()
        .filter_map(|account| text(account, "home_account_id"))
        .map(|id| Id::Account.plain(id))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.retain(|id| passes(id, &accounts, query));
    let of = |id: &str| -> Vec<&Value> {
        let theirs = refresh_tokens.iter().copied();
        theirs
            .filter(|token| Id::Account.is(token, "home_account_id", id))
            .collect()
    };
    let signed_in: Vec<&str> = ids
        .iter()
        .map(|id| &**id)
        .filter(|id| !of(id).is_empty())
        .collect();
    let in_family: Vec<&str> = signed_in
        .iter()
        .copied()
        .filter(|id| of(id).iter().any(|t| text(t, "family_id").is_some()))
        .collect();
    let by_broker: Vec<&str> = ids
        .iter()
        .map(|id| &**id)
        .filter(|id| {
            accounts.iter().any(|account| {
                Id::Account.is(account, "home_account_id", id)
                    && text(account, "account_source") == Some("broker")
            })
        })
        .collect();
    let id = match (&*signed_in, &*in_family, &*by_broker) {
        ([only], _, _) | ([_, _, ..], [only], _) | ([], _, [only]) => (*only).to_owned(),
        _ => return Err(Verdict::Unavailable),
    };
    Ok(Terms {
        realms: realms(governed.unwrap_or("organizations"), &id),
        client_ids: known_clients(cache, cloud, of(&id)),
        home_account_id: id,
    })
}

/// The record's account, if it is in the cache, and its application alone.
fn of_record(
    cache: &Cache,
    query: &Query,
    record: &Record,
    cloud: &Cloud,
) -> Result<Terms, Verdict> {
    let default = given(query.tenant_id.as_deref()).unwrap_or(&record.tenant_id);
    let tenant = given(query.call_tenant.as_deref()).unwrap_or(default);
    let allowed = Id::Tenant.is_same(tenant, default)
        || query.allows(tenant)
        || (query.allowed.is_empty() && Id::Tenant.is_same(default, "organizations"));
    if !allowed {
        return Err(Verdict::Refused);
    }
    let is_there = cache.accounts().any(|account| {
        Id::Account.is(account, "home_account_id", &record.home_account_id)
            && cloud.knows(account, "environment")
            && matches!(text(account, "authority_type"), Some("MSSTS" | "ADFS"))
            && text(account, "username")
                .is_some_and(|name| name.eq_ignore_ascii_case(&record.username))
    });
    if !is_there {
        return Err(Verdict::Unavailable);
    }
    Ok(Terms {
        home_account_id: record.home_account_id.clone(),
        client_ids: vec![record.client_id.clone()],
        realms: realms(tenant, &record.home_account_id),
    })
}

/// K3: the realms of tokens that are good where this tenant was asked for.
fn realms(tenant: &str, home_account_id: &str) -> Vec<String> {
    let home = home_tenant(home_account_id);
    let is_word = matches!(&*Id::Tenant.plain(tenant), "organizations" | "common");
    let realms = match home {
        Some(home) if home.eq_ignore_ascii_case(PERSONAL) => {
            if is_word || tenant.eq_ignore_ascii_case(PERSONAL) {
                vec![PERSONAL, PERSONAL_PASSTHROUGH, "organizations"]
            } else {
                vec![tenant]
            }
        }
        Some(home) if is_word => vec![home, "organizations", "common"],
        None if is_word => vec!["organizations", "common"],
        _ => vec![tenant],
    };
    realms.into_iter().map(str::to_owned).collect()
}

/// Whether any name of the account is the one asked for, and its home tenant.
fn passes(id: &str, accounts: &[&Value], query: &Query) -> bool {
    let named = given(query.username.as_deref()).is_none_or(|asked| {
        accounts.iter().any(|account| {
            Id::Account.is(account, "home_account_id", id)
                && text(account, "username").is_some_and(|name| name.eq_ignore_ascii_case(asked))
        })
    });
    let at_home = given(query.tenant_id.as_deref())
        .is_none_or(|asked| home_tenant(id).is_some_and(|home| Id::Tenant.is_same(home, asked)));
    named && at_home
}

/// K2: a refresh token that anybody may redeem who asks at this cloud.
fn is_redeemable(token: &Value, cloud: &Cloud, now: Millis) -> bool {
    let sent = |name: &str| text(token, name).is_some_and(can_be_sent);
    sent("secret")
        && sent("client_id")
        && text(token, "home_account_id").is_some()
        && cloud.knows(token, "environment")
        && !is_bound(token)
        && time(token, "expires_on").is_none_or(|end| end > now)
}

/// Whether a token is somebody's alone: a member of one of the names that say so, or an object or a
/// list under a name that nobody here knows, holds something.
fn is_bound(token: &Value) -> bool {
    let letters = |name: &str| -> Vec<u8> {
        let letters = name.bytes().filter(|byte| *byte != b'_');
        letters.map(|byte| byte.to_ascii_lowercase()).collect()
    };
    token
        .as_object()
        .into_iter()
        .flatten()
        .any(|(name, value)| {
            let holds_something = match value {
                Value::Null => false,
                Value::String(text) => !text.is_empty(),
                Value::Array(list) => !list.is_empty(),
                Value::Object(members) => !members.is_empty(),
                _ => true,
            };
            if !holds_something || ORDINARY.contains(&&**name) {
                return false;
            }
            let says_so = BINDING.iter().any(|known| letters(known) == letters(name));
            says_so || value.is_array() || value.is_object()
        })
}

/// K3 and K4: the applications that the account's refresh tokens were issued to, the newest token
/// first, then the class's own, then those of a family.
fn known_clients(cache: &Cache, cloud: &Cloud, refresh_tokens: Vec<&Value>) -> Vec<String> {
    let mut dated: Vec<(Option<Millis>, &str)> = Vec::new();
    for token in refresh_tokens {
        let (Some(client), Some(id)) = (text(token, "client_id"), text(token, "home_account_id"))
        else {
            continue;
        };
        let of_access_tokens = || {
            cache
                .access_tokens()
                .filter(|access| {
                    is_whole(access)
                        && Id::Account.is(access, "home_account_id", id)
                        && Id::Client.is(access, "client_id", client)
                })
                .filter_map(|access| time(access, "cached_at"))
                .max()
        };
        let changed = time(token, "last_modification_time").or_else(of_access_tokens);
        // Behind all that are as new or newer.
        let place = dated
            .iter()
            .position(|(other, _)| *other < changed)
            .unwrap_or(dated.len());
        dated.insert(place, (changed, client));
    }
    let family = cache
        .apps()
        .filter(|app| cloud.knows(app, "environment") && text(app, "family_id").is_some())
        .filter(|app| text(app, "client_id").is_some_and(can_be_sent));
    let mut clients: Vec<String> = Vec::new();
    for client in dated
        .into_iter()
        .map(|(_, client)| client)
        .chain([CLI])
        .chain(family.filter_map(|app| text(app, "client_id")))
    {
        if !clients
            .iter()
            .any(|known| Id::Client.is_same(known, client))
        {
            clients.push(client.to_owned());
        }
    }
    clients
}

/// Whether an access token's entry has what makes one.
fn is_whole(token: &Value) -> bool {
    [
        "secret",
        "home_account_id",
        "environment",
        "client_id",
        "realm",
    ]
    .iter()
    .all(|name| text(token, name).is_some())
        && token.get("target").is_some_and(Value::is_string)
        && time(token, "expires_on").is_some()
}

fn look_up(cache: &Cache, query: &Query, cloud: &Cloud, terms: &Terms, now: Millis) -> Judgement {
    let mut held_back = Vec::new();
    let mut ranks: Vec<usize> = Vec::new();
    let mut best: Option<(usize, Millis)> = None;
    let mut secrets: Vec<String> = Vec::new();
    for token in cache.access_tokens().filter(|token| is_whole(token)) {
        let (rank, faults) = faults(token, query, cloud, terms, now);
        match *faults {
            [] => {}
            [only] => {
                held_back.push(only);
                continue;
            }
            _ => continue,
        }
        let (Some(rank), Some(end)) = (rank, time(token, "expires_on")) else {
            continue;
        };
        ranks.push(rank);
        // The first application; within it what expires last.
        let is_better = best
            .is_none_or(|(known, known_end)| rank < known || (rank == known && end > known_end));
        if is_better {
            secrets.clear();
            best = Some((rank, end));
        }
        if best == Some((rank, end)) {
            secrets.extend(text(token, "secret").map(str::to_owned));
        }
    }
    let verdict = if secrets.is_empty() {
        Verdict::Miss
    } else {
        Verdict::Hit(secrets)
    };
    ranks.sort_unstable();
    ranks.dedup();
    Judgement {
        verdict,
        rivals: ranks.len(),
        held_back,
    }
}

/// K3: the place of the token's application, and everything that is wrong with the token.
fn faults(
    token: &Value,
    query: &Query,
    cloud: &Cloud,
    terms: &Terms,
    now: Millis,
) -> (Option<usize>, Vec<&'static str>) {
    let own = |name: &str| text(token, name).unwrap_or_default();
    let rank = terms
        .client_ids
        .iter()
        .position(|client| Id::Client.is(token, "client_id", client));
    let scopes: Vec<String> = own("target")
        .split_whitespace()
        .map(str::to_ascii_lowercase)
        .collect();
    let end = time(token, "expires_on").unwrap_or_default();
    let is_new =
        time(token, "cached_at").is_some_and(|start| (0..NEW_FOR).contains(&(now - start)));
    let is_bearer = match token.get("token_type") {
        None | Some(Value::Null) => true,
        Some(Value::String(kind)) => kind.is_empty() || kind.eq_ignore_ascii_case("bearer"),
        Some(_) => false,
    };
    let checks: [bool; FAULTS.len()] = [
        Id::Account.is(token, "home_account_id", &terms.home_account_id),
        cloud.knows(token, "environment"),
        rank.is_some(),
        terms
            .realms
            .iter()
            .any(|realm| Id::Tenant.is(token, "realm", realm)),
        own("credential_type") == "AccessToken",
        is_bearer,
        !is_bound(token),
        query
            .scopes
            .iter()
            .all(|scope| scopes.contains(&scope.to_ascii_lowercase())),
        is_of_its_resource(&scopes, &query.scopes),
        end > now + MARGIN || (is_new && end >= now + NEW_FOR),
        end <= now + LONGEST_LIFE,
        time(token, "cached_at").is_none_or(|start| start <= now + CLOCK_SKEW),
        can_be_sent(own("secret")),
    ];
    let faults = FAULTS
        .into_iter()
        .zip(checks)
        .filter(|(_, is_good)| !is_good)
        .map(|(fault, _)| fault)
        .collect();
    (rank, faults)
}

/// K14: whether the scopes of a call mean the same resource in a token's list, as far as they are
/// there.
fn is_of_its_resource(list: &[String], call: &[String]) -> bool {
    let call: Vec<String> = call
        .iter()
        .map(|scope| scope.to_ascii_lowercase())
        .collect();
    let is_sign_in = |scope: &str| SIGN_IN.contains(&scope);
    let names_one = |list: &[String]| list.iter().any(|scope| scope.contains('/'));
    let has_bare = call
        .iter()
        .any(|scope| !scope.contains('/') && !is_sign_in(scope) && list.contains(scope));
    // A scope with a resource brings it along. One without has that of the others, or the cloud's.
    !has_bare || names_one(list) == names_one(&call)
}
