use std::borrow::Cow;
use std::fmt;

use crate::document::Entry;

/// An entry of the `Account` section: an account in one tenant.
///
/// An account has an entry for each tenant in which it was used. They share the `home_account_id`.
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

    /// Returns the account: `uid.utid` of its home tenant.
    pub fn home_account_id(&self) -> &str {
        &self.home_account_id
    }

    /// Returns the host of its authority.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// Returns the tenant of this entry; empty if the entry has none.
    pub fn realm(&self) -> Cow<'s, str> {
        self.entry.text("realm").unwrap_or_default()
    }

    /// Returns the account's id in that tenant.
    pub fn local_account_id(&self) -> Option<Cow<'s, str>> {
        self.entry.non_empty("local_account_id")
    }

    /// Returns the name with which it signs in, if the entry has one.
    pub fn username(&self) -> Option<Cow<'s, str>> {
        self.entry.non_empty("username")
    }

    /// Returns the kind of authority, `MSSTS` or `ADFS`.
    pub fn authority_type(&self) -> Option<Cow<'s, str>> {
        self.entry.non_empty("authority_type")
    }

    /// Returns the grant type of its sign-in. An account of a `broker` has no refresh token here.
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
