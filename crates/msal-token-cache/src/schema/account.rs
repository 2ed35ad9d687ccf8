use std::borrow::Cow;
use std::fmt;

use crate::document::Entry;

/// An entry of the `Account` section: an account as it is known in one tenant.
///
/// One account may have several entries, one per tenant that it was used in; they have the
/// `home_account_id` in common.
pub struct Account<'s> {
    entry: Entry<'s>,
    home_account_id: Cow<'s, str>,
    environment: Cow<'s, str>,
}

impl<'s> Account<'s> {
    pub(crate) fn parse(json: &'s str) -> Option<Self> {
        let entry = Entry::parse(json)?;
        Some(Self {
            home_account_id: entry.non_empty("home_account_id")?,
            environment: entry.non_empty("environment")?,
            entry,
        })
    }

    /// Returns the entry, with the members that have no accessor here.
    pub(crate) fn entry(&self) -> &Entry<'s> {
        &self.entry
    }

    /// Who it is: `uid.utid` of the account's home tenant.
    pub fn home_account_id(&self) -> &str {
        &self.home_account_id
    }

    /// The host of the authority that knows it.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// The tenant that this entry speaks of; empty when the entry does not say.
    pub fn realm(&self) -> Cow<'s, str> {
        self.entry.text("realm").unwrap_or_default()
    }

    /// The account's id in that tenant.
    pub fn local_account_id(&self) -> Option<Cow<'s, str>> {
        self.entry.non_empty("local_account_id")
    }

    /// The name it signs in with, if it is known.
    pub fn username(&self) -> Option<Cow<'s, str>> {
        self.entry.non_empty("username")
    }

    /// The kind of authority, `MSSTS` or `ADFS`.
    pub fn authority_type(&self) -> Option<Cow<'s, str>> {
        self.entry.non_empty("authority_type")
    }

    /// How it signed in; `broker` has no refresh token here.
    pub fn account_source(&self) -> Option<Cow<'s, str>> {
        self.entry.non_empty("account_source")
    }
}

impl fmt::Debug for Account<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("home_account_id", &self.home_account_id)
            .field("environment", &self.environment)
            .field("realm", &self.realm())
            .finish_non_exhaustive()
    }
}
