//! A call from its beginning to its end, with the decisions that are in force.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::answer::{NoToken, body, check_account, granted, refusal};
use super::authority::{Authority, is_tenant};
use super::clause::{Clause, Rules};
use super::exchange::{Attempt, attempts};
use super::find::{Found, Query};
use super::merge::{Redeemed, merge};
use super::original::{self, Circumstances};
use super::retry::{self, Count, Next};
use super::whose::{Filter, Record, choose, recorded};
use crate::json::Json;
use crate::outcome::{Content, FileLeft, Info, Left, Outcome, Request, Token};
use crate::transport::{account_of, accounts, posted_answers, standard_answer};
use crate::vector::{Answer, Failure, FileBody, Kind, Method, Vector};

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
    };
    let mut result = player.call();
    if on.has(Clause::K8Error) && result == Err(Failure::Other) {
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

struct Player<'v> {
    vector: &'v Vector,
    on: Rules,
    record: Option<Record>,
    now: i64,
    requests: Vec<Request>,
    sleeps: Vec<f64>,
    answers: VecDeque<Answer>,
    /// The store that was used, if it was written.
    changed: Option<Json>,
}

/// What a call is about, once that is settled.
struct Matter {
    authority: Authority,
    tenant: String,
    home_account_id: String,
}

impl Player<'_> {
    fn has(&self, clause: Clause) -> bool {
        self.on.has(clause)
    }

    fn env(&self, name: &str) -> Option<&str> {
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
        let home_account_id = match &self.record {
            Some(record) => recorded(&cache, &authority, record, self.on)?,
            None => {
                let filter = Filter {
                    username: username.as_deref(),
                    tenant_id: tenant_id.as_deref(),
                };
                choose(&cache, &authority, &filter, self.now, self.on)?
            }
        };
        let matter = Matter {
            authority,
            tenant: tenant.unwrap_or_else(|| "organizations".to_owned()),
            home_account_id,
        };
        let candidates = self.attempts(&cache, &matter);
        let mut found = Found::default();
        if !self.has_claims() {
            found = self.find(&cache, &matter, &candidates)?;
            let refreshes = found.is_due && !self.has(Clause::K13NoRefresh);
            if let Some(hit) = found.hit.clone().filter(|_| !refreshes) {
                return Ok(hit);
            }
        }
        let cache = self.purge(cache, &found.expired)?;
        let redeemed = match self.tenant_of_redemption(&matter) {
            Ok(tenant) => {
                let matter = Matter { tenant, ..matter };
                self.redeem(cache, &matter, candidates)
            }
            Err(failure) => Err(failure),
        };
        let redeemed = redeemed.or_else(|failure| {
            let last_resort = found
                .last_resort
                .filter(|_| self.has(Clause::K13LastResort));
            found.hit.or(last_resort).ok_or(failure)
        });
        redeemed.map_err(|failure| {
            let fell_through = self.vector.within_chain && !self.has(Clause::K13Chain);
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

    fn has_claims(&self) -> bool {
        self.vector
            .call
            .claims
            .as_deref()
            .is_some_and(|claims| !claims.is_empty())
    }

    /// K13: "bad scopes, tenants and claims are InvalidArgument before anything is read".
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

    /// The tenant that the call asks for, as far as that counts.
    fn asked_tenant(&self) -> Option<&str> {
        let asked = self.vector.call.tenant_id.as_deref();
        let drops_empty = self.has(Clause::K5Empty) || self.vector.call.method == Method::GetToken;
        asked.filter(|asked| !(drops_empty && asked.is_empty()))
    }

    fn is_multitenant_disabled(&self) -> bool {
        self.env("AZURE_IDENTITY_DISABLE_MULTITENANTAUTH")
            .is_some_and(|value| !value.is_empty())
    }

    fn is_allowed(&self, tenant: &str) -> bool {
        let allowed = &self.vector.constructor.additionally_allowed_tenants;
        allowed.iter().any(|known| known == tenant || known == "*")
    }

    /// The tenant of a call with a record.
    fn tenant_with(&self, record: &Record) -> Result<Option<String>, Failure> {
        let constructor = &self.vector.constructor;
        let default = constructor
            .tenant_id
            .clone()
            .filter(|text| !text.is_empty());
        let default = default.unwrap_or_else(|| record.tenant_id.clone());
        let Some(asked) = self.asked_tenant().filter(|asked| *asked != default) else {
            return Ok(Some(default));
        };
        if self.is_multitenant_disabled() || default == "adfs" {
            return Ok(Some(default));
        }
        let any = default == "organizations" && constructor.additionally_allowed_tenants.is_empty();
        if any || self.is_allowed(asked) {
            return Ok(Some(asked.to_owned()));
        }
        Err(Failure::AuthenticationFailed)
    }

    /// K5: the tenant of a call without a record, where it governs the lookup.
    fn tenant_without(&self) -> Result<Option<String>, Failure> {
        let list = &self.vector.constructor.additionally_allowed_tenants;
        let Some(asked) = self
            .asked_tenant()
            .filter(|asked| *asked != "organizations")
        else {
            return Ok(None);
        };
        if !self.has(Clause::K5Listed) || list.is_empty() || self.is_multitenant_disabled() {
            return Ok(None);
        }
        if self.is_allowed(asked) {
            return Ok(Some(asked.to_owned()));
        }
        Err(Failure::AuthenticationFailed)
    }

    /// The tenant in the address: in the original it is decided on only here.
    fn tenant_of_redemption(&self, matter: &Matter) -> Result<String, Failure> {
        let list = &self.vector.constructor.additionally_allowed_tenants;
        let default = || Ok(matter.tenant.clone());
        if self.record.is_some() || self.is_multitenant_disabled() {
            return default();
        }
        match self.asked_tenant() {
            None | Some("organizations") => default(),
            Some(_) if list.is_empty() && self.has(Clause::K5Ignored) => default(),
            Some(asked) if list.is_empty() || self.is_allowed(asked) => Ok(asked.to_owned()),
            Some(_) => Err(Failure::AuthenticationFailed),
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

    /// The store that the call uses.
    fn load(&self) -> Result<Json, Failure> {
        let failed = match &self.record {
            _ if self.has(Clause::K13Unreadable) => Failure::Unavailable,
            Some(_) if self.vector.within_chain => Failure::Unavailable,
            _ => Failure::AuthenticationFailed,
        };
        let cae = self.vector.call.enables_cae();
        match self.vector.kind {
            Kind::Lookup => {
                if self.vector.cache_load_fails {
                    return Err(match &self.record {
                        None => Failure::Unavailable,
                        Some(_) => failed,
                    });
                }
                let cache = if cae {
                    &self.vector.cae_cache
                } else {
                    &self.vector.cache
                };
                let cache = cache.clone().unwrap_or_else(Json::empty_object);
                if cache.is_object() {
                    Ok(cache)
                } else {
                    Err(failed)
                }
            }
            Kind::File => {
                let constructor = &self.vector.constructor;
                let explicit = constructor.cache_name.is_some()
                    || constructor.allow_unencrypted_storage.is_some();
                if explicit && constructor.allow_unencrypted_storage != Some(true) {
                    return Err(Failure::Unavailable);
                }
                let Some(file) = self.vector.files.get(&self.file_name()) else {
                    return Ok(Json::empty_object());
                };
                self.parse(file).ok_or(failed)
            }
        }
    }

    fn file_name(&self) -> String {
        let name = self.vector.constructor.cache_name.as_deref();
        let suffix = if self.vector.call.enables_cae() {
            "cae"
        } else {
            "nocae"
        };
        format!("{}.{suffix}", name.unwrap_or("msal.cache"))
    }

    fn parse(&self, file: &FileBody) -> Option<Json> {
        let text = match (&file.json, &file.text, &file.base64) {
            (Some(json), ..) => json.to_string(),
            (_, Some(text), _) => text.clone(),
            (_, _, Some(base64)) => String::from_utf8(STANDARD.decode(base64).ok()?).ok()?,
            _ => return None,
        };
        if text.is_empty() {
            return Some(Json::empty_object());
        }
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) if self.has(Clause::K13Bom) => rest,
            _ => &text,
        };
        Json::parse(text).filter(Json::is_object)
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
    fn purge(&mut self, mut cache: Json, expired: &[String]) -> Result<Json, Failure> {
        if !self.has(Clause::K7Lookup) {
            for key in expired {
                original::remove(&mut cache, "AccessToken", key);
            }
            if !expired.is_empty() {
                self.changed = Some(cache.clone());
            }
        }
        Ok(cache)
    }

    fn redeem(
        &mut self,
        mut cache: Json,
        matter: &Matter,
        attempts: Vec<Attempt>,
    ) -> Result<Token, Failure> {
        let mut failure = Failure::Unavailable;
        let mut skips_family = false;
        for attempt in &attempts {
            if skips_family && attempt.of_family {
                continue;
            }
            for client in &attempt.clients {
                let status;
                match self.try_one(&mut cache, matter, attempt, client) {
                    Ok(token) => return Ok(token),
                    Err((NoToken::Failed(failed), _)) => {
                        // A record's next token is tried after any error of the server's.
                        return Err(failed);
                    }
                    Err((
                        NoToken::Refused {
                            lets_others_try, ..
                        },
                        mismatch,
                    )) => {
                        failure = Failure::AuthenticationFailed;
                        skips_family |= mismatch;
                        status = lets_others_try;
                    }
                }
                let goes_on = match self.record {
                    Some(_) if !self.has(Clause::K4GoOn) => true,
                    _ => status,
                };
                if !goes_on {
                    return Err(failure);
                }
            }
        }
        Err(failure)
    }

    /// One refresh token under one application. Beside a refusal stands whether it says that the
    /// application is not of the token's family.
    fn try_one(
        &mut self,
        cache: &mut Json,
        matter: &Matter,
        attempt: &Attempt,
        client: &str,
    ) -> Result<Token, (NoToken, bool)> {
        let failed = |failure| (NoToken::Failed(failure), false);
        let secret = attempt.entry.str("secret").unwrap_or_default().to_owned();
        let host = self.host(matter, attempt);
        let form = self.form(&secret, client).map_err(failed)?;
        // What an empty field leaves out, the original misses when it reads the answer.
        let misses = ["refresh_token", "scope"]
            .iter()
            .any(|name| !form.contains_key(*name));
        let answer = self
            .send(&host, &matter.tenant, form, &secret)
            .map_err(failed)?;
        let of_record = self.record.is_some();
        let status = answer.status.unwrap_or(200);
        let body = body(&answer, self.on, of_record).map_err(|no| (no, false))?;
        if misses {
            return Err(failed(Failure::Other));
        }
        let refusal = refusal(&body, status);
        let mut body = body;
        let is_mismatch = matches!(body.get("error_additional_info"), Some(Json::List(list))
            if list.contains(&Json::text("client_mismatch")));
        if !of_record {
            self.settle(cache, &mut body, &secret, refusal.as_ref())
                .map_err(failed)?;
        }
        if let Some(refusal) = refusal {
            return Err((refusal, is_mismatch));
        }
        // The first part of the path, as the original sees it.
        let path = format!("{host}/{}", matter.tenant);
        let tenant = path.split('/').nth(1).unwrap_or_default().to_owned();
        let granted = granted(body, status, self.now, of_record, self.on).map_err(failed)?;
        if self.has(Clause::K7Answer) {
            check_account(&granted.body, &matter.home_account_id, &tenant).map_err(failed)?;
        }
        if self.has(Clause::K7Merge) {
            let merged = merge(
                cache,
                &granted,
                &Redeemed {
                    entry: &attempt.entry,
                    client,
                    authority: &matter.authority,
                    tenant: &tenant,
                    scopes: &self.vector.call.scopes,
                    now: self.now,
                },
            );
            // Where a section cannot be written, memory keeps it.
            if let Some(merged) = merged {
                *cache = merged;
                self.changed = Some(cache.clone());
            }
        } else {
            self.add(cache, &granted, &host, &tenant, attempt)
                .map_err(failed)?;
        }
        let half_life_is_ours = of_record && self.has(Clause::K7HalfLife);
        let life = granted.expires_on - self.now;
        let half_life = (half_life_is_ours && life >= 7200).then(|| self.now + life / 2);
        Ok(Token {
            token: granted.access_token,
            expires_on: granted.expires_on,
            info: Some(Info {
                refresh_on: granted.refresh_on.or(half_life),
                token_type: granted.token_type,
            }),
        })
    }

    /// Where the original, with a record, goes for an entry of an alias.
    fn host(&self, matter: &Matter, attempt: &Attempt) -> String {
        match attempt.entry.str("environment") {
            Some(own) if self.record.is_some() && !self.has(Clause::K12Host) => own.to_owned(),
            _ => matter.authority.address.clone(),
        }
    }

    /// What an answer does to the refresh tokens before it is read.
    fn settle(
        &mut self,
        cache: &mut Json,
        body: &mut Json,
        secret: &str,
        refusal: Option<&NoToken>,
    ) -> Result<(), Failure> {
        let is_invalid_grant =
            matches!(refusal, Some(NoToken::Refused { error, .. }) if error == "invalid_grant");
        if is_invalid_grant && !self.has(Clause::K6Kept) {
            original::evict(cache, secret)?;
            self.changed = Some(cache.clone());
        }
        if self.has(Clause::K7Merge) {
            return Ok(());
        }
        if let Some(new) = body.get("refresh_token").cloned()
            && original::rotate(cache, secret, &new, self.now)?
        {
            body.remove("refresh_token");
            self.changed = Some(cache.clone());
        }
        Ok(())
    }

    /// What the original writes.
    fn add(
        &mut self,
        cache: &mut Json,
        granted: &super::answer::Granted,
        host: &str,
        tenant: &str,
        attempt: &Attempt,
    ) -> Result<(), Failure> {
        if tenant.is_empty() {
            return Err(Failure::Other);
        }
        let mut scopes = self.vector.call.scopes.clone();
        let client = self.record.as_ref().map(|record| record.client_id.clone());
        let mut body = granted.body.clone();
        if client.is_some() {
            scopes.extend(ADDED.map(str::to_owned));
            if let Some(new) = body.get("refresh_token").cloned() {
                let secret = attempt.entry.str("secret").unwrap_or_default();
                if original::rotate(cache, secret, &new, self.now)? {
                    body.remove("refresh_token");
                }
            }
        }
        // A failure on the way leaves nothing of this behind: the first write is the last step
        // that can fail.
        let mut written = cache.clone();
        let host = host
            .split(['/', ':'])
            .next()
            .unwrap_or_default()
            .to_lowercase();
        let granted = super::answer::Granted {
            body,
            access_token: granted.access_token.clone(),
            expires_on: granted.expires_on,
            refresh_on: granted.refresh_on,
            token_type: granted.token_type.clone(),
        };
        original::add(
            &mut written,
            &granted,
            &Circumstances {
                host: &host,
                tenant,
                record_client: client.as_deref(),
                scopes: &scopes,
                now: self.now,
            },
        )?;
        *cache = written;
        self.changed = Some(cache.clone());
        Ok(())
    }

    fn form(&self, secret: &str, client: &str) -> Result<BTreeMap<String, String>, Failure> {
        let scopes = &self.vector.call.scopes;
        let mut scope: Vec<&str> = scopes.iter().map(String::as_str).collect();
        if self.has(Clause::K1Scopes) {
            let mut all: Vec<&str> = Vec::new();
            for one in scope.into_iter().chain(ADDED) {
                if !all.contains(&one) {
                    all.push(one);
                }
            }
            scope = all;
        } else if self.record.is_some() {
            if scope.iter().any(|one| ADDED.contains(one)) {
                return Err(Failure::AuthenticationFailed);
            }
            scope.extend(ADDED);
            scope.sort_unstable();
        }
        let fields = [
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", secret.to_owned()),
            ("scope", scope.join(" ")),
            ("client_id", client.to_owned()),
            ("client_info", "1".to_owned()),
            ("claims", self.claims()?.unwrap_or_default()),
        ];
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
        Ok(fields
            .map(|(name, value)| (name.to_owned(), value))
            .collect())
    }

    /// K11.
    fn claims(&self) -> Result<Option<String>, Failure> {
        let claims = self
            .vector
            .call
            .claims
            .clone()
            .filter(|claims| !claims.is_empty());
        if !self.vector.call.enables_cae() {
            return Ok(claims);
        }
        let claims = match claims {
            Some(text) => Json::parse(&text)
                .filter(Json::is_object)
                .ok_or(Failure::Other)?,
            None => Json::empty_object(),
        };
        let mut claims = claims;
        let ours = self.has(Clause::K11Capability);
        let is_null = matches!(claims.get("access_token"), Some(Json::Null));
        if !claims.has("access_token") || (ours && is_null) {
            claims.set("access_token", Json::empty_object());
        }
        let access_token = claims.get_mut("access_token").ok_or(Failure::Other)?;
        if !access_token.is_object() {
            return Err(Failure::Other);
        }
        let values = |list: Vec<Json>| Json::Object(vec![("values".to_owned(), Json::List(list))]);
        if !ours {
            access_token.set("xms_cc", values(vec![Json::text("CP1")]));
        } else if let Some(capability) = access_token
            .get_mut("xms_cc")
            .filter(|capability| !matches!(capability, Json::Null))
        {
            let is_cp1 = |value: &Json| {
                value
                    .as_str()
                    .is_some_and(|text| text.eq_ignore_ascii_case("cp1"))
            };
            match capability.get_mut("values") {
                Some(Json::List(list)) if !list.iter().any(is_cp1) => list.push(Json::text("cp1")),
                Some(_) => {}
                None => capability.set("values", Json::List(vec![Json::text("cp1")])),
            }
        } else {
            access_token.set("xms_cc", values(vec![Json::text("cp1")]));
        }
        Ok(Some(claims.to_string()))
    }

    /// Sends a form until something comes of it.
    fn send(
        &mut self,
        address: &str,
        tenant: &str,
        form: BTreeMap<String, String>,
        secret: &str,
    ) -> Result<Answer, Failure> {
        let tenant = tenant.trim_start_matches("../");
        let url = format!("https://{address}/{tenant}/oauth2/v2.0/token");
        let known = accounts(self.vector);
        let mut count = Count::default();
        loop {
            self.requests.push(Request {
                method: "POST".to_owned(),
                url: url.clone(),
                form: form.clone(),
            });
            let answer = self.answers.pop_front();
            let answer = answer.unwrap_or_else(|| standard_answer(account_of(&known, secret)));
            let next = if self.has(Clause::K9Retries) {
                retry::ours(&answer, &mut count)
            } else {
                retry::original(&answer, &mut count)
            };
            match next {
                Next::Take => return Ok(answer),
                Next::Wait(seconds) => self.sleeps.extend((seconds > 0.0).then_some(seconds)),
                Next::Fail(Failure::Other) if self.record.is_some() => {
                    return Err(Failure::AuthenticationFailed);
                }
                Next::Fail(failure) => return Err(failure),
            }
        }
    }

    fn left(&self) -> Result<Left, String> {
        let cae = self.vector.call.enables_cae();
        if self.vector.kind == Kind::File {
            let mut files = BTreeMap::new();
            for (name, file) in &self.vector.files {
                files.insert(name.clone(), FileLeft::of(file)?);
            }
            if let Some(changed) = &self.changed {
                let name = self.file_name();
                let old = files.get(&name).map(|file| file.mode.clone());
                let mode = match old {
                    Some(mode) if !self.has(Clause::K13Mode) => mode,
                    _ => "0600".to_owned(),
                };
                let content = Content::Json(changed.clone());
                files.insert(name, FileLeft { mode, content });
            }
            return Ok(Left::Files(files));
        }
        let cache = |cache: &Option<Json>, is_used: bool| {
            let changed = self.changed.clone().filter(|_| is_used);
            let cache = changed.or_else(|| cache.clone());
            cache.unwrap_or_else(Json::empty_object)
        };
        Ok(Left::Caches {
            nocae: cache(&self.vector.cache, !cae),
            cae: cache(&self.vector.cae_cache, cae),
        })
    }
}

/// What every sign-in asks for.
const ADDED: [&str; 3] = ["openid", "profile", "offline_access"];
