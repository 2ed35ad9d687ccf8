//! What the unit tests of the pure parts share.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use msal_token_cache::{MemoryPersistence, RedeemedToken, Redemption, Snapshot, TokenCache};
use test_support::CacheBuilder;
use token_credential::Secret;

use crate::authority::Authority;

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
