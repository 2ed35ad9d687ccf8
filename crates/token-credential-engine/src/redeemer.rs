//! The part of a call that asks for a token and writes it.

use std::sync::Arc;
use std::time::Duration;

use token_credential::{AccessTokenInfo, Error, OAuthError, Result};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::call::OwnedCall;
use crate::lease::{self, LeaseOutcome};
use crate::lookup::{Lookup, Purpose};
use crate::refresh_schedule::is_short_lived;
use crate::shelf::Shelf;
use crate::shutdown::Shutdown;
use crate::source::{Failure, Held, Seen, Source, Written};

/// How long a caller waits for its token to be in the store, too.
const WRITE_WAIT: Duration = Duration::from_millis(250);

/// A year. The sum of the present time and a longer limit may not be representable.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Gets tokens: waits for the lease, obtains, keeps, writes.
#[derive(Debug)]
pub(crate) struct Redeemer<S: Source> {
    pub(crate) lookup: Lookup<S>,
    pub(crate) shutdown: Shutdown,
    timeout: Duration,
}

/// The outcome within the time limit.
enum InTime<S: Source> {
    /// A result, to be written while the lease is held.
    Obtained(S::Obtained, Option<S::Lease>),
    /// Another process has stored a token meanwhile.
    Appeared(AccessTokenInfo),
}

impl<S: Source> Redeemer<S> {
    pub(crate) fn new(lookup: Lookup<S>, shutdown: Shutdown, timeout: Duration) -> Self {
        Self {
            lookup,
            shutdown,
            timeout,
        }
    }

    /// Gets a token that another call or process has stored meanwhile, or a new one. When that
    /// fails, gets the cached one if it is not too old.
    pub(crate) async fn redeem(
        self: &Arc<Self>,
        plan: &Arc<S::Plan>,
        call: &OwnedCall,
        purpose: Purpose,
    ) -> Result<AccessTokenInfo> {
        let shelf = self.lookup.shelf(call.enable_cae());
        let (seen, token) = match self.lookup.good(shelf, plan, call, purpose).await {
            Ok(looked) => looked,
            Err(error) if call.allows_cached() => return Err(error),
            Err(error) => return self.last_resort(shelf, plan, call, error).await,
        };
        if let Some(token) = token {
            return Ok(token);
        }
        let now = Instant::now();
        let deadline = now.checked_add(self.timeout.min(LONGEST_TIMEOUT));
        let deadline = deadline.unwrap_or(now);
        let begun = self.lookup.clock.now();
        let in_time = self.obtain(shelf, seen, call, purpose, deadline);
        let error = match timeout_at(deadline, in_time).await {
            Ok(Ok(InTime::Appeared(token))) => return Ok(token),
            // A result that was obtained in time is not lost while it is written.
            Ok(Ok(InTime::Obtained(obtained, lease))) => match S::token(&obtained) {
                Ok(token) => {
                    let now = self.lookup.clock.now().max(begun);
                    if call.allows_cached()
                        && is_short_lived(token.expires_on(), now)
                        && let Some(cached) = self.lookup.last_resort(shelf, plan, call).await
                        && cached.expires_on() > token.expires_on()
                    {
                        if let Some(rest) = S::without_token(&obtained) {
                            self.keep(shelf, call, rest, lease).await;
                        }
                        return Ok(cached);
                    }
                    self.keep(shelf, call, obtained, lease).await;
                    return Ok(token);
                }
                Err(error) => {
                    self.keep(shelf, call, obtained, lease).await;
                    error
                }
            },
            Ok(Err(error)) => error,
            Err(_) => self.error(plan, Failure::TimedOut(self.timeout)),
        };
        self.last_resort(shelf, plan, call, error).await
    }

    /// Gets the cached token after a redemption that failed with this error, unless it is too old.
    async fn last_resort(
        &self,
        shelf: &Shelf<S>,
        plan: &Arc<S::Plan>,
        call: &OwnedCall,
        error: Error,
    ) -> Result<AccessTokenInfo> {
        let Some(token) = self.lookup.last_resort(shelf, plan, call).await else {
            return Err(error);
        };
        tracing::debug!(%error, "the redemption failed");
        tracing::warn!(
            transient = error.is_transient(),
            oauth_error = error.oauth().map(OAuthError::error),
            "a redemption failed; the cached token serves until it expires"
        );
        Ok(token)
    }

    pub(crate) fn error(&self, plan: &S::Plan, failure: Failure) -> Error {
        self.lookup.source.error(plan, failure)
    }

    /// Waits for the lease and obtains a token from the store as it is then.
    async fn obtain(
        &self,
        shelf: &Shelf<S>,
        seen: Arc<Seen<S>>,
        call: &OwnedCall,
        purpose: Purpose,
        deadline: Instant,
    ) -> Result<InTime<S>> {
        let (lease, seen) = match lease::wait(&self.lookup, shelf, seen, call, purpose).await? {
            LeaseOutcome::Acquired(lease, seen) => (lease, seen),
            LeaseOutcome::TokenAppeared(token) => return Ok(InTime::Appeared(token)),
        };
        let source = &self.lookup.source;
        let obtained = source.obtain(&shelf.store, &shelf.unsaved, &seen, call, deadline);
        Ok(InTime::Obtained(obtained.await?, lease))
    }

    /// Keeps a result in memory at once, and writes it in a task of its own, for which the caller
    /// waits only a moment. The lease ends with the write.
    async fn keep(
        self: &Arc<Self>,
        shelf: &Shelf<S>,
        call: &OwnedCall,
        obtained: S::Obtained,
        lease: Option<S::Lease>,
    ) {
        let obtained = Arc::new(obtained);
        shelf.unsaved.change(|unsaved| S::keep(unsaved, &obtained));
        let redeemer = Arc::clone(self);
        let enable_cae = call.enable_cae();
        let continued = self.shutdown.continued();
        let write = async move {
            let shelf = redeemer.lookup.shelf(enable_cae);
            let write = redeemer.write(shelf, obtained, lease);
            redeemer.shutdown.unless_cut(write).await;
            drop(continued);
        };
        let write = tokio::spawn(write.in_current_span());
        // A write that takes longer goes on by itself.
        let _ = tokio::time::timeout(WRITE_WAIT, write).await;
    }

    async fn write(&self, shelf: &Shelf<S>, obtained: Arc<S::Obtained>, lease: Option<S::Lease>) {
        let turn = Arc::clone(&shelf.writing).lock_owned().await;
        let held = Held::new(turn, lease);
        let source = &self.lookup.source;
        let write = source.write(&shelf.store, &shelf.unsaved, Arc::clone(&obtained), held);
        let written = write.await;
        if written != Written::NotStored {
            shelf
                .unsaved
                .change(|unsaved| S::written(unsaved, &obtained, written));
        }
    }
}
