//! What is asked: K1's scopes, K11's claims; and how often it is sent.

use std::collections::BTreeMap;

use super::call::{ADDED, Player};
use super::clause::Clause;
use super::retry::{self, Count, Next};
use crate::json::Json;
use crate::outcome::Request;
use crate::transport::{account_of, accounts, standard_answer};
use crate::vector::{Answer, Failure};

impl Player<'_> {
    pub(super) fn form(
        &self,
        secret: &str,
        client: &str,
    ) -> Result<BTreeMap<String, String>, Failure> {
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
    pub(super) fn claims(&self) -> Result<Option<String>, Failure> {
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
    pub(super) fn send(
        &mut self,
        address: &str,
        tenant: &str,
        form: &BTreeMap<String, String>,
        secret: &str,
    ) -> Result<Answer, Failure> {
        let mut base = format!("{address}/{}", tenant.trim_start_matches("../"));
        if self.record.is_some() && !self.has(Clause::K12Authority) {
            // MSAL takes the first part of the path for the tenant.
            base = base.split('/').take(2).collect::<Vec<_>>().join("/");
        }
        let url = format!("https://{base}/oauth2/v2.0/token");
        // With a record the original replays what was refused, as long as it asks the same.
        let replays = self.record.is_some() && !self.has(Clause::K4GoOn);
        let before = (url.clone(), secret.to_owned());
        if let Some((_, answer)) = self.refused.iter().find(|(asked, _)| *asked == before) {
            return Ok(answer.clone());
        }
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
                Next::Take => {
                    if replays && answer.status == Some(400) {
                        self.refused.push((before, answer.clone()));
                    }
                    return Ok(answer);
                }
                Next::Wait(seconds) => self.sleeps.extend((seconds > 0.0).then_some(seconds)),
                Next::Fail(Failure::Other) if self.record.is_some() => {
                    return Err(Failure::AuthenticationFailed);
                }
                Next::Fail(failure) => return Err(failure),
            }
        }
    }
}
