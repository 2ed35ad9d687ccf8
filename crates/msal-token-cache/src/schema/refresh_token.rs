use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use token_credential::Secret;

use super::binding::is_bound;
use super::secret::EntrySecret;
use super::time::time_of;
use super::usable::is_usable_secret;
use crate::document::Entry;

/// An entry of the `RefreshToken` section.
///
/// A refresh token belongs to an account and an application, not to a tenant or to scopes.
pub struct RefreshToken<'s> {
    entry: Entry<'s>,
    secret: EntrySecret<'s>,
    home_account_id: Cow<'s, str>,
    environment: Cow<'s, str>,
    client_id: Cow<'s, str>,
}

impl<'s> RefreshToken<'s> {
    pub(crate) fn parse(json: &'s str) -> Option<Self> {
        let entry = Entry::parse(json)?;
        Some(Self {
            secret: EntrySecret::of(&entry)?,
            home_account_id: entry.non_empty("home_account_id")?,
            environment: entry.non_empty("environment")?,
            client_id: entry.non_empty("client_id")?,
            entry,
        })
    }

    /// Returns `true` if its secret and the application's id can be sent. See
    /// [`is_usable_secret`](crate::is_usable_secret).
    pub fn is_usable(&self) -> bool {
        self.secret.is_usable() && is_usable_secret(&self.client_id)
    }

    /// Returns the entry, with the members that have no accessor here.
    pub(crate) fn entry(&self) -> &Entry<'s> {
        &self.entry
    }

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

    /// Returns the family of applications that may redeem it, if it was issued to one.
    pub fn family_id(&self) -> Option<Cow<'s, str>> {
        self.entry.non_empty("family_id")
    }

    /// Returns `true` if it belongs to more than an account and an application: to an on-behalf-of
    /// assertion, an extended cache key or anything else.
    pub fn is_partitioned(&self) -> bool {
        is_bound(&self.entry)
    }

    /// Returns the time at which it was last replaced, if the writer set it.
    pub fn last_modification_time(&self) -> Option<SystemTime> {
        time_of(&self.entry, "last_modification_time")
    }

    /// Returns the time of its expiry, if the writer set it.
    pub fn expires_on(&self) -> Option<SystemTime> {
        time_of(&self.entry, "expires_on")
    }

    /// Returns the token.
    pub fn secret(&self) -> &Secret {
        self.secret.get()
    }
}

impl fmt::Debug for RefreshToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken")
            .field("home_account_id", &self.home_account_id)
            .field("environment", &self.environment)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}
