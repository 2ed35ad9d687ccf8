//! One process of the machine redeems for all that share a store.

use std::sync::Arc;
use std::time::Duration;

use token_credential::{AccessTokenInfo, Result};
use tokio::time::Instant;

use crate::call::OwnedCall;
use crate::lookup::{Lookup, Purpose};
use crate::shelf::Shelf;
use crate::source::{LeaseAttempt, Seen, Source};

/// How long a process waits for another one that has the lease and may be stopped. Then one of the
/// waiters proceeds without it.
const STALLED_HOLDER_AFTER: Duration = Duration::from_secs(2);
/// The time from one attempt to the next, each spread from half to one and a half of it.
const POLL_INTERVAL: Duration = Duration::from_millis(30);

/// The outcome of waiting for a lease.
pub(crate) enum LeaseOutcome<S: Source> {
    /// This process redeems, with the store as it was after the lease was taken, and holds the
    /// lease until the result is stored. Without one other processes may redeem as well.
    Acquired(Option<S::Lease>, Arc<Seen<S>>),
    /// Another process has stored a token meanwhile.
    TokenAppeared(AccessTokenInfo),
}

/// Waits until no other process of this user redeems for the same, or until one has stored its
/// token. `seen` is the look before, at which there was no such token.
pub(crate) async fn wait<S: Source>(
    lookup: &Lookup<S>,
    shelf: &Shelf<S>,
    mut seen: Arc<Seen<S>>,
    call: &OwnedCall,
    purpose: Purpose,
) -> Result<LeaseOutcome<S>> {
    // No other process's token answers a call that insists on a new one.
    if !call.allows_cached() {
        return Ok(LeaseOutcome::Acquired(None, seen));
    }
    let plan = Arc::clone(&seen.plan);
    let subject = lookup.source.subject(&shelf.store, &seen)?.to_owned();
    let begun = Instant::now();
    loop {
        // A waiter that has just arrived gives the holder its time, however long it has the lease.
        let has_waited = begun.elapsed() >= STALLED_HOLDER_AFTER;
        let take_over = has_waited.then_some(STALLED_HOLDER_AFTER);
        let attempt = lookup
            .source
            .try_lease(&shelf.store, &plan, &subject, call, take_over);
        let lease = match attempt.await {
            LeaseAttempt::Held => None,
            LeaseAttempt::Acquired(lease) => Some(Some(lease)),
            LeaseAttempt::TakenOver => {
                tracing::debug!("the holder of the lease makes no progress: going on without");
                Some(None)
            }
            LeaseAttempt::Unsupported => return Ok(LeaseOutcome::Acquired(None, seen)),
        };
        if lease.is_none() {
            tokio::time::sleep(POLL_INTERVAL.mul_f64(0.5 + fastrand::f64())).await;
        }
        let (latest, token) = lookup.good(shelf, &plan, call, purpose).await?;
        match (token, lease) {
            (Some(token), _) => return Ok(LeaseOutcome::TokenAppeared(token)),
            (None, Some(lease)) => return Ok(LeaseOutcome::Acquired(lease, latest)),
            (None, None) => seen = latest,
        }
    }
}
