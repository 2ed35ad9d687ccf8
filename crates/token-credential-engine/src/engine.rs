//! From a call to its token.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::process;
use std::sync::Arc;
use std::time::Duration;

use token_credential::{AccessToken, AccessTokenInfo, Error, Result, TokenRequestOptions};
use tokio::runtime::{self, Handle};
use tracing::Instrument;

use crate::background::Attempts;
use crate::call::{Call, OwnedCall};
use crate::clock::EngineClock;
use crate::lookup::{Lookup, Purpose};
use crate::redeemer::Redeemer;
use crate::refresh_schedule::{RefreshSchedule, is_fresh};
use crate::shutdown::Shutdown;
use crate::single_flight::{Outcome, SingleFlight, Waiter};
use crate::source::{Failure, Found, Freshness, Source};

/// How often a caller joins a flight whose runtime ends.
const MAX_JOINED: usize = 3;

/// The settings of an [`Engine`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// The time of day, by which tokens expire.
    pub clock: EngineClock,
    /// The time limit for obtaining a token.
    pub timeout: Duration,
    /// The time that work under way has after a close.
    pub close_grace: Duration,
    /// Whether tokens are refreshed ahead of their expiry.
    pub background_refresh: bool,
}

/// Serves tokens from a [`Source`]. Clones are cheap and share all state.
///
/// A hit takes no lock, no allocation and, within a tick of the store's clock, no system call. A
/// miss is answered by one request for all callers in the runtime, and in all processes where the
/// store has leases.
pub struct Engine<S: Source>(Arc<Inner<S>>);

#[derive(Debug)]
struct Inner<S: Source> {
    redeemer: Arc<Redeemer<S>>,
    flights: SingleFlight<FlightKey<S>, Result<AccessTokenInfo>>,
    /// `None` if nothing is refreshed ahead of its expiry.
    attempts: Option<Attempts>,
}

/// Calls with equal keys are answered by one redemption.
struct FlightKey<S: Source> {
    /// A task must not wait for one of another runtime, which may end. A forked child has the
    /// numbers of its parent's runtimes.
    runtime: (u32, runtime::Id),
    /// Compared by address, which the key keeps from being reused.
    plan: Arc<S::Plan>,
    /// The account, because another one may sign in meanwhile.
    subject: String,
    call: Arc<OwnedCall>,
}

impl<S: Source> Engine<S> {
    /// Makes an engine over a store, or over two, if callers with Continuous Access Evaluation have
    /// one of their own. Opens nothing.
    pub fn new(
        source: S,
        store: S::Store,
        cae_store: Option<S::Store>,
        settings: Settings,
    ) -> Self {
        let Settings {
            clock,
            timeout,
            close_grace,
            background_refresh,
        } = settings;
        let spread = background_refresh.then(fastrand::f64);
        let schedule = RefreshSchedule::new(spread);
        let lookup = Lookup::new(source, store, cae_store, clock, schedule);
        let redeemer = Redeemer::new(lookup, Shutdown::new(close_grace), timeout);
        Self(Arc::new(Inner {
            redeemer: Arc::new(redeemer),
            flights: SingleFlight::new(),
            attempts: background_refresh.then(Attempts::default),
        }))
    }

    /// Returns the source.
    pub fn source(&self) -> &S {
        &self.0.lookup().source
    }

