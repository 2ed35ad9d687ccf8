//! Redeems refresh tokens of an account, in turn, until one of them gets a token.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use entra_token_endpoint::{Authority, Posted, TokenEndpoint, TokenError, TokenRequest, post};
use msal_token_cache::RedeemedToken;
use msal_token_cache::identifier::is_guid;
use token_credential::{Error, Result, Secret, sanitize};
use token_credential_engine::{EngineClock, Freshness, OwnedCall, Unsaved, is_short_lived};
use tokio::time::Instant;
use uuid::Uuid;

use crate::error;
use crate::policy::account::{SelectedAccount, is_of_adfs};
use crate::policy::cache_snapshot::CacheSnapshot;
use crate::policy::call_fields::{claims_field, scope_field};
use crate::policy::cloud_entries::CloudEntries;
use crate::policy::refresh_token::{RefreshCandidate, candidates};
use crate::policy::rejection::{Refusal, Rejection};
use crate::policy::tenant::Tenant;
use crate::policy::token_response::{self, Granted, PAUSE, RequestContext, short_lived};
use crate::policy::unsaved::{Obtained, UnsavedResults, Usefulness};
use crate::state::cache::CredentialCache;
use crate::state::refusal_keys::{Refusals, Requested};
use crate::state::tenant_aliases::TenantAliases;

/// The requests of one call (RFC 6749 section 6).
pub(crate) struct RefreshTokenGrant<'a> {
    context: GrantContext<'a>,
    /// The ID of this call's requests in the server's logs.
    client_request_id: String,
    /// The number of refresh tokens for which a request was sent.
    asked_for: usize,
    /// The refusal to report.
    reported: Option<Box<Refusal>>,
}

/// The parts of a credential that a grant uses, and the call that it answers.
#[derive(Clone, Copy)]
pub(crate) struct GrantContext<'a> {
    pub(crate) authority: &'a Authority,
    pub(crate) selected: &'a SelectedAccount,
    pub(crate) cache: &'a CredentialCache,
    pub(crate) unsaved: &'a Unsaved<UnsavedResults>,
    pub(crate) endpoint: &'a dyn TokenEndpoint,
    pub(crate) clock: &'a EngineClock,
    pub(crate) aliases: &'a TenantAliases,
    pub(crate) refusals: &'a Refusals,
    pub(crate) call: &'a OwnedCall,
    pub(crate) deadline: Instant,
}

/// The most refresh tokens for which requests are sent in one call. A token that was refused a
/// moment ago needs no request.
const MAX_ASKED_FOR: usize = 3;

/// The product in the header `User-Agent`.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

impl<'a> RefreshTokenGrant<'a> {
    pub(crate) fn new(context: GrantContext<'a>) -> Self {
        Self {
            context,
            client_request_id: Uuid::new_v4().to_string(),
            asked_for: 0,
            reported: None,
        }
    }

    /// Redeems the refresh tokens of this snapshot.
    pub(crate) async fn redeem(self, snapshot: &CacheSnapshot) -> Result<Obtained> {
        let refuses_rivals = !self.context.call.allows_cached();
        match self.run(snapshot).await? {
            Granted::Token(redemption) => Ok(Obtained {
                redemption: Arc::new(redemption),
                access_token: Usefulness::Usable,
                refuses_rivals,
            }),
            // The server may have revoked the old refresh token.
            Granted::Spent(redemption, error) if redemption.refresh_token().is_some() => {
                Ok(Obtained {
                    redemption: Arc::new(redemption),
                    access_token: Usefulness::Unusable(error),
                    refuses_rivals: false,
                })
            }
            Granted::Spent(_, error) => Err(error),
        }
    }

    async fn run(mut self, snapshot: &CacheSnapshot) -> Result<Granted> {
        let GrantContext {
            authority,
            selected,
            cache,
            ..
        } = self.context;
        let username = selected.username.as_deref();
        let now = self.context.clock.now();
        // A known cloud has the endpoint, whatever a writer says of the account.
        let entries = CloudEntries::new(&snapshot.sign_in, authority, now);
        if !authority.is_known_cloud() && is_of_adfs(&entries, &selected.home_account_id) {
            return Err(error::of_adfs(username, &cache.described_location()));
        }
        let attempts = candidates(&entries, selected);
        for attempt in &attempts {
            if self.asked_for == MAX_ASKED_FOR {
                break;
            }
            if let Some(granted) = self.try_candidate(attempt).await? {
                return Ok(granted);
            }
        }
        if let Some(attempt) = self.replacement(&attempts).await
            && let Some(granted) = self.try_candidate(&attempt).await?
        {
            return Ok(granted);
        }
        if let Some(refusal) = self.reported {
            return Err(refusal.into_error(authority, username));
        }
        let location = cache.described_location();
        Err(error::no_refresh_token(username, &location, authority))
    }

    /// Returns a refresh token that another program has stored since these were read.
    async fn replacement(&self, known: &[RefreshCandidate]) -> Option<RefreshCandidate> {
        let GrantContext {
            authority,
            selected,
            cache,
            clock,
            ..
        } = self.context;
        let snapshot = cache.snapshot(Freshness::Latest).await.ok()?;
        let known = known.iter().map(|known| known.token.secret());
        let known: HashSet<_> = known.map(Secret::expose_secret).collect();
        let entries = CloudEntries::new(&snapshot.sign_in, authority, clock.now());
        candidates(&entries, selected)
            .into_iter()
            .find(|attempt| !known.contains(attempt.token.secret().expose_secret()))
    }

