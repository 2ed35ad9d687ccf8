//! The class of the shared token cache.

use std::fmt;

use async_trait::async_trait;
use token_credential::{
    AccessToken, AccessTokenInfo, Result, TokenCredential, TokenRequestOptions,
};

use crate::silent_credential::SilentCredential;

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
pub struct SharedTokenCacheCredential(pub(crate) SilentCredential);

impl SharedTokenCacheCredential {
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
        self.0.get_token(scopes, options).await
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
        self.0.get_token_info(scopes, options).await
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
        self.0.close().await
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
        let account = self.0.account_source().account();
        let authority = account.map(|account| account.authority().to_string());
        f.debug_struct("SharedTokenCacheCredential")
            .field("authority", &authority.unwrap_or_default())
            .finish_non_exhaustive()
    }
}
