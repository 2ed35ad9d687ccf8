//! The cache for callers that must not block.

use std::sync::Arc;

use super::TokenCache;
use super::freshness::Freshness;
use crate::error::{Error, ErrorKind, Result};
use crate::snapshot::Snapshot;
use crate::transaction::Transaction;

impl TokenCache {
    /// Returns the cache, as [`snapshot`](Self::snapshot), for an async caller. A quick read is done
    /// in place, another one on the runtime's blocking pool. Without a tokio runtime it blocks.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the next call gets the result of the read.
    pub async fn snapshot_async(&self) -> Result<Arc<Snapshot>> {
        self.snapshot_with_async(Freshness::Recent).await
    }

    /// Returns the cache, as [`snapshot_with`](Self::snapshot_with), for an async caller. It reads as
    /// [`snapshot_async`](Self::snapshot_async) does.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the next call gets the result of the read.
    pub async fn snapshot_with_async(&self, freshness: Freshness) -> Result<Arc<Snapshot>> {
        match self.0.reader.known(freshness)? {
            Some(snapshot) => Ok(snapshot),
            None => Box::pin(self.reload_async()).await,
        }
    }

    /// Reads the store. Its callers box it, so that the future of a hit stays small.
    async fn reload_async(&self) -> Result<Arc<Snapshot>> {
        if let Some(snapshot) = self.0.reader.reload_quickly()? {
            return Ok(snapshot);
        }
        let cache = self.clone();
        off_executor(self, move || cache.0.reader.reload_in_turn()).await
    }

    /// Changes the cache, as [`modify`](Self::modify), for an async caller: on the runtime's blocking
    /// pool, if the store may have to wait. Without a tokio runtime it blocks.
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
        if self.0.reader.store.is_nonblocking() {
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
