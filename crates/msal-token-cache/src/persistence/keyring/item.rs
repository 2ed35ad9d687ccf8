use std::fmt;

use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// The outcome of a load.
pub(crate) enum LoadOutcome {
    Content(Zeroizing<Vec<u8>>),
    NoItem,
    /// There is no such store here: why, in a few words, and as an error for whoever needs it.
    NoStore(String, Error),
}

/// One item of a store that the platform has, and encrypts. Every function may block.
pub(crate) trait Item: fmt::Debug + Send + Sync {
    /// Where the item is, for messages.
    fn location(&self) -> String;

    /// Reads the item's content, if there is some.
    ///
    /// # Errors
    ///
    /// There is such a store, and it could not be read.
    fn load(&self) -> Result<LoadOutcome>;

    /// Replaces the item's content, or makes the item, if this still is as it should be at the last
    /// moment; returns whether it was.
    fn save_if(&self, content: &[u8], is_current: &dyn Fn() -> bool) -> Result<bool>;

    /// Asks the user to unlock the item, where that is allowed: before others are kept waiting.
    fn unlock(&self) -> Result<()> {
        Ok(())
    }
}
