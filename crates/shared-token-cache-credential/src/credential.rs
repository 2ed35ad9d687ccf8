use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msal_token_cache::Freshness;
use token_credential::{
    AccessToken, AccessTokenInfo, Result, TokenCredential, TokenRequestOptions,
};

use crate::access::{Found, Query, is_fresh};
use crate::account::Whose;
use crate::authority::Authority;
use crate::builder::SharedTokenCacheCredentialBuilder;
use crate::flight::Flights;
use crate::join::Key;
use crate::lifecycle::Lifecycle;
use crate::refresh::Refreshing;
use crate::request::Call;
use crate::store::Store;
use crate::tenant::{Domains, Tenant, Tenants};
use crate::throttling::Throttling;
use crate::token_endpoint::TokenEndpoint;
use crate::view::{ChosenAccount, View};
use crate::wall_clock::WallClock;

/// Azure access tokens from the sign-in that the developer's tools already hold.
///
/// It reads the token cache that Microsoft's developer tools share. A cached access token is
/// handed out as it is; otherwise a cached refresh token is redeemed, and the result goes back
/// into the cache, where the other tools find it. Clones are cheap and share all state.
///
/// ```no_run
/// use shared_token_cache_credential::{SharedTokenCacheCredential, TokenRequestOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> token_credential::Result<()> {
/// let credential = SharedTokenCacheCredential::builder().username("ada@contoso.com").build()?;
/// let scopes = ["https://management.azure.com/.default"];
/// let token = credential.get_token(&scopes, &TokenRequestOptions::default()).await?;
/// println!("good until {:?}", token.expires_on());
/// credential.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Limitations
///
/// On Linux the cache is in the Secret Service or in plain text, on Windows the system encrypts it,
/// on macOS it is in the Keychain; the README's table of stores says what was run where.
#[derive(Clone)]
pub struct SharedTokenCacheCredential(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) authority: Authority,
    pub(crate) whose: Whose,
    pub(crate) tenants: Tenants,
    pub(crate) domains: Domains,
    pub(crate) throttling: Throttling,
    pub(crate) nocae: Arc<Store>,
    pub(crate) cae: Arc<Store>,
    pub(crate) endpoint: Arc<dyn TokenEndpoint>,
    pub(crate) clock: WallClock,
    pub(crate) timeout: Duration,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) flights: Flights<Key, Result<AccessTokenInfo>>,
    /// `None` where nothing is to be refreshed ahead of its time.
    pub(crate) refreshing: Option<Refreshing>,
}

impl SharedTokenCacheCredential {
    /// A credential under construction.
    pub fn builder() -> SharedTokenCacheCredentialBuilder {
        SharedTokenCacheCredentialBuilder::default()
    }

    /// Whether the shared cache of this platform can be read.
    pub const fn supported() -> bool {
        cfg!(any(
            target_os = "linux",
            all(target_os = "macos", feature = "keychain"),
            all(windows, feature = "dpapi"),
        ))
    }

