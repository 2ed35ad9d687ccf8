//! The tokens that rivals displace in the store. Pure.

use std::time::SystemTime;

use msal_token_cache::identifier::{is_same_client_id, is_same_home_account_id, is_same_tenant};
use msal_token_cache::{AccessToken, Redemption, Target, is_usable_secret, same_cloud};
use token_credential::Secret;

/// An access token that a rival displaces in the store, and that is still good.
///
/// A store must not hold two tokens that one request could find, so of two calls whose scopes
/// overlap each would evict the other's token. In memory both last until they expire.
#[derive(Clone, Debug)]
pub(crate) struct Displaced {
    pub(crate) home_account_id: String,
    pub(crate) environment: String,
    pub(crate) client_id: String,
    pub(crate) realm: String,
    pub(crate) target: String,
    pub(crate) secret: Secret,
    pub(crate) cached_at: Option<SystemTime>,
    pub(crate) expires_on: SystemTime,
    pub(crate) refresh_on: Option<SystemTime>,
    /// Rivals that were cached up to this time must not come back.
    pub(crate) refuses_until: Option<SystemTime>,
    /// Whether a redemption of ours displaces it. Otherwise the store holds it until another
    /// program's does.
    pub(crate) is_by_us: bool,
}

impl Displaced {
    /// Returns the token of an entry that a redemption of ours removes, if it can be handed out at
    /// that time.
    pub(crate) fn of_entry(entry: &AccessToken<'_>, now: SystemTime) -> Option<Self> {
        let will_do = entry.is_plain_bearer()
            && entry.has_believable_times(now)
            && entry.expires_on() > now
            && is_usable_secret(entry.secret().expose_secret());
        will_do.then(|| Self {
            home_account_id: entry.home_account_id().to_owned(),
            environment: entry.environment().to_owned(),
            client_id: entry.client_id().to_owned(),
            realm: entry.realm().to_owned(),
            target: entry.target().to_string(),
            secret: entry.secret().clone(),
            cached_at: entry.cached_at(),
            expires_on: entry.expires_on(),
            refresh_on: entry.refresh_on(),
            refuses_until: None,
            is_by_us: true,
        })
    }

    /// Returns `true` if both are the same token.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.secret.expose_secret() == other.secret.expose_secret()
            && is_same_home_account_id(&self.home_account_id, &other.home_account_id)
            && is_same_client_id(&self.client_id, &other.client_id)
            && is_same_tenant(&self.realm, &other.realm)
            && self.target == other.target
    }

    /// Adds what another one knows of the same token; `false` if that one is of another token.
    pub(crate) fn absorb(&mut self, other: &Self) -> bool {
        let is_same = self.is(other);
        if is_same {
            self.refuses_until = self.refuses_until.max(other.refuses_until);
            self.is_by_us |= other.is_by_us;
        }
        is_same
    }

    /// Returns `true` if it is displaced where these entries of its account are in the store. A
    /// token that is gone from there and left no rival was removed for another reason.
    pub(crate) fn is_displaced_by<'e>(
        &self,
        mut entries: impl Iterator<Item = AccessToken<'e>>,
    ) -> bool {
        self.is_by_us
            || entries.any(|entry| {
                // Its own entry displaces nothing.
                entry.is_plain_bearer()
                    && entry.secret().expose_secret() != self.secret.expose_secret()
                    && self.is_rival_of_entry(&entry)
            })
    }

    pub(crate) fn refuses(&self, entry: &AccessToken<'_>) -> bool {
        refuses(self.refuses_until, entry.cached_at()) && self.is_rival_of_entry(entry)
    }

    fn is_rival_of_entry(&self, entry: &AccessToken<'_>) -> bool {
        is_same_client_id(entry.client_id(), &self.client_id)
            && is_same_tenant(entry.realm(), &self.realm)
            && entry.target().is_rival_of(&self.target())
    }

    /// Returns `true` if the result of a redemption answers all calls that this does.
    pub(crate) fn is_covered_by(&self, new: &Redemption) -> bool {
        self.is_of_account(new)
            && same_cloud(&self.environment, new.environment())
            && is_same_client_id(&self.client_id, new.client_id())
            && Target::from(new.target()).answers(self.target().scopes())
    }

    /// Returns `true` if the result of a redemption could answer a call that this does, under
    /// whatever application. Where its caller would not have this one, no other caller should.
    pub(crate) fn is_rival_of(&self, new: &Redemption) -> bool {
        self.is_of_account(new) && self.target().is_rival_of(&Target::from(new.target()))
    }

    /// Returns `true` if a call that this answers must not get another token that this one refuses.
    pub(crate) fn refuses_displaced(&self, other: &Self) -> bool {
        refuses(self.refuses_until, other.cached_at)
            && is_same_home_account_id(&self.home_account_id, &other.home_account_id)
            && is_same_tenant(&self.realm, &other.realm)
            && self.target().is_rival_of(&other.target())
    }

    fn is_of_account(&self, new: &Redemption) -> bool {
        is_same_home_account_id(&self.home_account_id, new.home_account_id())
            && is_same_tenant(&self.realm, new.realm())
    }

    pub(crate) fn target(&self) -> Target<'_> {
        Target::from(&*self.target)
    }
}

/// Returns `true` if a token that was cached then must not come back where rivals are refused up to
/// this time.
pub(crate) fn refuses(until: Option<SystemTime>, cached_at: Option<SystemTime>) -> bool {
    until.is_some_and(|until| cached_at.is_none_or(|cached_at| cached_at <= until))
}
