//! Redeemed tokens, ready to be merged, and their origin.

use std::time::SystemTime;

use token_credential::Secret;

use crate::schema::RefreshToken;

/// The identifiers of a refresh token that is being redeemed, which find its entry again later.
#[derive(Clone, Debug)]
pub struct RedeemedToken {
    pub(super) home_account_id: String,
    pub(super) environment: String,
    pub(super) client_id: String,
    pub(super) secret: Secret,
}

impl RedeemedToken {
    /// Returns the account of the token: `uid.utid` of its home tenant.
    pub fn home_account_id(&self) -> &str {
        &self.home_account_id
    }

    /// Returns the host of the authority that issued it.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// Returns the application that it was issued to.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the token.
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

/// A user's sign-in, by authorization code, device code or another grant that has no refresh token
/// yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// The account: `uid.utid` of its home tenant, from the answer's `client_info`.
    pub home_account_id: String,
    /// The host of the authority.
    pub environment: String,
    /// The application that the user signed in to.
    pub client_id: String,
    /// The grant type on the wire, for example `authorization_code`. It becomes the account's
    /// `account_source`.
    pub grant_type: String,
}

/// The origin of the tokens of a [`Redemption`]. It decides which entries a
/// [merge](crate::Transaction::merge) expects, changes and adds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Origin {
    /// A refresh token of this cache was redeemed.
    ///
    /// Its entry has to be there still: if it is gone, the account signed out and nothing is
    /// stored. A rotated refresh token replaces the redeemed one, and no other. With an ID token,
    /// the account and its ID token are brought up to date or added.
    Redeemed(RedeemedToken),
    /// A user signed in.
    ///
    /// No entry has to be there: the account is brought up to date or added, also without an ID
    /// token. The refresh token replaces that of every entry of the account, client and host, or is
    /// added: an earlier one may have been revoked. Members without a new value stay, as do the
    /// entries of other accounts and clients.
    SignedIn(SignIn),
    /// A refresh token of another store was redeemed, and this cache is for its access tokens.
    ///
    /// No refresh token is read, changed or added; a rotated one is dropped, and the outcome is
    /// [`StoredInPart`](crate::Merged::StoredInPart). A missing account is not a sign-out, because
    /// sign-ins are in the other store. With an ID token, the account and its
    /// ID token are brought up to date or added.
    RedeemedElsewhere(RedeemedToken),
}

impl Origin {
    /// Returns the account of the tokens: `uid.utid` of its home tenant.
    pub fn home_account_id(&self) -> &str {
        match self {
            Self::Redeemed(token) | Self::RedeemedElsewhere(token) => &token.home_account_id,
            Self::SignedIn(sign_in) => &sign_in.home_account_id,
        }
    }

    /// Returns the host of the authority that issued the tokens.
    pub fn environment(&self) -> &str {
        match self {
            Self::Redeemed(token) | Self::RedeemedElsewhere(token) => &token.environment,
            Self::SignedIn(sign_in) => &sign_in.environment,
        }
    }

    /// Returns the application that the redeemed token was issued to, or that the user signed in
    /// to.
    pub fn client_id(&self) -> &str {
        match self {
            Self::Redeemed(token) | Self::RedeemedElsewhere(token) => &token.client_id,
            Self::SignedIn(sign_in) => &sign_in.client_id,
        }
    }
}

impl From<RedeemedToken> for Origin {
    fn from(token: RedeemedToken) -> Self {
        Self::Redeemed(token)
    }
}

impl From<&RefreshToken<'_>> for Origin {
    fn from(entry: &RefreshToken<'_>) -> Self {
        Self::Redeemed(entry.into())
    }
}

impl From<SignIn> for Origin {
    fn from(sign_in: SignIn) -> Self {
        Self::SignedIn(sign_in)
    }
}

/// The tokens that a refresh token, an authorization code or a device code was redeemed for, ready
/// to be merged into a cache.
///
/// The caller has checked that the answer is for the account of the [`Origin`].
/// [`Transaction::merge`](crate::Transaction::merge) takes it.
#[derive(Clone, Debug)]
pub struct Redemption {
    origin: Origin,
    pub(super) client_id: String,
    pub(super) realm: String,
    pub(super) target: String,
    pub(super) access_token: Secret,
    pub(super) cached_at: SystemTime,
    pub(super) expires_on: SystemTime,
    pub(super) extended_expires_on: Option<SystemTime>,
    pub(super) refresh_on: Option<SystemTime>,
    pub(super) refresh_token: Option<Secret>,
    pub(super) family_id: Option<String>,
    identity: Option<Identity>,
    pub(super) is_refresh_token_only: bool,
}

