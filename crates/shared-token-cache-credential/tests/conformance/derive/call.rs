//! A call from its beginning to its end, with the decisions that are in force.

use std::collections::{BTreeMap, VecDeque};

use super::answer::Refusal;
use super::authority::{Authority, is_tenant};
use super::clause::{Clause, Rules};
use super::entry::key;
use super::exchange::{Attempt, attempts};
use super::find::{Found, Query};
use super::original;
use super::whose::{Filter, Record, choose, recorded};
use crate::json::Json;
use crate::outcome::{Outcome, Request, Token};
use crate::transport::posted_answers;
use crate::vector::{Answer, Failure, Method, Vector};

/// What every sign-in asks for.
pub(super) const ADDED: [&str; 3] = ["openid", "profile", "offline_access"];

/// What comes of a vector with these rules.
///
/// # Errors
///
/// The vector is not one that can be played.
pub(super) fn play(vector: &Vector, on: Rules) -> Result<Outcome, String> {
    let record = vector.constructor.authentication_record.as_ref();
    let record = record.map(record_of).transpose()?;
    let mut player = Player {
        vector,
        on,
        record,
        now: vector.now,
        requests: Vec::new(),
        sleeps: Vec::new(),
        answers: posted_answers(vector).cloned().collect(),
        changed: None,
        refused: Vec::new(),
        memory: Vec::new(),
        raised: false,
    };
    let mut result = player.call();
    // With a record the original itself turns every exception into this.
    let is_caught = player.record.is_some() || on.has(Clause::K8Error);
    if is_caught && result == Err(Failure::Other) {
        result = Err(Failure::AuthenticationFailed);
    }
    if vector.call.method == Method::GetToken {
        result = result.map(|token| Token {
            info: None,
            ..token
        });
    }
    Ok(Outcome {
        result,
        left: player.left()?,
        requests: player.requests,
        sleeps: player.sleeps,
    })
}

fn record_of(json: &Json) -> Result<Record, String> {
    let member = |name: &str| {
        let text = json.str(name).map(str::to_owned);
        text.ok_or_else(|| format!("the record's {name} is no text"))
    };
    Ok(Record {
        authority: member("authority")?,
        client_id: member("clientId")?,
        home_account_id: member("homeAccountId")?,
        tenant_id: member("tenantId")?,
        username: member("username")?,
    })
}

pub(super) struct Player<'v> {
    pub(super) vector: &'v Vector,
    pub(super) on: Rules,
    pub(super) record: Option<Record>,
    pub(super) now: i64,
    pub(super) requests: Vec<Request>,
    pub(super) sleeps: Vec<f64>,
    pub(super) answers: VecDeque<Answer>,
    /// The store that was used, if it was written.
    pub(super) changed: Option<Json>,
    /// What was asked, and refused.
    pub(super) refused: Vec<((String, String), Answer)>,
    /// K6: refresh token, application and refusal; without an application, whatever it is.
    pub(super) memory: Vec<(String, Option<String>, Refusal)>,
    /// With a record: whether the original met an answer that it cannot read. It falls back on a
    /// cached token only where the server was out of reach or refused.
    pub(super) raised: bool,
}

/// What a call is about, once that is settled.
pub(super) struct Matter {
    pub(super) authority: Authority,
    pub(super) tenant: String,
    pub(super) home_account_id: String,
}

