//! What a program gets wrong: settings, records, calls.

use serde_json::{Value, json};
use shared_token_cache_credential::ErrorKind::{AuthenticationFailed, InvalidArgument};
use shared_token_cache_credential::{
    AuthenticationRecord, Error, SharedTokenCacheCredential, SharedTokenCacheCredentialBuilder,
    Tenants, TokenCachePersistenceOptions, TokenRequestOptions,
};
use test_support::logs;

use super::super::{ARM, Stage, at_once, holding};
use super::Row;

pub(super) fn rows() -> Vec<Row> {
    [authorities(), settings(), records(), calls()]
        .into_iter()
        .flatten()
        .collect()
}

fn authorities() -> Vec<Row> {
    let authority = |authority: &'static str, text| {
        let next = "write it as https://login.microsoftonline.com, in AZURE_AUTHORITY_HOST, the \
                    builder's authority";
        let place = "the authority \"";
        setting(text, place, next, move |builder| {
            builder.authority(authority)
        })
    };
    vec![
        authority(
            "http://h",
            "the authority \"http://h\" is not https: write it as \
             https://login.microsoftonline.com, in AZURE_AUTHORITY_HOST, the builder's authority \
             or the authentication record",
        ),
        authority(
            "h:1",
            "the authority \"h:1\" has a port and no scheme: write it as \
             https://login.microsoftonline.com, in AZURE_AUTHORITY_HOST, the builder's authority \
             or the authentication record",
        ),
        authority(
            "https://h:x",
            "the authority \"https://h:x\" has a port that is none: write it as \
             https://login.microsoftonline.com, in AZURE_AUTHORITY_HOST, the builder's authority \
             or the authentication record",
        ),
        authority(
            "https://h/\npath",
            "the authority \"https://h/\\npath\" is not a host, or more than a host: write it as \
             https://login.microsoftonline.com, in AZURE_AUTHORITY_HOST, the builder's authority \
             or the authentication record",
        ),
        authority(
            "https://h/adfs",
            "the authority \"https://h/adfs\" is one of AD FS, which is not supported: write it as \
             https://login.microsoftonline.com, in AZURE_AUTHORITY_HOST, the builder's authority \
             or the authentication record",
        ),
        authority(
            "https://login.microsoftonline.com:8443",
            "the authority \"https://login.microsoftonline.com:8443\" is a known cloud at another \
             port: write it as https://login.microsoftonline.com, in AZURE_AUTHORITY_HOST, the \
             builder's authority or the authentication record",
        ),
        // A password is not shown.
        setting(
            "the authority \"h\" comes with a user name: write it as \
             https://login.microsoftonline.com, in AZURE_AUTHORITY_HOST, the builder's authority \
             or the authentication record",
            "the authority \"h\"",
            "write it as https://login.microsoftonline.com",
            |builder| builder.authority(format!("https://ada:{}@h", logs::canary("password"))),
        ),
    ]
}

