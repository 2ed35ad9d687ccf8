use std::sync::Arc;
use std::time::Duration;

use msal_token_cache::{Freshness, Lease, Redemption};
use token_credential::{AccessTokenInfo, Error, ErrorKind, OAuthError, Result};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::access::{Found, info};
use crate::answer::{Granted, is_pause_due};
use crate::credential::Inner;
use crate::exchange::Exchange;
use crate::overlay::Unsaved;
use crate::request::Request;
use crate::store::Store;
use crate::turn::Turn;
use crate::view::View;

/// How long a caller waits for its token to be in the shared cache, too.
const PERSIST_WAIT: Duration = Duration::from_millis(250);

/// A year: what is longer may be more than a clock can tell.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a redemption is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A caller waits: whatever is good will do.
    Answer,
    /// Callers still get the token at hand: what is also due will not do.
    Refresh,
}

/// What came of a redemption.
enum Obtained {
    /// A token, to be stored while the lease is held.
    Redeemed(Arc<Redemption>, Option<Lease>),
    /// A token that is not handed out, and why; its refresh token is to be stored.
    Spent(Arc<Redemption>, Option<Lease>, Error),
    /// Somebody else has stored one meanwhile.
    Stored(AccessTokenInfo),
}

impl Inner {
    /// Gets a token by redeeming a refresh token, or what others have got meanwhile; what is still
    /// good serves when that fails.
    pub(crate) async fn redeem(
        self: &Arc<Self>,
        request: &Request,
        purpose: Purpose,
    ) -> Result<AccessTokenInfo> {
        let store = self.store(request.enable_cae());
        // Another call, or another program, may have been faster.
        if let Some(token) = self.good(store, request, purpose).await? {
            return Ok(token);
        }
        let now = Instant::now();
        let deadline = now
            .checked_add(self.timeout.min(LONGEST_TIMEOUT))
            .unwrap_or(now);
        let work = timeout_at(
            deadline,
            self.redeem_in_turn(store, request, purpose, deadline),
        );
        let error = match work.await.unwrap_or_else(|_| Err(self.timed_out())) {
            Ok(Obtained::Stored(token)) => return Ok(token),
            // What was obtained in time is not lost while it is written.
            Ok(Obtained::Redeemed(redemption, lease)) => {
                if let Some(token) = self.outlasting(store, request, &redemption).await {
                    let redemption = Redemption::clone(&redemption).with_refresh_token_only();
                    self.keep_refresh_token(store, Arc::new(redemption), lease)
                        .await;
                    return Ok(token);
                }
                let refuses_rivals = !request.allows_cached();
                return Ok(self.keep(store, redemption, refuses_rivals, lease).await);
            }
            Ok(Obtained::Spent(redemption, lease, error)) => {
                self.keep_refresh_token(store, redemption, lease).await;
                error
            }
            Err(error) => error,
        };
        let Some(token) = self.last_resort(store, request).await else {
            return Err(error);
        };
        tracing::debug!(%error, "the redemption failed");
        tracing::warn!(
            transient = error.is_transient(),
            oauth_error = error.oauth().map(OAuthError::error),
            "a redemption failed; the cached token serves until it expires"
        );
        Ok(token)
    }

    async fn redeem_in_turn(
        &self,
        store: &Store,
        request: &Request,
        purpose: Purpose,
        deadline: Instant,
    ) -> Result<Obtained> {
        let view = self.view(store, Freshness::Latest).await?;
        let home_account_id = &self.account(store, &view)?.chosen.home_account_id;
        let lease = match self.turn(store, request, home_account_id, purpose).await? {
            Turn::Ours(lease) => lease,
            Turn::Stored(token) => return Ok(Obtained::Stored(token)),
        };
        // As it is by now.
        let view = self.view(store, Freshness::Latest).await?;
        let exchange = Exchange::new(self, store, request, deadline);
        Ok(match exchange.run(&view).await? {
            Granted::Token(redemption) => Obtained::Redeemed(Arc::new(redemption), lease),
            Granted::Spent(redemption, error) => {
                Obtained::Spent(Arc::new(redemption), lease, error)
            }
        })
    }

