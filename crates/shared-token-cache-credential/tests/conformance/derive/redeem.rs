//! What a call redeems, and what that leaves behind.

use super::answer::{
    Granted, NoToken, Refusal, body, check_account, check_complete, granted, refusal,
};
use super::call::{ADDED, Matter, Player};
use super::clause::Clause;
use super::entry::{entries_or_none, known};
use super::exchange::Attempt;
use super::merge::{Redeemed, merge};
use super::original::{self, Circumstances};
use crate::json::Json;
use crate::outcome::{Info, Token};
use crate::vector::Failure;

impl Player<'_> {
    pub(super) fn redeem(
        &mut self,
        mut cache: Json,
        matter: &Matter,
        attempts: &[Attempt],
    ) -> Result<Token, Failure> {
        let scopes = &self.vector.call.scopes;
        let is_reserved = |scope: &String| ADDED.contains(&scope.as_str());
        if self.record.is_some() && !self.has(Clause::K1Scopes) && scopes.iter().any(is_reserved) {
            // Before it looks for a refresh token.
            return Err(Failure::AuthenticationFailed);
        }
        let is_adfs = |account: &Json| {
            account.str("home_account_id") == Some(&*matter.home_account_id)
                && matter.authority.knows(account.str("environment"))
                && known(account, "environment").is_some()
                && account
                    .str("authority_type")
                    .is_some_and(|kind| kind.eq_ignore_ascii_case("adfs"))
        };
        if self.has(Clause::K12Adfs)
            && !matter.authority.is_known_cloud()
            && entries_or_none(&cache, "Account").any(is_adfs)
        {
            return Err(Failure::Unavailable);
        }
        let mut failure = Failure::Unavailable;
        let mut skips_family = false;
        // For so many a request is sent.
        let most = match self.record {
            _ if self.has(Clause::K4GoOn) => 3,
            Some(_) => usize::MAX,
            None => 1,
        };
        let mut asked_for = 0;
        for attempt in attempts {
            if asked_for == most {
                break;
            }
            if skips_family && attempt.is_guess {
                continue;
            }
            let is_known = |client: &String| self.remembered(attempt, client).is_some();
            asked_for += usize::from(!attempt.clients.iter().all(is_known));
            for client in &attempt.clients {
                let refusal = match self.remembered(attempt, client) {
                    Some(refusal) => refusal,
                    None => match self.try_one(&mut cache, matter, attempt, client) {
                        Ok(token) => return Ok(token),
                        // With a record the original takes nothing for no answer.
                        Err((NoToken::Failed(Failure::Unavailable), _)) if attempt.is_guess => {
                            skips_family = true;
                            continue;
                        }
                        Err((NoToken::Failed(failed), _)) => return Err(failed),
                        Err((NoToken::Refused(refusal), is_mismatch)) => {
                            skips_family |= is_mismatch;
                            self.remember(attempt, client, &refusal);
                            refusal
                        }
                    },
                };
                if !attempt.is_guess {
                    failure = Failure::AuthenticationFailed;
                }
                // With a record the original goes on after any of the server's errors.
                let goes_on = self.record.is_some() && !self.has(Clause::K4GoOn);
                if !goes_on && !refusal.lets_others_try {
                    return Err(failure);
                }
            }
        }
        Err(failure)
    }

    /// The refusal that was given before in this call.
    fn remembered(&self, attempt: &Attempt, client: &str) -> Option<Refusal> {
        let secret = attempt.entry.str("secret").unwrap_or_default();
        let mut memory = self.memory.iter();
        let known = memory.find(|(token, asked, _)| {
            token == secret && asked.as_ref().is_none_or(|asked| asked == client)
        });
        known
            .filter(|_| self.has(Clause::K6Remembered))
            .map(|(.., refusal)| refusal.clone())
    }

    fn remember(&mut self, attempt: &Attempt, client: &str, refusal: &Refusal) {
        let secret = attempt.entry.str("secret").unwrap_or_default().to_owned();
        let client = (!refusal.is_of_token).then(|| client.to_owned());
        if refusal.is_of_token || refusal.stands {
            self.memory.push((secret, client, refusal.clone()));
        }
    }

    /// One refresh token under one application. Beside a refusal stands whether it says that the
    /// application is not of the token's family.
    pub(super) fn try_one(
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
            .send(&host, &matter.tenant, &form, &secret)
            .map_err(failed)?;
        let of_record = self.record.is_some();
        let status = answer.status.unwrap_or(200);
        let body = body(&answer, self.on, of_record).map_err(|no| {
            self.raised |= of_record && !self.has(Clause::K8Answer) && status < 500;
            (no, false)
        })?;
        let refusal = refusal(&body, status, self.on);
        let mut body = body;
        let is_mismatch = matches!(body.get("error_additional_info"), Some(Json::List(list))
            if list.contains(&Json::text("client_mismatch")));
        self.settle(cache, &mut body, attempt, refusal.as_ref())
            .map_err(failed)?;
        let new = body.get("refresh_token").cloned();
        let new = new.filter(|_| of_record);
        if of_record && !self.has(Clause::K7Merge) {
            body.remove("refresh_token");
        }
        if let Some(refusal) = refusal {
            self.rotate_with_record(cache, attempt, new)
                .map_err(failed)?;
            return Err((NoToken::Refused(refusal), is_mismatch));
        }
        if misses {
            return Err(failed(Failure::Other));
        }
        // The first part of the path, as the original sees it.
        let path = format!("{host}/{}", matter.tenant);
        let tenant = path.split('/').nth(1).unwrap_or_default().to_owned();
        let granted = granted(body, status, self.now, of_record, self.on).map_err(failed)?;
        if self.has(Clause::K7Answer) {
            check_account(&granted.body, &matter.home_account_id, &tenant, self.on)
                .map_err(failed)?;
        }
        let is_spent = granted.is_spent;
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
                    by_resource: self.has(Clause::K14Resources),
                    now: self.now,
                    on: self.on,
                },
            );
            // Where a section cannot be written, memory keeps it.
            if let Some(merged) = merged {
                *cache = merged;
                self.changed = Some(cache.clone());
            }
        } else {
            if !is_spent {
                self.add(cache, &granted, &host, &tenant).map_err(failed)?;
            }
            self.rotate_with_record(cache, attempt, new)
                .map_err(failed)?;
        }
        if is_spent {
            return Err(failed(Failure::AuthenticationFailed));
        }
        if of_record && !self.has(Clause::K8Answer) {
            check_complete(&granted.body).map_err(failed)?;
        }
        let half_life_is_ours = of_record && self.has(Clause::K7HalfLife);
        let life = granted.expires_on - self.now;
        let half_life = (half_life_is_ours && life >= 7200).then(|| self.now + life / 2);
        Ok(Token {
            secret: granted.access_token,
            expires_on: granted.expires_on,
            info: Some(Info {
                refresh_on: granted.refresh_on.or(half_life),
                token_type: granted.token_type,
            }),
        })
    }

    /// Where the original, with a record, goes for an entry of an alias.
    pub(super) fn host(&self, matter: &Matter, attempt: &Attempt) -> String {
        match attempt.entry.str("environment") {
            Some(own) if self.record.is_some() && !self.has(Clause::K12Host) => own.to_owned(),
            _ => matter.authority.address.clone(),
        }
    }

    /// What an answer does to the refresh tokens before it is read.
    pub(super) fn settle(
        &mut self,
        cache: &mut Json,
        body: &mut Json,
        attempt: &Attempt,
        refusal: Option<&Refusal>,
    ) -> Result<(), Failure> {
        let secret = attempt.entry.str("secret").unwrap_or_default();
        let is_invalid_grant = refusal.is_some_and(|refusal| refusal.error == "invalid_grant");
        if is_invalid_grant && self.record.is_none() && !self.has(Clause::K6Kept) {
            original::evict(cache, secret)?;
            self.changed = Some(cache.clone());
        }
        if self.has(Clause::K7Merge) {
            return Ok(());
        }
        if self.record.is_none()
            && let Some(new) = body.get("refresh_token").cloned()
            && original::rotate(cache, secret, &new, self.now)?
        {
            body.remove("refresh_token");
            self.changed = Some(cache.clone());
        }
        Ok(())
    }

    /// With a record the original does so last, whatever the answer was.
    fn rotate_with_record(
        &mut self,
        cache: &mut Json,
        attempt: &Attempt,
        new: Option<Json>,
    ) -> Result<(), Failure> {
        if let Some(new) = new.filter(|_| !self.has(Clause::K7Merge)) {
            original::rotate_entry(cache, &attempt.entry, &new, self.now)?;
            self.changed = Some(cache.clone());
        }
        Ok(())
    }

    /// What the original writes.
    pub(super) fn add(
        &mut self,
        cache: &mut Json,
        granted: &Granted,
        host: &str,
        tenant: &str,
    ) -> Result<(), Failure> {
        if tenant.is_empty() {
            return Err(Failure::Other);
        }
        let mut scopes = self.vector.call.scopes.clone();
        let client = self.record.as_ref().map(|record| record.client_id.clone());
        let body = granted.body.clone();
        if client.is_some() {
            scopes.extend(ADDED.map(str::to_owned));
        }
        // A failure on the way leaves nothing of this behind: the first write is the last step
        // that can fail.
        let mut written = cache.clone();
        let host = host
            .split(['/', ':'])
            .next()
            .unwrap_or_default()
            .to_lowercase();
        let granted = Granted {
            body,
            access_token: granted.access_token.clone(),
            expires_on: granted.expires_on,
            refresh_on: granted.refresh_on,
            token_type: granted.token_type.clone(),
            ..*granted
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
}
