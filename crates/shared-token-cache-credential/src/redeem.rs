use std::sync::Arc;
use std::time::Duration;

use msal_token_cache::{RedeemedToken, Redemption};
use token_credential::{AccessTokenInfo, Error, ErrorKind, OAuthError, Result, Secret};
use tracing::Instrument;

use crate::access::{Found, info};
use crate::answer::{self, Asked, NoToken};
use crate::candidates::candidates;
use crate::credential::Inner;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::store::Store;
use crate::tenant::{Tenant, is_guid};
use crate::token_endpoint::{TokenRequest, TransportError, TransportErrorKind};
use crate::unavailable;
use crate::view::View;

/// How long a caller waits for its token to be in the shared cache, too.
const PERSIST_WAIT: Duration = Duration::from_millis(250);

impl Inner {
    /// Gets a token by redeeming a refresh token; what is still good serves when that fails.
    pub(crate) async fn redeem(self: Arc<Self>, request: Request) -> Result<AccessTokenInfo> {
        let store = self.store(request.enable_cae());
        // Another call, or another program, may have been faster.
        let view = self.view(store).await?;
        let found = self.cached(store, &view, &request)?;
        if let Some(Found::Hit(token)) = found {
            return Ok(token);
        }
        let exchange = tokio::time::timeout(self.timeout, self.exchange(store, &view, &request));
        match exchange.await.unwrap_or_else(|_| Err(self.timed_out())) {
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

    /// What is cached; nothing for a call with claims, for the resource has just refused that.
    fn cached(&self, store: &Store, view: &View, request: &Request) -> Result<Option<Found>> {
        let account = self.account(store, view)?;
        if request.has_claims() {
            return Ok(None);
        }
        let scopes: Vec<_> = request.scopes().collect();
        Ok(Some(self.find(view, account, &scopes, request.tenant())))
    }

    /// What is cached and still good after a redemption that failed, which may have taken a while.
    async fn last_resort(&self, store: &Store, request: &Request) -> Option<AccessTokenInfo> {
        let view = self.view(store).await.ok()?;
        match self.cached(store, &view, request).ok()?? {
            Found::Hit(token) => Some(token),
            Found::Miss(last_resort) => last_resort,
        }
    }

    /// Tries the account's refresh tokens in turn, each under the applications that may use it.
    async fn exchange(&self, store: &Store, view: &View, request: &Request) -> Result<Redemption> {
        let chosen = &self.account(store, view)?.chosen;
        let tenant = Tenant::new(request.tenant(), chosen);
        let username = chosen.username.as_deref();
        let mut reported: Option<Box<Refusal>> = None;
        for candidate in candidates(&view.snapshot, &self.authority, chosen, self.clock.now()) {
            for client_id in &candidate.client_ids {
                match self
                    .try_one(store, &candidate.token, client_id, request, tenant)
                    .await
                {
                    Ok(redemption) => {
                        if let Some(domain) = tenant.domain()
                            && is_guid(redemption.realm())
                        {
                            self.domains.remember(domain, redemption.realm());
                        }
                        return Ok(redemption);
                    }
                    Err(NoToken::Failed(error)) => {
                        return Err(more_useful(reported, error, username));
                    }
                    Err(NoToken::Refused(refusal)) if !refusal.lets_others_try() => {
                        let error = refusal.into_error(username);
                        return Err(more_useful(reported, error, username));
                    }
                    Err(NoToken::Refused(refusal)) => {
                        let is_more = |old: &Refusal| refusal.actionable() > old.actionable();
                        if reported.as_deref().is_none_or(is_more) {
                            reported = Some(refusal);
                        }
                    }
                }
            }
        }
        Err(match reported {
            Some(refusal) => refusal.into_error(username),
            None => unavailable::no_refresh_token(username, &store.place(), &self.authority),
        })
    }

    /// Redeems one refresh token under one application.
    async fn try_one(
        &self,
        store: &Store,
        token: &RedeemedToken,
        client_id: &str,
        request: &Request,
        tenant: Tenant<'_>,
    ) -> Result<Redemption, NoToken> {
        let at = self.clock.now();
        let secret = store.overlay.rotated(token.secret(), at);
        let mut form = TokenRequest::new(self.authority.token_endpoint(tenant.in_address()))
            .with_field("grant_type", Secret::new("refresh_token"))
            .with_field(
                "refresh_token",
                secret.unwrap_or_else(|| token.secret().clone()),
            )
            .with_field("scope", Secret::new(request.scope_field()))
            .with_field("client_id", Secret::new(client_id))
            .with_field("client_info", Secret::new("1"));
        if let Some(claims) = request.claims_field(self.is_for_cae(store)) {
            form = form.with_field("claims", Secret::new(claims));
        }
        let reply = self.endpoint.send(form).await;
        let reply = reply.map_err(|error| NoToken::Failed(self.unreachable(error)))?;
        answer::read(
            &reply,
            &Asked {
                request,
                tenant: tenant.in_address(),
                token,
                client_id,
                at,
            },
        )
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

    fn unreachable(&self, error: TransportError) -> Error {
        let transient = matches!(
            error.kind(),
            TransportErrorKind::Connect
                | TransportErrorKind::Lost
                | TransportErrorKind::Interrupted
        );
        let text = format!("no answer from {}: {error}", self.authority);
        Error::new(ErrorKind::AuthenticationFailed, text)
            .with_transient(transient)
            .with_source(error)
    }

    fn timed_out(&self) -> Error {
        let text = format!(
            "no answer from {} within {:?} (the builder's timeout sets the limit)",
            self.authority, self.timeout
        );
        Error::new(ErrorKind::AuthenticationFailed, text).with_transient(true)
    }
}

/// Of an earlier refusal and the error that ended the call, the one to report: a refusal that the
/// user can do something about, unless the error will go away by itself.
fn more_useful(earlier: Option<Box<Refusal>>, last: Error, username: Option<&str>) -> Error {
    match earlier {
        Some(refusal) if refusal.needs_the_user() && !last.is_transient() => {
            refusal.into_error(username)
        }
        _ => last,
    }
}
