//! The part of a call that only reads.

use std::sync::Arc;

use token_credential::{AccessTokenInfo, Result, TokenRequestOptions};

use crate::call::{Call, OwnedCall};
use crate::clock::EngineClock;
use crate::memo::Memo;
use crate::refresh_schedule::RefreshSchedule;
use crate::shelf::Shelf;
use crate::source::{Found, Freshness, Seen, Source};

/// The reason for a redemption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A caller waits: every token that is not too old answers it.
    Answer,
    /// Callers still get the cached token: one that is also due for a refresh does not help.
    Refresh,
}

/// Everything that a look-up needs, and nothing that asks or writes.
#[derive(Debug)]
pub(crate) struct Lookup<S: Source> {
    pub(crate) source: S,
    pub(crate) clock: EngineClock,
    pub(crate) schedule: RefreshSchedule,
    shelf: Shelf<S>,
    /// The shelf for callers with Continuous Access Evaluation, if that is another one.
    cae_shelf: Option<Shelf<S>>,
}

impl<S: Source> Lookup<S> {
    pub(crate) fn new(
        source: S,
        store: S::Store,
        cae_store: Option<S::Store>,
        clock: EngineClock,
        schedule: RefreshSchedule,
    ) -> Self {
        Self {
            source,
            clock,
            schedule,
            shelf: Shelf::new(store),
            cae_shelf: cae_store.map(Shelf::new),
        }
    }

    /// Returns the shelf for callers with or without Continuous Access Evaluation.
    #[inline]
    pub(crate) fn shelf(&self, enable_cae: bool) -> &Shelf<S> {
        match &self.cae_shelf {
            Some(shelf) if enable_cae => shelf,
            _ => &self.shelf,
        }
    }

    /// Returns the memoized token of an identical call, or the part of it that `take` takes, if
    /// neither store, account nor unsaved results have changed since. Never blocks.
    #[inline]
    pub(crate) fn memoized<T>(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
        take: impl FnOnce(&AccessTokenInfo) -> T,
    ) -> Option<T> {
        if options.claims().is_some() || options.force_refresh() {
            return None;
        }
        let shelf = self.shelf(options.enable_cae());
        let memo = shelf.memo.load();
        let memo = memo.as_deref()?;
        // The tick is from before the checks, so that a later change belongs to the next.
        let tick = self.source.tick(&shelf.store);
        let now = || self.clock.now();
        let token = memo.token(scopes, options.tenant_id(), self.clock.tick(tick), now)?;
        let Seen {
            plan,
            snapshot,
            unsaved,
            ..
        } = &*memo.seen;
        let is_current = shelf.unsaved.is_at(unsaved)
            && self.source.is_current(&shelf.store, plan, snapshot, tick);
        is_current.then(|| take(token))
    }

    /// Looks at the store.
    pub(crate) async fn look(
        &self,
        shelf: &Shelf<S>,
        plan: &Arc<S::Plan>,
        freshness: Freshness,
    ) -> Result<Arc<Seen<S>>> {
        let (snapshot, unsaved, now) = loop {
            // Unsaved results first: one that moves into the store meanwhile is then in both.
            let unsaved = shelf.unsaved.view();
            let snapshot = self.source.snapshot(&shelf.store, freshness).await?;
            if let Some(memo) = &*shelf.memo.load()
                && Arc::ptr_eq(&memo.seen.plan, plan)
                && memo.seen.snapshot == snapshot
                && memo.seen.unsaved.is_of_same_time(&unsaved)
            {
                return Ok(Arc::clone(&memo.seen));
            }
            let now = self.clock.now();
            let unsaved = shelf.unsaved.complete(unsaved);
            let dropped =
                self.source
                    .drop_signed_out(plan, &snapshot, &shelf.unsaved, &unsaved, now);
            if !dropped {
                break (snapshot, unsaved, now);
            }
            // Read again: a result that has moved into the store is in neither of these two.
        };
        let seen = Arc::new(Seen {
            view: self.source.view(plan, &snapshot, now),
            plan: Arc::clone(plan),
            snapshot,
            unsaved,
        });
        shelf
            .memo
            .store(Some(Arc::new(Memo::new(Arc::clone(&seen)))));
        Ok(seen)
    }

    /// Looks for a token in a store that was looked at.
    pub(crate) fn find(&self, shelf: &Shelf<S>, seen: &Seen<S>, call: &Call<'_>) -> Result<Found> {
        self.source.find(&shelf.store, seen, call, self.clock.now())
    }

    /// Looks at the latest content for a token that serves this purpose.
    pub(crate) async fn good(
        &self,
        shelf: &Shelf<S>,
        plan: &Arc<S::Plan>,
        call: &OwnedCall,
        purpose: Purpose,
    ) -> Result<(Arc<Seen<S>>, Option<AccessTokenInfo>)> {
        let seen = self.look(shelf, plan, Freshness::Latest).await?;
        if !call.allows_cached() {
            return Ok((seen, None));
        }
        let is_good = |token: &AccessTokenInfo| {
            purpose == Purpose::Answer || self.schedule.is_current(token, self.clock.now())
        };
        let found = match call.lend(|call| self.find(shelf, &seen, call))? {
            Found::Hit(token) => Some(token).filter(is_good),
            Found::Miss(_) => None,
        };
        Ok((seen, found))
    }

    /// Looks for a cached token to hand out after a redemption that failed, which may have taken a
    /// while.
    pub(crate) async fn last_resort(
        &self,
        shelf: &Shelf<S>,
        plan: &Arc<S::Plan>,
        call: &OwnedCall,
    ) -> Option<AccessTokenInfo> {
        if !call.allows_last_resort() {
            return None;
        }
        let seen = self.look(shelf, plan, Freshness::Latest).await.ok()?;
        match call.lend(|call| self.find(shelf, &seen, call)).ok()? {
            Found::Hit(token) => Some(token),
            Found::Miss(last_resort) => last_resort,
        }
    }
}
