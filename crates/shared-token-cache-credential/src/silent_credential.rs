//! A credential over any account source.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use entra_token_endpoint::{HyperTokenEndpoint, TokenEndpoint};
use token_credential::{
    AccessToken, AccessTokenInfo, Clock, Result, TokenCredential, TokenRequestOptions,
};
use token_credential_engine::{Engine, EngineClock, Settings};

use crate::account_source::AccountSource;
use crate::caches::Caches;
use crate::source::SilentSource;
use crate::state::cache::CredentialCache;

/// Access tokens for the account of an [`AccountSource`], without asking the user.
///
/// A cached access token is handed out as it is. Otherwise a cached refresh token is redeemed, and
/// the result is written into the caches. Clones are cheap and share all state.
///
/// [`SharedTokenCacheCredential`](crate::SharedTokenCacheCredential) is this with an account from
/// the program's settings and the cache that Microsoft's developer tools share. Its documentation
/// of look-ups, waits, errors and closing holds here, too.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use msal_token_cache::TokenCache;
/// use shared_token_cache_credential::{AccountSource, Caches, SilentCredential};
/// use token_credential::{Result, TokenRequestOptions};
///
/// async fn header(accounts: Arc<dyn AccountSource>, cache: TokenCache) -> Result<String> {
///     let credential = SilentCredential::builder(accounts, Caches::new(cache)).build();
///     let scopes = ["https://management.azure.com/.default"];
///     let token = credential.get_token(&scopes, &TokenRequestOptions::default()).await?;
///     Ok(format!("Bearer {}", token.token().expose_secret()))
/// }
/// ```
#[derive(Clone)]
pub struct SilentCredential(Engine<SilentSource>);

/// The settings of a [`SilentCredential`].
pub struct SilentCredentialBuilder {
    accounts: Arc<dyn AccountSource>,
    caches: Caches,
    cae_caches: Option<Caches>,
    endpoint: Option<Arc<dyn TokenEndpoint>>,
    clock: Option<Arc<dyn Clock>>,
    timeout: Duration,
    close_grace: Duration,
    background_refresh: bool,
}

impl SilentCredentialBuilder {
    /// Sets other caches for callers that handle Continuous Access Evaluation.
    pub fn cae_caches(mut self, caches: Caches) -> Self {
        self.cae_caches = Some(caches);
        self
    }

    /// Sets the transport to the token endpoint; a [`HyperTokenEndpoint`] by default. Closing the
    /// credential closes it.
    pub fn token_endpoint(mut self, endpoint: impl TokenEndpoint + 'static) -> Self {
        self.endpoint = Some(Arc::new(endpoint));
        self
    }

    /// Sets the clock; the machine's by default.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Sets how long the requests of a call may take in all; 60 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long calls under way may go on after a close; 5 s by default.
    pub fn close_grace(mut self, grace: Duration) -> Self {
        self.close_grace = grace;
        self
    }

    /// Sets whether tokens are refreshed in the background ahead of their expiry; they are by
    /// default.
    pub fn background_refresh(mut self, background_refresh: bool) -> Self {
        self.background_refresh = background_refresh;
        self
    }

    /// Builds the credential. Opens no file and no connection.
    pub fn build(self) -> SilentCredential {
        let endpoint = self
            .endpoint
            .unwrap_or_else(|| Arc::new(HyperTokenEndpoint::new()));
        let clock = EngineClock::new(self.clock);
        let settings = Settings {
            clock: clock.clone(),
            timeout: self.timeout,
            close_grace: self.close_grace,
            background_refresh: self.background_refresh,
        };
        SilentCredential(Engine::new(
            SilentSource::new(self.accounts, endpoint, clock),
            CredentialCache::new(self.caches),
            self.cae_caches.map(CredentialCache::new),
            settings,
        ))
    }
}

impl SilentCredential {
    /// Begins a credential for this account, with these caches for all callers.
    pub fn builder(accounts: Arc<dyn AccountSource>, caches: Caches) -> SilentCredentialBuilder {
        SilentCredentialBuilder {
            accounts,
            caches,
            cae_caches: None,
            endpoint: None,
            clock: None,
            timeout: Duration::from_secs(60),
            close_grace: Duration::from_secs(5),
            background_refresh: true,
        }
    }

    /// Returns the engine, for a wrapper whose hit is to pass through no further future.
    #[inline]
    pub(crate) fn engine(&self) -> &Engine<SilentSource> {
        &self.0
    }

    /// Returns the origin of the account.
    pub fn account_source(&self) -> &dyn AccountSource {
        &*self.0.source().accounts
    }

    /// Gets an access token for `scopes`.
    ///
    /// # Errors
    ///
    /// As [`SharedTokenCacheCredential::get_token`](crate::SharedTokenCacheCredential::get_token),
    /// and the errors of the account source.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A redemption that has begun goes on by itself, and its token is in the cache for
    /// the next call.
    #[inline]
    pub async fn get_token(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessToken> {
        self.0.get_token(scopes, options).await
    }

    /// Gets an access token for `scopes` with its refresh time.
    ///
    /// # Errors
    ///
    /// As [`get_token`](Self::get_token).
    ///
    /// # Cancel safety
    ///
    /// As [`get_token`](Self::get_token).
    #[inline]
    pub async fn get_token_info(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessTokenInfo> {
        self.0.get_token_info(scopes, options).await
    }

    /// Closes the credential, as
    /// [`SharedTokenCacheCredential::close`](crate::SharedTokenCacheCredential::close).
    ///
    /// # Errors
    ///
    /// None at present.
    ///
    /// # Cancel safety
    ///
    /// The credential stays closed when the future is dropped. Another call waits for the rest.
    pub async fn close(&self) -> Result<()> {
        self.0.close().await;
        Ok(())
    }
}

#[async_trait]
impl TokenCredential for SilentCredential {
    async fn get_token_info(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessTokenInfo> {
        self.0.get_token_info(scopes, options).await
    }

    // One boxed future, not the default's two.
    async fn get_token(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessToken> {
        self.0.get_token(scopes, options).await
    }

    async fn close(&self) -> Result<()> {
        Self::close(self).await
    }
}

impl fmt::Debug for SilentCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SilentCredential")
            .field("accounts", &self.account_source())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SilentCredentialBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SilentCredentialBuilder")
            .field("accounts", &self.accounts)
            .finish_non_exhaustive()
    }
}