/// An ID token and its claims about the account.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) id_token: Secret,
    local_account_id: Option<String>,
    username: Option<String>,
}

impl Identity {
    /// Returns an ID token with the account's id in the tenant (`oid`, else `sub`) and the name with
    /// which it signs in (`preferred_username`, else `upn`). An empty text is the same as `None`.
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

    pub(super) fn local_account_id(&self) -> Option<&str> {
        self.local_account_id.as_deref()
    }

    pub(super) fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }
}

impl Redemption {
    /// Returns the bearer token that the origin's client got at `cached_at`. It is valid in the
    /// tenant `realm` for the scopes `target` until `expires_on`.
    pub fn new(
        origin: impl Into<Origin>,
        realm: impl Into<String>,
        target: impl Into<String>,
        access_token: Secret,
        cached_at: SystemTime,
        expires_on: SystemTime,
    ) -> Self {
        let origin = origin.into();
        Self {
            client_id: origin.client_id().to_owned(),
            origin,
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

    /// Sets the application that redeemed the token, if that is another of its family.
    pub fn with_client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// Sets the time until which the token may be used while the server cannot be reached.
    pub fn with_extended_expires_on(mut self, extended_expires_on: SystemTime) -> Self {
        self.extended_expires_on = Some(extended_expires_on);
        self
    }

    /// Sets the time from which the token should be refreshed, as the server sent it.
    pub fn with_refresh_on(mut self, refresh_on: SystemTime) -> Self {
        self.refresh_on = Some(refresh_on);
        self
    }

    /// Sets the refresh token that replaces the redeemed one, or that the sign-in gave.
    pub fn with_refresh_token(mut self, refresh_token: Secret) -> Self {
        self.refresh_token = Some(refresh_token);
        self
    }

    /// Sets the family of applications (`foci`) that may redeem the refresh token.
    pub fn with_family_id(mut self, family_id: impl Into<String>) -> Self {
        self.family_id = Some(family_id.into());
        self
    }

    /// Sets the ID token and its claims.
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Leaves out the access token, so that those it would replace stay. Of a refresh token that was
    /// redeemed, only the rotated one is merged; of a sign-in, the account as well.
    pub fn with_refresh_token_only(mut self) -> Self {
        self.is_refresh_token_only = true;
        self
    }

    /// Returns the origin of the tokens.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the refresh token that was redeemed, of this cache or another store; `None` for a
    /// sign-in.
    pub fn redeemed(&self) -> Option<&RedeemedToken> {
        match &self.origin {
            Origin::Redeemed(token) | Origin::RedeemedElsewhere(token) => Some(token),
            Origin::SignedIn(_) => None,
        }
    }

    /// Returns the account of the tokens: `uid.utid` of its home tenant.
    pub fn home_account_id(&self) -> &str {
        self.origin.home_account_id()
    }

    /// Returns the host of the authority that issued the tokens.
    pub fn environment(&self) -> &str {
        self.origin.environment()
    }

    /// Returns the application that the access token was issued to.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the tenant in which the access token is valid.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Returns the scopes for which the access token is valid, separated by blanks.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the access token.
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// Returns the time at which the access token was asked for.
    pub fn cached_at(&self) -> SystemTime {
        self.cached_at
    }

    /// Returns the time of the access token's expiry.
    pub fn expires_on(&self) -> SystemTime {
        self.expires_on
    }

    /// Returns the time from which the access token should be refreshed, if the server sent one.
    pub fn refresh_on(&self) -> Option<SystemTime> {
        self.refresh_on
    }

    /// Returns the new refresh token, if the server sent one.
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    pub(super) fn sign_in(&self) -> Option<&SignIn> {
        match &self.origin {
            Origin::SignedIn(sign_in) => Some(sign_in),
            Origin::Redeemed(_) | Origin::RedeemedElsewhere(_) => None,
        }
    }
}
