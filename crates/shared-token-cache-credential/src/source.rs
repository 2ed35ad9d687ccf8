//! The engine's questions, answered for an account in a token cache.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use entra_token_endpoint::TokenEndpoint;
use msal_token_cache::Lease;
use token_credential::{AccessTokenInfo, Error, Result, TokenRequestOptions};
use token_credential_engine::{
    Call, EngineClock, Failure, Found, Freshness, Held, LeaseAttempt, OwnedCall, Seen, Source,
    Unsaved, UnsavedView, Written,
};
use tokio::time::Instant;

use crate::account_source::{Account, AccountSource};
use crate::error;
use crate::policy::access_token::{self, Query};
use crate::policy::authority::KnowsEnvironment;
use crate::policy::cache_snapshot::CacheSnapshot;
use crate::policy::call_fields;
use crate::policy::cloud_entries::CloudEntries;
use crate::policy::tenant::Tenant;
use crate::policy::unsaved::{Kept, Obtained, UnsavedResults, Usefulness};
use crate::policy::view::{ServedAccount, View};
use crate::redemption::grant::{GrantContext, RefreshTokenGrant};
use crate::state::cache::CredentialCache;
use crate::state::refusal_keys::Refusals;
use crate::state::tenant_aliases::TenantAliases;

/// An account source with the memory and the wire that its look-ups and redemptions need.
pub(crate) struct SilentSource {
    pub(crate) accounts: Arc<dyn AccountSource>,
    pub(crate) endpoint: Arc<dyn TokenEndpoint>,
    pub(crate) clock: EngineClock,
    pub(crate) aliases: TenantAliases,
    pub(crate) refusals: Refusals,
    /// The last plan, so that an unchanged account makes no other one.
    plan: ArcSwapOption<Plan>,
}

/// An account with its stamp.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) account: Arc<Account>,
    /// `None` if the account changed while it was asked for, so that no hit takes it for current.
    stamp: Option<u64>,
}

impl SilentSource {
    pub(crate) fn new(
        accounts: Arc<dyn AccountSource>,
        endpoint: Arc<dyn TokenEndpoint>,
        clock: EngineClock,
    ) -> Self {
        Self {
            accounts,
            endpoint,
            clock,
            aliases: TenantAliases::default(),
            refusals: Refusals::default(),
            plan: ArcSwapOption::empty(),
        }
    }
}

/// Returns the account that a look selected.
fn served<'v>(store: &CredentialCache, seen: &'v Seen<SilentSource>) -> Result<&'v ServedAccount> {
    let account = &seen.plan.account;
    let served = seen.view.account.as_ref();
    served.map_err(|why| {
        error::no_account(
            why,
            &store.described_location(),
            account.authority(),
            account.selector(),
        )
    })
}

impl Source for SilentSource {
    type Store = CredentialCache;
    type Plan = Plan;
    type Snapshot = CacheSnapshot;
    type View = View;
    type Unsaved = UnsavedResults;
    type Obtained = Obtained;
    type Lease = Lease;

    #[inline]
    fn tick(&self, store: &CredentialCache) -> Option<u64> {
        store.tick()
    }

    #[inline]
    fn is_current(
        &self,
        store: &CredentialCache,
        plan: &Arc<Plan>,
        snapshot: &CacheSnapshot,
        tick: Option<u64>,
    ) -> bool {
        store.is_current(snapshot, tick) && plan.stamp == Some(self.accounts.stamp(tick))
    }

    fn plan(&self) -> Result<Arc<Plan>> {
        // Before and after: an account between two stamps may be of neither, and a source may
        // return to the first one.
        let before = self.accounts.stamp(None);
        let account = self.accounts.account()?;
        let stamp = Some(before).filter(|before| self.accounts.stamp(None) == *before);
        let is_same = |known: &Plan| known.stamp == stamp && Arc::ptr_eq(&known.account, &account);
        if let Some(known) = self.plan.load_full().filter(|known| is_same(known)) {
            return Ok(known);
        }
        let mut plan = Arc::new(Plan {
            account: Arc::clone(&account),
            stamp,
        });
        // Another caller's if there is one by then: calls with two plans share no request.
        self.plan.rcu(|known| {
            if let Some(known) = known.as_ref().filter(|known| is_same(known)) {
                plan = Arc::clone(known);
            }
            Some(Arc::clone(&plan))
        });
        Ok(plan)
    }

