use std::fmt;

use zeroize::Zeroizing;

use crate::Result;

/// One item of a store that the platform has, and encrypts. Every function may block.
pub(crate) trait Item: fmt::Debug + Send + Sync {
    /// Where the item is, for messages.
    fn location(&self) -> String;

    /// The item's content; `None` if there is no such item.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if there is no such store.
    fn load(&self) -> Result<Option<Zeroizing<Vec<u8>>>>;

    /// Replaces the item's content, or makes the item, if this still is as it should be at the last
    /// moment; returns whether it was.
    fn save_if(&self, content: &[u8], is_current: &dyn Fn() -> bool) -> Result<bool>;

    /// Asks the user to unlock the item, where that is allowed: before others are kept waiting.
    fn unlock(&self) -> Result<()> {
        Ok(())
    }
}
