use std::time::SystemTime;

use token_credential::Secret;

use crate::RefreshToken;

/// The entry of a refresh token that is being redeemed: enough to find it again later.
#[derive(Clone, Debug)]
pub struct RedeemedToken {
    pub(crate) home_account_id: String,
    pub(crate) environment: String,
    pub(crate) client_id: String,
    pub(crate) secret: Secret,
}

impl RedeemedToken {
    /// Whose token it is: `uid.utid` of the account's home tenant.
    pub fn home_account_id(&self) -> &str {
        &self.home_account_id
    }

    /// The host of the authority that issued it.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// The application it was issued to.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The token.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }
}

impl From<&RefreshToken<'_>> for RedeemedToken {
    fn from(entry: &RefreshToken<'_>) -> Self {
        Self {
            home_account_id: entry.home_account_id().to_owned(),
            environment: entry.environment().to_owned(),
            client_id: entry.client_id().to_owned(),
            secret: entry.secret().clone(),
        }
    }
}

/// What came of redeeming a refresh token, ready to be merged into a cache.
///
/// It holds what is known for sure: the answer has been checked against the account that it was
/// asked for. [`Transaction::merge`](crate::Transaction::merge) takes it.
#[derive(Clone, Debug)]
pub struct Redemption {
    pub(crate) redeemed: RedeemedToken,
    pub(crate) client_id: String,
    pub(crate) realm: String,
    pub(crate) target: String,
    pub(crate) access_token: Secret,
    pub(crate) cached_at: SystemTime,
    pub(crate) expires_on: SystemTime,
    pub(crate) extended_expires_on: Option<SystemTime>,
    pub(crate) refresh_on: Option<SystemTime>,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) family_id: Option<String>,
    pub(crate) identity: Option<Identity>,
    pub(crate) is_refresh_token_only: bool,
}

/// An ID token and what it says about the account.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(crate) id_token: Secret,
    pub(crate) local_account_id: Option<String>,
    pub(crate) username: Option<String>,
}

impl Identity {
    /// An ID token with the account's id in the tenant (`oid`, else `sub`) and the name it signs
    /// in with (`preferred_username`, else `upn`), as far as it holds them.
    pub fn new(
        id_token: Secret,
        local_account_id: Option<String>,
        username: Option<String>,
    ) -> Self {
        let known = |text: &String| !text.is_empty();
        Self {
            id_token,
            local_account_id: local_account_id.filter(known),
            username: username.filter(known),
        }
    }
}

impl Redemption {
    /// The bearer token that redeeming `redeemed` under its own client at `cached_at` gave, good
    /// in the tenant `realm` for the scopes `target` until `expires_on`.
    pub fn new(
        redeemed: impl Into<RedeemedToken>,
        realm: impl Into<String>,
        target: impl Into<String>,
        access_token: Secret,
        cached_at: SystemTime,
        expires_on: SystemTime,
    ) -> Self {
        let redeemed = redeemed.into();
        Self {
            client_id: redeemed.client_id.clone(),
            redeemed,
            realm: realm.into(),
            target: target.into(),
            access_token,
            cached_at,
            expires_on,
            extended_expires_on: None,
            refresh_on: None,
            refresh_token: None,
            family_id: None,
            identity: None,
            is_refresh_token_only: false,
        }
    }

    /// Sets the application that redeemed the token, where that is another of its family.
    pub fn with_client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// Sets until when the token may be used while the server cannot be reached.
    pub fn with_extended_expires_on(mut self, extended_expires_on: SystemTime) -> Self {
        self.extended_expires_on = Some(extended_expires_on);
        self
    }

    /// Sets from when on the token should be refreshed; only what the server said.
    pub fn with_refresh_on(mut self, refresh_on: SystemTime) -> Self {
        self.refresh_on = Some(refresh_on);
        self
    }

    /// Sets the refresh token that replaces the redeemed one.
    pub fn with_refresh_token(mut self, refresh_token: Secret) -> Self {
        self.refresh_token = Some(refresh_token);
        self
    }

    /// Sets the family of applications (`foci`) that may redeem the refresh token.
    pub fn with_family_id(mut self, family_id: impl Into<String>) -> Self {
        self.family_id = Some(family_id.into());
        self
    }

    /// Sets the ID token and what it says.
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Leaves only the rotated refresh token to be merged: where the access token is of no use, the
    /// cached ones that it would replace may still be.
    pub fn with_refresh_token_only(mut self) -> Self {
        self.is_refresh_token_only = true;
        self
    }

    /// The refresh token that was redeemed.
    pub fn redeemed(&self) -> &RedeemedToken {
        &self.redeemed
    }

    /// The application that the access token was issued to.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The tenant that the access token is good in.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The scopes that the access token is good for, separated by blanks.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The access token.
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// When the access token was asked for.
    pub fn cached_at(&self) -> SystemTime {
        self.cached_at
    }

    /// When the access token ceases to be good.
    pub fn expires_on(&self) -> SystemTime {
        self.expires_on
    }

    /// From when on the access token should be refreshed, if the server said so.
    pub fn refresh_on(&self) -> Option<SystemTime> {
        self.refresh_on
    }

    /// The refresh token that replaces the redeemed one, if the server sent one.
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }
}