fn settings() -> Vec<Row> {
    let tenant = "give its id or a domain name, of letters, digits, '.' and '-'";
    let name = |name: &'static str, text| {
        let next = "give one without slashes and control characters to \
                    TokenCachePersistenceOptions::with_name";
        setting(text, "the token cache's name", next, move |builder| {
            let options = TokenCachePersistenceOptions::default().with_name(name);
            builder.cache_persistence_options(options)
        })
    };
    let certificates = |pem: &'static str, text| {
        let next = "give certificates of authorities, in PEM, to the builder's \
                    extra_root_certificates";
        let place = "extra root certificates";
        setting(text, place, next, move |builder| {
            builder.extra_root_certificates(pem)
        })
    };
    vec![
        Row::new(
            InvalidArgument,
            "the tenant of the account, \"a b\", is none: give its id or a domain name, of letters, \
             digits, '.' and '-'",
            "the tenant of the account, \"a b\"",
            tenant,
            |_| Tenants::of_tenant("a b", ["*"]).unwrap_err(),
        ),
        Row::new(
            InvalidArgument,
            "one of the builder's additionally_allowed_tenants, \"c/d\", is none: give its id or a \
             domain name, of letters, digits, '.' and '-'",
            "the builder's additionally_allowed_tenants, \"c/d\"",
            tenant,
            |_| Tenants::of_home(["*", "c/d"]).unwrap_err(),
        ),
        setting(
            "the builder's tenant_id, \"a b\", is none: give its id or a domain name, of letters, \
             digits, '.' and '-'",
            "the builder's tenant_id, \"a b\"",
            tenant,
            |builder| builder.tenant_id("a b"),
        ),
        setting(
            "one of the builder's additionally_allowed_tenants, \"..\", is none: give its id or a \
             domain name, of letters, digits, '.' and '-'",
            "the builder's additionally_allowed_tenants, \"..\"",
            tenant,
            |builder| builder.additionally_allowed_tenants(["*", ".."]),
        ),
        name(
            "",
            "the token cache's name \"\" is no file name: give one without slashes and control \
             characters to TokenCachePersistenceOptions::with_name",
        ),
        name(
            "a/\u{1b}b",
            "the token cache's name \"a/\\u{1b}b\" is no file name: give one without slashes and \
             control characters to TokenCachePersistenceOptions::with_name",
        ),
        certificates(
            "-----BEGIN CERTIFICATE-----\n!",
            "the extra root certificates are not valid PEM: give certificates of authorities, in \
             PEM, to the builder's extra_root_certificates",
        ),
        certificates(
            "no PEM",
            "there is no certificate in the extra root certificates: give certificates of \
             authorities, in PEM, to the builder's extra_root_certificates",
        ),
        certificates(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "one of the extra root certificates cannot be a root: give certificates of \
             authorities, in PEM, to the builder's extra_root_certificates",
        ),
    ]
}

/// A setting that `build` refuses.
fn setting(
    text: &'static str,
    place: &'static str,
    next: &'static str,
    set: impl Fn(SharedTokenCacheCredentialBuilder) -> SharedTokenCacheCredentialBuilder + 'static,
) -> Row {
    Row::new(InvalidArgument, text, place, next, move |_| {
        let builder = set(SharedTokenCacheCredential::builder());
        builder.build().unwrap_err()
    })
}

fn records() -> Vec<Row> {
    let read = |json: fn(&mut Value), text| {
        let next = "serialize a new one with the SDK that wrote it";
        Row::new(InvalidArgument, text, RECORD, next, move |_| {
            AuthenticationRecord::deserialize(&record(json)).unwrap_err()
        })
    };
    let use_it = |json: fn(&mut Value), text, next| {
        Row::new(InvalidArgument, text, RECORD, next, move |_| {
            let record = AuthenticationRecord::deserialize(&record(json)).unwrap();
            let builder = SharedTokenCacheCredential::builder();
            builder.authentication_record(record).build().unwrap_err()
        })
    };
    vec![
        read(
            |json| *json = json!([]),
            "the authentication record is not a JSON object: serialize a new one with the SDK that \
             wrote it",
        ),
        read(
            |json| json["clientId"] = json!(7),
            "the authentication record has a clientId that is no text: serialize a new one with \
             the SDK that wrote it",
        ),
        read(
            |json| drop(json.as_object_mut().unwrap().remove("tenantId")),
            "the authentication record has no tenantId: serialize a new one with the SDK that \
             wrote it",
        ),
        read(
            |json| json["version"] = json!("2.0"),
            "the authentication record is of another version than 1.0: serialize a new one with \
             the SDK that wrote it",
        ),
        use_it(
            |json| json["homeAccountId"] = json!(""),
            "the authentication record names no application or no account: make a new one by \
             signing in",
            "make a new one by signing in",
        ),
        use_it(
            |json| json["tenantId"] = json!("a/b"),
            "the tenant of the authentication record, \"a/b\", is none: give its id or a domain \
             name, of letters, digits, '.' and '-'",
            "give its id or a domain name",
        ),
        use_it(
            |json| json["tenantId"] = json!("adfs"),
            "the tenant of the authentication record, \"adfs\", stands for AD FS, which is not \
             supported: give the id of a tenant of Microsoft Entra",
            "give the id of a tenant of Microsoft Entra",
        ),
        use_it(
            |json| json["authority"] = json!("ftp://h"),
            "the authority \"ftp://h\" is not https: write it as \
             https://login.microsoftonline.com, in AZURE_AUTHORITY_HOST, the builder's authority \
             or the authentication record",
            "write it as https://login.microsoftonline.com",
        ),
    ]
}

