use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use entra_token_endpoint::{Authority, HyperTokenEndpoint, TokenEndpoint};
use msal_token_cache::{TokenCache, is_usable_secret};
use token_credential::{Clock, Error, ErrorKind, Result};

use crate::account_source::{Account, FixedAccount};
use crate::authentication_record::AuthenticationRecord;
use crate::caches::Caches;
use crate::credential::SharedTokenCacheCredential;
use crate::env;
use crate::persistence_options::TokenCachePersistenceOptions;
use crate::policy::account::{AccountSelector, Clients};
use crate::policy::authority::parse_authority;
use crate::policy::tenant::{Tenants, check_allowed_tenant, check_tenant};
use crate::shared_cache::shared_cache;
use crate::silent_credential::SilentCredential;

/// The settings of a [`SharedTokenCacheCredential`]. Every one has a default.
#[derive(Default)]
pub struct SharedTokenCacheCredentialBuilder {
    username: Option<String>,
    tenant_id: Option<String>,
    authority: Option<String>,
    authentication_record: Option<AuthenticationRecord>,
    additionally_allowed_tenants: Vec<String>,
    persistence: Option<TokenCachePersistenceOptions>,
    token_cache: Option<TokenCache>,
    cae_token_cache: Option<TokenCache>,
    token_endpoint: Option<Arc<dyn TokenEndpoint>>,
    clock: Option<Arc<dyn Clock>>,
    extra_root_certificates: Option<Vec<u8>>,
    timeout: Option<Duration>,
    close_grace: Option<Duration>,
    no_background_refresh: bool,
}

impl SharedTokenCacheCredential {
    /// Returns a builder whose settings all have defaults.
    pub fn builder() -> SharedTokenCacheCredentialBuilder {
        SharedTokenCacheCredentialBuilder::default()
    }
}

impl SharedTokenCacheCredentialBuilder {
    /// Sets the user name of the account, in case the cache holds several. ASCII case is ignored. An
    /// empty name counts as unset.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into()).filter(|name| !name.is_empty());
        self
    }

    /// Sets the home tenant of the account, in case the cache holds several, by its ID. A domain name
    /// works if the cache has an ID token of an account with a name in that domain. With an
    /// authentication record it is the tenant to get tokens of, in place of the record's. An empty
    /// tenant counts as unset.
    pub fn tenant_id(mut self, tenant_id: impl Into<String>) -> Self {
        self.tenant_id = Some(tenant_id.into()).filter(|tenant| !tenant.is_empty());
        self
    }

    /// Sets the authority, as `https://host`. By default it is the environment's
    /// `AZURE_AUTHORITY_HOST`, else `https://login.microsoftonline.com`. That host gets the
    /// refresh token.
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.authority = Some(authority.into()).filter(|authority| !authority.is_empty());
        self
    }

    /// Sets the account by the record of its sign-in: tokens are then of that account, for the
    /// record's application, in the record's tenant and from the record's authority.
    /// [`username`](Self::username) and [`authority`](Self::authority) are ignored beside it.
    pub fn authentication_record(mut self, record: AuthenticationRecord) -> Self {
        self.authentication_record = Some(record);
        self
    }

    /// Sets the tenants that a call may name besides the default one; `*` allows all. Case is
    /// ignored.
    ///
    /// The default is the account's home tenant, or, with an authentication record, the record's.
    /// Without this list the tenant of a call is ignored. With a record it is refused, unless the
    /// record's tenant is `organizations`. If the environment sets
    /// `AZURE_IDENTITY_DISABLE_MULTITENANTAUTH`, it is always ignored.
    pub fn additionally_allowed_tenants(
        mut self,
        tenants: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.additionally_allowed_tenants = tenants.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the name of the shared cache, and whether it may be in plain text.
    pub fn cache_persistence_options(mut self, options: TokenCachePersistenceOptions) -> Self {
        self.persistence = Some(options);
        self
    }

    /// Sets a private cache in place of the shared one, for all callers unless
    /// [`cae_token_cache`](Self::cae_token_cache) sets another one. A cache for all callers holds
    /// tokens with Continuous Access Evaluation, as the Azure CLI's does: the resource may refuse one
    /// before it expires.
    pub fn token_cache(mut self, cache: TokenCache) -> Self {
        self.token_cache = Some(cache);
        self
    }

    /// Sets a private cache for callers that handle Continuous Access Evaluation.
    pub fn cae_token_cache(mut self, cache: TokenCache) -> Self {
        self.cae_token_cache = Some(cache);
        self
    }

    /// Sets the transport to the token endpoint, with its own root certificates and proxies. The
    /// default is a [`HyperTokenEndpoint`] with the proxy of the environment. Closing the credential
    /// closes it, also for other credentials that share it.
    pub fn token_endpoint(mut self, endpoint: impl TokenEndpoint + 'static) -> Self {
        self.token_endpoint = Some(Arc::new(endpoint));
        self
    }

    /// Sets the clock; the machine's by default.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Adds root certificates (PEM) to those of the system, for a proxy that inspects TLS or for a
    /// test.
    pub fn extra_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.extra_root_certificates = Some(pem.into());
        self
    }

    /// Sets how long the requests of a call may take in all; 60 s by default. Reading a cache that
    /// looks torn (150 ms) or is empty (600 ms), and waiting for the write (250 ms) come on top.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets whether tokens are refreshed in the background, while callers still get the cached one;
    /// they are by default. That begins at the time that the server named, or at half of a lifetime
    /// of two hours and more. Each process adds its own share of five minutes, so that the processes
    /// that share a cache do not all refresh at once.
    ///
    /// At most one attempt is made in 30 s, by a call that gets the token, in a task of its runtime,
    /// which needs its I/O and time drivers. Outside of a runtime there is no attempt. No call gets
    /// the error of one.
    pub fn background_refresh(mut self, background_refresh: bool) -> Self {
        self.no_background_refresh = !background_refresh;
        self
    }

    /// Sets how long calls under way may go on after
    /// [`close`](SharedTokenCacheCredential::close) before they are cut off; 5 s by default.
    pub fn close_grace(mut self, grace: Duration) -> Self {
        self.close_grace = Some(grace);
        self
    }

    /// Builds the credential; no file and no connection is opened yet.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::InvalidArgument`] if the authority, tenant, cache name, certificate or
    /// record is malformed.
    pub fn build(self) -> Result<SharedTokenCacheCredential> {
        let mut allowed = self.additionally_allowed_tenants.iter();
        allowed.try_for_each(|tenant| check_allowed_tenant(tenant))?;
        if let Some(tenant_id) = &self.tenant_id {
            check_tenant(tenant_id, "the builder's tenant_id")?;
        }
        let allowed = self.additionally_allowed_tenants;
        let account = match self.authentication_record {
            Some(record) => of_record(record, self.tenant_id, allowed),
            None => of_settings(self.authority, self.username, self.tenant_id, allowed),
        }?;
        let persistence = self.persistence;
        let shared = |suffix: &str| shared_cache(persistence.as_ref(), suffix).map(Caches::of);
        let (caches, cae_caches) = match (self.token_cache, self.cae_token_cache) {
            (None, None) => (shared("nocae")?, Some(shared("cae")?)),
            (None, Some(cae)) => (shared("nocae")?, Some(Caches::new(cae))),
            (Some(both), None) => (Caches::new(both).with_cp1(true), None),
            (Some(nocae), Some(cae)) => (Caches::new(nocae), Some(Caches::new(cae))),
        };
        let endpoint = match self.token_endpoint {
            Some(endpoint) => endpoint,
            None => Arc::new(hyper_endpoint(self.extra_root_certificates.as_deref())?),
        };
        let accounts = Arc::new(FixedAccount(Arc::new(account)));
        let mut credential = SilentCredential::builder(accounts, caches)
            .token_endpoint(endpoint)
            .background_refresh(!self.no_background_refresh);
        if let Some(caches) = cae_caches {
            credential = credential.cae_caches(caches.with_cp1(true));
        }
        if let Some(clock) = self.clock {
            credential = credential.clock(clock);
        }
        if let Some(timeout) = self.timeout {
            credential = credential.timeout(timeout);
        }
        if let Some(grace) = self.close_grace {
            credential = credential.close_grace(grace);
        }
        Ok(SharedTokenCacheCredential(credential.build()))
    }
}