impl Player<'_> {
    pub(super) fn has(&self, clause: Clause) -> bool {
        self.on.has(clause)
    }

    pub(super) fn env(&self, name: &str) -> Option<&str> {
        self.vector.env.get(name).map(String::as_str)
    }

    fn call(&mut self) -> Result<Token, Failure> {
        let authority = self.constructor()?;
        self.check_arguments()?;
        let tenant = match &self.record {
            Some(record) => self.tenant_with(record)?,
            None => self.tenant_without()?,
        };
        self.discover()?;
        let cache = self.load()?;
        let constructor = &self.vector.constructor;
        let given = |text: &'_ Option<String>| text.clone().filter(|text| !text.is_empty());
        let (username, tenant_id) = (given(&constructor.username), given(&constructor.tenant_id));
        let home_account_id = if let Some(record) = &self.record {
            recorded(&cache, &authority, record, self.on)?
        } else {
            let filter = Filter {
                username: username.as_deref(),
                tenant_id: tenant_id.as_deref(),
            };
            choose(&cache, &authority, &filter, self.now, self.on)?
        };
        let matter = Matter {
            authority,
            tenant: tenant.unwrap_or_else(|| "organizations".to_owned()),
            home_account_id,
        };
        let mut candidates = self.attempts(&cache, &matter);
        let mut found = Found::default();
        if !self.has_claims() {
            found = self.find(&cache, &matter, &candidates)?;
            let refreshes = found.is_due && !self.has(Clause::K13NoRefresh);
            if let Some(hit) = found.hit.clone().filter(|_| !refreshes) {
                return Ok(hit);
            }
            if refreshes {
                // The aliases of the host come only where there is nothing to fall back on.
                let own = matter.authority.host();
                candidates.retain(|attempt| attempt.entry.str("environment") == Some(&*own));
            }
        }
        let cache = self.purge(cache, &found.expired)?;
        let tenant = match self.claims() {
            // The original puts the form together before it looks at the tenant.
            Err(failure) if !candidates.is_empty() => Err(failure),
            _ => self.tenant_of_redemption(&matter),
        };
        let redeemed = match tenant {
            Ok(tenant) => {
                let matter = Matter { tenant, ..matter };
                self.redeem(cache, &matter, &candidates)
            }
            Err(failure) => Err(failure),
        };
        let redeemed = redeemed.or_else(|failure| {
            let last_resort = found
                .last_resort
                .filter(|_| self.has(Clause::K13LastResort));
            let hit = found.hit.filter(|_| !self.raised);
            hit.or(last_resort).ok_or(failure)
        });
        redeemed.map_err(|failure| {
            let fell_through =
                self.vector.within_chain && self.record.is_none() && !self.has(Clause::K13Chain);
            if fell_through && failure != Failure::InvalidArgument {
                Failure::Unavailable
            } else {
                failure
            }
        })
    }

    /// What the constructor refuses.
    fn constructor(&self) -> Result<Authority, Failure> {
        let constructor = &self.vector.constructor;
        let tenant = constructor
            .tenant_id
            .as_deref()
            .filter(|text| !text.is_empty());
        let strict = self.has(Clause::K12Tenant);
        let allowed = &constructor.additionally_allowed_tenants;
        if strict
            && (tenant.is_some_and(|tenant| !is_tenant(tenant))
                || allowed
                    .iter()
                    .any(|tenant| tenant != "*" && !is_tenant(tenant)))
        {
            return Err(Failure::InvalidArgument);
        }
        let Some(record) = &self.record else {
            let environment = self.env("AZURE_AUTHORITY_HOST");
            return Authority::new(constructor.authority.as_deref(), environment, self.on);
        };
        let tenant = tenant.unwrap_or(&record.tenant_id);
        let is_lax = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
        if tenant.is_empty() || !tenant.bytes().all(is_lax) || (strict && !is_tenant(tenant)) {
            return Err(Failure::InvalidArgument);
        }
        let address = format!("https://{}", record.authority);
        Authority::new(Some(&address), None, self.on)
    }

    pub(super) fn has_claims(&self) -> bool {
        self.vector
            .call
            .claims
            .as_deref()
            .is_some_and(|claims| !claims.is_empty())
    }

    /// K13: what is wrong with a call is found before anything is read.
    fn check_arguments(&self) -> Result<(), Failure> {
        let call = &self.vector.call;
        let invalid = Err(Failure::InvalidArgument);
        if call.scopes.is_empty() {
            return invalid;
        }
        let asked = call.tenant_id.as_deref().filter(|text| !text.is_empty());
        if self.has(Clause::K12Tenant) && asked.is_some_and(|tenant| !is_tenant(tenant)) {
            return invalid;
        }
        if !self.has(Clause::K13Arguments) {
            return Ok(());
        }
        let is_bad = |scope: &String| {
            scope.is_empty() || scope.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        if call.scopes.iter().any(is_bad) {
            return invalid;
        }
        match call
            .claims
            .as_deref()
            .filter(|claims| !claims.is_empty())
            .map(Json::parse)
        {
            None => Ok(()),
            Some(Some(claims)) if claims.is_object() => match claims.get("access_token") {
                None | Some(Json::Null | Json::Object(_)) => Ok(()),
                Some(_) => invalid,
            },
            Some(_) => invalid,
        }
    }

    /// The original asks a record's authority for its endpoints.
    fn discover(&mut self) -> Result<(), Failure> {
        if self.record.is_none() || self.has(Clause::K13Discovery) {
            return Ok(());
        }
        let gets = self.vector.expected_requests.iter().enumerate();
        let gets: Vec<_> = gets
            .filter(|(_, request)| request.method == "GET")
            .collect();
        for (_, request) in &gets {
            self.requests.push(Request {
                method: request.method.clone(),
                url: request.url.clone(),
                form: BTreeMap::new(),
            });
        }
        let failed = |answer: &Answer| answer.error.is_some() || answer.status != Some(200);
        let mut answers = gets
            .iter()
            .filter_map(|(n, _)| self.vector.transport.get(*n));
        if answers.any(failed) {
            self.sleeps.clone_from(&self.vector.expected_sleeps);
            return Err(Failure::AuthenticationFailed);
        }
        Ok(())
    }

    fn attempts(&self, cache: &Json, matter: &Matter) -> Vec<Attempt> {
        attempts(
            cache,
            &matter.authority,
            &matter.home_account_id,
            self.record.as_ref(),
            self.now,
            self.on,
        )
    }

    fn find(
        &self,
        cache: &Json,
        matter: &Matter,
        candidates: &[Attempt],
    ) -> Result<Found, Failure> {
        let candidates: Vec<_> = candidates
            .iter()
            .map(|attempt| attempt.entry.clone())
            .collect();
        let query = Query {
            authority: &matter.authority,
            home_account_id: &matter.home_account_id,
            scopes: &self.vector.call.scopes,
            tenant: &matter.tenant,
            only_client: self.record.as_ref().map(|record| &*record.client_id),
            candidates: &candidates,
            now: self.now,
            on: self.on,
        };
        query.find(cache)
    }

    /// The original's lookup removes what has expired when it finds nothing.
    fn purge(&mut self, mut cache: Json, expired: &[Json]) -> Result<Json, Failure> {
        if self.has(Clause::K7Lookup) {
            return Ok(cache);
        }
        for entry in expired {
            // An assertion.
            if entry.str("credential_type") != Some("AccessToken") {
                return Err(match self.record {
                    Some(_) => Failure::AuthenticationFailed,
                    None => Failure::Unavailable,
                });
            }
            original::remove(&mut cache, "AccessToken", &key("AccessToken", entry));
            self.changed = Some(cache.clone());
        }
        Ok(cache)
    }
}
