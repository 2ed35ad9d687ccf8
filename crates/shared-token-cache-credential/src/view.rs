use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use msal_token_cache::{Redemption, Snapshot};
use token_credential::AccessTokenInfo;

use crate::access::{Found, Query, Terms, is_fresh};
use crate::account::{Chosen, NotChosen, Whose, choose};
use crate::authority::Authority;

/// What this credential sees in a cache, until that or what is kept in memory changes: the account
/// that is meant, and the tokens that were asked for.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    kept: Arc<Vec<Arc<Redemption>>>,
    pub(crate) account: Result<ChosenAccount, NotChosen>,
    /// The scopes and tenants of earlier calls, with what they got.
    hot: ArcSwap<Vec<Hot>>,
}

/// The account that is meant, and which tokens of it will do.
#[derive(Debug)]
pub(crate) struct ChosenAccount {
    pub(crate) chosen: Chosen,
    terms: Terms,
}

#[derive(Clone, Debug)]
struct Hot {
    scopes: Arc<[String]>,
    tenant: Arc<str>,
    token: AccessTokenInfo,
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
        Arc::ptr_eq(&self.snapshot, snapshot) && Arc::ptr_eq(&self.kept, kept)
    }

    /// The token that an earlier call for the same scopes and tenant got, if it is still to be
    /// handed out.
    pub(crate) fn hot(
        &self,
        scopes: &[&str],
        tenant: &str,
        now: SystemTime,
    ) -> Option<AccessTokenInfo> {
        let hot = self.hot.load();
        let hot = hot.iter().find(|hot| hot.is_for(scopes, tenant))?;
        is_fresh(hot.token.expires_on(), now).then(|| hot.token.clone())
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

    /// Keeps a token at hand for the next call for the same scopes and tenant.
    pub(crate) fn remember(&self, scopes: &[&str], tenant: &str, token: &AccessTokenInfo) {
        let new = Hot {
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            tenant: tenant.into(),
            token: token.clone(),
        };
        self.hot.rcu(|hot| {
            let others = hot.iter().filter(|hot| !hot.is_for(scopes, tenant));
            let mut hot: Vec<_> = others.take(MOST_HOT - 1).cloned().collect();
            hot.push(new.clone());
            hot
        });
    }
}

impl Hot {
    fn is_for(&self, scopes: &[&str], tenant: &str) -> bool {
        self.scopes.iter().eq(scopes) && *self.tenant == *tenant
    }
}
