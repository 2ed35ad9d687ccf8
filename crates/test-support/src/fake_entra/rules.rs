use std::collections::HashMap;

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::{Answer, IdToken, object};
use super::context::Context;
use super::entra_error::EntraError;
use super::seen_request::SeenRequest;
use crate::account::FakeAccount;
use crate::{guid, logs};

const LIFETIME: u64 = 4_799;
/// 28 hours, for clients that can be told when a token is revoked.
const CAE_LIFETIME: u64 = 100_800;

/// Who can sign in, and which refresh tokens are good.
#[derive(Default)]
pub(super) struct Directory {
    /// By home account id.
    accounts: HashMap<String, FakeAccount>,
    /// By refresh token.
    grants: HashMap<String, Grant>,
}

/// What a refresh token stands for: a client and an account, no tenant and no resource.
#[derive(Clone)]
struct Grant {
    home_account_id: String,
    client_id: String,
    family: bool,
}

impl Directory {
    pub(super) fn add_account(&mut self, account: FakeAccount) {
        self.accounts.insert(account.home_account_id(), account);
    }

    pub(super) fn remove_account(&mut self, account: &FakeAccount) {
        self.accounts.remove(&account.home_account_id());
    }

    pub(super) fn issue(&mut self, account: &FakeAccount, client_id: &str, family: bool) -> String {
        let home_account_id = account.home_account_id();
        self.accounts
            .entry(home_account_id.clone())
            .or_insert_with(|| account.clone());
        self.grant(Grant {
            home_account_id,
            client_id: client_id.to_owned(),
            family,
        })
    }

    fn grant(&mut self, grant: Grant) -> String {
        let refresh_token = logs::canary_of_length("refresh_token", 1_100);
        self.grants.insert(refresh_token.clone(), grant);
        refresh_token
    }

    /// What Entra would answer, unless a script says otherwise.
    pub(super) fn answer(&mut self, request: &SeenRequest, context: &Context<'_>) -> Answer {
        match self.redeem(request, context) {
            Ok(answer) => answer,
            Err(error) => error.answer(context),
        }
    }

    fn redeem(
        &mut self,
        request: &SeenRequest,
        context: &Context<'_>,
    ) -> Result<Answer, EntraError> {
        let wanted = |name| match request.field(name) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(EntraError::Other("invalid_request", 900_144)),
        };
        if !is_token_path(&request.path) {
            return Err(EntraError::NotFound);
        }
        if request.method != "POST" {
            return Err(EntraError::Other("invalid_request", 900_561));
        }
        if wanted("grant_type")? != "refresh_token" {
            return Err(EntraError::Other("unsupported_grant_type", 70003));
        }
        let client_id = wanted("client_id")?;
        wanted("scope")?;
        let cae = wants_cae(request)?;
        let grant = self
            .grants
            .get(wanted("refresh_token")?)
            .ok_or(EntraError::UnknownRefreshToken)?
            .clone();
        // A GUID in any case is the same.
        if !grant.client_id.eq_ignore_ascii_case(client_id) {
            return Err(EntraError::WrongClient);
        }
        let account = self
            .accounts
            .get(&grant.home_account_id)
            .ok_or(EntraError::AccountGone)?
            .clone();
        Ok(self.success(request, context, grant, &account, cae))
    }

    fn success(
        &mut self,
        request: &SeenRequest,
        context: &Context<'_>,
        grant: Grant,
        account: &FakeAccount,
        cae: bool,
    ) -> Answer {
        let lifetime = if cae { CAE_LIFETIME } else { LIFETIME };
        let scopes = request.scopes();
        let mut members = object([
            ("token_type", json!("Bearer")),
            ("scope", json!(granted(&scopes))),
            ("expires_in", json!(lifetime)),
            ("ext_expires_in", json!(lifetime)),
            (
                "access_token",
                json!(logs::canary_of_length("access_token", 1_750)),
            ),
        ]);
        if cae {
            members.insert("refresh_in".to_owned(), json!(lifetime / 2));
        }
        if grant.family {
            members.insert("foci".to_owned(), json!("1"));
        }
        if request.field("client_info") == Some("1") {
            members.insert("client_info".to_owned(), json!(account.client_info()));
        }
        let id_token = scopes
            .contains(&"openid")
            .then(|| id_token(&grant.client_id, account, &request.tenant, context));
        if scopes.contains(&"offline_access") {
            members.insert("refresh_token".to_owned(), json!(self.grant(grant)));
        }
        Answer {
            id_token,
            ..Answer::new(StatusCode::OK, members)
        }
    }
}

fn is_token_path(path: &str) -> bool {
    let mut segments = path.split('/');
    segments.next() == Some("")
        && segments.next().is_some_and(|tenant| !tenant.is_empty())
        && segments.eq(["oauth2", "v2.0", "token"])
}

/// Whether the client declares that it can handle a refusal before expiry.
fn wants_cae(request: &SeenRequest) -> Result<bool, EntraError> {
    let Some(claims) = request.field("claims") else {
        return Ok(false);
    };
    let claims: Map<String, Value> = serde_json::from_str(claims)
        .map_err(|_| EntraError::Other("invalid_request", 1_000_031))?;
    let declared = claims
        .get("access_token")
        .and_then(|access_token| access_token.pointer("/xms_cc/values"))
        .and_then(Value::as_array);
    Ok(declared.is_some_and(|values| {
        let mut names = values.iter().filter_map(Value::as_str);
        names.any(|name| name.eq_ignore_ascii_case("cp1"))
    }))
}

/// The scopes as Entra echoes them: a `.default` with a permission that it stands for.
fn granted(scopes: &[&str]) -> String {
    let mut granted = Vec::new();
    for scope in scopes {
        if let Some(resource) = scope.strip_suffix(".default") {
            granted.push(format!("{resource}user_impersonation"));
        }
        granted.push((*scope).to_owned());
    }
    granted.join(" ")
}

fn id_token(
    client_id: &str,
    account: &FakeAccount,
    tenant: &str,
    context: &Context<'_>,
) -> IdToken {
    let tid = if guid::is_guid(tenant) {
        tenant
    } else {
        &account.utid
    };
    let oid = account.oid_in(tid);
    // The subject differs for each client, the object id does not.
    let sub = guid::from_text(&format!("{oid} {client_id}"));
    IdToken::new(object([
        ("aud", json!(client_id)),
        ("iss", json!(format!("{}/{tid}/v2.0", context.authority))),
        ("iat", json!(context.now)),
        ("nbf", json!(context.now)),
        ("exp", json!(context.now + 3_600)),
        ("sub", json!(sub)),
        ("oid", json!(oid)),
        ("tid", json!(tid)),
        ("preferred_username", json!(account.username)),
        ("name", json!(account.name)),
        ("ver", json!("2.0")),
    ]))
}
