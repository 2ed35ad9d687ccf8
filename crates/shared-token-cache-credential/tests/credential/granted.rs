//! Whatever a server grants and we store is found again.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use msal_token_cache::{MemoryPersistence, TokenCache};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use shared_token_cache_credential::{
    AccessTokenInfo, ErrorKind, HttpResponse, Result, SharedTokenCacheCredential, TokenEndpoint,
    TokenRequest, TokenRequestOptions, TransportError,
};
use test_support::{CacheBuilder, FakeAccount, TestClock};

use super::{ARM, CLI, NOW, at, text};

const CLOUD: &str = "login.microsoftonline.com";
const OTHER_TENANT: &str = "11111111-2222-3333-4444-555555555555";
const PERSONAL_TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const PASSTHROUGH_TENANT: &str = "f8cdef31-a31e-4b4a-93e4-5f571e91255a";
const DOMAIN: &str = "fabrikam.example";

/// An endpoint in this process that always answers the same, and counts.
struct Constant {
    body: String,
    requests: Arc<AtomicUsize>,
}

impl fmt::Debug for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Constant")
    }
}

#[async_trait]
impl TokenEndpoint for Constant {
    async fn send(&self, _: TokenRequest) -> std::result::Result<HttpResponse, TransportError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Ok(HttpResponse::new(200, self.body.clone()))
    }
}

fn base64(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// One of these accounts: of an organization, personal, and with an id that names no tenant.
fn any_account() -> impl Strategy<Value = FakeAccount> {
    let work = FakeAccount::new("ada@contoso.example");
    let homeless = FakeAccount {
        utid: "a.b".to_owned(),
        ..work.clone()
    };
    let personal = FakeAccount::personal("ada@outlook.example");
    prop_oneof![
        4 => Just(work.clone()),
        1 => Just(FakeAccount { uid: work.uid.to_uppercase(), utid: work.utid.to_uppercase(), ..work }),
        2 => Just(personal),
        1 => Just(homeless),
    ]
}

/// A tenant, as a call or an ID token names it.
fn any_tenant(account: &FakeAccount) -> impl Strategy<Value = String> + use<> {
    let tenants = [
        &account.utid,
        OTHER_TENANT,
        PERSONAL_TENANT,
        PASSTHROUGH_TENANT,
        DOMAIN,
    ];
    let tenants: Vec<_> = tenants.into_iter().map(str::to_owned).collect();
    let spelled = (proptest::sample::select(tenants), any::<bool>());
    spelled.prop_map(|(tenant, upper)| if upper { tenant.to_uppercase() } else { tenant })
}

/// The tenant that a call names, if any.
fn any_asked(account: &FakeAccount) -> impl Strategy<Value = Option<String>> + use<> {
    prop_oneof![
        3 => Just(None),
        1 => Just(Some("common".to_owned())),
        1 => Just(Some("organizations".to_owned())),
        3 => any_tenant(account).prop_map(Some),
    ]
}

/// A member, or none, or one of another type.
fn maybe(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Option<Value>> {
    let odd = [json!(null), json!(""), json!({}), json!([]), json!(7)];
    prop_oneof![
        2 => Just(None),
        6 => value.prop_map(Some),
        1 => proptest::sample::select(odd.to_vec()).prop_map(Some),
    ]
}

fn any_of(values: &[Value]) -> impl Strategy<Value = Value> + use<> {
    proptest::sample::select(values.to_vec())
}

fn any_id_token(account: &FakeAccount) -> impl Strategy<Value = Value> + use<> {
    let tid = prop_oneof![
        6 => any_tenant(account).prop_map(Value::from),
        1 => any_of(&[json!("not a guid / ../"), json!("\u{202E}"), json!("a b"), json!("..")]),
    ];
    let ids = [&account.uid, &account.uid.to_uppercase(), OTHER_TENANT, "x"];
    let oid = any_of(&ids.map(Value::from));
    let name = any_of(&[json!("ada@contoso.example"), json!("a\u{202E}b")]);
    let claims = (maybe(tid), maybe(oid), maybe(name));
    claims.prop_map(|(tid, oid, name)| {
        let named = [("tid", tid), ("oid", oid), ("preferred_username", name)];
        json!(format!(
            "e30.{}.sig",
            base64(&Value::Object(members(named)))
        ))
    })
}

fn any_client_info(account: &FakeAccount) -> impl Strategy<Value = Value> + use<> {
    let FakeAccount { uid, utid, .. } = account;
    let info = |uid: &str, utid: &str| json!(base64(&json!({ "uid": uid, "utid": utid })));
    let right = info(uid, utid);
    prop_oneof![
        6 => Just(right),
        2 => Just(info(&uid.to_uppercase(), &utid.to_uppercase())),
        1 => any_of(&[info("other", utid), info(uid, OTHER_TENANT), json!(base64(&json!({})))]),
    ]
}

fn any_lifetime() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (1_u64..700_000).prop_map(Value::from),
        1 => (1_u64..700).prop_map(Value::from),
        1 => (1_u64..700_000).prop_map(|seconds| json!(format!("{seconds}.5"))),
        1 => any_of(&[json!(0), json!(-1), json!("-1"), json!(1e300), json!("soon")]),
    ]
}

fn any_time() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => (0_u64..700_000).prop_map(|seconds| json!(NOW + seconds)),
        1 => (0_u64..700_000).prop_map(|seconds| json!((NOW + seconds).to_string())),
        1 => any_of(&[json!(3600), json!(NOW * 1000), json!(NOW - 1)]),
    ]
}

