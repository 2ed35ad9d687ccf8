//! The arguments of a call, checked, and the form fields of its requests. Pure.

use msal_token_cache::Target;
use msal_token_cache::identifier::lower_tenant;
use serde_json::{Map, Value};
use token_credential::{Error, ErrorKind, Result, TokenRequestOptions};
use token_credential_engine::{Call, OwnedCall};

use crate::policy::tenant::{Tenants, check_tenant};

/// The scopes that every redemption asks for besides the caller's: a rotated refresh token and an
/// ID token that names tenant and user.
const ADDED_SCOPES: [&str; 3] = ["openid", "profile", "offline_access"];

/// The claims of a client that can handle Continuous Access Evaluation.
const CAPABILITY: &str = r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#;

/// Checks a call. Empty claims and an empty tenant are absent ones.
///
/// The tenant is in lower case afterwards, because calls that differ in its case are one.
///
/// # Errors
///
/// Returns `InvalidArgument` if scopes, tenant or claims are malformed, and `AuthenticationFailed`
/// if the tenant is not allowed.
pub(crate) fn check<'a>(
    scopes: &'a [&'a str],
    options: &'a TokenRequestOptions,
    tenants: &'a Tenants,
) -> Result<Call<'a>> {
    check_scopes(scopes)?;
    let tenant = options.tenant_id().filter(|tenant| !tenant.is_empty());
    if let Some(tenant) = tenant {
        check_tenant(tenant, "the tenant of the call")?;
    }
    let claims = options.claims().filter(|claims| !claims.is_empty());
    if let Some(claims) = claims {
        parse_claims(claims)?;
    }
    Ok(Call {
        scopes,
        tenant: lower_tenant(tenants.of_call(tenant)?),
        claims,
        enable_cae: options.enable_cae(),
        force_refresh: options.force_refresh(),
    })
}

/// Returns the value of the form's `scope`.
pub(crate) fn scope_field(call: &OwnedCall) -> String {
    let mut scopes: Vec<&str> = Vec::new();
    for scope in call.scopes().chain(ADDED_SCOPES) {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes.join(" ")
}

/// Returns the value of the form's `claims`: the caller's, and the client capability `cp1` if the
/// cache is for tokens with Continuous Access Evaluation.
pub(crate) fn claims_field(call: &OwnedCall, sends_cp1: bool) -> Option<String> {
    match call.claims() {
        claims if !sends_cp1 => claims.map(str::to_owned),
        None => Some(CAPABILITY.to_owned()),
        Some(claims) => {
            let claims = parse_claims(claims).unwrap_or_default();
            Some(with_capability(claims).to_string())
        }
    }
}

/// Returns the scopes of a token that the server issued for `granted`.
pub(crate) fn target(call: &OwnedCall, granted: Option<&str>) -> String {
    Target::issued(call.scopes(), granted).to_string()
}

fn check_scopes(scopes: &[&str]) -> Result<()> {
    let invalid = |text: &str| Err(Error::new(ErrorKind::InvalidArgument, text));
    if scopes.is_empty() {
        return invalid(
            "the call names no scope: give one at least, https://management.azure.com/.default for \
             example",
        );
    }
    if scopes.iter().any(|scope| scope.is_empty()) {
        return invalid("a scope of the call is empty: leave it out");
    }
    if scopes
        .iter()
        .any(|scope| scope.contains(|c: char| c.is_whitespace() || c.is_control()))
    {
        return invalid(
            "a scope of the call has a blank or a control character: pass several scopes one by one",
        );
    }
    Ok(())
}

fn parse_claims(claims: &str) -> Result<Map<String, Value>> {
    let invalid = |why: &str| {
        let text = format!(
            "the claims of the call {why}: give those of the resource's challenge, decoded from base64"
        );
        Error::new(ErrorKind::InvalidArgument, text)
    };
    let claims: Map<String, Value> =
        serde_json::from_str(claims).map_err(|_| invalid("are not a JSON object"))?;
    match claims.get("access_token") {
        None | Some(Value::Null | Value::Object(_)) => Ok(claims),
        Some(_) => Err(invalid("have an access_token that is not an object")),
    }
}

/// Adds `cp1` to `access_token.xms_cc.values`, beside the caller's values.
fn with_capability(mut claims: Map<String, Value>) -> Value {
    let access_token = object_at(&mut claims, "access_token");
    if let Some(values) = access_token
        .and_then(|access_token| object_at(access_token, "xms_cc"))
        .map(|capability| {
            capability
                .entry("values")
                .or_insert(Value::Array(Vec::new()))
        })
        .and_then(Value::as_array_mut)
        .filter(|values| !values.iter().any(is_cp1))
    {
        values.push("cp1".into());
    }
    Value::Object(claims)
}

fn is_cp1(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|value| value.eq_ignore_ascii_case("cp1"))
}

/// Returns the object under a name. A missing or null one becomes empty.
fn object_at<'a>(
    map: &'a mut Map<String, Value>,
    name: &str,
) -> Option<&'a mut Map<String, Value>> {
    let value = map.entry(name).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

#[cfg(test)]
mod tests {
    use std::hash::{Hash, Hasher};

