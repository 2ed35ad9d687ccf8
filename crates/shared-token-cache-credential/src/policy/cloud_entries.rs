//! The entries of a snapshot that are of one authority's cloud. Pure.

use std::cell::OnceCell;
use std::time::SystemTime;

use entra_token_endpoint::Authority;
use msal_token_cache::identifier::is_same_home_account_id;
use msal_token_cache::{AppMetadata, RefreshToken, Snapshot};

use crate::policy::authority::KnowsEnvironment;

/// A snapshot that is read for an authority at some time. Entries that are asked for repeatedly are
/// parsed once.
pub(crate) struct CloudEntries<'s> {
    pub(crate) snapshot: &'s Snapshot,
    pub(crate) authority: &'s Authority,
    now: SystemTime,
    redeemable: OnceCell<Vec<RefreshToken<'s>>>,
}

impl<'s> CloudEntries<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot, authority: &'s Authority, now: SystemTime) -> Self {
        Self {
            snapshot,
            authority,
            now,
            redeemable: OnceCell::new(),
        }
    }

    /// Returns the entries of applications whose ID can be sent.
    pub(crate) fn applications(&self) -> impl Iterator<Item = AppMetadata<'s>> {
        let apps = self.snapshot.app_metadata();
        apps.filter(|app| self.authority.knows(app.environment()) && app.is_usable())
    }

    /// Returns the refresh tokens that may be redeemed at the authority: they can be sent, have not
    /// expired and are not bound to anything else.
    pub(crate) fn redeemable(&self) -> &[RefreshToken<'s>] {
        let may_be_redeemed = |token: &RefreshToken<'_>| {
            self.authority.knows(token.environment())
                && token.is_usable()
                && !token.is_partitioned()
                && token
                    .expires_on()
                    .is_none_or(|expires_on| expires_on > self.now)
        };
        self.redeemable.get_or_init(|| {
            let tokens = self.snapshot.refresh_tokens();
            tokens.filter(may_be_redeemed).collect()
        })
    }

    /// Returns `true` if the account is there with a refresh token of any application. Without
    /// either it has signed out.
    pub(crate) fn is_signed_in(&self, home_account_id: &str) -> bool {
        let mut accounts = self.snapshot.accounts();
        let mut tokens = self.snapshot.refresh_tokens();
        accounts.any(|account| {
            is_same_home_account_id(account.home_account_id(), home_account_id)
                && self.authority.knows(account.environment())
        }) && tokens.any(|token| {
            is_same_home_account_id(token.home_account_id(), home_account_id)
                && self.authority.knows(token.environment())
                && !token.is_partitioned()
        })
    }
}
