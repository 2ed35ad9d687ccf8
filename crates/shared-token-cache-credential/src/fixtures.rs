//! Fixtures of the unit tests of the pure parts.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use entra_token_endpoint::Authority;
use msal_token_cache::{MemoryPersistence, RedeemedToken, Redemption, Snapshot, TokenCache};
use test_support::CacheBuilder;
use token_credential::Secret;
use token_credential_engine::{Unsaved, UnsavedView, Written};

use crate::policy::displaced::Displaced;
use crate::policy::unsaved::{Kept, Obtained, UnsavedResult, UnsavedResults, Usefulness};

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const CLOUD: &str = Authority::DEFAULT;
/// The Azure CLI's id, the credential's own.
pub(crate) const CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
pub(crate) const ARM: &str = "https://management.azure.com/.default";

pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

pub(crate) fn authority() -> Authority {
    Authority::parse(CLOUD).unwrap()
}

pub(crate) fn snapshot(cache: &CacheBuilder) -> Arc<Snapshot> {
    let store = MemoryPersistence::holding(cache.to_json());
    TokenCache::new(store).snapshot().unwrap()
}

/// The cache's refresh tokens, as a redemption refers to them.
pub(crate) fn refresh_tokens(cache: &CacheBuilder) -> Vec<RedeemedToken> {
    let snapshot = snapshot(cache);
    snapshot
        .refresh_tokens()
        .map(|token| RedeemedToken::from(&token))
        .collect()
}

/// An hour's token for this account's home tenant, from redeeming `token` now.
pub(crate) fn redemption(token: &RedeemedToken, target: &str, secret: &str) -> Redemption {
    let (_, home) = token.home_account_id().split_once('.').unwrap();
    Redemption::new(
        token.clone(),
        home,
        target,
        Secret::new(secret),
        at(NOW),
        at(NOW + 3600),
    )
}

/// Unsaved results that a test changes as the engine does.
#[derive(Debug, Default)]
pub(crate) struct Memory(Unsaved<UnsavedResults>);

/// A view of them.
pub(crate) struct MemoryView(UnsavedView<UnsavedResults>);

impl MemoryView {
    pub(crate) fn kept(&self) -> Kept<'_> {
        Kept::new(&self.0)
    }

    pub(crate) fn unsaved(&self) -> &[Arc<UnsavedResult>] {
        self.kept().unsaved()
    }

    pub(crate) fn displaced(&self) -> &[Arc<Displaced>] {
        self.kept().displaced()
    }
}

impl Memory {
    pub(crate) fn view(&self) -> MemoryView {
        MemoryView(self.0.view())
    }

    pub(crate) fn complete(&self, view: MemoryView) -> MemoryView {
        MemoryView(self.0.complete(view.0))
    }

    pub(crate) fn is_at(&self, view: &MemoryView) -> bool {
        self.0.is_at(&view.0)
    }

    pub(crate) fn keep(
        &self,
        redemption: &Arc<Redemption>,
        refuses_rivals: bool,
    ) -> Arc<UnsavedResult> {
        let new = obtained(redemption, refuses_rivals);
        self.0.change(|results| results.with(&new));
        Arc::clone(self.view().unsaved().last().unwrap())
    }

    pub(crate) fn displace(&self, going: &[Displaced]) {
        self.0.change(|results| results.with_displaced(going));
    }

    pub(crate) fn written(&self, result: &UnsavedResult, written: Written) {
        let result = obtained(&result.redemption, false);
        self.0
            .change(|results| results.after_write(&result, written));
    }

    pub(crate) fn rotated(&self, redeemed: &Secret, now: SystemTime) -> Option<Secret> {
        self.0.load().rotated(redeemed, now)
    }

    pub(crate) fn drop_signed_out(
        &self,
        view: &MemoryView,
        is_signed_in: impl Fn(&str) -> bool,
    ) -> bool {
        let seen = view.0.before_reading();
        let ids = seen.signed_out_accounts(|id, _| is_signed_in(id));
        if !ids.is_empty() {
            self.0
                .change(|results| results.without_accounts(&ids, seen));
        }
        !ids.is_empty()
    }
}

fn obtained(redemption: &Arc<Redemption>, refuses_rivals: bool) -> Obtained {
    Obtained {
        redemption: Arc::clone(redemption),
        access_token: Usefulness::Usable,
        refuses_rivals,
    }
}
