use std::borrow::Cow;
use std::fmt;

use token_credential::Secret;

use super::secret::EntrySecret;
use crate::document::Entry;

/// An entry of the `IdToken` section.
pub struct IdToken<'s> {
    secret: EntrySecret<'s>,
    home_account_id: Cow<'s, str>,
    environment: Cow<'s, str>,
    client_id: Cow<'s, str>,
    realm: Cow<'s, str>,
}

impl<'s> IdToken<'s> {
    pub(crate) fn parse(json: &'s str) -> Option<Self> {
        let entry = Entry::parse(json)?;
        Some(Self {
            secret: EntrySecret::of(&entry)?,
            home_account_id: entry.non_empty("home_account_id")?,
            environment: entry.non_empty("environment")?,
            client_id: entry.non_empty("client_id")?,
            realm: entry.non_empty("realm")?,
        })
    }

    /// Returns `true` if its secret can be sent. See
    /// [`is_usable_secret`](crate::is_usable_secret).
    pub fn is_usable(&self) -> bool {
        self.secret.is_usable()
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

    /// Returns the tenant that issued it.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Returns the token, a JSON Web Token.
    pub fn secret(&self) -> &Secret {
        self.secret.get()
    }
}

impl fmt::Debug for IdToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdToken")
            .field("home_account_id", &self.home_account_id)
            .field("environment", &self.environment)
            .field("client_id", &self.client_id)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}
