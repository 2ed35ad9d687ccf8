//! The caches of a credential, with their settings.

use std::sync::{Arc, Mutex, PoisonError};

use msal_token_cache::{ErrorKind as CacheErrorKind, Lease, Leases, Merged, TokenCache};
use token_credential::Result;
use token_credential_engine::{Freshness, Held, Unsaved, Written};

use crate::caches::Caches;
use crate::error;
use crate::policy::cache_snapshot::CacheSnapshot;
use crate::policy::displaced::Displaced;
use crate::policy::unsaved::{Obtained, UnsavedResults};

/// The caches for callers with or without Continuous Access Evaluation.
#[derive(Debug)]
pub(crate) struct CredentialCache {
    caches: Caches,
    unread: Warned,
    unwritten: Warned,
}

/// The causes of which a warning was given.
#[derive(Debug, Default)]
struct Warned(Mutex<Vec<CacheErrorKind>>);

impl Warned {
    /// Returns `true` for the first error of its kind.
    fn is_first(&self, kind: CacheErrorKind) -> bool {
        let mut warned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = !warned.contains(&kind);
        if is_first {
            warned.push(kind);
        }
        is_first
    }
}

impl CredentialCache {
    pub(crate) fn new(caches: Caches) -> Self {
        Self {
            caches,
            unread: Warned::default(),
            unwritten: Warned::default(),
        }
    }

    /// Returns `true` if requests declare the client capability `cp1`.
    pub(crate) fn sends_cp1(&self) -> bool {
        self.caches.sends_cp1
    }

    /// Returns `true` if new tokens are stored in another cache than the sign-in.
    pub(crate) fn stores_apart(&self) -> bool {
        self.caches.access_tokens.is_some()
    }

    /// Returns the location of the sign-in cache, for messages.
    pub(crate) fn location(&self) -> String {
        match &self.caches.sign_in {
            Ok(cache) => cache.location(),
            Err(missing) => missing.name.clone(),
        }
    }

    /// Returns the location of the sign-in cache with the reason why it is there and not in a
    /// better place.
    pub(crate) fn described_location(&self) -> String {
        let cache = self.caches.sign_in.as_ref().ok();
        match cache.and_then(TokenCache::note) {
            Some(note) => format!("{} ({note})", self.location()),
            None => self.location(),
        }
    }

    /// Returns the leases of the cache that results are written to, and its location.
    pub(crate) fn leases(&self) -> Option<(Leases, String)> {
        let cache = self.written_cache()?;
        Some((cache.leases()?, cache.location()))
    }

    /// Returns the sign-in cache's coarse counter.
    #[inline]
    pub(crate) fn tick(&self) -> Option<u64> {
        self.caches.sign_in.as_ref().ok()?.tick()
    }

    /// Returns `true` if this is still the content of the caches.
    #[inline]
    pub(crate) fn is_current(&self, snapshot: &CacheSnapshot, tick: Option<u64>) -> bool {
        let is_current = |cache: &TokenCache| cache.is_current(&snapshot.sign_in, tick);
        self.caches.sign_in.as_ref().is_ok_and(is_current)
            && match (&self.caches.access_tokens, &snapshot.access_tokens) {
                (None, _) => true,
                // Its counter may be of another kind.
                (Some(cache), Some(snapshot)) => cache.is_current(snapshot, cache.tick()),
                // It could not be read.
                (Some(_), None) => false,
            }
    }

    /// Reads the caches. Without the cache for access tokens the sign-in is still good, so an error
    /// of that one is a warning, once per cause.
    pub(crate) async fn snapshot(&self, freshness: Freshness) -> Result<CacheSnapshot> {
        let freshness = match freshness {
            Freshness::Recent => msal_token_cache::Freshness::Recent,
            Freshness::Latest => msal_token_cache::Freshness::Latest,
        };
        let sign_in = self.caches.sign_in.as_ref().map_err(error::no_cache)?;
        let sign_in = sign_in.snapshot_with_async(freshness).await;
        let sign_in = sign_in.map_err(error::unreadable)?;
        let access_tokens = match &self.caches.access_tokens {
            Some(cache) => {
                let snapshot = cache.snapshot_with_async(freshness).await;
                snapshot.map_err(|error| self.warn_unread(&error)).ok()
            }
            None => None,
        };
        Ok(CacheSnapshot {
            sign_in,
            access_tokens,
        })
    }

    fn warn_unread(&self, error: &msal_token_cache::Error) {
        if self.unread.is_first(error.kind()) {
            tracing::warn!(%error, "the cache for access tokens cannot be read, and is left out");
        }
    }

    /// Writes a result, and keeps the tokens that it displaces. Warns once per cause if it cannot.
    pub(crate) async fn write(
        &self,
        unsaved: &Arc<Unsaved<UnsavedResults>>,
        result: Arc<Obtained>,
        held: Held<Lease>,
    ) -> Written {
        let Some(cache) = self.written_cache() else {
            return Written::NotStored;
        };
        let unsaved = Arc::clone(unsaved);
        let merged = cache.modify_async(move |transaction| {
            // They end with the write, and not with this future: an abandoned runtime must block
            // neither the other runtimes' writes nor other processes.
            let _ = &held;
            let redemption = &result.redemption;
            let mut going = Vec::new();
            let merged = transaction.merge_displacing(redemption, |entry| {
                going.extend(Displaced::of_entry(entry, redemption.cached_at()));
            })?;
            if !result.refuses_rivals && !going.is_empty() {
                // Before they go, so that no reader finds them in neither place.
                unsaved.change(|results| results.with_displaced(&going));
            }
            Ok(merged)
        });
        match merged.await {
            Ok(Merged::SignedOut) => {
                tracing::debug!("the account was signed out meanwhile; nothing was stored");
                Written::SignedOut
            }
            Ok(Merged::StoredInPart) => Written::InPart,
            // Only a rotated refresh token, which belongs in the other cache.
            Ok(Merged::Dropped) => Written::NotStored,
            Ok(_) => Written::Stored,
            Err(error) => {
                if self.unwritten.is_first(error.kind()) {
                    tracing::warn!(%error, "the token is kept in memory, because the token cache cannot be written");
                }
                Written::NotStored
            }
        }
    }

    fn written_cache(&self) -> Option<&TokenCache> {
        let other = self.caches.access_tokens.as_ref();
        other.or_else(|| self.caches.sign_in.as_ref().ok())
    }
}
