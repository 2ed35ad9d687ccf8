//! An endpoint in this process that answers as it is told to.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use shared_token_cache_credential::{HttpResponse, TokenEndpoint, TokenRequest, TransportError};
use test_support::TestClock;

use super::super::Stage;

pub(super) enum Answer {
    Token(Value),
    Refusal(HttpResponse),
}

/// An endpoint in this process that keeps the times at which it was asked.
pub(super) struct Scripted {
    clock: TestClock,
    asked: Arc<Mutex<Vec<u64>>>,
    answer: Box<dyn Fn(usize) -> Answer + Send + Sync>,
    client_info: String,
    pub(super) takes: Duration,
}

impl Scripted {
    pub(super) fn new(
        stage: &Stage,
        answer: impl Fn(usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self {
            clock: stage.clock.clone(),
            asked: Arc::default(),
            answer: Box::new(answer),
            client_info: stage.ada.client_info(),
            takes: Duration::ZERO,
        }
    }

    pub(super) fn asked(&self) -> impl Fn() -> Vec<u64> + use<> {
        let asked = Arc::clone(&self.asked);
        move || asked.lock().unwrap().clone()
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

#[async_trait]
impl TokenEndpoint for Scripted {
    async fn send(&self, _request: TokenRequest) -> Result<HttpResponse, TransportError> {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(self.clock.unix_seconds());
            asked.len()
        };
        tokio::time::sleep(self.takes).await;
        Ok(match (self.answer)(number) {
            Answer::Refusal(reply) => reply,
            Answer::Token(mut token) => {
                token["client_info"] = self.client_info.clone().into();
                HttpResponse::new(200, token.to_string())
            }
        })
    }
}

/// A token named after the number of its request.
pub(super) fn issued(number: usize, expires_in: u64, refresh_in: Option<u64>) -> Answer {
    let mut token = json!({
        "token_type": "Bearer", "access_token": format!("token-{number}"),
        "expires_in": expires_in,
    });
    if let Some(refresh_in) = refresh_in {
        token["refresh_in"] = refresh_in.into();
    }
    Answer::Token(token)
}

pub(super) fn refused(error: &str) -> Answer {
    Answer::Refusal(HttpResponse::new(
        400,
        json!({ "error": error }).to_string(),
    ))
}