    /// What is cached and good enough for this purpose.
    pub(crate) async fn good(
        &self,
        store: &Store,
        request: &Request,
        purpose: Purpose,
    ) -> Result<Option<AccessTokenInfo>> {
        if !request.allows_cached() {
            return Ok(None);
        }
        let view = self.view(store, Freshness::Latest).await?;
        let is_good = |token: &AccessTokenInfo| {
            purpose == Purpose::Answer || self.is_current(token, self.clock.now())
        };
        Ok(match self.cached(store, &view, request)? {
            Found::Hit(token) => Some(token).filter(is_good),
            Found::Miss(_) => None,
        })
    }

    /// What is cached.
    fn cached(&self, store: &Store, view: &View, request: &Request) -> Result<Found> {
        let account = self.account(store, view)?;
        let scopes: Vec<_> = request.scopes().collect();
        Ok(self.find(view, account, &scopes, request.tenant()))
    }

    /// What is cached and still good after a redemption that failed, which may have taken a while.
    async fn last_resort(&self, store: &Store, request: &Request) -> Option<AccessTokenInfo> {
        if !request.allows_last_resort() {
            return None;
        }
        let view = self.view(store, Freshness::Latest).await.ok()?;
        match self.cached(store, &view, request).ok()? {
            Found::Hit(token) => Some(token),
            Found::Miss(last_resort) => last_resort,
        }
    }

    /// The token at hand that outlasts a new one of less than a minute: that one must not take its
    /// place.
    async fn outlasting(
        &self,
        store: &Store,
        request: &Request,
        new: &Redemption,
    ) -> Option<AccessTokenInfo> {
        let is_short = is_pause_due(new.expires_on(), new.cached_at(), self.clock.now());
        if !is_short || !request.allows_cached() {
            return None;
        }
        let token = self.last_resort(store, request).await?;
        (token.expires_on() > new.expires_on()).then_some(token)
    }

    /// Keeps the refresh token of a result whose access token is of no use: the server may have
    /// revoked the old one.
    async fn keep_refresh_token(
        self: &Arc<Self>,
        store: &Arc<Store>,
        redemption: Arc<Redemption>,
        lease: Option<Lease>,
    ) {
        if redemption.refresh_token().is_some() {
            store.overlay.rotate(&redemption);
            let result = Arc::new(Unsaved::not_kept(redemption));
            self.persist(store, result, lease).await;
        }
    }

    /// Keeps the result in memory at once, and in the shared cache as soon as that can be done.
    async fn keep(
        self: &Arc<Self>,
        store: &Arc<Store>,
        redemption: Arc<Redemption>,
        refuses_rivals: bool,
        lease: Option<Lease>,
    ) -> AccessTokenInfo {
        let token = info(
            redemption.access_token(),
            Some(redemption.cached_at()),
            redemption.expires_on(),
            redemption.refresh_on(),
        );
        let result = store.overlay.keep(&redemption, refuses_rivals);
        self.persist(store, result, lease).await;
        token
    }

    /// Puts the result into the shared cache; the caller waits for that only for a moment, the lease
    /// goes with it.
    async fn persist(
        self: &Arc<Self>,
        store: &Arc<Store>,
        result: Arc<Unsaved>,
        lease: Option<Lease>,
    ) {
        let (inner, store) = (Arc::clone(self), Arc::clone(store));
        let continued = self.lifecycle.continued();
        let write = async move {
            let persist = store.persist(result, lease);
            inner.lifecycle.unless_cut(persist).await;
            drop(continued);
        };
        let persist = tokio::spawn(write.in_current_span());
        // A write that takes longer goes on by itself.
        let _ = tokio::time::timeout(PERSIST_WAIT, persist).await;
    }

    fn timed_out(&self) -> Error {
        let text = format!(
            "no answer from {} within {:?} (the builder's timeout sets the limit)",
            self.authority, self.timeout
        );
        Error::new(ErrorKind::AuthenticationFailed, text).with_transient(true)
    }
}