const RECORD: &str = "the authentication record";

/// The JSON of a record with this change.
fn record(change: fn(&mut Value)) -> String {
    let mut json = json!({
        "authority": "h", "clientId": "c", "homeAccountId": "u.t", "tenantId": "t",
        "username": "ada@contoso.example", "version": "1.0",
    });
    change(&mut json);
    json.to_string()
}

fn calls() -> Vec<Row> {
    let with_claims = || TokenRequestOptions::default().with_claims(logs::canary("claims"));
    let no_object = || TokenRequestOptions::default().with_claims(r#"{"access_token":1}"#);
    let of_challenge = "give those of the resource's challenge, decoded from base64";
    let in_tenant = |tenant| TokenRequestOptions::default().with_tenant_id(tenant);
    vec![
        call(
            "the call names no scope: give one at least, https://management.azure.com/.default for \
             example",
            "the call names no scope",
            "give one at least, https://management.azure.com/.default for example",
            |stage| bad_call(stage, &[], &TokenRequestOptions::default()),
        ),
        call(
            "a scope of the call is empty: leave it out",
            "a scope of the call",
            "leave it out",
            |stage| bad_call(stage, &[ARM, ""], &TokenRequestOptions::default()),
        ),
        call(
            "a scope of the call has a blank or a control character: pass several scopes one by one",
            "a scope of the call",
            "pass several scopes one by one",
            |stage| bad_call(stage, &["a b"], &TokenRequestOptions::default()),
        ),
        call(
            "the claims of the call are not a JSON object: give those of the resource's challenge, \
             decoded from base64",
            "the claims of the call",
            of_challenge,
            move |stage| bad_call(stage, &[ARM], &with_claims()),
        ),
        call(
            "the claims of the call have an access_token that is not an object: give those of the \
             resource's challenge, decoded from base64",
            "the claims of the call have an access_token",
            of_challenge,
            move |stage| bad_call(stage, &[ARM], &no_object()),
        ),
        call(
            "the tenant of the call, \"..\", is none: give its id or a domain name, of letters, \
             digits, '.' and '-'",
            "the tenant of the call, \"..\"",
            "give its id or a domain name",
            move |stage| bad_call(stage, &[ARM], &in_tenant("..")),
        ),
        Row::new(
            AuthenticationFailed,
            "the tenant another is not one that this credential gets tokens of: name it, or \"*\" \
             for all, in the builder's additionally_allowed_tenants",
            "the tenant another",
            "name it, or \"*\" for all, in the builder's additionally_allowed_tenants",
            move |stage| bad_call(stage, &[ARM], &in_tenant("another")),
        ),
    ]
}

fn call(
    text: &'static str,
    place: &'static str,
    next: &'static str,
    provoke: impl Fn(&Stage) -> Error + 'static,
) -> Row {
    Row::new(InvalidArgument, text, place, next, provoke)
}

fn bad_call(stage: &Stage, scopes: &[&str], options: &TokenRequestOptions) -> Error {
    let cache = msal_token_cache::TokenCache::new(holding(&stage.cache_with_token(3600)));
    let builder = stage.builder().token_cache(cache);
    let credential = builder.additionally_allowed_tenants(["allowed"]).build();
    at_once(credential.unwrap().get_token(scopes, options)).unwrap_err()
}
