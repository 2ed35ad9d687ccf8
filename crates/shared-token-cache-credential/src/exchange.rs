//! Redeeming an account's refresh tokens, in turn, until one of them gets a token.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use msal_token_cache::{Freshness, RedeemedToken};
use token_credential::{Error, ErrorKind, Result, Secret, sanitize};
use tokio::time::Instant;
use uuid::Uuid;

use crate::account::{Chosen, is_of_adfs};
use crate::answer::{self, Asked, Granted, NoToken, PAUSE, is_pause_due, short_lived};
use crate::authority::Authority;
use crate::candidates::{Attempt, candidates};
use crate::credential::Inner;
use crate::reading::Reading;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::retry::{Next, Retries};
use crate::store::Store;
use crate::tenant::{Tenant, is_guid};
use crate::throttling::Purpose;
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
    /// For how many refresh tokens a request was sent.
    asked_for: usize,
    /// The refusal to report.
    reported: Option<Box<Refusal>>,
}

/// For so many refresh tokens at most requests are sent in one call. Those that were refused a
/// moment ago need none.
const MAX_ASKED_FOR: usize = 3;

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
            asked_for: 0,
            reported: None,
        }
    }

    /// Tries the refresh tokens of the view's account.
    pub(crate) async fn run(mut self, view: &View) -> Result<Granted> {
        let chosen = &self.inner.account(self.store, view)?.chosen;
        let authority = &self.inner.authority;
        let username = chosen.username.as_deref();
        let now = self.inner.clock.now();
        // A known cloud has the endpoint, whatever a writer says of the account.
        let is_asked = authority.is_known_cloud()
            || !is_of_adfs(
                &Reading::new(&view.snapshot, authority, now),
                &chosen.home_account_id,
            );
        if !is_asked {
            let place = self.store.described_place();
            return Err(unavailable::of_adfs(username, &place));
        }
        let attempts = self.attempts(view, chosen);
        for attempt in &attempts {
            if self.asked_for == MAX_ASKED_FOR {
                break;
            }
            if let Some(granted) = self.redeem(attempt, chosen).await? {
                return Ok(granted);
            }
        }
        if let Some(attempt) = self.replacement(&attempts, chosen).await
            && let Some(granted) = self.redeem(&attempt, chosen).await?
        {
            return Ok(granted);
        }
        if let Some(refusal) = self.reported {
            return Err(refusal.into_error(authority, username));
        }
        let place = self.store.described_place();
        Err(unavailable::no_refresh_token(username, &place, authority))
    }

    fn attempts(&self, view: &View, chosen: &Chosen) -> Vec<Attempt> {
        let now = self.inner.clock.now();
        let reading = Reading::new(&view.snapshot, &self.inner.authority, now);
        candidates(&reading, chosen)
    }

    /// What another program has put there since these were read.
    async fn replacement(&self, known: &[Attempt], chosen: &Chosen) -> Option<Attempt> {
        let view = self.inner.view(self.store, Freshness::Latest).await.ok()?;
        let known = known.iter().map(|known| known.token.secret());
        let known: HashSet<_> = known.map(Secret::expose_secret).collect();
        let is_new = |attempt: &Attempt| !known.contains(attempt.token.secret().expose_secret());
        self.attempts(&view, chosen).into_iter().find(is_new)
    }

    /// Redeems one refresh token, under each application that may do so. `None` if it is refused
    /// and another one may fare better.
    async fn redeem(&mut self, attempt: &Attempt, chosen: &Chosen) -> Result<Option<Granted>> {
        let tenant = Tenant::new(self.request.tenant(), chosen);
        let username = chosen.username.as_deref();
        let mut is_asked = false;
        for client_id in &attempt.client_ids {
            let answer = self.ask(&attempt.token, client_id, tenant, &mut is_asked);
            match answer.await {
                Ok(granted) => {
                    if let (Granted::Token(redemption), Some(domain)) = (&granted, tenant.domain())
                        && is_guid(redemption.realm())
                    {
                        self.inner.domains.remember(domain, redemption.realm());
                    }
                    return Ok(Some(granted));
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
        self.asked_for += usize::from(is_asked);
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

    /// Asks for a token, unless the answer is known to be no; says so if it asks.
    async fn ask(
        &self,
        token: &RedeemedToken,
        client_id: &str,
        tenant: Tenant<'_>,
        is_asked: &mut bool,
    ) -> Result<Granted, NoToken> {
        let Inner {
            authority,
            clock,
            throttling,
            ..
        } = self.inner;
        let now = clock.now();
        let rotated = self.store.overlay.rotated(token.secret(), now);
        let secret = rotated.unwrap_or_else(|| token.secret().clone());
        let url = authority.token_endpoint(tenant.in_address());
        let scope = self.request.scope_field();
        let claims = self.request.claims_field(self.inner.is_for_cae(self.store));
        let purpose = Purpose {
            home_account_id: token.home_account_id().to_owned(),
            client_id: client_id.to_owned(),
            url: url.clone(),
            scope: self.request.scope_set().join(" "),
            claims: claims.clone(),
        };
        let key = throttling.key(&secret, purpose);
        if let Some(no_token) = throttling.answer(&key, now) {
            tracing::debug!(
                url,
                client_id = sanitize(client_id),
                "refused lately: the endpoint is not asked again"
            );
            return Err(no_token);
        }
        *is_asked = true;
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
        let Sent {
            reply,
            at,
            leave_alone,
        } = self
            .send(&form)
            .await
            .map_err(|error| NoToken::Failed(unreachable(&self.inner.authority, error)))?;
        let now = clock.now();
        let asked = Asked {
            authority,
            request: self.request,
            tenant: tenant.in_address(),
            token,
            client_id,
            at,
            now,
        };
        match answer::read(&reply, &asked) {
            Ok(granted) => {
                if let Some(error) = self.pause(&granted, authority, now) {
                    throttling.pause(&key, error, PAUSE, now);
                }
                Ok(granted)
            }
            Err(no_token) => {
                let no_token = match leave_alone {
                    Some(wait) => no_token.with_retry_after(wait),
                    None => no_token,
                };
                throttling.remember(key, &no_token, leave_alone, now);
                Err(no_token)
            }
        }
    }

    /// Why the next token for the same is not asked for at once. A call that takes no cached token
    /// gets each that can be handed out.
    fn pause(&self, granted: &Granted, authority: &Authority, now: SystemTime) -> Option<Error> {
        match granted {
            Granted::Spent(_, error) => Some(error.clone()),
            Granted::Token(token) => (self.request.allows_cached()
                && is_pause_due(token.expires_on(), token.cached_at(), now))
            .then(|| short_lived(authority)),
        }
    }

    /// Sends a request, again where that may help, and returns the last answer.
    async fn send(&self, form: &TokenRequest) -> Result<Sent, TransportError> {
        let mut retries = Retries::default();
        loop {
            let at = self.inner.clock.now();
            let result = self.inner.endpoint.send(form.clone()).await;
            let left = self.deadline.saturating_duration_since(Instant::now());
            let (now, spread) = (self.inner.clock.now(), fastrand::f64());
            let next = match &result {
                Ok(reply) => retries.after_reply(reply, now, left, spread),
                Err(error) => retries.after_error(error.kind(), left, spread),
            };
            let wait = match next {
                Next::Again(wait) => wait,
                Next::GiveUp(leave_alone) => {
                    return Ok(Sent {
                        reply: result?,
                        at,
                        leave_alone,
                    });
                }
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

/// An answer.
struct Sent {
    reply: TokenReply,
    /// When the request was sent that it answers.
    at: SystemTime,
    /// For how long the endpoint is to be left alone.
    leave_alone: Option<Duration>,
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
