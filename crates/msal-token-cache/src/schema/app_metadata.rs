use std::borrow::Cow;
use std::fmt;

use super::usable::is_usable_secret;
use crate::document::Entry;

/// An entry of the `AppMetadata` section: an application and its family.
pub struct AppMetadata<'s> {
    entry: Entry<'s>,
    environment: Cow<'s, str>,
    client_id: Cow<'s, str>,
}

impl<'s> AppMetadata<'s> {
    pub(crate) fn parse(json: &'s str) -> Option<Self> {
        let entry = Entry::parse(json)?;
        Some(Self {
            environment: entry.non_empty("environment")?,
            client_id: entry.non_empty("client_id")?,
            entry,
        })
    }

    /// Returns `true` if the application's id can be sent. See
    /// [`is_usable_secret`](crate::is_usable_secret).
    pub fn is_usable(&self) -> bool {
        is_usable_secret(&self.client_id)
    }

    /// Returns the host of the authority.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// Returns the application.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the family of applications to which it belongs, if any.
    pub fn family_id(&self) -> Option<Cow<'s, str>> {
        self.entry.non_empty("family_id")
    }
}

impl fmt::Debug for AppMetadata<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppMetadata")
            .field("environment", &self.environment)
            .field("client_id", &self.client_id)
            .field("family_id", &self.family_id())
            .finish()
    }
}