    /// Redeems one refresh token, under each application that may do so. Returns `None` if it is
    /// refused and another one may fare better.
    async fn try_candidate(&mut self, attempt: &RefreshCandidate) -> Result<Option<Granted>> {
        let GrantContext {
            authority,
            selected,
            aliases,
            call,
            ..
        } = self.context;
        let tenant = Tenant::new(call.tenant(), selected);
        let username = selected.username.as_deref();
        let mut is_asked = false;
        for client_id in &attempt.client_ids {
            let answer = self.ask(&attempt.token, client_id, tenant, &mut is_asked);
            match answer.await {
                Ok(granted) => {
                    if let (Granted::Token(redemption), Some(domain)) = (&granted, tenant.domain())
                        && is_guid(redemption.realm())
                    {
                        aliases.remember(domain, redemption.realm());
                    }
                    return Ok(Some(granted));
                }
                Err(Rejection::Failed(error)) => return Err(self.more_useful(error, username)),
                Err(Rejection::Refused(refusal)) if !refusal.response().allows_next_token() => {
                    let error = refusal.into_error(authority, username);
                    return Err(self.more_useful(error, username));
                }
                Err(Rejection::Refused(refusal)) => {
                    let rank = |refusal: &Refusal| refusal.response().actionability();
                    let is_more = |old: &Refusal| rank(&refusal) > rank(old);
                    if self.reported.as_deref().is_none_or(is_more) {
                        self.reported = Some(refusal);
                    }
                }
            }
        }
        self.asked_for += usize::from(is_asked);
        Ok(None)
    }

    /// Returns the more useful one of an earlier refusal and the error that ends the call: the
    /// refusal if the user can mend it, unless the error will go away by itself.
    fn more_useful(&mut self, last: Error, username: Option<&str>) -> Error {
        match self.reported.take() {
            Some(refusal) if refusal.needs_the_user() && !last.is_transient() => {
                refusal.into_error(self.context.authority, username)
            }
            _ => last,
        }
    }

    /// Asks for a token, unless the answer is known to be a refusal. Sets `is_asked` if it asks.
    async fn ask(
        &self,
        token: &RedeemedToken,
        client_id: &str,
        tenant: Tenant<'_>,
        is_asked: &mut bool,
    ) -> Result<Granted, Rejection> {
        let GrantContext {
            authority,
            cache,
            unsaved,
            endpoint,
            clock,
            refusals,
            call,
            deadline,
            ..
        } = self.context;
        let now = clock.now();
        let rotated = unsaved.load().rotated(token.secret(), now);
        let secret = rotated.unwrap_or_else(|| token.secret().clone());
        let url = authority.token_endpoint(tenant.in_address());
        let scope = scope_field(call);
        let claims = claims_field(call, cache.sends_cp1());
        let requested = Requested {
            home_account_id: token.home_account_id().to_owned(),
            client_id: client_id.to_owned(),
            url: url.clone(),
            scope: call.scope_set().join(" "),
            claims: claims.clone(),
        };
        let key = refusals.key(&secret, requested);
        if let Some(rejection) = refusals.get(&key, now) {
            tracing::debug!(
                url,
                client_id = sanitize(client_id),
                "refused lately: the endpoint is not asked again"
            );
            return Err(rejection);
        }
        *is_asked = true;
        let mut form = TokenRequest::new(url)
            .with_client_request_id(&self.client_request_id)
            .with_user_agent(USER_AGENT)
            // A refresh token of Entra can be redeemed twice.
            .with_repeatable(true)
            .with_field("grant_type", Secret::new("refresh_token"))
            .with_field("refresh_token", secret)
            .with_field("scope", Secret::new(scope))
            .with_field("client_id", Secret::new(client_id))
            .with_field("client_info", Secret::new("1"));
        if let Some(claims) = claims {
            form = form.with_field("claims", Secret::new(claims));
        }
        let Posted {
            result,
            sent_at,
            leave_alone,
        } = post(endpoint, &form, clock.get(), deadline).await;
        let is_answered = !matches!(result, Err(TokenError::Transport(_)));
        let now = clock.now();
        let asked = RequestContext {
            authority,
            call,
            tenant: tenant.in_address(),
            token,
            client_id,
            is_stored_apart: cache.stores_apart(),
            at: sent_at,
            now,
        };
        match token_response::read(result, &asked) {
            Ok(granted) => {
                if let Some(error) = self.pause(&granted, now) {
                    refusals.pause(&key, error, PAUSE, now);
                }
                Ok(granted)
            }
            Err(rejection) => {
                let rejection = match leave_alone {
                    Some(wait) => rejection.with_retry_after(wait),
                    None => rejection,
                };
                if is_answered {
                    refusals.remember(key, &rejection, leave_alone, now);
                }
                Err(rejection)
            }
        }
    }

    /// Returns the reason not to ask for the same again at once: the token is short-lived. A call
    /// that refuses cached tokens gets each new one that can be handed out.
    fn pause(&self, granted: &Granted, now: SystemTime) -> Option<Error> {
        match granted {
            Granted::Spent(_, error) => Some(error.clone()),
            Granted::Token(token) => (self.context.call.allows_cached()
                && is_short_lived(token.expires_on(), now.max(token.cached_at())))
            .then(|| short_lived(self.context.authority)),
        }
    }
}
