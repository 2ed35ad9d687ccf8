use std::time::SystemTime;

use crate::Secret;

/// An access token and the time at which it expires.
#[derive(Clone, Debug)]
pub struct AccessToken {
    token: Secret,
    expires_on: SystemTime,
}

impl AccessToken {
    /// Puts a token and its expiry together.
    pub fn new(token: Secret, expires_on: SystemTime) -> Self {
        Self { token, expires_on }
    }

    /// The token, for an `Authorization` header.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// When the token ceases to be good. A cache keeps whole seconds.
    pub fn expires_on(&self) -> SystemTime {
        self.expires_on
    }
}

impl From<AccessTokenInfo> for AccessToken {
    fn from(info: AccessTokenInfo) -> Self {
        info.access_token
    }
}

/// An access token with all that is known about it.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use token_credential::{AccessTokenInfo, Secret};
///
/// let expires_on = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_003_600);
/// let info = AccessTokenInfo::new(Secret::new("eyJ0eXAi"), expires_on);
/// assert_eq!(info.token_type(), "Bearer");
/// assert_eq!(info.refresh_on(), None);
/// ```
#[derive(Clone, Debug)]
pub struct AccessTokenInfo {
    access_token: AccessToken,
    // `None` stands for "Bearer", so that a hit does not allocate.
    token_type: Option<Box<str>>,
    refresh_on: Option<SystemTime>,
}

impl AccessTokenInfo {
    /// A bearer token without a time from which it should be refreshed.
    pub fn new(token: Secret, expires_on: SystemTime) -> Self {
        Self {
            access_token: AccessToken::new(token, expires_on),
            token_type: None,
            refresh_on: None,
        }
    }

    /// Sets the token type; without it, it is `Bearer`.
    pub fn with_token_type(mut self, token_type: &str) -> Self {
        self.token_type = (token_type != "Bearer").then(|| token_type.into());
        self
    }

    /// Sets the time from which the token should be refreshed although it has not expired.
    pub fn with_refresh_on(mut self, refresh_on: SystemTime) -> Self {
        self.refresh_on = Some(refresh_on);
        self
    }

    /// The token, for an `Authorization` header.
    pub fn token(&self) -> &Secret {
        self.access_token.token()
    }

    /// When the token ceases to be good. A cache keeps whole seconds.
    pub fn expires_on(&self) -> SystemTime {
        self.access_token.expires_on()
    }

    /// How the token is presented, `Bearer` in nearly every case.
    pub fn token_type(&self) -> &str {
        self.token_type.as_deref().unwrap_or("Bearer")
    }

    /// From when on the token should be refreshed although it has not expired, if that is known.
    pub fn refresh_on(&self) -> Option<SystemTime> {
        self.refresh_on
    }
}
