//! What a caller asked for, checked and put into the form that the rest works with.

use std::hash::{Hash, Hasher};

use msal_token_cache::Target;
use msal_token_cache::identifier::lower_tenant;
use serde_json::{Map, Value};
use token_credential::{Error, ErrorKind, Result, TokenRequestOptions};

use crate::tenant::{Tenants, check_tenant};

/// What every redemption asks for besides the caller's scopes: a rotated refresh token and an ID
/// token that names tenant and user.
const ADDED_SCOPES: [&str; 3] = ["openid", "profile", "offline_access"];

/// The claims of a client that can handle Continuous Access Evaluation.
const CAPABILITY: &str = r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#;

/// A checked call, as long as it may be answered on the spot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) scopes: &'a [&'a str],
    pub(crate) tenant: &'a str,
    claims: Option<&'a str>,
    pub(crate) enable_cae: bool,
    force_refresh: bool,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        scopes: &'a [&'a str],
        options: &'a TokenRequestOptions,
        tenants: &'a Tenants,
    ) -> Result<Self> {
        check_scopes(scopes)?;
        let tenant = options.tenant_id().filter(|tenant| !tenant.is_empty());
        if let Some(tenant) = tenant {
            check_tenant(tenant, "the tenant of the call")?;
        }
        let claims = options.claims().filter(|claims| !claims.is_empty());
        if let Some(claims) = claims {
            parse_claims(claims)?;
        }
        Ok(Self {
            scopes,
            tenant: tenants.of_call(tenant)?,
            claims,
            enable_cae: options.enable_cae(),
            force_refresh: options.force_refresh(),
        })
    }

    /// Whether a cached token will do.
    pub(crate) fn allows_cached(&self) -> bool {
        self.claims.is_none() && !self.force_refresh
    }

    /// The same for a task that outlives the caller.
    pub(crate) fn to_request(self) -> Request {
        Request {
            scopes: Scopes::new(self.scopes),
            tenant: lower_tenant(self.tenant).into_owned(),
            claims: self.claims.map(str::to_owned),
            enable_cae: self.enable_cae,
            force_refresh: self.force_refresh,
        }
    }
}

/// A checked call that a redemption is to answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    scopes: Scopes,
    /// In lower case, however the caller spells it: calls that differ in that are one.
    tenant: String,
    claims: Option<String>,
    enable_cae: bool,
    force_refresh: bool,
}

/// A caller's scopes. Their order and case do not count: a token for the one is good for the other,
/// so one request is for both.
#[derive(Clone, Debug)]
struct Scopes {
    as_given: Vec<String>,
    /// In lower case, sorted, each once.
    set: Vec<String>,
}

impl Scopes {
    fn new(scopes: &[&str]) -> Self {
        let mut set: Vec<_> = scopes
            .iter()
            .map(|scope| scope.to_ascii_lowercase())
            .collect();
        set.sort_unstable();
        set.dedup();
        Self {
            as_given: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            set,
        }
    }
}

impl PartialEq for Scopes {
    fn eq(&self, other: &Self) -> bool {
        self.set == other.set
    }
}

impl Eq for Scopes {}

impl Hash for Scopes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.set.hash(state);
    }
}

impl Request {
    /// The scopes in the caller's order.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &str> + Clone {
        self.scopes.as_given.iter().map(String::as_str)
    }

    /// The scopes as they tell one request from another: in lower case, sorted, each once.
    pub(crate) fn scope_set(&self) -> &[String] {
        &self.scopes.set
    }

    /// The tenant that the call is for.
    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Whether a cached token will do as long as it is good.
    pub(crate) fn allows_cached(&self) -> bool {
        self.claims.is_none() && !self.force_refresh
    }

    /// Whether a cached token will do when there is no other. After a challenge none will: the
    /// resource has just refused it.
    pub(crate) fn allows_last_resort(&self) -> bool {
        self.claims.is_none()
    }

    /// Whether the caller can handle Continuous Access Evaluation.
    pub(crate) fn enable_cae(&self) -> bool {
        self.enable_cae
    }

    /// The value of the form's `scope`.
    pub(crate) fn scope_field(&self) -> String {
        let mut scopes: Vec<&str> = Vec::new();
        for scope in self.scopes().chain(ADDED_SCOPES) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        scopes.join(" ")
    }

    /// The value of the form's `claims`: the caller's, and the client capability `cp1` where the
    /// store is for tokens with Continuous Access Evaluation.
    pub(crate) fn claims_field(&self, store_is_for_cae: bool) -> Option<String> {
        match self.claims.as_deref() {
            claims if !store_is_for_cae => claims.map(str::to_owned),
            None => Some(CAPABILITY.to_owned()),
            Some(claims) => {
                let claims = parse_claims(claims).unwrap_or_default();
                Some(with_capability(claims).to_string())
            }
        }
    }

    /// The scopes that a token is good for which the server issued for `granted`.
    pub(crate) fn target(&self, granted: Option<&str>) -> String {
        Target::issued(self.scopes(), granted).to_string()
    }
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

/// Adds `cp1` to `access_token.xms_cc.values`; whatever the caller put there stays.
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

/// The object under a name; null or nothing there becomes an empty one.
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
    use super::*;

    fn request(scopes: &[&str], options: &TokenRequestOptions) -> Request {
        let tenants = Tenants::of_account(Vec::new());
        let call = Call::new(scopes, options, &tenants);
        call.expect("a good call").to_request()
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
            let error = Call::new(scopes, &options, &tenants).expect_err("a bad request");
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
            Call::new(&["a"], &options, &tenants).unwrap().to_request()
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
            request(&["b", "a"], &plain).scope_field(),
            "b a openid profile offline_access"
        );
        let doubled = request(&["profile", "a", "a"], &plain).scope_field();
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
            let field = request(&["a"], &options)
                .claims_field(true)
                .expect("claims");
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
            request(&["a"], &options).claims_field(false).as_deref(),
            Some(claims)
        );
    }

    #[test]
    fn the_same_scopes_in_another_order_and_case_are_the_same_request() {
        let plain = TokenRequestOptions::default();
        let one = request(&["x/b", "A", "x/b"], &plain);
        let other = request(&["a", "X/B"], &plain);
        assert_eq!(one, other);
        let hash = |request: &Request| {
            let mut hasher = std::hash::DefaultHasher::new();
            request.hash(&mut hasher);
            hasher.finish()
        };
        assert_eq!(hash(&one), hash(&other));
        assert_eq!(one.scope_set(), other.scope_set());
        // Each is sent as it was given.
        assert!(one.scope_field().starts_with("x/b A openid"));
        for different in [&["a"][..], &["a", "x/b", "c"], &["a", "x//b"]] {
            assert_ne!(one, request(different, &plain), "{different:?}");
        }
    }

    #[test]
    fn a_target_is_what_was_granted_and_what_was_asked() {
        let request = request(&["r/.default", "A"], &TokenRequestOptions::default());
        assert_eq!(
            request.target(Some("r/user_impersonation  a")),
            "r/user_impersonation a r/.default"
        );
        assert_eq!(request.target(None), "r/.default A");
    }
}
