//! The seam for logins: where the account and its sign-in come from.

use std::fmt;
use std::sync::Arc;

use entra_token_endpoint::Authority;
use token_credential::Result;

use crate::policy::account::{AccountSelector, Clients};
use crate::policy::tenant::Tenants;

/// The account to get tokens for, and everything that says how.
///
/// ```
/// use entra_token_endpoint::Authority;
/// use shared_token_cache_credential::{Account, AccountSelector, Tenants};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let authority = Authority::parse(Authority::DEFAULT)?;
/// let ada = AccountSelector::matching(Some("ada@contoso.com".to_owned()), None);
/// let account = Account::new(authority, ada)
///     .with_tenants(Tenants::of_tenant("contoso.onmicrosoft.com", ["*"])?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Account {
    authority: Authority,
    selector: AccountSelector,
    tenants: Tenants,
    clients: Clients,
}

impl Account {
    /// Makes an account of this authority's cloud, for tokens of its home tenant and of
    /// [`Clients::Family`].
    pub fn new(authority: Authority, selector: AccountSelector) -> Self {
        Self {
            authority,
            selector,
            tenants: Tenants::default(),
            clients: Clients::Family,
        }
    }

    /// Sets the tenants to get tokens of.
    pub fn with_tenants(mut self, tenants: Tenants) -> Self {
        self.tenants = tenants;
        self
    }

    /// Sets the applications whose tokens are used.
    pub fn with_clients(mut self, clients: Clients) -> Self {
        self.clients = clients;
        self
    }

    /// Returns the authority, which gets the refresh tokens.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Returns the rule that selects the account among those in the sign-in cache.
    pub fn selector(&self) -> &AccountSelector {
        &self.selector
    }

    /// Returns the tenants to get tokens of.
    pub fn tenants(&self) -> &Tenants {
        &self.tenants
    }

    /// Returns the applications whose tokens are used.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }
}

/// The origin of the account of a [`SilentCredential`](crate::SilentCredential): the settings of a
/// program, or the files in which a tool remembers who is signed in. Its `Debug` is part of the
/// credential's, so it must show no secret.
///
/// ```
/// use std::sync::Arc;
///
/// use shared_token_cache_credential::{Account, AccountSource};
///
/// /// An account that never changes.
/// #[derive(Debug)]
/// struct Fixed(Arc<Account>);
///
/// impl AccountSource for Fixed {
///     fn account(&self) -> token_credential::Result<Arc<Account>> {
///         Ok(Arc::clone(&self.0))
///     }
///
///     fn stamp(&self, _tick: Option<u64>) -> u64 {
///         0
///     }
/// }
/// ```
pub trait AccountSource: fmt::Debug + Send + Sync {
    /// Returns the account to get tokens for. Asked once per look-up.
    ///
    /// Returns the same `Arc` for as long as the account is unchanged: calls with another one share
    /// neither requests nor memoized tokens. It may read small local files and must not block for
    /// longer than that.
    ///
    /// # Errors
    ///
    /// Returns an error if no account can be named at present. Once the stamp has changed, every
    /// call gets the error, also one whose token is cached.
    fn account(&self) -> Result<Arc<Account>>;

    /// Returns a number that changes whenever [`account`](Self::account) does, to an error or from
    /// one as well. No two accounts have the same number, even at different times: a token of the
    /// one would be handed out for the other. So a source that counts changes the account first and
    /// the number afterwards.
    ///
    /// Asked by every hit, so within a tick it should cost a few nanoseconds. `tick` is a coarse
    /// monotonic counter: the files that the answer depends on need one look per tick. `None` means
    /// a look in any case. A look-up asks before and after the account, so that a change in between
    /// shows.
    fn stamp(&self, tick: Option<u64>) -> u64;
}

/// The account of a program's settings. It never changes.
#[derive(Debug)]
pub(crate) struct FixedAccount(pub(crate) Arc<Account>);

impl AccountSource for FixedAccount {
    fn account(&self) -> Result<Arc<Account>> {
        Ok(Arc::clone(&self.0))
    }

    #[inline]
    fn stamp(&self, _tick: Option<u64>) -> u64 {
        0
    }
}
