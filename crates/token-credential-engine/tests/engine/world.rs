//! An engine over a scripted source, with all that a test touches of it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use token_credential::{AccessTokenInfo, Result, TokenRequestOptions};
use token_credential_engine::{Engine, EngineClock, Settings};

use crate::clock::TestClock;
use crate::script::Script;
use crate::scripted::Scripted;
use crate::store::{Key, TestStore, token};

/// The questions of a first look.
pub(crate) const FIRST_LOOK: [&str; 7] = [
    "plan",
    "check",
    "snapshot(Recent)",
    "drop_signed_out",
    "view",
    "subject",
    "find",
];

/// The questions of a look at a store that has not changed since the last one.
pub(crate) const LOOK_AGAIN: [&str; 5] = ["plan", "check", "snapshot(Recent)", "subject", "find"];

/// The questions of a memoized hit.
pub(crate) const HIT: [&str; 2] = ["tick", "is_current"];

/// An engine, its script, its stores and its clock.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) engine: Engine<Scripted>,
    pub(crate) script: Arc<Script>,
    pub(crate) store: Arc<TestStore>,
    pub(crate) cae_store: Arc<TestStore>,
    pub(crate) clock: Arc<TestClock>,
}

impl World {
    /// Makes a world with a limit of a minute, a grace of five seconds, and one store.
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    /// Makes a world with other settings.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::make(false, change)
    }

    /// Makes a world in which callers with Continuous Access Evaluation have a store of their own.
    pub(crate) fn with_two_stores() -> Self {
        Self::make(true, |_| ())
    }

    fn make(has_two_stores: bool, change: impl FnOnce(&mut Settings)) -> Self {
        let clock = Arc::new(TestClock::new());
        let script = Script::new();
        let [store, cae_store] = ["plain", "cae"].map(TestStore::new);
        let mut settings = Settings {
            clock: EngineClock::new(Some(Arc::clone(&clock) as _)),
            timeout: Duration::from_secs(60),
            close_grace: Duration::from_secs(5),
            background_refresh: true,
        };
        change(&mut settings);
        let second = has_two_stores.then(|| Arc::clone(&cae_store));
        let source = Scripted(Arc::clone(&script));
        Self {
            engine: Engine::new(source, Arc::clone(&store), second, settings),
            script,
            store,
            cae_store,
            clock,
        }
    }

    /// Stores a token of "ada" for a scope that expires this many seconds after the start.
    pub(crate) fn put(&self, scope: &str, text: &str, expires: u64) {
        self.store.put(Key::of("ada", scope), token(text, expires));
    }

    /// Gets the text of a token for a scope, or that of the error.
    pub(crate) async fn get(&self, scope: &str) -> Result<String, String> {
        self.get_with(scope, TokenRequestOptions::default()).await
    }

    /// As [`get`](Self::get), with options.
    pub(crate) async fn get_with(
        &self,
        scope: &str,
        options: TokenRequestOptions,
    ) -> Result<String, String> {
        text(self.engine.get_token_info(&[scope], &options).await)
    }

    /// Takes the journal's lines.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.script.journal.take()
    }

    /// Returns how often a function was asked since the journal was taken.
    pub(crate) fn count(&self, function: &str) -> usize {
        self.script.journal.count(function)
    }
}

/// Returns the text of a token or of an error.
pub(crate) fn text(got: Result<AccessTokenInfo>) -> Result<String, String> {
    match got {
        Ok(token) => Ok(token.token().expose_secret().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns a success with this text.
#[expect(clippy::unnecessary_wraps, reason = "it is compared with a result")]
pub(crate) fn ok(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

/// Returns a failure with this text.
pub(crate) fn err(text: &str) -> Result<String, String> {
    Err(text.to_owned())
}

/// Returns the output of a future that has to be ready at the first poll, without a runtime.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not ready at the first poll"),
    }
}

/// Returns options with claims.
pub(crate) fn claims() -> TokenRequestOptions {
    TokenRequestOptions::default().with_claims("{}")
}

/// Returns options that ask for a new token.
pub(crate) fn forced() -> TokenRequestOptions {
    TokenRequestOptions::default().with_force_refresh(true)
}

/// Returns the options of a caller that handles Continuous Access Evaluation.
pub(crate) fn cae() -> TokenRequestOptions {
    TokenRequestOptions::default().with_enable_cae(true)
}