fn members<const N: usize>(named: [(&str, Option<Value>); N]) -> Map<String, Value> {
    let given = named.into_iter();
    let given = given.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    given.collect()
}

/// Any answer that grants something, as far as its types are those of one.
fn any_answer(account: &FakeAccount) -> impl Strategy<Value = String> + use<> {
    let scope = any_of(&[
        json!(ARM),
        json!("https://management.azure.com/user_impersonation openid"),
        json!("user_impersonation"),
        json!("a\r\nb"),
    ]);
    let of_token = (
        maybe(any_lifetime()),
        maybe(any_time()),
        maybe(any_lifetime()),
        maybe(any_lifetime()),
    );
    let of_account = (
        maybe(any_id_token(account)),
        maybe(any_client_info(account)),
        maybe(scope),
        maybe(any_of(&[json!("rotated"), json!("ro tated")])),
        maybe(Just(json!("1"))),
        maybe(any_of(&[json!(false), json!(" ")])),
    );
    (of_token, of_account).prop_map(|(of_token, of_account)| {
        let (expires_in, expires_on, ext_expires_in, refresh_in) = of_token;
        let (id_token, client_info, scope, refresh_token, foci, error) = of_account;
        let body = members([
            ("access_token", Some(json!("granted"))),
            ("expires_in", expires_in),
            ("expires_on", expires_on),
            ("ext_expires_in", ext_expires_in),
            ("refresh_in", refresh_in),
            ("id_token", id_token),
            ("client_info", client_info),
            ("scope", scope),
            ("refresh_token", refresh_token),
            ("foci", foci),
            ("error", error.filter(|error| *error != json!(7))),
        ]);
        Value::Object(body).to_string()
    })
}

/// A credential with this cache, as a new process has it.
fn credential(
    store: &MemoryPersistence,
    body: &str,
    clock: &TestClock,
    requests: &Arc<AtomicUsize>,
) -> SharedTokenCacheCredential {
    let endpoint = Constant {
        body: body.to_owned(),
        requests: Arc::clone(requests),
    };
    SharedTokenCacheCredential::builder()
        .authority(format!("https://{CLOUD}"))
        .additionally_allowed_tenants(["*"])
        .token_cache(TokenCache::new(store.clone()))
        .token_endpoint(endpoint)
        .clock(clock.clone())
        .build()
        .unwrap()
}

fn ask(credential: &SharedTokenCacheCredential, tenant: Option<&str>) -> Result<AccessTokenInfo> {
    let mut options = TokenRequestOptions::default();
    if let Some(tenant) = tenant {
        options = options.with_tenant_id(tenant);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(credential.get_token_info(&[ARM], &options))
}

fn content(store: &MemoryPersistence) -> Value {
    serde_json::from_slice(&store.content().unwrap()).unwrap()
}

/// What of a store no answer may change that brings no token: all but the refresh token's entry.
fn without_refresh_tokens(store: &MemoryPersistence) -> Value {
    let mut content = content(store);
    content.as_object_mut().unwrap().remove("RefreshToken");
    content
}

/// An account, the tenant that a call names, and the answer to its redemption.
fn any_case() -> impl Strategy<Value = (FakeAccount, Option<String>, String)> {
    any_account().prop_flat_map(|account| {
        let (asked, answer) = (any_asked(&account), any_answer(&account));
        (Just(account), asked, answer)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_is_redeemed_and_stored_is_a_hit_in_a_new_process(
        (account, asked, answer) in any_case(),
    ) {
        let clock = TestClock::at(NOW);
        let cache = CacheBuilder::new().signed_in(&account, CLOUD, CLI, "refresh-token");
        let store = MemoryPersistence::holding(cache.to_json());
        let before = without_refresh_tokens(&store);
        let requests = Arc::new(AtomicUsize::new(0));
        let count = || requests.load(Ordering::Relaxed);
        let first = credential(&store, &answer, &clock, &requests);
        let token = match ask(&first, asked.as_deref()) {
            Ok(token) => token,
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::AuthenticationFailed, "{}", text(&error));
                prop_assert_eq!(without_refresh_tokens(&store), before);
                return Ok(());
            }
        };
        prop_assert_eq!(count(), 1);
        let left = token.expires_on().duration_since(at(NOW)).unwrap();
        prop_assert!(left >= Duration::from_secs(30) && left <= Duration::from_secs(7 * 86_400));
        prop_assert!(token.refresh_on().is_none_or(|on| at(NOW) < on && on < token.expires_on()));

        // What a domain name led to is known in one process only; there it is the tenant's id.
        let entries = content(&store);
        let stored: HashMap<_, _> = entries["AccessToken"].as_object().unwrap().iter().collect();
        let [entry] = stored.values().collect::<Vec<_>>().try_into().unwrap();
        let is_domain = asked.as_deref().is_some_and(|asked| asked.contains('.'));
        let again = if is_domain { entry["realm"].as_str() } else { asked.as_deref() };

        let later: &[u64] = if left > Duration::from_secs(400) { &[0, 60] } else { &[0] };
        for second in later {
            clock.set(NOW + second);
            let copy = MemoryPersistence::holding(store.content().unwrap().to_vec());
            let new_process = credential(&copy, &answer, &clock, &requests);
            for (credential, tenant) in [(&first, asked.as_deref()), (&new_process, again)] {
                let hit = ask(credential, tenant).unwrap();
                prop_assert_eq!(hit.token().expose_secret(), "granted");
                prop_assert_eq!(hit.expires_on(), token.expires_on());
                prop_assert_eq!(hit.refresh_on(), token.refresh_on());
            }
        }
        prop_assert_eq!(count(), 1);
    }
}
