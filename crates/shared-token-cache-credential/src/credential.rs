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
/// handed out as it is. Otherwise a cached refresh token is redeemed, and the result is written
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
/// on macOS it is in the Keychain. The README's table of stores tells which of them were really run.
#[derive(Clone)]
pub struct SharedTokenCacheCredential(pub(crate) SilentCredential);

impl SharedTokenCacheCredential {
    /// Returns `true` if this build can read the shared cache of this platform.
    pub const fn supported() -> bool {
        cfg!(any(
            target_os = "linux",
            all(target_os = "macos", feature = "keychain"),
            all(windows, feature = "dpapi"),
        ))
    }

    /// Gets an access token for `scopes`.
    ///
    /// A token with more than five minutes left comes from memory or the cache, without a request, a
    /// lock or a runtime. The same holds for a token of the last 30 seconds with at least 30 seconds
    /// left, for a server whose tokens are that short. Otherwise a refresh token is redeemed within
    /// the builder's `timeout`, in a task of the current tokio runtime, which needs its I/O and time
    /// drivers. If that fails, a cached token with at least 30 seconds left is handed out. A call with
    /// `claims` gets no cached token, because the resource has just refused it. A call with
    /// `force_refresh` gets one only if the redemption fails.
    ///
    /// Simultaneous calls for the same token share one redemption, also with this user's other
    /// processes on this machine if the cache is a file. Calls with claims or `force_refresh` share it
    /// only within the runtime. If another process is redeeming and makes no progress, callers wait
    /// two seconds for it.
    ///
    /// A request is repeated at most twice, after about 1 s and 2 s, if the endpoint is out of reach or
    /// in trouble, and after a `Retry-After` of up to 10 s. A refused request is not repeated for two
    /// minutes. While the endpoint throttles, it is left alone
    /// ([`Error::retry_after`](crate::Error::retry_after)). A new token with less than 30 seconds
    /// left is not handed out, and the endpoint is not asked for the same for 30 seconds.
    ///
    /// # Errors
    ///
    /// - [`InvalidArgument`](crate::ErrorKind::InvalidArgument): scopes, claims or tenant are
    ///   malformed, and nothing was read; or a redemption is needed and there is no tokio runtime.
    /// - [`CredentialUnavailable`](crate::ErrorKind::CredentialUnavailable): there is no cache, no
    ///   account, or no single account that is meant. The text names the place and the next step.
    /// - [`AuthenticationFailed`](crate::ErrorKind::AuthenticationFailed): the tenant is not one of
    ///   the allowed ones, the redemption was refused or got no answer
    ///   ([`Error::oauth`](crate::Error::oauth),
    ///   [`Error::is_transient`](crate::Error::is_transient)), or the credential is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A redemption that has begun goes on by itself, and its token is in the cache
    /// for the next call.
    #[inline]
    pub async fn get_token(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessToken> {
        self.0.engine().get_token(scopes, options).await
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
        self.0.engine().get_token_info(scopes, options).await
    }

    /// Closes the credential and all clones. No redemption begins any more. Those under way finish
    /// within the builder's `close_grace` (5 s) or are cut off, and every connection ends.
    /// Idempotent. Cached tokens are still handed out afterwards.
    ///
    /// A write that waits for the cache's lock when it is cut off continues for at most the lock's
    /// timeout, on a thread of its own. Work on a runtime that is not driven delays the close by two
    /// seconds more, and ends when that runtime is driven again or dropped.
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
    /// The credential stays closed when the future is dropped. Another call waits for the rest.
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
        self.0.engine().get_token_info(scopes, options).await
    }

    // One boxed future, not the default's two.
    async fn get_token(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessToken> {
        self.0.engine().get_token(scopes, options).await
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
