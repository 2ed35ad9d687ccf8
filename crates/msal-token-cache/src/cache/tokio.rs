//! The cache for callers that must not block.

use std::sync::Arc;

use super::TokenCache;
use super::freshness::Freshness;
use crate::error::{Error, ErrorKind, Result};
use crate::snapshot::Snapshot;
use crate::transaction::Transaction;

impl TokenCache {
    /// [`snapshot`](Self::snapshot) for an async caller: what is read quickly is read in place,
    /// the rest on the runtime's blocking pool. Without a tokio runtime it blocks.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was being read is kept for the next call.
    pub async fn snapshot_async(&self) -> Result<Arc<Snapshot>> {
        self.snapshot_with_async(Freshness::Recent).await
    }

    /// Returns the cache as [`snapshot_with`](Self::snapshot_with) does, for an async caller, as
    /// [`snapshot_async`](Self::snapshot_async) is for [`snapshot`](Self::snapshot).
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was being read is kept for the next call.
    pub async fn snapshot_with_async(&self, freshness: Freshness) -> Result<Arc<Snapshot>> {
        match self.0.reader.known(freshness)? {
            Some(snapshot) => Ok(snapshot),
            None => Box::pin(self.reload_async()).await,
        }
    }

    /// Boxed by its callers, so that the future of a hit stays small.
    async fn reload_async(&self) -> Result<Arc<Snapshot>> {
        if let Some(snapshot) = self.0.reader.reload_quickly()? {
            return Ok(snapshot);
        }
        let cache = self.clone();
        off_executor(self, move || cache.0.reader.reload_in_turn()).await
    }

    /// [`modify`](Self::modify) for an async caller, on the runtime's blocking pool, if the store
    /// may have to wait for something. Without a tokio runtime it blocks.
    ///
    /// # Errors
    ///
    /// As [`modify`](Self::modify).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not stop a modification that has begun.
    pub async fn modify_async<T: Send + 'static>(
        &self,
        edit: impl FnMut(&mut Transaction) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.0.reader.store.never_waits() {
            return self.modify(edit);
        }
        let cache = self.clone();
        off_executor(self, move || cache.modify(edit)).await
    }
}

async fn off_executor<T: Send + 'static>(
    cache: &TokenCache,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return work();
    };
    match runtime.spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => {
            let text = format!(
                "the runtime shut down before {} was read or written: call from within one that \
                 runs",
                cache.location()
            );
            Err(Error::new(ErrorKind::Io, text).with_source(error))
        }
    }
}
