//! What a chain promises, through its public face.
#![allow(
    clippy::unwrap_used,
    reason = "a test that fails here should fail loudly"
)]

use std::error::Error as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use token_credential::{
    AccessTokenInfo, ChainedTokenCredential, Error, ErrorKind, OAuthError, Result, Secret,
    TokenCredential, TokenRequestOptions,
};

/// Answers what the test set, and counts.
struct Source {
    answer: Mutex<Result<&'static str, ErrorKind>>,
    calls: AtomicUsize,
    closes: AtomicUsize,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source { password: hunter2 }")
    }
}

impl Source {
    fn new(answer: Result<&'static str, ErrorKind>) -> Arc<Self> {
        let (calls, closes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self {
            answer: Mutex::new(answer),
            calls,
            closes,
        })
    }

    fn set(&self, answer: Result<&'static str, ErrorKind>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::Relaxed)
    }
}

#[async_trait::async_trait]
impl TokenCredential for Source {
    async fn get_token_info(
        &self,
        _scopes: &[&str],
        _options: &TokenRequestOptions,
    ) -> Result<AccessTokenInfo> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match *self.answer.lock().unwrap() {
            Ok(token) => Ok(AccessTokenInfo::new(
                Secret::new(token),
                SystemTime::UNIX_EPOCH,
            )),
            Err(kind) => {
                Err(Error::new(kind, "as set").with_oauth(OAuthError::new("invalid_grant")))
            }
        }
    }

    async fn close(&self) -> Result<()> {
        self.closes.fetch_add(1, Ordering::Relaxed);
        match *self.answer.lock().unwrap() {
            Ok(_) => Ok(()),
            Err(kind) => Err(Error::new(kind, "cannot close")),
        }
    }
}

const UNAVAILABLE: Result<&str, ErrorKind> = Err(ErrorKind::CredentialUnavailable);
const FAILED: Result<&str, ErrorKind> = Err(ErrorKind::AuthenticationFailed);

fn chain(sources: &[&Arc<Source>]) -> ChainedTokenCredential {
    sources
        .iter()
        .fold(ChainedTokenCredential::new(), |chain, source| {
            chain.with_shared(Arc::clone(source) as Arc<dyn TokenCredential>)
        })
}

async fn ask(chain: &ChainedTokenCredential) -> Result<String> {
    let token = chain
        .get_token(&["scope"], &TokenRequestOptions::default())
        .await?;
    Ok(token.token().expose_secret().to_owned())
}

#[tokio::test]
async fn the_next_source_is_asked_only_when_one_is_unavailable() {
    let (first, second, third) = (
        Source::new(UNAVAILABLE),
        Source::new(FAILED),
        Source::new(Ok("3")),
    );
    let error = ask(&chain(&[&first, &second, &third])).await.unwrap_err();
    assert_eq!((first.calls(), second.calls(), third.calls()), (1, 1, 0));
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    assert_eq!(error.oauth().map(OAuthError::error), Some("invalid_grant"));
    assert_eq!(
        error.source().map(ToString::to_string),
        Some("as set".into())
    );
    assert_eq!(
        error.to_string(),
        "a source of the chain failed (Source: as set; Source: as set)"
    );
}

#[tokio::test]
async fn unavailable_lists_every_source_and_no_foreign_debug_text() {
    let sources = [Source::new(UNAVAILABLE), Source::new(UNAVAILABLE)];
    let error = ask(&chain(&[&sources[0], &sources[1]])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
    assert_eq!(error.to_string().matches("Source: as set").count(), 2);
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn the_source_that_worked_is_asked_first_until_it_is_unavailable() {
    let (first, second, third) = (
        Source::new(UNAVAILABLE),
        Source::new(Ok("2")),
        Source::new(Ok("3")),
    );
    let chain = chain(&[&first, &second, &third]);
    assert_eq!(ask(&chain).await.unwrap(), "2");
    assert_eq!((first.calls(), second.calls(), third.calls()), (1, 1, 0));

    first.set(Ok("1"));
    assert_eq!(ask(&chain).await.unwrap(), "2");
    assert_eq!((first.calls(), second.calls(), third.calls()), (0, 1, 0));

    second.set(FAILED);
    assert_eq!(
        ask(&chain).await.unwrap_err().kind(),
        ErrorKind::AuthenticationFailed
    );
    assert_eq!((first.calls(), second.calls(), third.calls()), (0, 1, 0));

    second.set(UNAVAILABLE);
    assert_eq!(ask(&chain).await.unwrap(), "1");
    assert_eq!((first.calls(), second.calls(), third.calls()), (1, 1, 0));
    assert_eq!(ask(&chain).await.unwrap(), "1");
    assert_eq!((first.calls(), second.calls(), third.calls()), (1, 0, 0));
}

#[tokio::test]
async fn an_empty_chain_is_an_invalid_argument() {
    let error = ask(&ChainedTokenCredential::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[tokio::test]
async fn close_reaches_every_source_and_returns_the_first_error() {
    let (first, second) = (Source::new(FAILED), Source::new(Ok("2")));
    let error = chain(&[&first, &second]).close().await.unwrap_err();
    assert_eq!(error.to_string(), "cannot close");
    assert_eq!(first.closes.load(Ordering::Relaxed), 1);
    assert_eq!(second.closes.load(Ordering::Relaxed), 1);
}
