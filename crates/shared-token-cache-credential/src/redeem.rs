use std::sync::Arc;
use std::time::Duration;

use msal_token_cache::Redemption;
use token_credential::{AccessTokenInfo, Error, ErrorKind, OAuthError, Result};
use tokio::runtime::{self, Handle};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::access::{Found, info};
use crate::credential::Inner;
use crate::exchange::Exchange;
use crate::flight::End;
use crate::request::Request;
use crate::store::Store;
use crate::view::View;

/// How long a caller waits for its token to be in the shared cache, too.
const PERSIST_WAIT: Duration = Duration::from_millis(250);

/// How often a caller joins a redemption whose runtime ends.
const MOST_JOINED: usize = 3;
/// A year: what is longer may be more than a clock can tell.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// What makes two calls the same, so that one redemption answers both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// A task of one runtime must not wait for one of another, which may end.
    runtime: runtime::Id,
    /// Whoever signs in meanwhile is somebody else.
    home_account_id: String,
    request: Arc<Request>,
}

impl Inner {
    /// Joins the redemption for this request, or begins one, in a task of its own: a caller that
    /// goes away takes nothing with it.
    pub(crate) async fn join(
        self: &Arc<Self>,
        home_account_id: String,
        request: Request,
    ) -> Result<AccessTokenInfo> {
        let failed = |text: &str| Error::new(ErrorKind::AuthenticationFailed, text);
        let request = Arc::new(request);
        for _ in 0..MOST_JOINED {
            let runtime = Handle::try_current().map_err(|error| {
                let text = "no token is cached, and redeeming one needs a tokio runtime: call from \
                            within one";
                Error::new(ErrorKind::InvalidArgument, text).with_source(error)
            })?;
            let under_way = self.lifecycle.begin()?;
            let (leader, waiter) = self.flights.join(Key {
                runtime: runtime.id(),
                home_account_id: home_account_id.clone(),
                request: Arc::clone(&request),
            });
            if let Some(leader) = leader {
                let (inner, request) = (Arc::clone(self), Arc::clone(&request));
                let redemption = async move {
                    let redeemed = inner.lifecycle.unless_cut(inner.redeem(&request)).await;
                    let closed = || {
                        Err(failed(
                            "the credential was closed during the call: build another one",
                        ))
                    };
                    leader.done(redeemed.unwrap_or_else(closed));
                    drop(under_way);
                };
                runtime.spawn(redemption.in_current_span());
            } else {
                // Only the work counts: one that waits for it and is not polled holds up nothing.
                drop(under_way);
            }
            match waiter.await {
                End::Done(redeemed) => return redeemed,
                End::Panicked => {
                    return Err(failed(
                        "the token endpoint or the token cache panicked during the redemption: call again",
                    ));
                }
                End::Abandoned => {}
            }
        }
        Err(failed(
            "the tokio runtime ended before the redemption did: call from one that lasts",
        ))
    }

    /// Gets a token by redeeming a refresh token; what is still good serves when that fails.
    async fn redeem(self: &Arc<Self>, request: &Request) -> Result<AccessTokenInfo> {
        let store = self.store(request.enable_cae());
        // Another call, or another program, may have been faster.
        let view = self.view(store).await?;
        if request.allows_cached()
            && let Found::Hit(token) = self.cached(store, &view, request)?
        {
            return Ok(token);
        }
        let now = Instant::now();
        let deadline = now
            .checked_add(self.timeout)
            .unwrap_or(now + LONGEST_TIMEOUT);
        let exchange = Exchange::new(self, store, request, deadline).run(&view);
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
            Err(error) => match self.last_resort(store, request).await {
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
