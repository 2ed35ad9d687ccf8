//! Runs a vector against the credential itself, through its public names only.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use msal_token_cache::{
    Error as CacheError, ErrorKind as CacheErrorKind, Loaded, MemoryPersistence, Persistence,
    Stamp, StoreLock, TokenCache,
};
use shared_token_cache_credential::{
    AccessTokenInfo, AuthenticationRecord, Error, ErrorKind, SharedTokenCacheCredential,
    SharedTokenCacheCredentialBuilder, TokenCachePersistenceOptions, TokenRequestOptions,
};
use test_support::TestClock;

use crate::disk;
use crate::json::Json;
use crate::outcome::{Info, Left, Outcome, Token};
use crate::transport::Script;
use crate::vector::{Constructor, Failure, Kind, Method, Vector};

/// Ends a call that hangs. Not a measure of anything: the clock is paused.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Runs the vector in this process, whose environment is the vector's.
pub(crate) fn run(vector: &Vector, home: Option<&Path>) -> Result<Outcome, String> {
    let folder = home.map(|home| home.join(".IdentityService"));
    if let Some(folder) = &folder {
        disk::lay_out(folder, vector)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    let script = Arc::new(Mutex::new(Script::new(vector)));
    let stores = [&vector.cache, &vector.cae_cache].map(|cache| {
        cache.as_ref().map_or_else(MemoryPersistence::new, |cache| {
            MemoryPersistence::holding(cache.to_string())
        })
    });
    let result = runtime.block_on(call(vector, &script, &stores));
    let left = if let Some(folder) = folder {
        Left::Files(disk::read_back(&folder, vector)?)
    } else {
        let [nocae, cae] = stores.map(|store| content(&store));
        Left::Caches {
            nocae: nocae?,
            cae: cae?,
        }
    };
    let script = script.lock().map_err(|_| "the transport panicked")?;
    Ok(Outcome {
        result: result?,
        requests: script.requests(),
        sleeps: script.sleeps(),
        left,
    })
}

async fn call(
    vector: &Vector,
    script: &Arc<Mutex<Script>>,
    stores: &[MemoryPersistence; 2],
) -> Result<Result<Token, Failure>, String> {
    let now = u64::try_from(vector.now).map_err(|_| "now is before 1970")?;
    let mut builder = match constructor(&vector.constructor) {
        Ok(builder) => builder
            .clock(TestClock::at(now))
            .token_endpoint(crate::transport::Scripted::new(script))
            .background_refresh(false),
        Err(error) => return Ok(Err(failure(&error))),
    };
    if vector.kind == Kind::Lookup {
        let [nocae, cae] = if vector.cache_load_fails {
            [(); 2].map(|()| TokenCache::new(Unreadable))
        } else {
            stores.clone().map(TokenCache::new)
        };
        builder = builder.token_cache(nocae).cae_token_cache(cae);
    }
    let credential = match builder.build() {
        Ok(credential) => credential,
        Err(error) => return Ok(Err(failure(&error))),
    };
    let mut options = TokenRequestOptions::default();
    if let Some(claims) = &vector.call.claims {
        options = options.with_claims(claims);
    }
    if let Some(tenant_id) = &vector.call.tenant_id {
        options = options.with_tenant_id(tenant_id);
    }
    options = options.with_enable_cae(vector.call.enables_cae());
    let scopes: Vec<_> = vector.call.scopes.iter().map(String::as_str).collect();
    let asking = async {
        match vector.call.method {
            Method::GetToken => {
                let token = credential.get_token(&scopes, &options).await?;
                Ok(Token {
                    secret: Json::text(token.token().expose_secret()),
                    expires_on: seconds(token.expires_on()),
                    info: None,
                })
            }
            Method::GetTokenInfo => Ok(token(&credential.get_token_info(&scopes, &options).await?)),
        }
    };
    let result = tokio::time::timeout(PATIENCE, asking).await;
    let result: Result<Token, Error> = result.map_err(|_| "the call does not end")?;
    // What is still being written is part of what is left.
    credential
        .close()
        .await
        .map_err(|error| error.to_string())?;
    Ok(result.map_err(|error| failure(&error)))
}

fn token(info: &AccessTokenInfo) -> Token {
    Token {
        secret: Json::text(info.token().expose_secret()),
        expires_on: seconds(info.expires_on()),
        info: Some(Info {
            refresh_on: info.refresh_on().map(seconds),
            token_type: Json::text(info.token_type()),
        }),
    }
}

/// The builder as a vector's `constructor` says.
pub(crate) fn constructor(
    constructor: &Constructor,
) -> Result<SharedTokenCacheCredentialBuilder, Error> {
    let mut builder = SharedTokenCacheCredential::builder();
    if let Some(username) = &constructor.username {
        builder = builder.username(username);
    }
    if let Some(tenant_id) = &constructor.tenant_id {
        builder = builder.tenant_id(tenant_id);
    }
    if let Some(authority) = &constructor.authority {
        builder = builder.authority(authority);
    }
    if !constructor.additionally_allowed_tenants.is_empty() {
        builder = builder.additionally_allowed_tenants(&constructor.additionally_allowed_tenants);
    }
    if let Some(record) = &constructor.authentication_record {
        let mut record = record.clone();
        // A vector leaves out what is always the same.
        record.set("version", Json::text("1.0"));
        builder =
            builder.authentication_record(AuthenticationRecord::deserialize(&record.to_string())?);
    }
    let (name, plain) = (
        &constructor.cache_name,
        constructor.allow_unencrypted_storage,
    );
    if name.is_some() || plain.is_some() {
        let mut options = TokenCachePersistenceOptions::default();
        if let Some(name) = name {
            options = options.with_name(name);
        }
        if let Some(plain) = plain {
            options = options.with_allow_unencrypted_storage(plain);
        }
        builder = builder.cache_persistence_options(options);
    }
    Ok(builder)
}

pub(crate) fn failure(error: &Error) -> Failure {
    match error.kind() {
        ErrorKind::CredentialUnavailable => Failure::Unavailable,
        ErrorKind::AuthenticationFailed => Failure::AuthenticationFailed,
        ErrorKind::InvalidArgument => Failure::InvalidArgument,
        _ => Failure::Other,
    }
}

fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    }
}

fn content(store: &MemoryPersistence) -> Result<Json, String> {
    match store.content() {
        None => Ok(Json::empty_object()),
        Some(bytes) => {
            let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
            Json::parse(text).ok_or_else(|| format!("what is left is no JSON: {text}"))
        }
    }
}

/// A store that cannot be opened.
#[derive(Debug)]
struct Unreadable;

impl Unreadable {
    fn error<T>() -> msal_token_cache::Result<T> {
        Err(CacheError::new(
            CacheErrorKind::Io,
            "the store cannot be opened",
        ))
    }
}

impl Persistence for Unreadable {
    fn location(&self) -> String {
        "nowhere".to_owned()
    }

    fn stamp(&self) -> msal_token_cache::Result<Option<Stamp>> {
        Self::error()
    }

    fn load(&self) -> msal_token_cache::Result<Option<Loaded>> {
        Self::error()
    }

    fn load_quickly(&self) -> Option<msal_token_cache::Result<Option<Loaded>>> {
        Some(self.load())
    }

    fn lock(&self) -> msal_token_cache::Result<Box<dyn StoreLock>> {
        Self::error()
    }

    fn save(&self, _content: &[u8]) -> msal_token_cache::Result<Stamp> {
        Self::error()
    }
}
