use std::fmt;

use async_trait::async_trait;

use crate::{AccessToken, AccessTokenInfo, Result, TokenRequestOptions};

/// A source of access tokens.
///
/// Object-safe; services take an `Arc<dyn TokenCredential>`. An implementation caches, so a caller
/// asks before each request and keeps no token.
///
/// ```
/// use std::time::SystemTime;
/// use token_credential::{
///     AccessTokenInfo, Error, ErrorKind, Result, Secret, TokenCredential, TokenRequestOptions,
/// };
///
/// /// Hands out the token that somebody put there.
/// #[derive(Debug)]
/// struct FixedCredential(Option<(Secret, SystemTime)>);
///
/// #[async_trait::async_trait]
/// impl TokenCredential for FixedCredential {
///     async fn get_token_info(
///         &self,
///         _scopes: &[&str],
///         _options: &TokenRequestOptions,
///     ) -> Result<AccessTokenInfo> {
///         match &self.0 {
///             Some((token, expires_on)) => Ok(AccessTokenInfo::new(token.clone(), *expires_on)),
///             None => Err(Error::new(ErrorKind::CredentialUnavailable, "no token was put here")),
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait TokenCredential: fmt::Debug + Send + Sync {
    /// Gets a token for `scopes`, with all that is known about it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind`](crate::ErrorKind) says what the caller can do about it.
    ///
    /// # Cancel safety
    ///
    /// Implementations must let the returned future be dropped at any point.
    async fn get_token_info(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessTokenInfo>;

    /// Gets a token for `scopes`.
    ///
    /// # Errors
    ///
    /// As [`get_token_info`](Self::get_token_info).
    ///
    /// # Cancel safety
    ///
    /// As [`get_token_info`](Self::get_token_info).
    async fn get_token(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessToken> {
        Ok(self.get_token_info(scopes, options).await?.into())
    }

    /// Ends what the credential holds open. Idempotent; the default holds nothing.
    ///
    /// # Errors
    ///
    /// What could not be ended in order.
    ///
    /// # Cancel safety
    ///
    /// Implementations must let the returned future be dropped at any point; what it had begun to
    /// end may then still be open, and another call ends the rest.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
