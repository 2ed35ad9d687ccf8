use std::fmt;
use std::sync::Arc;

use crate::document::{Edits, Entry, Section};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::cloud::same_cloud;
use crate::snapshot::Snapshot;

/// Edits on top of the latest content of a cache, while the lock is held.
///
/// The rest is kept as it was found, byte for byte.
pub struct Transaction {
    base: Arc<Snapshot>,
    current: Arc<Snapshot>,
}

impl Transaction {
    pub(crate) fn on(base: Arc<Snapshot>) -> Self {
        Self {
            current: Arc::clone(&base),
            base,
        }
    }

    /// Returns the content with the edits so far.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.current
    }

    /// Returns `true` if the edits changed anything.
    pub(crate) fn is_changed(&self) -> bool {
        self.current.version() != self.base.version()
    }

    /// Removes an account in a cloud with all its tokens, as a sign-out does. Malformed entries of the
    /// account, which no query shows, go as well.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if the edited text would not be a cache any more.
    pub fn remove_account(&mut self, home_account_id: &str, environment: &str) -> Result<()> {
        let mut edits = Edits::default();
        for section in [
            Section::AccessToken,
            Section::RefreshToken,
            Section::IdToken,
            Section::Account,
        ] {
            let document = self.current.document();
            for (position, json) in document.entries_of(section, home_account_id) {
                if Entry::parse(json)
                    .and_then(|entry| entry.text("environment"))
                    .is_some_and(|host| same_cloud(&host, environment))
                {
                    edits.remove(section, position);
                }
            }
        }
        self.apply(&edits)
    }

    /// Applies edits to the current content.
    pub(crate) fn apply(&mut self, edits: &Edits) -> Result<()> {
        let document = self.current.document();
        if let Some(section) = edits
            .sections()
            .find(|section| document.is_malformed(*section))
        {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "the section {} of the cache is not an object",
                    section.name()
                ),
            ));
        }
        if edits.sections().next().is_some() {
            let edited = document.edited(edits).map_err(|error| {
                Error::new(
                    ErrorKind::Corrupt,
                    format!("the edited cache would be {error}"),
                )
            })?;
            self.current = Arc::new(Snapshot::of(edited));
        }
        Ok(())
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}
