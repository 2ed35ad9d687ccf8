use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use msal_token_cache::{ErrorKind as CacheErrorKind, Freshness, Lease, Leases, Merged, TokenCache};
use token_credential::{AccessTokenInfo, Result};

use crate::account::Whose;
use crate::authority::Authority;
use crate::displaced::Displaced;
use crate::hot::Hot;
use crate::overlay::{Overlay, Unsaved};
use crate::reading::Reading;
use crate::unavailable::{self, NoCache};
use crate::view::{ChosenAccount, View};
use crate::wall_clock::WallClock;

/// A cache as this credential uses it: with the account that it chose there, and with what could
/// not be written.
#[derive(Debug)]
pub(crate) struct Store {
    cache: Result<TokenCache, NoCache>,
    pub(crate) overlay: Arc<Overlay>,
    hot: ArcSwapOption<Hot>,
    /// Held by the write that is under way. The others wait here, where they can be cut off, and
    /// not each on a thread of its own.
    writing: Arc<tokio::sync::Mutex<()>>,
    warned: Mutex<Vec<CacheErrorKind>>,
}

impl Store {
    pub(crate) fn new(cache: Result<TokenCache, NoCache>) -> Self {
        Self {
            cache,
            overlay: Arc::default(),
            hot: ArcSwapOption::empty(),
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

    /// The view of the cache, as it is now or was a moment ago.
    pub(crate) async fn view(
        &self,
        freshness: Freshness,
        authority: &Authority,
        whose: &Whose,
        clock: &WallClock,
    ) -> Result<Arc<View>> {
        // First what is kept: a token that moves into the store meanwhile is then in both.
        let kept = self.overlay.kept();
        let cache = self.cache()?;
        let snapshot = cache.snapshot_with_async(freshness).await;
        let snapshot = snapshot.map_err(unavailable::unreadable)?;
        if let Some(hot) = &*self.hot.load()
            && hot.view.is_of(&snapshot, &kept)
        {
            return Ok(Arc::clone(&hot.view));
        }
        let reading = Reading::new(&snapshot, authority, clock.now());
        let mut kept = self.overlay.after_reading(kept);
        if self
            .overlay
            .forget_signed_out(&kept, |id| reading.is_signed_in(id))
        {
            kept = self.overlay.kept();
        }
        let view = Arc::new(View::new(&snapshot, kept, &reading, whose));
        self.hot.store(Some(Arc::new(Hot::new(Arc::clone(&view)))));
        Ok(view)
    }

    /// The token that an earlier call for the same got, if neither the cache nor what is kept in
    /// memory has changed since; of it, what the caller takes. Never waits; for whoever has nothing
    /// at hand it looks at nothing.
    pub(crate) fn hot<T>(
        &self,
        scopes: &[&str],
        tenant: Option<&str>,
        clock: &WallClock,
        take: impl FnOnce(&AccessTokenInfo) -> T,
    ) -> Option<T> {
        let hot = self.hot.load();
        let hot = hot.as_deref()?;
        let cache = self.cache.as_ref().ok()?;
        let tick = cache.tick();
        let token = hot.token(scopes, tenant, clock.tick(tick), || clock.now())?;
        let is_current =
            self.overlay.is_at(&hot.view.kept) && cache.is_current(&hot.view.snapshot, tick);
        is_current.then(|| take(token))
    }

    /// Keeps a token that was found in this view at hand for the next call that asks the same,
    /// until that time.
    pub(crate) fn remember(
        &self,
        view: &Arc<View>,
        scopes: &[&str],
        tenant: Option<&str>,
        token: &AccessTokenInfo,
        times: [SystemTime; 2],
    ) {
        self.hot.rcu(|hot| {
            let hot = hot.as_ref()?;
            Some(if Arc::ptr_eq(&hot.view, view) {
                Arc::new(hot.with(scopes, tenant, token, times))
            } else {
                Arc::clone(hot)
            })
        });
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

    /// Puts a result into the cache, and what it displaces there into memory. Where that cannot be
    /// done the overlay answers instead, and one warning per cause is given. The lease is held until
    /// it is done.
    pub(crate) async fn persist(&self, result: Arc<Unsaved>, lease: Option<Lease>) {
        let Ok(cache) = &self.cache else { return };
        let one_at_a_time = Arc::clone(&self.writing).lock_owned().await;
        let merged = {
            let (result, overlay) = (Arc::clone(&result), Arc::clone(&self.overlay));
            // They go with the write, and not with this future: a runtime that nobody drives any
            // more must hold up neither the other ones' writes nor other processes.
            let held = (one_at_a_time, lease);
            cache
                .modify_async(move |transaction| {
                    let _ = &held;
                    let redemption = &result.redemption;
                    let mut going = Vec::new();
                    let merged = transaction.merge_displacing(redemption, |entry| {
                        going.extend(Displaced::of_entry(entry, redemption.cached_at()));
                    })?;
                    if !result.refuses_rivals {
                        // Before they go, so that no reader finds them in neither place.
                        overlay.displace(&going);
                    }
                    Ok(merged)
                })
                .await
        };
        match merged {
            Ok(Merged::SignedOut) => {
                tracing::debug!("the account was signed out meanwhile; nothing was stored");
                self.overlay.signed_out(&result);
            }
            Ok(_) => self.overlay.stored(&result),
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
