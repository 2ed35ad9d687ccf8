//! Redeeming an account's refresh tokens, in turn, until one of them gets a token.

use std::time::Duration;

use msal_token_cache::{RedeemedToken, Redemption};
use token_credential::{Error, ErrorKind, Result, Secret};
use tokio::time::Instant;
use uuid::Uuid;

use crate::account::Chosen;
use crate::answer::{self, Asked, NoToken};
use crate::authority::Authority;
use crate::candidates::{Attempt, candidates};
use crate::credential::Inner;
use crate::reading::Reading;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::retry::{Next, Retries};
use crate::store::{Freshness, Store};
use crate::tenant::{Tenant, is_guid};
use crate::token_endpoint::{TokenReply, TokenRequest, TransportError, TransportErrorKind};
use crate::unavailable;
use crate::view::View;

/// One call's requests.
pub(crate) struct Exchange<'a> {
    inner: &'a Inner,
    store: &'a Store,
    request: &'a Request,
    deadline: Instant,
    /// By which the server's logs know all requests of this call.
    client_request_id: String,
    /// The refresh tokens that were refused, and the refusal to report.
    refused: Vec<Secret>,
    reported: Option<Box<Refusal>>,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        inner: &'a Inner,
        store: &'a Store,
        request: &'a Request,
        deadline: Instant,
    ) -> Self {
        Self {
            inner,
            store,
            request,
            deadline,
            client_request_id: Uuid::new_v4().to_string(),
            refused: Vec::new(),
            reported: None,
        }
    }

    /// Tries the refresh tokens of the view's account.
    pub(crate) async fn run(mut self, view: &View) -> Result<Redemption> {
        let chosen = &self.inner.account(self.store, view)?.chosen;
        for attempt in self.attempts(view, chosen) {
            if let Some(redemption) = self.redeem(&attempt, chosen).await? {
                return Ok(redemption);
            }
        }
        if let Some(attempt) = self.replacement(chosen).await
            && let Some(redemption) = self.redeem(&attempt, chosen).await?
        {
            return Ok(redemption);
        }
        let username = chosen.username.as_deref();
        if let Some(refusal) = self.reported {
            return Err(refusal.into_error(&self.inner.authority, username));
        }
        let place = self.store.described_place();
        let authority = &self.inner.authority;
        Err(unavailable::no_refresh_token(username, &place, authority))
    }

    fn attempts(&self, view: &View, chosen: &Chosen) -> Vec<Attempt> {
        let now = self.inner.clock.now();
        let reading = Reading::new(&view.snapshot, &self.inner.authority, now);
        candidates(&reading, chosen)
    }

    /// What another program has put in place of a refresh token that was refused.
    async fn replacement(&self, chosen: &Chosen) -> Option<Attempt> {
        let view = self.inner.view(self.store, Freshness::Latest).await.ok()?;
        let is_new = |attempt: &Attempt| {
            let secret = attempt.token.secret().expose_secret();
            !self
                .refused
                .iter()
                .any(|refused| refused.expose_secret() == secret)
        };
        self.attempts(&view, chosen).into_iter().find(is_new)
    }

    /// Redeems one refresh token, under each application that may do so. `None` if it is refused
    /// and another one may fare better.
    async fn redeem(&mut self, attempt: &Attempt, chosen: &Chosen) -> Result<Option<Redemption>> {
        let tenant = Tenant::new(self.request.tenant(), chosen);
        let username = chosen.username.as_deref();
        for client_id in &attempt.client_ids {
            match self.ask(&attempt.token, client_id, tenant).await {
                Ok(redemption) => {
                    if let Some(domain) = tenant.domain().filter(|_| is_guid(redemption.realm())) {
                        self.inner.domains.remember(domain, redemption.realm());
                    }
                    return Ok(Some(redemption));
                }
                Err(NoToken::Failed(error)) => return Err(self.more_useful(error, username)),
                Err(NoToken::Refused(refusal)) if !refusal.lets_others_try() => {
                    let error = refusal.into_error(&self.inner.authority, username);
                    return Err(self.more_useful(error, username));
                }
                Err(NoToken::Refused(refusal)) => {
                    let is_more = |old: &Refusal| refusal.actionable() > old.actionable();
                    if self.reported.as_deref().is_none_or(is_more) {
                        self.reported = Some(refusal);
                    }
                }
            }
        }
        self.refused.push(attempt.token.secret().clone());
        Ok(None)
    }

    /// Of an earlier refusal and the error that ends the call, the one to report: a refusal that
    /// the user can do something about, unless the error will go away by itself.
    fn more_useful(&mut self, last: Error, username: Option<&str>) -> Error {
        match self.reported.take() {
            Some(refusal) if refusal.needs_the_user() && !last.is_transient() => {
                refusal.into_error(&self.inner.authority, username)
            }
            _ => last,
        }
    }

    /// Asks for a token, unless the answer is known to be no.
    async fn ask(
        &self,
        token: &RedeemedToken,
        client_id: &str,
        tenant: Tenant<'_>,
    ) -> Result<Redemption, NoToken> {
        let Inner {
            authority,
            clock,
            throttling,
            ..
        } = self.inner;
        let at = clock.now();
        let rotated = self.store.overlay.rotated(token.secret(), at);
        let secret = rotated.unwrap_or_else(|| token.secret().clone());
        let url = authority.token_endpoint(tenant.in_address());
        let scope = self.request.scope_field();
        let claims = self.request.claims_field(self.inner.is_for_cae(self.store));
        let scopes = self.request.scope_set().join(" ");
        let key = throttling.key(&secret, client_id, &url, &scopes, claims.as_deref());
        if let Some(no_token) = throttling.answer(&key, at) {
            tracing::debug!(
                url,
                client_id,
                "refused lately: the endpoint is not asked again"
            );
            return Err(no_token);
        }
        let mut form = TokenRequest::new(url)
            .with_client_request_id(&self.client_request_id)
            .with_field("grant_type", Secret::new("refresh_token"))
            .with_field("refresh_token", secret)
            .with_field("scope", Secret::new(scope))
            .with_field("client_id", Secret::new(client_id))
            .with_field("client_info", Secret::new("1"));
        if let Some(claims) = claims {
            form = form.with_field("claims", Secret::new(claims));
        }
        let (reply, leave_alone) = self
            .send(&form)
            .await
            .map_err(|error| NoToken::Failed(unreachable(&self.inner.authority, error)))?;
        let asked = Asked {
            authority,
            request: self.request,
            tenant: tenant.in_address(),
            token,
            client_id,
            at,
        };
        answer::read(&reply, &asked).map_err(|no_token| {
            let no_token = match leave_alone {
                Some(wait) => no_token.with_retry_after(wait),
                None => no_token,
            };
            throttling.remember(key, &no_token, leave_alone, clock.now());
            no_token
        })
    }

    /// Sends a request, again where that may help, and returns the last answer with for how long
    /// the endpoint is to be left alone.
    async fn send(
        &self,
        form: &TokenRequest,
    ) -> Result<(TokenReply, Option<Duration>), TransportError> {
        let mut retries = Retries::default();
        loop {
            let result = self.inner.endpoint.send(form.clone()).await;
            let left = self.deadline.saturating_duration_since(Instant::now());
            let (now, spread) = (self.inner.clock.now(), fastrand::f64());
            let next = match &result {
                Ok(reply) => retries.after_reply(reply, now, left, spread),
                Err(error) => retries.after_error(error.kind(), left, spread),
            };
            let wait = match next {
                Next::Again(wait) => wait,
                Next::GiveUp(leave_alone) => return Ok((result?, leave_alone)),
            };
            tracing::debug!(
                status = result.as_ref().ok().map(TokenReply::status),
                error = result.as_ref().err().map(tracing::field::display),
                ?wait,
                "the token endpoint is asked again"
            );
            tokio::time::sleep(wait).await;
        }
    }
}

fn unreachable(authority: &Authority, error: TransportError) -> Error {
    let transient = matches!(
        error.kind(),
        TransportErrorKind::Connect | TransportErrorKind::Lost | TransportErrorKind::Interrupted
    );
    // What is set up wrongly says itself what to do.
    let next = match error.kind() {
        TransportErrorKind::Connect => {
            "; check the network and the builder's authority, then call again"
        }
        TransportErrorKind::Tls => {
            "; where a proxy looks into TLS, give its root to the builder's extra_root_certificates"
        }
        TransportErrorKind::Lost | TransportErrorKind::Interrupted => "; call again",
        TransportErrorKind::Unreadable => {
            "; check the builder's authority, and for a proxy in between"
        }
        TransportErrorKind::Setup => "",
        TransportErrorKind::Closed => "; build the credential with an open one",
    };
    let text = format!("no answer from {authority}: {error}{next}");
    Error::new(ErrorKind::AuthenticationFailed, text)
        .with_transient(transient)
        .with_source(error)
}