    fn check<'c>(
        &self,
        plan: &'c Plan,
        scopes: &'c [&'c str],
        options: &'c TokenRequestOptions,
    ) -> Result<Call<'c>> {
        let tenants = plan.account.tenants();
        let call = call_fields::check(scopes, options, tenants)?;
        if let Some(asked) = options.tenant_id().filter(|asked| tenants.ignore(asked)) {
            tracing::debug!(
                asked,
                "the tenant of a call is ignored: the builder's additionally_allowed_tenants \
                 are not set"
            );
        }
        Ok(call)
    }

    async fn snapshot(
        &self,
        store: &CredentialCache,
        freshness: Freshness,
    ) -> Result<CacheSnapshot> {
        store.snapshot(freshness).await
    }

    fn drop_signed_out(
        &self,
        plan: &Plan,
        snapshot: &CacheSnapshot,
        unsaved: &Unsaved<UnsavedResults>,
        view: &UnsavedView<UnsavedResults>,
        now: SystemTime,
    ) -> bool {
        let authority = plan.account.authority();
        let entries = CloudEntries::new(&snapshot.sign_in, authority, now);
        let seen = view.before_reading();
        // An account of another cloud, which the account source named before, is in no such entry.
        let ids = seen.signed_out_accounts(|id, environment| {
            !authority.knows(environment) || entries.is_signed_in(id)
        });
        if ids.is_empty() {
            return false;
        }
        unsaved.change(|results| results.without_accounts(&ids, seen));
        true
    }

    fn view(&self, plan: &Plan, snapshot: &CacheSnapshot, now: SystemTime) -> View {
        let account = &plan.account;
        let entries = CloudEntries::new(&snapshot.sign_in, account.authority(), now);
        View::new(&entries, account.selector(), account.clients())
    }

    fn subject<'v>(&self, store: &CredentialCache, seen: &'v Seen<Self>) -> Result<&'v str> {
        Ok(&served(store, seen)?.selected.home_account_id)
    }

    fn find(
        &self,
        store: &CredentialCache,
        seen: &Seen<Self>,
        call: &Call<'_>,
        now: SystemTime,
    ) -> Result<Found> {
        let account = served(store, seen)?;
        let tenant = Tenant::new(&call.tenant, &account.selected);
        let tid = tenant.domain().and_then(|domain| self.aliases.tid(domain));
        let query = Query {
            scopes: call.scopes,
            tenant,
            tid: tid.as_deref(),
        };
        let kept = Kept::new(&seen.unsaved);
        Ok(account.criteria.find(&seen.snapshot, kept, &query, now))
    }

    async fn try_lease(
        &self,
        store: &CredentialCache,
        plan: &Plan,
        subject: &str,
        call: &OwnedCall,
        take_over: Option<Duration>,
    ) -> LeaseAttempt<Lease> {
        let Some((leases, location)) = store.leases() else {
            return LeaseAttempt::Unsupported;
        };
        // Everything that tells this work from all other on the machine.
        let mut work = vec![
            location,
            plan.account.authority().to_string(),
            subject.to_owned(),
            call.tenant().to_owned(),
        ];
        work.extend_from_slice(call.scope_set());
        let attempt = move || {
            let work: Vec<_> = work.iter().map(String::as_str).collect();
            if let Some(lease) = leases.take(&work)? {
                return Ok(LeaseAttempt::Acquired(lease));
            }
            Ok(match take_over {
                Some(after) if leases.try_take_over(&work, after)? => LeaseAttempt::TakenOver,
                _ => LeaseAttempt::Held,
            })
        };
        // A file system may take its time, so not on the executor.
        let attempt = tokio::task::spawn_blocking(attempt).await;
        let attempt: std::io::Result<_> = attempt.unwrap_or_else(|error| Err(error.into()));
        attempt.unwrap_or_else(|error| {
            tracing::debug!(%error, "no lease: other processes may redeem as well");
            LeaseAttempt::Unsupported
        })
    }

    async fn obtain(
        &self,
        store: &CredentialCache,
        unsaved: &Unsaved<UnsavedResults>,
        seen: &Seen<Self>,
        call: &OwnedCall,
        deadline: Instant,
    ) -> Result<Obtained> {
        let grant = RefreshTokenGrant::new(GrantContext {
            authority: seen.plan.account.authority(),
            selected: &served(store, seen)?.selected,
            cache: store,
            unsaved,
            endpoint: &*self.endpoint,
            clock: &self.clock,
            aliases: &self.aliases,
            refusals: &self.refusals,
            call,
            deadline,
        });
        grant.redeem(&seen.snapshot).await
    }

    fn token(obtained: &Obtained) -> Result<AccessTokenInfo> {
        if let Usefulness::Unusable(error) = &obtained.access_token {
            return Err(error.clone());
        }
        let redemption = &obtained.redemption;
        Ok(access_token::info(
            redemption.access_token(),
            Some(redemption.cached_at()),
            redemption.expires_on(),
            redemption.refresh_on(),
        ))
    }

    fn without_token(obtained: &Obtained) -> Option<Obtained> {
        let redemption = &obtained.redemption;
        redemption.refresh_token()?;
        let redemption = redemption.as_ref().clone().with_refresh_token_only();
        Some(Obtained {
            redemption: Arc::new(redemption),
            access_token: Usefulness::Outlasted,
            refuses_rivals: false,
        })
    }

    fn keep(unsaved: &UnsavedResults, obtained: &Arc<Obtained>) -> UnsavedResults {
        unsaved.with(obtained)
    }

    async fn write(
        &self,
        store: &CredentialCache,
        unsaved: &Arc<Unsaved<UnsavedResults>>,
        obtained: Arc<Obtained>,
        held: Held<Lease>,
    ) -> Written {
        store.write(unsaved, obtained, held).await
    }

    fn written(
        unsaved: &UnsavedResults,
        obtained: &Arc<Obtained>,
        written: Written,
    ) -> UnsavedResults {
        unsaved.after_write(obtained, written)
    }

    fn error(&self, plan: &Plan, failure: Failure) -> Error {
        error::of_engine(plan.account.authority(), failure)
    }

    async fn close(&self) {
        self.endpoint.close().await;
    }
}

