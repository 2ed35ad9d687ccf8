//! The seam between the engine and a credential.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use token_credential::{AccessTokenInfo, Error, Result, TokenRequestOptions};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::call::{Call, OwnedCall};
use crate::unsaved::{Unsaved, UnsavedView};

/// The age that a snapshot of the store may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Looked at within the present tick of a few milliseconds, for callers whose token is cached.
    Recent,
    /// Looked at after the call began, where the answer decides whether a request is sent.
    Latest,
}

/// The outcome of a look-up.
#[derive(Clone, Debug)]
pub enum Found {
    /// A token to hand out.
    Hit(AccessTokenInfo),
    /// No such token. One with too little time left may answer where no new one is to be had.
    Miss(Option<AccessTokenInfo>),
}

/// The outcome of an attempt to take a lease.
#[derive(Debug)]
pub enum LeaseAttempt<L> {
    /// It was free.
    Acquired(L),
    /// Another process has it.
    Held,
    /// Another process has it and this one was elected to proceed without it.
    TakenOver,
    /// The store has no leases, or they failed: other processes may redeem as well.
    Unsupported,
}

/// The outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The store holds the result.
    Stored,
    /// The store holds the access token; the rest of the result lasts in memory only.
    InPart,
    /// The store could not be written: the result lasts in memory only.
    NotStored,
    /// The account signed out meanwhile: nothing was stored, and its results in memory end.
    SignedOut,
}

/// A failure of the engine itself, which a [`Source`] puts into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A token has to be obtained, and there is no tokio runtime.
    NoRuntime,
    /// No token was obtained within the time limit of a call.
    TimedOut(Duration),
    /// The work panicked.
    Panicked,
    /// The runtime of the work ended, several times in a row.
    RuntimeEnded,
    /// The engine was closed before the call.
    Closed,
    /// The engine was closed during the call.
    ClosedDuringCall,
}

/// Rights that go with a write and end with it, also if nobody polls its future any more.
#[derive(Debug)]
pub struct Held<L> {
    /// The turn among the writes of this process.
    _turn: OwnedMutexGuard<()>,
    /// The lease among processes.
    _lease: Option<L>,
}

impl<L> Held<L> {
    pub(crate) fn new(turn: OwnedMutexGuard<()>, lease: Option<L>) -> Self {
        Self {
            _turn: turn,
            _lease: lease,
        }
    }
}

/// A store at one look: the parts that a look-up reads, which belong together.
pub struct Seen<S: Source> {
    /// The plan that the look was made for.
    pub plan: Arc<S::Plan>,
    /// The content of the store.
    pub snapshot: S::Snapshot,
    /// The knowledge beyond it.
    pub unsaved: UnsavedView<S::Unsaved>,
    /// The conclusions from all three.
    pub view: S::View,
}

impl<S: Source> fmt::Debug for Seen<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen")
            .field("plan", &self.plan)
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}

