//! The answers that the test gives to the engine's questions.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use token_credential::{AccessTokenInfo, Error, ErrorKind};
use token_credential_engine::{EXPIRY_MARGIN, Written};
use tokio::time::Instant;

use crate::journal::Journal;
use crate::store::{Key, token};

/// The account to serve. Its address is the part that counts.
#[derive(Debug)]
pub(crate) struct TestPlan(pub(crate) &'static str);

/// The state of the lease, as another process left it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lease {
    Free,
    Held,
    /// Held by a process that makes no progress.
    Stalled,
    Unsupported,
    Panics,
    Never,
}

/// The end of a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Token(AccessTokenInfo),
    /// A token that must not be handed out.
    Unusable(AccessTokenInfo),
    Fails(Error),
    Panics,
    Never,
}

/// A request: its end, and the time until then.
#[derive(Clone, Debug)]
pub(crate) struct Obtain {
    pub(crate) after: Duration,
    pub(crate) reply: Reply,
    /// Whether anything worth keeping is left without the token.
    pub(crate) has_rest: bool,
}

/// A write: its outcome, or a panic, and the time until then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    pub(crate) takes: Duration,
    pub(crate) written: Option<Written>,
}

/// The result of a request.
#[derive(Clone, Debug)]
pub(crate) struct Obtained {
    pub(crate) key: Key,
    pub(crate) token: Option<AccessTokenInfo>,
    pub(crate) is_usable: bool,
    pub(crate) has_rest: bool,
    pub(crate) journal: Arc<Journal>,
}

/// The answers to come. A request or a write beyond the script succeeds at once.
#[derive(Debug)]
pub(crate) struct Steps {
    pub(crate) plan: Result<Arc<TestPlan>, Error>,
    pub(crate) check: Result<(), Error>,
    pub(crate) snapshot: Result<(), Error>,
    /// The time from reading a content to returning it.
    pub(crate) snapshot_takes: Duration,
    pub(crate) find: Result<(), Error>,
    /// The remaining lifetime below which a token is no hit.
    pub(crate) margin: Duration,
    pub(crate) tick: Option<u64>,
    pub(crate) lease: Lease,
    pub(crate) obtains: VecDeque<Obtain>,
    pub(crate) writes: VecDeque<Write>,
    /// The account whose unsaved results a look drops.
    pub(crate) signed_out: Option<&'static str>,
    /// The deadlines of the requests so far.
    pub(crate) deadlines: Vec<Instant>,
    /// How long closing takes.
    pub(crate) close_takes: Duration,
}

/// A script and the journal of what was asked.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) journal: Arc<Journal>,
    steps: Mutex<Steps>,
}

impl Script {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            journal: Arc::default(),
            steps: Mutex::new(Steps {
                plan: Ok(Arc::new(TestPlan("plan"))),
                check: Ok(()),
                snapshot: Ok(()),
                snapshot_takes: Duration::ZERO,
                find: Ok(()),
                margin: EXPIRY_MARGIN,
                tick: Some(1),
                lease: Lease::Free,
                obtains: VecDeque::new(),
                writes: VecDeque::new(),
                signed_out: None,
                deadlines: Vec::new(),
                close_takes: Duration::ZERO,
            }),
        })
    }

    /// Reads or changes the steps.
    pub(crate) fn with<T>(&self, with: impl FnOnce(&mut Steps) -> T) -> T {
        with(&mut self.steps.lock().unwrap())
    }

    /// Appends a request that ends at once.
    pub(crate) fn obtain(&self, reply: Reply) {
        self.obtain_after(Duration::ZERO, reply);
    }

    /// Appends a request that ends after this time.
    pub(crate) fn obtain_after(&self, after: Duration, reply: Reply) {
        self.with(|steps| {
            steps.obtains.push_back(Obtain {
                after,
                reply,
                has_rest: true,
            });
        });
    }

    /// Appends a request that gets this token after this time.
    pub(crate) fn token_after(&self, after: Duration, text: &str) {
        self.obtain_after(after, Reply::Token(token(text, 3600)));
    }

    /// Appends a write with this outcome.
    pub(crate) fn write(&self, takes: Duration, written: Written) {
        self.with(|steps| {
            steps.writes.push_back(Write {
                takes,
                written: Some(written),
            });
        });
    }

    pub(crate) fn set_lease(&self, lease: Lease) {
        self.with(|steps| steps.lease = lease);
    }
}

/// Returns an error of a source with this text.
pub(crate) fn refused(text: &str) -> Error {
    Error::new(ErrorKind::AuthenticationFailed, text)
}
