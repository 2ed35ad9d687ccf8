//! A store whose panics fail the call, and not its caller.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result};
use crate::fs::stamp::Stamp;
use crate::persistence::{Loaded, Persistence, StoreLock};

/// A store whose panics are errors, or absent values if the function cannot return an error.
pub(super) struct Guarded(Box<dyn Persistence>);

impl Guarded {
    pub(super) fn new(persistence: impl Persistence + 'static) -> Self {
        Self(Box::new(persistence))
    }

    pub(super) fn location(&self) -> String {
        let unknown = || "a place that its store does not tell".to_owned();
        self.ask(|store| store.location()).unwrap_or_else(unknown)
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.ask(|store| store.is_encrypted()).unwrap_or(false)
    }

    pub(super) fn note(&self) -> Option<String> {
        self.ask(|store| store.note()).flatten()
    }

    #[inline]
    pub(super) fn tick(&self) -> Option<u64> {
        self.ask(|store| store.tick()).flatten()
    }

    #[cfg(feature = "tokio")]
    pub(super) fn is_nonblocking(&self) -> bool {
        self.ask(|store| store.is_nonblocking()).unwrap_or(false)
    }

    pub(super) fn lease_folder(&self) -> Option<PathBuf> {
        self.ask(|store| store.lease_folder()).flatten()
    }

    pub(super) fn max_bytes(&self) -> Option<u64> {
        self.ask(|store| store.max_bytes()).flatten()
    }

    pub(super) fn stamp(&self) -> Result<Option<Stamp>> {
        self.call("stamp", |store| store.stamp())
    }

    pub(super) fn quick_stamp(&self) -> Result<Option<Stamp>> {
        self.call("quick_stamp", |store| store.quick_stamp())
    }

    pub(super) fn load(&self) -> Result<Option<Loaded>> {
        self.call("load", |store| store.load())
    }

    pub(super) fn load_quickly(&self) -> Option<Result<Option<Loaded>>> {
        let loaded = self.call("load_quickly", |store| store.load_quickly().transpose());
        loaded.transpose()
    }

    pub(super) fn lock(&self) -> Result<GuardedLock> {
        let lock = self.call("lock", |store| store.lock())?;
        Ok(GuardedLock(Some(lock)))
    }

    pub(super) fn save_if(
        &self,
        content: &[u8],
        is_current: &dyn Fn() -> bool,
    ) -> Result<Option<Stamp>> {
        self.call("save_if", |store| store.save_if(content, is_current))
    }

    /// Returns the store's answer; `None` if it panicked.
    #[inline]
    fn ask<T>(&self, ask: impl FnOnce(&dyn Persistence) -> T) -> Option<T> {
        caught(|| ask(&*self.0))
    }

    fn call<T>(&self, what: &str, call: impl FnOnce(&dyn Persistence) -> Result<T>) -> Result<T> {
        // What the panic said may hold a secret.
        self.ask(call).unwrap_or_else(|| {
            let text = format!(
                "the store of {} panicked in `{what}`: correct this implementation of Persistence, \
                 or use another store",
                self.location()
            );
            Err(Error::new(ErrorKind::Io, text))
        })
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The lock of such a store.
pub(super) struct GuardedLock(Option<Box<dyn StoreLock>>);

impl GuardedLock {
    /// Returns `false` if the lock panics: then nothing is written.
    pub(super) fn is_held(&self) -> bool {
        let lock = self.0.as_ref();
        lock.is_some_and(|lock| caught(|| lock.is_held()).unwrap_or(false))
    }
}

impl Drop for GuardedLock {
    fn drop(&mut self) {
        let lock = self.0.take();
        let _ = caught(|| drop(lock));
    }
}

/// Returns the function's result; `None` if it panics. Only the store's own state can be half
/// changed then.
#[inline]
fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}