/// The parts in which one credential behind a cache differs from another.
///
/// The engine decides when to look, wait, ask, keep and write; a source decides which account,
/// which token and which request. Its functions are called from any thread.
pub trait Source: fmt::Debug + Send + Sync + Sized + 'static {
    /// One cache with its settings.
    type Store: fmt::Debug + Send + Sync;
    /// The account to serve and its settings. One look-up has one plan, whose address tells flights
    /// apart: return the same `Arc` for an unchanged plan, or identical calls share no request.
    type Plan: fmt::Debug + Send + Sync;
    /// The content of a store. Two are equal if the content is.
    type Snapshot: PartialEq + Clone + Send + Sync;
    /// The conclusions from a plan, a snapshot and the unsaved results: which account is meant.
    type View: fmt::Debug + Send + Sync;
    /// The results that a store does not hold yet, and anything else that changes with them.
    type Unsaved: fmt::Debug + Default + Send + Sync;
    /// The result of a request.
    type Obtained: fmt::Debug + Send + Sync;
    /// The right to redeem for all processes of this user.
    type Lease: Send + Sync + 'static;

    // Asked by every hit: no lock, no allocation, no system call within a tick.

    /// Returns a coarse monotonic counter, or `None` if every hit has to look.
    fn tick(&self, store: &Self::Store) -> Option<u64>;

    /// Returns `true` if plan and snapshot are still current in this tick.
    fn is_current(
        &self,
        store: &Self::Store,
        plan: &Arc<Self::Plan>,
        snapshot: &Self::Snapshot,
        tick: Option<u64>,
    ) -> bool;

    // Asked by a look-up.

    /// Returns the account to serve.
    ///
    /// # Errors
    ///
    /// Returns an error if no account can be named at present.
    fn plan(&self) -> Result<Arc<Self::Plan>>;

    /// Checks the arguments of a call.
    ///
    /// # Errors
    ///
    /// Returns an error if the arguments are invalid; nothing has been read.
    fn check<'c>(
        &self,
        plan: &'c Self::Plan,
        scopes: &'c [&'c str],
        options: &'c TokenRequestOptions,
    ) -> Result<Call<'c>>;

    /// Reads the store, off the executor if that takes its time.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no store, or it cannot be read.
    fn snapshot(
        &self,
        store: &Self::Store,
        freshness: Freshness,
    ) -> impl Future<Output = Result<Self::Snapshot>> + Send;

    /// Drops unsaved results of this view whose accounts the snapshot shows as signed out.
    /// Returns `true` if it dropped any: the store is then read again, until nothing is dropped.
    fn drop_signed_out(
        &self,
        plan: &Self::Plan,
        snapshot: &Self::Snapshot,
        unsaved: &Unsaved<Self::Unsaved>,
        view: &UnsavedView<Self::Unsaved>,
        now: SystemTime,
    ) -> bool;

    /// Draws the conclusions that every look-up in this snapshot shares.
    fn view(&self, plan: &Self::Plan, snapshot: &Self::Snapshot, now: SystemTime) -> Self::View;

    /// Returns the identifier of the account that is meant. It tells flights, leases and attempts to
    /// refresh apart.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such account, or there are several.
    fn subject<'v>(&self, store: &Self::Store, seen: &'v Seen<Self>) -> Result<&'v str>;

    /// Looks for a token of the account.
    ///
    /// # Errors
    ///
    /// As [`subject`](Self::subject).
    fn find(
        &self,
        store: &Self::Store,
        seen: &Seen<Self>,
        call: &Call<'_>,
        now: SystemTime,
    ) -> Result<Found>;

    // Asked by a miss.

    /// Takes the lease for this work if it is free. With `take_over`, asks to be elected to
    /// proceed without it, at most one process in that time.
    fn try_lease(
        &self,
        store: &Self::Store,
        plan: &Self::Plan,
        subject: &str,
        call: &OwnedCall,
        take_over: Option<Duration>,
    ) -> impl Future<Output = LeaseAttempt<Self::Lease>> + Send;

    /// Gets a new token. The future is dropped at the deadline.
    ///
    /// # Errors
    ///
    /// Returns an error if the request was refused or got no usable answer, or if there is nothing
    /// to send.
    fn obtain(
        &self,
        store: &Self::Store,
        unsaved: &Unsaved<Self::Unsaved>,
        seen: &Seen<Self>,
        call: &OwnedCall,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Obtained>> + Send;

    /// Returns the token of a result.
    ///
    /// # Errors
    ///
    /// Returns an error if the token must not be handed out. The rest of the result is kept and
    /// written all the same.
    fn token(obtained: &Self::Obtained) -> Result<AccessTokenInfo>;

    /// Returns a result without its token, because a cached one outlasts it; `None` if nothing
    /// worth keeping is left.
    fn without_token(obtained: &Self::Obtained) -> Option<Self::Obtained>;

    /// Adds a result to those that the store does not hold, in place of those that it supersedes.
    /// Runs again if another change interferes.
    fn keep(unsaved: &Self::Unsaved, obtained: &Arc<Self::Obtained>) -> Self::Unsaved;

    /// Writes a result into the store. `held` has to end with the write itself, and not with this
    /// future, so that an abandoned runtime neither blocks nor unblocks others too early.
    fn write(
        &self,
        store: &Self::Store,
        unsaved: &Arc<Unsaved<Self::Unsaved>>,
        obtained: Arc<Self::Obtained>,
        held: Held<Self::Lease>,
    ) -> impl Future<Output = Written> + Send;

    /// Returns the unsaved results after a write, unless that was [`Written::NotStored`]. Runs again
    /// if another change interferes.
    fn written(
        unsaved: &Self::Unsaved,
        obtained: &Arc<Self::Obtained>,
        written: Written,
    ) -> Self::Unsaved;

    /// Puts a failure of the engine into words.
    fn error(&self, plan: &Self::Plan, failure: Failure) -> Error;

    /// Closes the source's connections. Idempotent, because each close of the engine asks for it.
    fn close(&self) -> impl Future<Output = ()> + Send;
}
