//! What calls that ask the same as an earlier one get.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use msal_token_cache::identifier::is_same_tenant;
use token_credential::AccessTokenInfo;

use crate::view::View;

/// A view, and the tokens that calls found in it.
#[derive(Debug)]
pub(crate) struct Hot {
    pub(crate) view: Arc<View>,
    slots: Vec<Arc<Slot>>,
}

/// What a call got, by what it asked: the scopes as they were written then, and found good.
#[derive(Debug)]
struct Slot {
    scopes: Box<[String]>,
    tenant: Option<String>,
    token: AccessTokenInfo,
    /// From when, and until when, it is handed out without a further look: then it is too old, or due
    /// for a refresh. Before that the clock was set back, and its end may be no longer true.
    since: SystemTime,
    until: SystemTime,
    /// The tick in which that time was last seen not to have come; [`NEVER`] before.
    looked: AtomicU64,
}

const NEVER: u64 = u64::MAX;

/// More sets of scopes and tenants than a program uses; what is not among them is looked up each
/// time.
const MOST_SLOTS: usize = 32;

impl Hot {
    /// A view that nobody has found anything in yet.
    pub(crate) fn new(view: Arc<View>) -> Self {
        Self {
            view,
            slots: Vec::new(),
        }
    }

    /// The token that an earlier call for the same scopes and tenant got, as long as nothing is to
    /// be decided about it. The time of day is asked for once per tick, if there is one.
    pub(crate) fn token(
        &self,
        scopes: &[&str],
        tenant: Option<&str>,
        tick: Option<u64>,
        now: impl FnOnce() -> SystemTime,
    ) -> Option<&AccessTokenInfo> {
        let slot = self.slots.iter().find(|slot| slot.is_for(scopes, tenant))?;
        let has_looked = tick.is_some_and(|tick| tick == slot.looked.load(Ordering::Relaxed));
        (has_looked || slot.is_good(tick, now())).then_some(&slot.token)
    }

    /// The same with one token more, between these times.
    pub(crate) fn with(
        &self,
        scopes: &[&str],
        tenant: Option<&str>,
        token: &AccessTokenInfo,
        [since, until]: [SystemTime; 2],
    ) -> Self {
        let new = Arc::new(Slot {
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            tenant: tenant.map(str::to_owned),
            token: token.clone(),
            since,
            until,
            looked: AtomicU64::new(NEVER),
        });
        let others = self.slots.iter();
        let others = others.filter(|slot| !slot.is_for(scopes, tenant)).cloned();
        Self {
            view: Arc::clone(&self.view),
            slots: std::iter::once(new)
                .chain(others)
                .take(MOST_SLOTS)
                .collect(),
        }
    }
}

impl Slot {
    fn is_for(&self, scopes: &[&str], tenant: Option<&str>) -> bool {
        self.scopes.iter().eq(scopes)
            && match (self.tenant.as_deref(), tenant) {
                (Some(own), Some(asked)) => is_same_tenant(own, asked),
                (own, asked) => own == asked,
            }
    }

    #[cold]
    fn is_good(&self, tick: Option<u64>, now: SystemTime) -> bool {
        let is_good = self.since <= now && now < self.until;
        if is_good {
            self.looked.store(tick.unwrap_or(NEVER), Ordering::Relaxed);
        }
        is_good
    }
}
