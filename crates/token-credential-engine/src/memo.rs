//! The tokens that identical calls get again, without a further look-up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use token_credential::AccessTokenInfo;

use crate::source::{Seen, Source};

/// A store at one look, with the tokens that calls found in it.
#[derive(Debug)]
pub(crate) struct Memo<S: Source> {
    pub(crate) seen: Arc<Seen<S>>,
    entries: Vec<Arc<Entry>>,
}

/// The answer to a call, under its scopes and tenant as they were written, and found valid.
#[derive(Debug)]
struct Entry {
    scopes: Box<[String]>,
    tenant: Option<String>,
    token: AccessTokenInfo,
    /// The time of the look-up. An earlier one means that the clock was set back.
    since: SystemTime,
    /// The time from which the token is too old or due for a refresh.
    until: SystemTime,
    /// The last tick in which the time of day was between both.
    seen_tick: AtomicU64,
}

/// No tick has this number.
const NEVER: u64 = u64::MAX;

/// More sets of scopes and tenants than a program uses. A further one is looked up at each call.
const CAPACITY: usize = 32;

impl<S: Source> Memo<S> {
    /// Makes a memo without tokens.
    pub(crate) fn new(seen: Arc<Seen<S>>) -> Self {
        Self {
            seen,
            entries: Vec::new(),
        }
    }

    /// Returns the token that an identical call got, unless it is too old or due for a refresh.
    /// Asks for the time of day once per tick, if there is one.
    #[inline]
    pub(crate) fn token(
        &self,
        scopes: &[&str],
        tenant: Option<&str>,
        tick: Option<u64>,
        now: impl FnOnce() -> SystemTime,
    ) -> Option<&AccessTokenInfo> {
        let mut entries = self.entries.iter();
        let entry = entries.find(|entry| entry.is_for(scopes, tenant))?;
        let is_seen = tick.is_some_and(|tick| tick == entry.seen_tick.load(Ordering::Relaxed));
        (is_seen || entry.is_good(tick, now())).then_some(&entry.token)
    }

    /// Returns the memo with one token more, for the time between these two.
    pub(crate) fn with(
        &self,
        scopes: &[&str],
        tenant: Option<&str>,
        token: &AccessTokenInfo,
        [since, until]: [SystemTime; 2],
    ) -> Self {
        let new = Arc::new(Entry {
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            tenant: tenant.map(str::to_owned),
            token: token.clone(),
            since,
            until,
            seen_tick: AtomicU64::new(NEVER),
        });
        let others = self.entries.iter();
        let others = others.filter(|entry| !entry.is_for(scopes, tenant));
        Self {
            seen: Arc::clone(&self.seen),
            entries: std::iter::once(&new)
                .chain(others)
                .take(CAPACITY)
                .cloned()
                .collect(),
        }
    }
}

impl Entry {
    #[inline]
    fn is_for(&self, scopes: &[&str], tenant: Option<&str>) -> bool {
        self.scopes.iter().eq(scopes) && self.tenant.as_deref() == tenant
    }

    #[cold]
    fn is_good(&self, tick: Option<u64>, now: SystemTime) -> bool {
        let is_good = self.since <= now && now < self.until;
        if is_good {
            self.seen_tick
                .store(tick.unwrap_or(NEVER), Ordering::Relaxed);
        }
        is_good
    }
}