impl fmt::Debug for SilentSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SilentSource")
            .field("accounts", &self.accounts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use entra_token_endpoint::HyperTokenEndpoint;

    use super::*;
    use crate::fixtures::authority;
    use crate::policy::account::AccountSelector;

    const CALLERS: usize = 4;

    /// An account that all callers ask for at the same time.
    #[derive(Debug)]
    struct Together(Arc<Account>, Barrier);

    impl AccountSource for Together {
        fn account(&self) -> Result<Arc<Account>> {
            self.1.wait();
            Ok(Arc::clone(&self.0))
        }

        fn stamp(&self, _: Option<u64>) -> u64 {
            0
        }
    }

    /// Otherwise their calls would share no request.
    #[test]
    fn callers_at_the_same_time_get_one_plan() {
        for _ in 0..200 {
            let account = Account::new(authority(), AccountSelector::matching(None, None));
            let accounts = Arc::new(Together(Arc::new(account), Barrier::new(CALLERS)));
            let endpoint = Arc::new(HyperTokenEndpoint::new());
            let source = SilentSource::new(accounts, endpoint, EngineClock::new(None));
            let plans: Vec<_> = std::thread::scope(|scope| {
                let callers: Vec<_> = (0..CALLERS)
                    .map(|_| scope.spawn(|| source.plan().unwrap()))
                    .collect();
                let plans = callers.into_iter().map(|caller| caller.join().unwrap());
                plans.collect()
            });
            assert!(plans.iter().all(|plan| Arc::ptr_eq(plan, &plans[0])));
        }
    }
}
