//! A transport that gives the answers of a vector, one after the other.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared_token_cache_credential::{
    HttpResponse, TokenEndpoint, TokenRequest, TransportError, TransportErrorKind,
};
use tokio::time::Instant;

use crate::json::Json;
use crate::outcome::Request;
use crate::vector::{Answer, AnswerError, Vector};

/// What is still to be answered, and what was asked.
pub(crate) struct Script {
    answers: VecDeque<Answer>,
    /// The account of each refresh token, for the answer to a request that the original did not
    /// make.
    accounts: Vec<(String, String)>,
    seen: Vec<(Request, Instant)>,
}

impl Script {
    pub(crate) fn new(vector: &Vector) -> Self {
        Self {
            answers: posted_answers(vector).cloned().collect(),
            accounts: accounts(vector),
            seen: Vec::new(),
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.iter().map(|(seen, _)| seen.clone()).collect()
    }

    /// The waits between requests, in seconds, as `expected_sleeps` has them.
    pub(crate) fn sleeps(&self) -> Vec<f64> {
        let gaps = self.seen.windows(2);
        gaps.map(|pair| (pair[1].1 - pair[0].1).as_secs_f64())
            .filter(|gap| *gap > 0.0)
            .collect()
    }

    fn answer(&mut self, request: &TokenRequest) -> Result<HttpResponse, TransportError> {
        let form: BTreeMap<_, _> = request
            .form()
            .map(|(name, value)| (name.to_owned(), value.expose_secret().to_owned()))
            .collect();
        let secret = form.get("refresh_token").cloned().unwrap_or_default();
        let request = Request {
            method: "POST".to_owned(),
            url: request.url().to_owned(),
            form,
        };
        self.seen.push((request, Instant::now()));
        let answer = self
            .answers
            .pop_front()
            .unwrap_or_else(|| standard_answer(account_of(&self.accounts, &secret)));
        if let Some(error) = answer.error {
            let kind = match error {
                AnswerError::Connect => TransportErrorKind::Connect,
                AnswerError::Read => TransportErrorKind::Lost,
            };
            return Err(TransportError::new(kind, "scripted"));
        }
        let body = answer.text();
        let reply = HttpResponse::new(answer.status.unwrap_or(200), body);
        Ok(match answer.header("Retry-After") {
            Some(value) => reply.with_retry_after(value),
            None => reply,
        })
    }
}

/// The answers to the requests that ours makes too; the others were to the original's discovery.
pub(crate) fn posted_answers(vector: &Vector) -> impl Iterator<Item = &Answer> {
    let answers = vector.transport.iter().enumerate();
    answers
        .filter(|(n, answer)| {
            // Answers stand in the order of the requests.
            let got = vector.expected_requests.get(*n);
            got.is_none_or(|request| request.method != "GET") && !answer.is_discovery()
        })
        .map(|(_, answer)| answer)
}

/// Refresh token and account of every such entry.
pub(crate) fn accounts(vector: &Vector) -> Vec<(String, String)> {
    let files = vector.files.values().filter_map(|file| match &file.text {
        Some(text) => Json::parse(text.trim_start_matches('\u{feff}')),
        None => file.json.clone(),
    });
    let caches = [&vector.cae_cache, &vector.cache]
        .into_iter()
        .flatten()
        .cloned();
    let mut accounts = Vec::new();
    for cache in caches.chain(files) {
        let section = cache.get("RefreshToken").map_or(&[][..], Json::members);
        for (_, entry) in section {
            if let (Some(secret), Some(id)) = (entry.str("secret"), entry.str("home_account_id")) {
                accounts.push((secret.to_owned(), id.to_owned()));
            }
        }
    }
    accounts
}

pub(crate) fn account_of<'a>(accounts: &'a [(String, String)], secret: &str) -> Option<&'a str> {
    let mut accounts = accounts.iter();
    accounts
        .find(|(known, _)| known == secret)
        .map(|(_, account)| account.as_str())
}

/// The answer to a request that the original did not make.
pub(crate) fn standard_answer(account: Option<&str>) -> Answer {
    let (uid, utid) = account
        .and_then(|id| id.split_once('.'))
        .unwrap_or_default();
    let client_info = serde_json::json!({ "uid": uid, "utid": utid }).to_string();
    let mut body = Json::empty_object();
    body.set("token_type", Json::text("Bearer"));
    body.set("access_token", Json::text("at-new"));
    body.set("expires_in", Json::Number(3600.into()));
    body.set(
        "client_info",
        Json::text(URL_SAFE_NO_PAD.encode(client_info)),
    );
    Answer {
        status: Some(200),
        headers: BTreeMap::new(),
        json: Some(body),
        body: None,
        error: None,
    }
}

impl Answer {
    /// Whether it says where endpoints are.
    fn is_discovery(&self) -> bool {
        let Some(json) = &self.json else { return false };
        ["token_endpoint", "tenant_discovery_endpoint"]
            .iter()
            .any(|name| json.has(name))
    }

    /// The body as it goes over the wire.
    pub(crate) fn text(&self) -> String {
        match (&self.json, &self.body) {
            (Some(json), _) => json.to_string(),
            (None, Some(body)) => body.clone(),
            (None, None) => String::new(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

pub(crate) struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    pub(crate) fn new(script: &Arc<Mutex<Script>>) -> Self {
        Self(Arc::clone(script))
    }
}

#[async_trait]
impl TokenEndpoint for Scripted {
    async fn send(&self, request: TokenRequest) -> Result<HttpResponse, TransportError> {
        let mut script = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        script.answer(&request)
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}