    /// Gets a token.
    ///
    /// # Errors
    ///
    /// As [`get_token_info`](Self::get_token_info).
    ///
    /// # Cancel safety
    ///
    /// As [`get_token_info`](Self::get_token_info).
    #[inline]
    pub async fn get_token(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessToken> {
        let take =
            |token: &AccessTokenInfo| AccessToken::new(token.token().clone(), token.expires_on());
        if let Some(token) = self.0.lookup().memoized(scopes, options, take) {
            return Ok(token);
        }
        // Boxed, so that a hit does not carry the state of all that follows along.
        let looked_up = Box::pin(self.0.look_up(scopes, options));
        Ok(looked_up.await?.into())
    }

    /// Gets a token with its refresh time.
    ///
    /// # Errors
    ///
    /// Returns the source's error if the arguments are invalid, there is no account or no token, or
    /// the request was refused. Returns a [`Failure`] of the engine in the source's words.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A redemption that has begun goes on by itself, and its token is in the store
    /// for the next call.
    #[inline]
    pub async fn get_token_info(
        &self,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessTokenInfo> {
        if let Some(token) = self.0.lookup().memoized(scopes, options, Clone::clone) {
            return Ok(token);
        }
        Box::pin(self.0.look_up(scopes, options)).await
    }

    /// Closes the engine: no redemption begins any more, those under way have the grace, then the
    /// source is closed. Cached tokens are still handed out. Idempotent.
    ///
    /// # Cancel safety
    ///
    /// The engine stays closed when the future is dropped. Another call waits for the rest.
    pub async fn close(&self) {
        let Redeemer {
            lookup, shutdown, ..
        } = &*self.0.redeemer;
        shutdown.close(lookup.source.close()).await;
    }
}

impl<S: Source> Inner<S> {
    #[inline]
    fn lookup(&self) -> &Lookup<S> {
        &self.redeemer.lookup
    }

    /// Looks in the store, and redeems if it holds no token.
    async fn look_up(
        self: &Arc<Self>,
        scopes: &[&str],
        options: &TokenRequestOptions,
    ) -> Result<AccessTokenInfo> {
        let lookup = self.lookup();
        let plan = lookup.source.plan()?;
        let call = lookup.source.check(&plan, scopes, options)?;
        let shelf = lookup.shelf(call.enable_cae);
        let seen = lookup.look(shelf, &plan, Freshness::Recent).await?;
        // Without an account there is nothing to redeem.
        let subject = lookup.source.subject(&shelf.store, &seen)?;
        if call.allows_cached()
            && let Found::Hit(token) = lookup.find(shelf, &seen, &call)?
        {
            let now = lookup.clock.now();
            let until = lookup.schedule.current_until(&token);
            if now < until {
                shelf.memoize(&seen, scopes, options.tenant_id(), &token, [now, until]);
            } else if is_fresh(token.expires_on(), now) {
                self.refresh_ahead(&plan, subject, &call);
            }
            return Ok(token);
        }
        self.join(&plan, subject, call.to_owned_call()).await
    }

    /// Joins the redemption for this call, or begins one.
    async fn join(
        self: &Arc<Self>,
        plan: &Arc<S::Plan>,
        subject: &str,
        call: OwnedCall,
    ) -> Result<AccessTokenInfo> {
        let failed = |failure| self.redeemer.error(plan, failure);
        let call = Arc::new(call);
        for _ in 0..MAX_JOINED {
            let runtime = Handle::try_current()
                .map_err(|error| failed(Failure::NoRuntime).with_source(error))?;
            let key = FlightKey::new(&runtime, plan, subject, &call);
            match self.begin(&runtime, key, Purpose::Answer)?.await {
                Outcome::Done(redeemed) => return redeemed,
                Outcome::Panicked => return Err(failed(Failure::Panicked)),
                Outcome::Abandoned => {}
            }
        }
        Err(failed(Failure::RuntimeEnded))
    }

    /// Begins to refresh the token that such a call gets, unless that was attempted a moment ago.
    /// Never waits. Does nothing outside a runtime or after a close.
    fn refresh_ahead(self: &Arc<Self>, plan: &Arc<S::Plan>, subject: &str, call: &Call<'_>) {
        let Some(attempts) = &self.attempts else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let call = Arc::new(call.to_owned_call());
        if attempts.begin(subject, &call, self.lookup().clock.now()) {
            let key = FlightKey::new(&runtime, plan, subject, &call);
            // After a close the cached tokens are the last.
            let _: Result<_, Error> = self.begin(&runtime, key, Purpose::Refresh);
        }
    }

    /// Begins the work of this key, unless it is under way, in a task of its own: a caller that
    /// goes away takes nothing with it.
    fn begin(
        &self,
        runtime: &Handle,
        key: FlightKey<S>,
        purpose: Purpose,
    ) -> Result<Waiter<Result<AccessTokenInfo>>> {
        // Only the work counts: a caller that waits for it and is not polled delays no close.
        let Some(under_way) = self.redeemer.shutdown.begin() else {
            return Err(self.redeemer.error(&key.plan, Failure::Closed));
        };
        let (plan, call) = (Arc::clone(&key.plan), Arc::clone(&key.call));
        let (leader, waiter) = self.flights.join(key);
        if let Some(leader) = leader {
            let redeemer = Arc::clone(&self.redeemer);
            let redemption = async move {
                let redeem = redeemer.redeem(&plan, &call, purpose);
                let redeemed = redeemer.shutdown.unless_cut(redeem).await;
                leader.done(
                    redeemed
                        .unwrap_or_else(|| Err(redeemer.error(&plan, Failure::ClosedDuringCall))),
                );
                drop(under_way);
            };
            runtime.spawn(redemption.in_current_span());
        }
        Ok(waiter)
    }
}

impl<S: Source> FlightKey<S> {
    fn new(runtime: &Handle, plan: &Arc<S::Plan>, subject: &str, call: &Arc<OwnedCall>) -> Self {
        Self {
            runtime: (process::id(), runtime.id()),
            plan: Arc::clone(plan),
            subject: subject.to_owned(),
            call: Arc::clone(call),
        }
    }
}

impl<S: Source> Clone for FlightKey<S> {
    fn clone(&self) -> Self {
        Self {
            runtime: self.runtime,
            plan: Arc::clone(&self.plan),
            subject: self.subject.clone(),
            call: Arc::clone(&self.call),
        }
    }
}

impl<S: Source> PartialEq for FlightKey<S> {
    fn eq(&self, other: &Self) -> bool {
        self.runtime == other.runtime
            && Arc::ptr_eq(&self.plan, &other.plan)
            && self.subject == other.subject
            && self.call == other.call
    }
}

impl<S: Source> Eq for FlightKey<S> {}

impl<S: Source> Hash for FlightKey<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.runtime.hash(state);
        Arc::as_ptr(&self.plan).hash(state);
        self.subject.hash(state);
        self.call.hash(state);
    }
}

impl<S: Source> fmt::Debug for FlightKey<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlightKey")
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}

impl<S: Source> Clone for Engine<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Source> fmt::Debug for Engine<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("source", self.source())
            .finish_non_exhaustive()
    }
}
