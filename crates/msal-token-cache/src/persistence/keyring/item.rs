use std::fmt;

use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// The outcome of a load.
pub(crate) enum LoadOutcome {
    Content(Zeroizing<Vec<u8>>),
    NoItem,
    /// The platform has no such keyring here: the reason in a few words, and as an error.
    NoStore(String, Error),
}

/// An item of a platform's keyring. Every function may block.
pub(crate) trait Item: fmt::Debug + Send + Sync {
    /// Returns the location of the item, for messages.
    fn location(&self) -> String;

    /// Reads the item's content.
    ///
    /// # Errors
    ///
    /// The keyring could not be read.
    fn load(&self) -> Result<LoadOutcome>;

    /// Replaces the item's content, or creates the item, if `is_current` returns `true` right
    /// before. Returns `false` if nothing was saved.
    fn save_if(&self, content: &[u8], is_current: &dyn Fn() -> bool) -> Result<bool>;

    /// Asks the user to unlock the item, where that is allowed. Called before the lock is acquired,
    /// so that no other process waits for the user.
    fn unlock(&self) -> Result<()> {
        Ok(())
    }
}
