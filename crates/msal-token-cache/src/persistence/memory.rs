use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::error::Result;
use crate::fs::stamp::Stamp;
use crate::persistence::{Loaded, Persistence, StoreLock};
use crate::wipe::wipe;

/// A store in this process's memory: for tests, and for programs that keep the cache elsewhere.
///
/// Clones share the content.
///
/// ```
/// use msal_token_cache::{MemoryPersistence, TokenCache};
///
/// # fn main() -> msal_token_cache::Result<()> {
/// let cache = TokenCache::new(MemoryPersistence::holding("{}"));
/// assert_eq!(cache.snapshot()?.accounts().count(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryPersistence(Arc<Shared>);

#[derive(Default)]
struct Shared {
    content: Mutex<Content>,
    writer: Mutex<Turn>,
    free: Condvar,
}

#[derive(Default)]
struct Turn {
    is_taken: bool,
    /// Counted, so that a release without waiters costs no system call.
    waiting: usize,
}

#[derive(Default)]
struct Content {
    bytes: Option<Zeroizing<Vec<u8>>>,
    version: i128,
}

impl MemoryPersistence {
    /// Creates a store without content.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a store with this content.
    pub fn holding(content: impl Into<Vec<u8>>) -> Self {
        let store = Self::new();
        store.replace(content.into());
        store
    }

    /// Returns a copy of the content; `None` before the first save.
    pub fn content(&self) -> Option<Zeroizing<Vec<u8>>> {
        lock(&self.0.content).bytes.clone()
    }

    fn replace(&self, bytes: Vec<u8>) -> Stamp {
        let (old, stamp) = {
            let mut content = lock(&self.0.content);
            content.version += 1;
            let old = content.bytes.replace(Zeroizing::new(bytes));
            (old, content.stamp())
        };
        if let Some(mut old) = old {
            wipe(std::mem::take(&mut *old));
        }
        stamp
    }
}

impl Content {
    fn stamp(&self) -> Stamp {
        Stamp::new([self.version, 0, 0, 0, 0])
    }
}

/// No invariant spans a panic here, so a poisoned lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Persistence for MemoryPersistence {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        let content = lock(&self.0.content);
        Ok(content.bytes.as_ref().map(|_| content.stamp()))
    }

    fn load(&self) -> Result<Option<Loaded>> {
        let content = lock(&self.0.content);
        let bytes = content.bytes.clone();
        Ok(bytes.map(|bytes| Loaded {
            bytes,
            stamp: content.stamp(),
        }))
    }

    fn load_quickly(&self) -> Option<Result<Option<Loaded>>> {
        Some(self.load())
    }

    fn is_nonblocking(&self) -> bool {
        true
    }

    fn lock(&self) -> Result<Box<dyn StoreLock>> {
        let mut turn = lock(&self.0.writer);
        turn.waiting += 1;
        // Not `wait_while`, which does not check the condition again after a poisoned lock.
        while turn.is_taken {
            let free = self.0.free.wait(turn);
            turn = free.unwrap_or_else(PoisonError::into_inner);
        }
        turn.waiting -= 1;
        turn.is_taken = true;
        Ok(Box::new(Writer(Arc::clone(&self.0))))
    }

    fn save(&self, content: &[u8]) -> Result<Stamp> {
        Ok(self.replace(content.to_vec()))
    }
}

struct Writer(Arc<Shared>);

impl StoreLock for Writer {
    fn is_held(&self) -> bool {
        true
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut turn = lock(&self.0.writer);
        turn.is_taken = false;
        if turn.waiting > 0 {
            self.0.free.notify_one();
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl fmt::Debug for MemoryPersistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryPersistence")
    }
}