    use super::*;

    fn request(scopes: &[&str], options: &TokenRequestOptions) -> OwnedCall {
        let tenants = Tenants::of_account(Vec::new());
        let call = check(scopes, options, &tenants);
        call.expect("a good call").to_owned_call()
    }

    #[test]
    fn a_bad_call_is_an_invalid_argument() {
        let plain = TokenRequestOptions::default;
        for (scopes, options) in [
            (&[][..], plain()),
            (&[""], plain()),
            (&["a", ""], plain()),
            (&["a b"], plain()),
            (&["a\u{a0}b"], plain()),
            (&["a\n"], plain()),
            (&["a\u{7f}"], plain()),
            (&["a"], plain().with_tenant_id("../evil")),
            (&["a"], plain().with_claims("nope")),
            (&["a"], plain().with_claims("[]")),
            (&["a"], plain().with_claims(r#"{"access_token":1}"#)),
        ] {
            // Also one that the tenants do not allow is first of all bad.
            let tenants = Tenants::of_account(vec!["other".to_owned()]);
            let error = check(scopes, &options, &tenants).expect_err("a bad request");
            assert_eq!(
                error.kind(),
                ErrorKind::InvalidArgument,
                "{scopes:?} {options:?}"
            );
        }
    }

    #[test]
    fn k16_requests_that_differ_in_the_tenants_case_are_one() {
        let tenants = Tenants::of_account(vec!["*".to_owned()]);
        let request = |tenant: &str| {
            let options = TokenRequestOptions::default().with_tenant_id(tenant);
            check(&["a"], &options, &tenants).unwrap().to_owned_call()
        };
        let guid = "aaaaaaaa-2222-3333-4444-bbbbbbbbbbbb";
        for tenant in [guid, "contoso.example", "common"] {
            assert_eq!(request(&tenant.to_uppercase()), request(tenant));
        }
        assert_ne!(request("A"), request("a"));
    }

    #[test]
    fn empty_claims_and_tenant_are_absent() {
        let options = TokenRequestOptions::default()
            .with_claims("")
            .with_tenant_id("");
        assert!(request(&["a"], &options).allows_cached());
    }

    #[test]
    fn the_three_scopes_are_added_once() {
        let plain = TokenRequestOptions::default();
        assert_eq!(
            scope_field(&request(&["b", "a"], &plain)),
            "b a openid profile offline_access"
        );
        let doubled = scope_field(&request(&["profile", "a", "a"], &plain));
        assert_eq!(doubled, "profile a openid offline_access");
    }

    #[test]
    fn the_capability_is_added_to_what_the_caller_sent() {
        for (claims, expected) in [
            ("", r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#),
            (
                r#"{"access_token":null}"#,
                r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#,
            ),
            (
                r#"{"access_token":{"nbf":{"value":"1"},"xms_cc":{"values":["xx"]}},"id_token":{"x":null}}"#,
                r#"{"access_token":{"nbf":{"value":"1"},"xms_cc":{"values":["xx","cp1"]}},"id_token":{"x":null}}"#,
            ),
            (
                r#"{"access_token":{"xms_cc":{"values":["CP1"]}}}"#,
                r#"{"access_token":{"xms_cc":{"values":["CP1"]}}}"#,
            ),
        ] {
            let options = TokenRequestOptions::default()
                .with_claims(claims)
                .with_enable_cae(true);
            let field = claims_field(&request(&["a"], &options), true).expect("claims");
            let [field, expected]: [Value; 2] =
                [&*field, expected].map(|json| serde_json::from_str(json).expect("JSON"));
            assert_eq!(field, expected);
        }
    }

    #[test]
    fn without_cae_the_claims_go_out_as_they_came() {
        let claims = r#"{"x" : "\u00e9"}"#;
        let options = TokenRequestOptions::default().with_claims(claims);
        assert_eq!(
            claims_field(&request(&["a"], &options), false).as_deref(),
            Some(claims)
        );
    }

    #[test]
    fn the_same_scopes_in_another_order_and_case_are_the_same_request() {
        let plain = TokenRequestOptions::default();
        let one = request(&["x/b", "A", "x/b"], &plain);
        let other = request(&["a", "X/B"], &plain);
        assert_eq!(one, other);
        let hash = |request: &OwnedCall| {
            let mut hasher = std::hash::DefaultHasher::new();
            request.hash(&mut hasher);
            hasher.finish()
        };
        assert_eq!(hash(&one), hash(&other));
        assert_eq!(one.scope_set(), other.scope_set());
        // Each is sent as it was given.
        assert!(scope_field(&one).starts_with("x/b A openid"));
        for different in [&["a"][..], &["a", "x/b", "c"], &["a", "x//b"]] {
            assert_ne!(one, request(different, &plain), "{different:?}");
        }
    }

    #[test]
    fn a_target_is_what_was_granted_and_what_was_asked() {
        let request = request(&["r/.default", "A"], &TokenRequestOptions::default());
        assert_eq!(
            target(&request, Some("r/user_impersonation  a")),
            "r/user_impersonation a r/.default"
        );
        assert_eq!(target(&request, None), "r/.default A");
    }
}