/// Returns the account of the settings, without a record.
fn of_settings(
    authority: Option<String>,
    username: Option<String>,
    tenant_id: Option<String>,
    allowed: Vec<String>,
) -> Result<Account> {
    let authority = authority.or_else(authority_of_environment);
    let authority = parse_authority(authority.as_deref().unwrap_or(Authority::DEFAULT))?;
    let selector = AccountSelector::matching(username, tenant_id);
    let tenants = with_environment(Tenants::of_account(allowed));
    Ok(Account::new(authority, selector).with_tenants(tenants))
}

/// Returns the account of a record.
fn of_record(
    record: AuthenticationRecord,
    tenant_id: Option<String>,
    allowed: Vec<String>,
) -> Result<Account> {
    // A record names the host alone, with a port perhaps.
    let authority = match record.authority() {
        host if host.contains("://") => parse_authority(host)?,
        host => parse_authority(&format!("https://{host}"))?,
    };
    if !is_usable_secret(record.client_id()) || record.home_account_id().is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            "the authentication record names no application or no account: make a new one by \
             signing in",
        ));
    }
    let tenant = tenant_id.unwrap_or_else(|| record.tenant_id().to_owned());
    check_tenant(&tenant, "the tenant of the authentication record")?;
    let tenants = with_environment(Tenants::of_sign_in(tenant, allowed));
    let clients = Clients::Only(record.client_id().to_owned());
    Ok(Account::new(authority, AccountSelector::of_record(record))
        .with_tenants(tenants)
        .with_clients(clients))
}

/// Ignores the tenants of calls if the environment says so.
fn with_environment(tenants: Tenants) -> Tenants {
    if is_multitenant_disabled() {
        tenants.without_choice()
    } else {
        tenants
    }
}

fn hyper_endpoint(extra_root_certificates: Option<&[u8]>) -> Result<HyperTokenEndpoint> {
    let Some(pem) = extra_root_certificates else {
        return Ok(HyperTokenEndpoint::new());
    };
    HyperTokenEndpoint::with_extra_root_certificates(pem).map_err(|error| {
        let text = format!(
            "{error}: give certificates of authorities, in PEM, to the builder's \
             extra_root_certificates"
        );
        Error::new(ErrorKind::InvalidArgument, text).with_source(error)
    })
}

fn authority_of_environment() -> Option<String> {
    env::value_of("AZURE_AUTHORITY_HOST")
}

/// Returns `true` for any value, as the original class does.
fn is_multitenant_disabled() -> bool {
    env::value_of("AZURE_IDENTITY_DISABLE_MULTITENANTAUTH").is_some()
}

impl fmt::Debug for SharedTokenCacheCredentialBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing was checked yet: an authority may hold a password.
        f.debug_struct("SharedTokenCacheCredentialBuilder")
            .finish_non_exhaustive()
    }
}
