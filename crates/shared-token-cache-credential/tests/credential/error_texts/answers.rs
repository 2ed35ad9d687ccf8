//! What the token endpoint answers: nothing of use, or a refusal.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use msal_token_cache::TokenCache;
use serde_json::{Value, json};
use shared_token_cache_credential::{Error, HttpResponse, TokenRequestOptions};
use test_support::{CacheBuilder, FakeAccount, Reply, logs};

use super::super::{ARM, CLI, Stage, ask, holding};
use super::Row;
use super::requests::{Scripted, asking, failed, run};

pub(super) fn rows() -> Vec<Row> {
    [
        unusable(),
        limits(),
        lifetimes(),
        of_others(),
        refusals(),
        refusals_of_applications(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const NEXT: &str = "check the builder's authority, and for a proxy in between";

/// The error for an answer with this status and body.
fn answer(status: u16, text: &'static str, next: &'static str, body: fn(&Stage) -> Value) -> Row {
    failed(text, "the answer of {host} (HTTP", next, move |stage| {
        let reply = HttpResponse::new(status, body(stage).to_string());
        let endpoint = Scripted(move || Some(Ok(reply.clone())));
        run(ask(&asking(stage, endpoint))).unwrap_err()
    })
}

/// Answers that cannot be used.
fn unusable() -> Vec<Row> {
    vec![
        answer(
            200,
            "the answer of {host} (HTTP 200) is not a JSON object: check the builder's authority, \
             and for a proxy in between",
            NEXT,
            |_| json!([logs::canary("body")]),
        ),
        answer(
            302,
            "the answer of {host} (HTTP 302) says neither yes nor why not: check the builder's \
             authority, and for a proxy in between",
            NEXT,
            |_| json!({ "secret": logs::canary("body") }),
        ),
        answer(
            503,
            "the answer of {host} (HTTP 503) is not a JSON object: try again later",
            "try again later",
            |_| json!(logs::canary("body")),
        ),
        answer(
            200,
            "the answer of {host} (HTTP 200) has no access_token: check the builder's authority, \
             and for a proxy in between",
            NEXT,
            |_| good("access_token", json!([logs::canary("body")])),
        ),
        answer(
            200,
            "the answer of {host} (HTTP 200) has an access_token that no header can carry: check \
             the builder's authority, and for a proxy in between",
            NEXT,
            |_| good("access_token", json!(logs::canary("body") + "\r\n")),
        ),
        answer(
            200,
            "the answer of {host} (HTTP 200) has a token that is not a bearer token: check the \
             builder's authority, and for a proxy in between",
            NEXT,
            |_| good("token_type", json!("pop")),
        ),
    ]
}

/// Answers that are too large.
fn limits() -> Vec<Row> {
    vec![
        answer(
            200,
            "the answer of {host} (HTTP 200) has a token of more than 64 KiB (refresh_token): \
             check the builder's authority, and for a proxy in between",
            NEXT,
            |_| good("refresh_token", json!("x".repeat(64 * 1024 + 1))),
        ),
        answer(
            200,
            "the answer of {host} (HTTP 200) is larger than 256 KiB: check the builder's \
             authority, and for a proxy in between",
            NEXT,
            |_| good("scope", json!("x".repeat(256 * 1024))),
        ),
    ]
}

/// Answers whose token has no time left.
fn lifetimes() -> Vec<Row> {
    vec![
        answer(
            200,
            "the answer of {host} (HTTP 200) does not say when the token expires: check the \
             builder's authority, and for a proxy in between",
            NEXT,
            |_| good("expires_in", json!("soon")),
        ),
        answer(
            200,
            "the answer of {host} (HTTP 200) does not have the token expire within seven days: \
             check this machine's clock, then the builder's authority",
            "check this machine's clock, then the builder's authority",
            |_| good("expires_in", json!(0)),
        ),
        failed(
            "the tokens of {host} have less than a minute left when they arrive: try again later, \
             and check the lifetime that a policy gives them",
            "the tokens of {host}",
            "try again later, and check the lifetime that a policy gives them",
            |stage| {
                let reply = HttpResponse::new(200, good("expires_in", json!(29)).to_string());
                let endpoint = Scripted(move || Some(Ok(reply.clone())));
                run(ask(&asking(stage, endpoint))).unwrap_err()
            },
        ),
    ]
}

/// Answers for somebody else.
fn of_others() -> Vec<Row> {
    vec![
        failed(
            "the answer of {host} (HTTP 200) is for the tenant 99999999-2222-3333-4444-555555555555 \
             instead of the account's own, and nothing was stored: name that tenant in the call, \
             and in the builder's additionally_allowed_tenants",
            "the answer of {host} (HTTP",
            "name that tenant in the call, and in the builder's additionally_allowed_tenants",
            |stage| {
                let other = json!("99999999-2222-3333-4444-555555555555");
                stage
                    .entra
                    .push(Reply::success().with_id_claim("tid", other));
                run(ask(&stage.credential(holding(&stage.cache())))).unwrap_err()
            },
        ),
        answer(
            200,
            "the answer of {host} (HTTP 200) is for another account, and nothing was stored: check \
             the builder's authority, and for a proxy in between",
            NEXT,
            |_| {
                let eve = FakeAccount::new("eve@contoso.example");
                good("client_info", json!(eve.client_info()))
            },
        ),
        answer(
            200,
            "the answer of {host} (HTTP 200) names an account that cannot be read, and nothing was \
             stored: check the builder's authority, and for a proxy in between",
            NEXT,
            |_| good("client_info", json!(logs::canary("body"))),
        ),
        answer(
            200,
            "the answer of {host} (HTTP 200) names an account in no known way, and nothing was \
             stored: check the builder's authority, and for a proxy in between",
            NEXT,
            |_| good("client_info", json!({ "uid": logs::canary("body") })),
        ),
        failed(
            "the answer of {host} (HTTP 200) is for another tenant, and nothing was stored: check \
             the builder's authority, and for a proxy in between",
            "the answer of {host} (HTTP",
            NEXT,
            |stage| {
                let other = json!("99999999-2222-3333-4444-555555555555");
                let reply = Reply::success().with_id_claim("tid", other);
                stage.entra.push(reply);
                let builder = stage.builder().additionally_allowed_tenants(["*"]);
                let cache = TokenCache::new(holding(&stage.cache()));
                let credential = builder.token_cache(cache).build().unwrap();
                let tenant = "11111111-2222-3333-4444-555555555555";
                let options = TokenRequestOptions::default().with_tenant_id(tenant);
                run(credential.get_token(&[ARM], &options)).unwrap_err()
            },
        ),
    ]
}

/// A good answer with this member in place of its own.
fn good(name: &str, value: Value) -> Value {
    let mut answer = json!({ "access_token": logs::canary("access token"), "expires_in": 3600 });
    answer[name] = value;
    answer
}

/// The error for a refusal with this status and body.
fn row(status: u16, text: &'static str, next: &'static str, body: fn() -> Value) -> Row {
    failed(text, "{host} refused (", next, move |stage| {
        refused(stage, &stage.cache(), status, &body())
    })
}

/// Refusals, when they come and when they are remembered.
fn refusals() -> Vec<Row> {
    let again = "sign in again as ada@contoso.example with a developer tool that shares this cache";
    let no_name = |text, next, error: &'static str| {
        failed(text, "{host} refused (", next, move |stage| {
            let refresh_token = logs::canary("refresh token");
            let cache = CacheBuilder::new()
                .account(&stage.ada, "localhost", &stage.ada.utid)
                .without("username")
                .refresh_token(&stage.ada, "localhost", CLI, &refresh_token, None);
            refused(stage, &cache, 400, &json!({ "error": error }))
        })
    };
    vec![
        row(
            400,
            "{host} refused (interaction_required): AADSTS50076: A policy wants a second factor; \
             sign in again as ada@contoso.example with a developer tool that shares this cache",
            again,
            || {
                json!({
                    "error": "interaction_required", "claims": "{}",
                    "error_description": "AADSTS50076: A policy\r\nwants a second factor",
                })
            },
        ),
        row(
            400,
            "{host} refused (invalid_grant): AADSTS50173: revoked; sign in again as \
             ada@contoso.example with a developer tool that shares this cache",
            again,
            || {
                json!({
                    "error": "invalid_grant", "suberror": "bad_token",
                    "error_description": "AADSTS50173: revoked",
                })
            },
        ),
        row(
            400,
            "{host} refused (invalid_scope): AADSTS70011: no such scope; check scopes, tenant and \
             claims of the call",
            "check scopes, tenant and claims of the call",
            || {
                json!({
                    "error": "invalid_scope", "error_description": "AADSTS70011: no such scope",
                })
            },
        ),
        row(
            400,
            "{host} refused (invalid_resource): AADSTS500011: no such resource; check scopes, \
             tenant and claims of the call",
            "check scopes, tenant and claims of the call",
            || {
                json!({
                    "error": "invalid_resource", "error_codes": [500_011],
                    "error_description": "AADSTS500011: no such resource",
                })
            },
        ),
        row(
            400,
            "{host} refused (invalid_grant): AADSTS50196: a loop; try again later",
            "try again later",
            || {
                json!({
                    "error": "invalid_grant", "error_codes": [50196],
                    "error_description": "AADSTS50196: a loop",
                })
            },
        ),
        row(
            429,
            "{host} refused (temporarily_unavailable); try again later",
            "try again later",
            || json!({ "error": "temporarily_unavailable" }),
        ),
        no_name(
            "{host} refused (invalid_grant); sign in again as this account with a developer tool \
             that shares this cache",
            "sign in again as this account with a developer tool that shares this cache",
            "invalid_grant",
        ),
    ]
}

/// Refusals that are the application's.
fn refusals_of_applications() -> Vec<Row> {
    vec![
        row(
            401,
            "{host} refused (invalid_client): AADSTS7000218: no secret; sign in again with the \
             tool whose sign-in this is",
            "sign in again with the tool whose sign-in this is",
            || {
                json!({
                    "error": "invalid_client", "error_description": "AADSTS7000218: no secret",
                })
            },
        ),
        row(
            400,
            "{host} refused (invalid_grant): AADSTS65001: no consent; the user or an administrator \
             must consent to the application 04b07795-8ddb-461a-bbee-02f9e1bf7b46 for this resource",
            "must consent to the application 04b07795-8ddb-461a-bbee-02f9e1bf7b46",
            || {
                json!({
                    "error": "invalid_grant", "error_codes": [65001],
                    "error_description": "AADSTS65001: no consent",
                })
            },
        ),
        row(
            400,
            "{host} refused (invalid_request): AADSTS65002: no preauthorization; the owner of the \
             resource must preauthorize the application 04b07795-8ddb-461a-bbee-02f9e1bf7b46; \
             signing in again cannot help",
            "must preauthorize the application 04b07795-8ddb-461a-bbee-02f9e1bf7b46",
            || {
                json!({
                    "error": "invalid_request", "error_codes": [65002],
                    "error_description": "AADSTS65002: no preauthorization",
                })
            },
        ),
    ]
}

/// What is told about a refusal, and told again without a request where it stands.
fn refused(stage: &Stage, cache: &CacheBuilder, status: u16, body: &Value) -> Error {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let reply = HttpResponse::new(status, body.to_string());
    let endpoint = Scripted(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        Some(Ok(reply.clone()))
    });
    let builder = stage.builder().token_endpoint(endpoint);
    let cache = TokenCache::new(holding(cache));
    let credential = builder.token_cache(cache).build().unwrap();
    let first = run(ask(&credential)).unwrap_err();
    let second = run(ask(&credential)).unwrap_err();
    assert_eq!(first.to_string(), second.to_string());
    let error = body["error"].as_str().unwrap();
    let is_final = matches!(error, "invalid_grant" | "interaction_required");
    let stands = status == 429 || is_final || body["error_codes"] == json!([65002]);
    let expected = if stands { 1 } else { 2 };
    assert_eq!(requests.load(Ordering::Relaxed), expected, "{error}");
    second
}
