use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use msal_token_cache::{Redemption, Snapshot};
use token_credential::AccessTokenInfo;

use crate::access::{Found, Query, Terms};
use crate::account::{Chosen, NotChosen, Whose, choose};
use crate::authority::Authority;

/// What this credential sees in a cache, until that or what is kept in memory changes: the account
/// that is meant, and the tokens that were asked for.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    kept: Arc<Vec<Arc<Redemption>>>,
    pub(crate) account: Result<ChosenAccount, NotChosen>,
    hot: ArcSwap<Vec<Arc<Hot>>>,
}

/// The account that is meant, and which tokens of it will do.
#[derive(Debug)]
pub(crate) struct ChosenAccount {
    pub(crate) chosen: Chosen,
    terms: Terms,
}

/// What an earlier call got, by what it asked: as it was written then, and found good.
#[derive(Debug)]
struct Hot {
    scopes: Box<[String]>,
    tenant: Option<String>,
    token: AccessTokenInfo,
    /// Until when it is handed out without a further look: then it is too old, or due for a refresh.
    until: SystemTime,
}

/// More sets of scopes and tenants than a program uses; what is not among them is looked up each time.
const MOST_HOT: usize = 32;

impl View {
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        kept: Arc<Vec<Arc<Redemption>>>,
        authority: &Authority,
        whose: &Whose,
        now: SystemTime,
    ) -> Self {
        let account = choose(&snapshot, authority, whose, now).map(|chosen| {
            let terms = Terms::new(&snapshot, authority, &chosen, now);
            ChosenAccount { chosen, terms }
        });
        Self {
            snapshot,
            kept,
            account,
            hot: ArcSwap::default(),
        }
    }

    /// Whether nothing has changed since.
    pub(crate) fn is_of(&self, snapshot: &Arc<Snapshot>, kept: &Arc<Vec<Arc<Redemption>>>) -> bool {
        Arc::ptr_eq(&self.snapshot, snapshot) && self.is_of_kept(kept)
    }

    /// Whether nothing has changed since of what is kept in memory.
    pub(crate) fn is_of_kept(&self, kept: &Arc<Vec<Arc<Redemption>>>) -> bool {
        Arc::ptr_eq(&self.kept, kept)
    }

    /// The token that an earlier call for the same scopes and tenant got, as long as nothing is to
    /// be decided about it.
    pub(crate) fn hot(
        &self,
        scopes: &[&str],
        tenant: Option<&str>,
        now: SystemTime,
    ) -> Option<AccessTokenInfo> {
        let hot = self.hot.load();
        let hot = hot.iter().find(|hot| hot.is_for(scopes, tenant))?;
        (now < hot.until).then(|| hot.token.clone())
    }

    /// Looks for a token of the account that is good for all that is asked.
    pub(crate) fn find(
        &self,
        account: &ChosenAccount,
        query: &Query<'_>,
        now: SystemTime,
    ) -> Found {
        account.terms.find(&self.snapshot, &self.kept, query, now)
    }

    /// Keeps a token at hand for the next call that asks the same, until that time.
    pub(crate) fn remember(
        &self,
        scopes: &[&str],
        tenant: Option<&str>,
        token: &AccessTokenInfo,
        until: SystemTime,
    ) {
        let new = Arc::new(Hot {
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            tenant: tenant.map(str::to_owned),
            token: token.clone(),
            until,
        });
        self.hot.rcu(|hot| {
            let others = hot.iter().filter(|hot| !hot.is_for(scopes, tenant));
            let mut hot: Vec<_> = others.take(MOST_HOT - 1).cloned().collect();
            hot.push(Arc::clone(&new));
            hot
        });
    }
}

impl Hot {
    fn is_for(&self, scopes: &[&str], tenant: Option<&str>) -> bool {
        self.scopes.iter().eq(scopes) && self.tenant.as_deref() == tenant
    }
}
