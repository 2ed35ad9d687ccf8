use std::sync::Arc;
use std::time::Duration;

use msal_token_cache::Redemption;
use token_credential::{AccessTokenInfo, Error, ErrorKind, OAuthError, Result};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::access::{Found, info};
use crate::credential::Inner;
use crate::exchange::Exchange;
use crate::request::Request;
use crate::store::Store;
use crate::view::View;

/// How long a caller waits for its token to be in the shared cache, too.
const PERSIST_WAIT: Duration = Duration::from_millis(250);

/// A year: what is longer may be more than a clock can tell.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

impl Inner {
    /// Gets a token by redeeming a refresh token; what is still good serves when that fails.
    pub(crate) async fn redeem(self: Arc<Self>, request: Request) -> Result<AccessTokenInfo> {
        let store = self.store(request.enable_cae());
        // Another call, or another program, may have been faster.
        let view = self.view(store).await?;
        if request.allows_cached()
            && let Found::Hit(token) = self.cached(store, &view, &request)?
        {
            return Ok(token);
        }
        let now = Instant::now();
        let deadline = now
            .checked_add(self.timeout)
            .unwrap_or(now + LONGEST_TIMEOUT);
        let exchange = Exchange::new(&self, store, &request, deadline).run(&view);
        let exchange = timeout_at(deadline, exchange).await;
        match exchange.unwrap_or_else(|_| Err(self.timed_out())) {
            Ok(redemption) => {
                let redemption = Arc::new(redemption);
                self.keep(store, &redemption).await;
                Ok(info(
                    redemption.access_token(),
                    Some(redemption.cached_at()),
                    redemption.expires_on(),
                    redemption.refresh_on(),
                ))
            }
            Err(error) => match self.last_resort(store, &request).await {
                Some(token) => {
                    tracing::debug!(%error, "the redemption failed");
                    tracing::warn!(
                        transient = error.is_transient(),
                        oauth_error = error.oauth().map(OAuthError::error),
                        "a redemption failed; the cached token serves until it expires"
                    );
                    Ok(token)
                }
                None => Err(error),
            },
        }
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
        let view = self.view(store).await.ok()?;
        match self.cached(store, &view, request).ok()? {
            Found::Hit(token) => Some(token),
            Found::Miss(last_resort) => last_resort,
        }
    }

    /// Keeps the result in memory at once, and in the shared cache as soon as that can be done;
    /// the caller waits for that only for a moment.
    async fn keep(self: &Arc<Self>, store: &Arc<Store>, redemption: &Arc<Redemption>) {
        store.overlay.keep(redemption);
        let (inner, store) = (Arc::clone(self), Arc::clone(store));
        let redemption = Arc::clone(redemption);
        let continued = self.lifecycle.continued();
        let write = async move {
            inner.lifecycle.unless_cut(store.persist(redemption)).await;
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
