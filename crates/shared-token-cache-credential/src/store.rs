use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use msal_token_cache::{
    Clock, ErrorKind as CacheErrorKind, Lease, Leases, Merged, Redemption, TokenCache,
};
use token_credential::{AccessTokenInfo, Result};

use crate::account::Whose;
use crate::authority::Authority;
use crate::overlay::Overlay;
use crate::unavailable::{self, NoCache};
use crate::view::{ChosenAccount, View};

/// A cache as this credential uses it: with the account that it chose there, and with what could
/// not be written.
#[derive(Debug)]
pub(crate) struct Store {
    cache: Result<TokenCache, NoCache>,
    pub(crate) overlay: Overlay,
    view: ArcSwapOption<View>,
    /// Held by the write that is under way. The others wait here, where they can be cut off, and
    /// not each on a thread of its own.
    writing: Arc<tokio::sync::Mutex<()>>,
    warned: Mutex<Vec<CacheErrorKind>>,
}

impl Store {
    pub(crate) fn new(cache: Result<TokenCache, NoCache>) -> Self {
        Self {
            cache,
            overlay: Overlay::default(),
            view: ArcSwapOption::empty(),
            writing: Arc::default(),
            warned: Mutex::default(),
        }
    }

    fn cache(&self) -> Result<&TokenCache> {
        self.cache.as_ref().map_err(NoCache::to_error)
    }

    /// Where the cache is, for messages.
    pub(crate) fn place(&self) -> String {
        match &self.cache {
            Ok(cache) => cache.location(),
            Err(none) => none.name.clone(),
        }
    }

    /// The same, with why it is there and not in a better place.
    pub(crate) fn described_place(&self) -> String {
        let cache = self.cache.as_ref().ok();
        match cache.and_then(TokenCache::explanation) {
            Some(explanation) => format!("{} ({explanation})", self.place()),
            None => self.place(),
        }
    }

    /// Where the processes that share the cache agree who redeems.
    pub(crate) fn leases(&self) -> Option<Leases> {
        self.cache.as_ref().ok()?.leases()
    }

    /// The view of the cache as it is now.
    pub(crate) async fn view(
        &self,
        authority: &Authority,
        whose: &Whose,
        clock: &dyn Clock,
    ) -> Result<Arc<View>> {
        // First what is kept: a token that moves into the store meanwhile is then in both.
        let kept = self.overlay.kept();
        let snapshot = self
            .cache()?
            .snapshot_async()
            .await
            .map_err(unavailable::unreadable)?;
        if let Some(view) = &*self.view.load()
            && view.is_of(&snapshot, &kept)
        {
            return Ok(Arc::clone(view));
        }
        let view = Arc::new(View::new(snapshot, kept, authority, whose, clock.now()));
        self.view.store(Some(Arc::clone(&view)));
        Ok(view)
    }

    /// The token that an earlier call for the same got, if neither the cache nor what is kept in
    /// memory has changed since. Never waits; for whoever has nothing at hand it looks at nothing.
    pub(crate) fn hot(
        &self,
        scopes: &[&str],
        tenant: Option<&str>,
        clock: &dyn Clock,
    ) -> Option<AccessTokenInfo> {
        let view = self.view.load();
        let view = view.as_deref()?;
        let token = view.hot(scopes, tenant, clock.now())?;
        let is_current = self.overlay.is_in(view)
            && self
                .cache
                .as_ref()
                .is_ok_and(|cache| cache.is_current(&view.snapshot));
        is_current.then_some(token)
    }

    /// The account that is meant, or why there is none.
    pub(crate) fn account<'v>(
        &self,
        view: &'v View,
        authority: &Authority,
        whose: &Whose,
    ) -> Result<&'v ChosenAccount> {
        view.account
            .as_ref()
            .map_err(|why| unavailable::no_account(why, &self.described_place(), authority, whose))
    }

    /// Puts a redemption into the cache. Where that cannot be done the overlay answers instead,
    /// and one warning per cause is given. The lease is held until it is done.
    pub(crate) async fn persist(&self, redemption: Arc<Redemption>, lease: Option<Lease>) {
        let Ok(cache) = &self.cache else { return };
        let one_at_a_time = Arc::clone(&self.writing).lock_owned().await;
        let merged = {
            let redemption = Arc::clone(&redemption);
            // They go with the write, and not with this future: a runtime that nobody drives any
            // more must hold up neither the other ones' writes nor other processes.
            let held = (one_at_a_time, lease);
            cache
                .modify_async(move |transaction| {
                    let _ = &held;
                    transaction.merge(&redemption)
                })
                .await
        };
        match merged {
            Ok(merged) => {
                if merged == Merged::SignedOut {
                    tracing::debug!("the account was signed out meanwhile; nothing was stored");
                }
                self.overlay.forget(&redemption);
            }
            Err(error) => {
                let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
                if !warned.contains(&error.kind()) {
                    warned.push(error.kind());
                    tracing::warn!(%error, "the token is kept in memory, because the token cache cannot be written");
                }
            }
        }
    }
}
