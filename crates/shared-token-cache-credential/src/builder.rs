use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msal_token_cache::{Clock, SystemClock, TokenCache};
use token_credential::{Error, ErrorKind, Result};

use crate::account::Filter;
use crate::authority::{Authority, check_tenant};
use crate::credential::{Inner, SharedTokenCacheCredential};
use crate::environment;
use crate::lifecycle::Lifecycle;
use crate::persistence_options::TokenCachePersistenceOptions;
use crate::store::Store;
use crate::token_endpoint::{HyperTokenEndpoint, TokenEndpoint};
use crate::unavailable::{NoCache, WhyNoCache};

/// How a [`SharedTokenCacheCredential`] is set up; every setting has a default.
#[derive(Default)]
pub struct SharedTokenCacheCredentialBuilder {
    username: Option<String>,
    tenant_id: Option<String>,
    authority: Option<String>,
    persistence: Option<TokenCachePersistenceOptions>,
    token_cache: Option<TokenCache>,
    cae_token_cache: Option<TokenCache>,
    token_endpoint: Option<Arc<dyn TokenEndpoint>>,
    clock: Option<Arc<dyn Clock>>,
    extra_root_certificates: Option<Vec<u8>>,
    timeout: Option<Duration>,
}

/// How long a call may take by default.
const TIMEOUT: Duration = Duration::from_secs(60);

impl SharedTokenCacheCredentialBuilder {
    /// Sets the name of the account that is meant, where the cache holds several; case does not
    /// count. Empty is as not set.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into()).filter(|name| !name.is_empty());
        self
    }

    /// Sets the home tenant of the account that is meant, where the cache holds several. Empty is
    /// as not set.
    pub fn tenant_id(mut self, tenant_id: impl Into<String>) -> Self {
        self.tenant_id = Some(tenant_id.into()).filter(|tenant| !tenant.is_empty());
        self
    }

    /// Sets the authority, as `https://host`. By default it is the environment's
    /// `AZURE_AUTHORITY_HOST`, else `https://login.microsoftonline.com`. Whoever runs that host
    /// gets the refresh token.
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.authority = Some(authority.into()).filter(|authority| !authority.is_empty());
        self
    }

    /// Sets which of the shared caches to use.
    pub fn cache_persistence_options(mut self, options: TokenCachePersistenceOptions) -> Self {
        self.persistence = Some(options);
        self
    }

    /// Sets a cache of one's own in place of the shared one, for all callers unless
    /// [`cae_token_cache`](Self::cae_token_cache) sets another.
    pub fn token_cache(mut self, cache: TokenCache) -> Self {
        self.token_cache = Some(cache);
        self
    }

    /// Sets a cache of one's own for callers that can handle Continuous Access Evaluation.
    pub fn cae_token_cache(mut self, cache: TokenCache) -> Self {
        self.cae_token_cache = Some(cache);
        self
    }

    /// Sets another way to talk to the token endpoint. Root certificates are then its own matter;
    /// closing the credential closes it, for everybody who shares it.
    pub fn token_endpoint(mut self, endpoint: impl TokenEndpoint + 'static) -> Self {
        self.token_endpoint = Some(Arc::new(endpoint));
        self
    }

    /// Sets where the time of day comes from.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Adds root certificates (PEM) to those of the system: of a proxy that looks into TLS, or of
    /// a test.
    pub fn extra_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.extra_root_certificates = Some(pem.into());
        self
    }

    /// Sets how long the requests of a call may take in all; 60 s by default. Reading a cache that
    /// looks torn (150 ms) and waiting for the write (250 ms) come on top.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Builds the credential; no file and no connection is opened yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for an authority, tenant, cache name or certificate that is
    /// none.
    pub fn build(self) -> Result<SharedTokenCacheCredential> {
        let authority = match self.authority.or_else(|| {
            environment::first_of(&["AZURE_AUTHORITY_HOST"]).map(|(_, authority)| authority)
        }) {
            Some(authority) => Authority::parse(&authority)?,
            None => Authority::parse(Authority::DEFAULT)?,
        };
        if let Some(tenant_id) = &self.tenant_id {
            check_tenant(tenant_id)?;
        }
        let persistence = self.persistence;
        let shared = |suffix: &str| shared_cache(persistence.as_ref(), suffix);
        let (nocae, cae) = match (self.token_cache, self.cae_token_cache) {
            (None, None) => (
                Store::new(shared("nocae")?),
                Some(Store::new(shared("cae")?)),
            ),
            (None, Some(cae)) => (Store::new(shared("nocae")?), Some(Store::new(Ok(cae)))),
            (Some(both), None) => (Store::new(Ok(both)), None),
            (Some(nocae), Some(cae)) => (Store::new(Ok(nocae)), Some(Store::new(Ok(cae)))),
        };
        let nocae = Arc::new(nocae);
        let cae = cae.map_or_else(|| Arc::clone(&nocae), Arc::new);
        let endpoint = match self.token_endpoint {
            Some(endpoint) => endpoint,
            None => Arc::new(hyper_endpoint(self.extra_root_certificates.as_deref())?),
        };
        Ok(SharedTokenCacheCredential(Arc::new(Inner {
            authority,
            filter: Filter {
                username: self.username,
                tenant_id: self.tenant_id,
            },
            nocae,
            cae,
            endpoint,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock)),
            timeout: self.timeout.unwrap_or(TIMEOUT),
            lifecycle: Lifecycle::default(),
        })))
    }
}

fn hyper_endpoint(extra_root_certificates: Option<&[u8]>) -> Result<HyperTokenEndpoint> {
    let Some(pem) = extra_root_certificates else {
        return Ok(HyperTokenEndpoint::new());
    };
    HyperTokenEndpoint::with_extra_root_certificates(pem).map_err(|error| {
        let text = format!("the extra root certificates cannot be used: {error}");
        Error::new(ErrorKind::InvalidArgument, text).with_source(error)
    })
}

/// The shared cache of this platform, or why there is none: then calls are told so, the builder
/// is not.
fn shared_cache(
    options: Option<&TokenCachePersistenceOptions>,
    suffix: &str,
) -> Result<Result<TokenCache, NoCache>> {
    let name = options.map_or("msal.cache", |options| &options.name);
    if name.is_empty() || name.contains(|c: char| c == '/' || c == '\\' || c.is_control()) {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            "the name of a token cache is a file name: not empty, without slashes and control characters",
        ));
    }
    let name = format!("{name}.{suffix}");
    let requires_encryption = options.is_some_and(|options| !options.allow_unencrypted_storage);
    let cache = if requires_encryption {
        Err(WhyNoCache::EncryptionRequired)
    } else {
        plain_text_cache(&name)
    };
    Ok(cache.map_err(|why| NoCache { name, why }))
}

#[cfg(target_os = "linux")]
fn plain_text_cache(name: &str) -> Result<TokenCache, WhyNoCache> {
    let path = msal_token_cache::default_path(name).ok_or(WhyNoCache::NoHome)?;
    Ok(TokenCache::new(msal_token_cache::FilePersistence::new(
        path,
    )))
}

#[cfg(not(target_os = "linux"))]
fn plain_text_cache(_name: &str) -> Result<TokenCache, WhyNoCache> {
    Err(WhyNoCache::UnsupportedPlatform)
}

impl fmt::Debug for SharedTokenCacheCredentialBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing was checked yet: an authority may hold a password.
        f.debug_struct("SharedTokenCacheCredentialBuilder")
            .finish_non_exhaustive()
    }
}
