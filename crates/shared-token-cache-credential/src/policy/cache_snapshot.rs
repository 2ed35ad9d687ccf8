//! The content of the caches of a credential at one look. Pure.

use std::sync::Arc;

use msal_token_cache::{AccessToken, Snapshot};

/// The content of the sign-in cache, and of the other one for access tokens if there is one.
#[derive(Clone, Debug)]
pub(crate) struct CacheSnapshot {
    /// Accounts, refresh tokens, ID tokens, applications and access tokens.
    pub(crate) sign_in: Arc<Snapshot>,
    /// Further access tokens of the same accounts, unless they cannot be read.
    pub(crate) access_tokens: Option<Arc<Snapshot>>,
}

impl CacheSnapshot {
    /// Returns the access tokens of an account.
    pub(crate) fn access_tokens_of<'s>(
        &'s self,
        home_account_id: &'s str,
    ) -> impl Iterator<Item = AccessToken<'s>> {
        let snapshots = self.both();
        snapshots.flat_map(move |snapshot| snapshot.access_tokens_of(home_account_id))
    }

    /// Returns the access tokens of an account that answer a call for these scopes.
    pub(crate) fn access_tokens_for<'s>(
        &'s self,
        home_account_id: &'s str,
        scopes: &'s [&'s str],
    ) -> impl Iterator<Item = AccessToken<'s>> {
        let snapshots = self.both();
        snapshots.flat_map(move |snapshot| snapshot.access_tokens_for(home_account_id, scopes))
    }

    fn both(&self) -> impl Iterator<Item = &Snapshot> {
        let others = self.access_tokens.iter();
        std::iter::once(&self.sign_in)
            .chain(others)
            .map(AsRef::as_ref)
    }
}

impl PartialEq for CacheSnapshot {
    fn eq(&self, other: &Self) -> bool {
        let version = |snapshot: &Arc<Snapshot>| snapshot.version();
        version(&self.sign_in) == version(&other.sign_in)
            && self.access_tokens.as_ref().map(version) == other.access_tokens.as_ref().map(version)
    }
}