    /// Gets an access token for `scopes`.
    ///
    /// A token with more than five minutes left comes from memory or the cache: no request, no
    /// lock, and no runtime is needed. So does one that was issued within the last 30 seconds and
    /// has as much left, for a server whose tokens are that short. Otherwise a refresh token is
    /// redeemed, in a task of the current tokio runtime, which needs its I/O and time drivers,
    /// within the builder's `timeout`; when that fails, a cached token with at least 30 seconds left
    /// is served. With `claims`, after a challenge, no cached token will do; with `force_refresh`
    /// one only serves when the redemption fails.
    ///
    /// Calls that want the same at the same moment share one redemption, also with this user's
    /// other processes on this machine, where the cache is a file; those with claims or
    /// `force_refresh` only within the runtime. A process that is at it and makes no progress is
    /// waited for two seconds.
    ///
    /// A request is sent again twice at most, after 1 s and 2 s or so, where the endpoint is out of
    /// reach or in trouble, and after a `Retry-After` of up to 10 s. What it refuses is not asked
    /// again for two minutes, and while it throttles it is left alone
    /// ([`Error::retry_after`](crate::Error::retry_after)). A new token with less than 30 seconds
    /// left is not handed out; the endpoint is then asked for the same after 30 seconds.
    ///
    /// # Errors
    ///
    /// - [`InvalidArgument`](crate::ErrorKind::InvalidArgument): the scopes, claims or tenant,
    ///   before anything is read; or a redemption is needed and there is no tokio runtime.
    /// - [`CredentialUnavailable`](crate::ErrorKind::CredentialUnavailable): there is no cache, no
    ///   account, or not one that is meant; the text names the place and the next step.
    /// - [`AuthenticationFailed`](crate::ErrorKind::AuthenticationFailed): the tenant is not one of
    ///   the allowed ones, the redemption was refused or got no answer
    ///   ([`Error::oauth`](crate::Error::oauth),
    ///   [`Error::is_transient`](crate::Error::is_transient)), or the credential is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A redemption that has begun goes on by itself, and its token is in the cache
    /// for the next call.
    pub async fn get_token(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessToken> {
        let take = |hot: &AccessTokenInfo| AccessToken::new(hot.token().clone(), hot.expires_on());
        if let Some(token) = self.0.hot(scopes, options, take) {
            return Ok(token);
        }
        // Boxed, so that a hit does not carry the state of all that follows along.
        let looked_up = Box::pin(self.0.look_up(scopes, options));
        Ok(looked_up.await?.into())
    }

    /// Gets an access token for `scopes` with all that is known about it.
    ///
    /// # Errors
    ///
    /// As [`get_token`](Self::get_token).
    ///
    /// # Cancel safety
    ///
    /// As [`get_token`](Self::get_token).
    pub async fn get_token_info(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessTokenInfo> {
        if let Some(token) = self.0.hot(scopes, options, Clone::clone) {
            return Ok(token);
        }
        Box::pin(self.0.look_up(scopes, options)).await
    }

    /// Ends what the credential holds open: no redemption begins any more, those under way finish
    /// within the builder's `close_grace` (5 s) or are cut off, and every connection ends.
    /// Idempotent, and for all clones. Cached tokens are still handed out afterwards.
    ///
    /// A write that is waiting for the cache's lock when it is cut off goes on for at most the
    /// lock's timeout, on a thread of its own. What is left on a runtime that nobody drives is
    /// waited for two seconds more, and ends when that runtime goes on or is dropped.
    ///
    /// Within a tokio runtime it needs the time driver. Outside of one there is no timer for the
    /// grace: a redemption under way then ends at its own `timeout`, if its runtime is driven.
    ///
    /// # Errors
    ///
    /// None at present.
    ///
    /// # Cancel safety
    ///
    /// The credential stays closed when this is dropped; call it again to wait for the rest.
    pub async fn close(&self) -> Result<()> {
        self.0.lifecycle.close(self.0.endpoint.close()).await;
        Ok(())
    }
}

impl Inner {
    /// What an earlier call for the same got, if that may be handed out as it is.
    fn hot<T>(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
        take: impl FnOnce(&AccessTokenInfo) -> T,
    ) -> Option<T> {
        if options.claims().is_some() || options.force_refresh() {
            return None;
        }
        let store = self.store(options.enable_cae());
        store.hot(scopes, options.tenant_id(), &self.clock, take)
    }

    /// Looks in the cache, and redeems a refresh token if there is no token in it.
    async fn look_up(
        self: &Arc<Self>,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessTokenInfo> {
        let store = self.store(options.enable_cae());
        let call = Call::new(scopes, options, &self.tenants)?;
        let view = self.view(store, Freshness::Recent).await?;
        if call.allows_cached() {
            let account = self.account(store, &view)?;
            if let Found::Hit(token) = self.find(&view, account, scopes, call.tenant) {
                let (now, until) = (self.clock.now(), self.current_until(&token));
                if now < until {
                    store.remember(&view, scopes, options.tenant_id(), &token, [now, until]);
                } else if is_fresh(token.expires_on(), now) {
                    self.refresh_ahead(&account.chosen.home_account_id, &call);
                }
                return Ok(token);
            }
        }
        // Without an account there is nothing to redeem.
        let account = self.account(store, &view)?.chosen.home_account_id.clone();
        self.join(account, call.to_request()).await
    }

    pub(crate) fn store(&self, enable_cae: bool) -> &Arc<Store> {
        if enable_cae { &self.cae } else { &self.nocae }
    }

    /// Whether a store is for tokens with Continuous Access Evaluation; one for all callers is.
    pub(crate) fn is_for_cae(&self, store: &Store) -> bool {
        std::ptr::eq(store, &raw const *self.cae)
    }

    pub(crate) async fn view(&self, store: &Store, freshness: Freshness) -> Result<Arc<View>> {
        store
            .view(freshness, &self.authority, &self.whose, &self.clock)
            .await
    }

    pub(crate) fn account<'v>(&self, store: &Store, view: &'v View) -> Result<&'v ChosenAccount> {
        store.account(view, &self.authority, &self.whose)
    }

    /// Looks for a token of the account.
    pub(crate) fn find(
        &self,
        view: &View,
        account: &ChosenAccount,
        scopes: &[&str],
        tenant: &str,
    ) -> Found {
        let named = Tenant::new(tenant, &account.chosen);
        let tid = named.domain().and_then(|domain| self.domains.tid(domain));
        let query = Query {
            scopes,
            tenant: named,
            tid: tid.as_deref(),
        };
        view.find(account, &query, self.clock.now())
    }
}

#[async_trait]
impl TokenCredential for SharedTokenCacheCredential {
    async fn get_token_info(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessTokenInfo> {
        Self::get_token_info(self, scopes, options).await
    }

    // One boxed future, not the default's two.
    async fn get_token(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessToken> {
        Self::get_token(self, scopes, options).await
    }

    async fn close(&self) -> Result<()> {
        Self::close(self).await
    }
}

impl fmt::Debug for SharedTokenCacheCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTokenCacheCredential")
            .field("authority", &self.0.authority.to_string())
            .finish_non_exhaustive()
    }
}
