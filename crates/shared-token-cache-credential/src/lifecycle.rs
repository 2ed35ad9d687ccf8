use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use token_credential::{Error, ErrorKind, Result};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How long a close waits for what it has cut off.
const CUT_WITHIN: Duration = Duration::from_secs(1);

/// Counts what is under way, so that closing can wait for it.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    /// How long calls under way may go on after a close.
    grace: Duration,
    closed: Mutex<bool>,
    under_way: TaskTracker,
    cut: CancellationToken,
}

impl Lifecycle {
    pub(crate) fn new(grace: Duration) -> Self {
        Self {
            grace,
            closed: Mutex::default(),
            under_way: TaskTracker::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Begins a call that lasts until the token goes.
    pub(crate) fn begin(&self) -> Result<TaskTrackerToken> {
        // Looked at and counted under one lock, so that no call slips in behind a close.
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            return Err(Error::new(
                ErrorKind::AuthenticationFailed,
                "the credential is closed: build another one",
            ));
        }
        Ok(self.under_way.token())
    }

    /// Counts work that a call under way leaves behind.
    pub(crate) fn continued(&self) -> TaskTrackerToken {
        self.under_way.token()
    }

    /// The work's result; `None` if closing has cut it off.
    pub(crate) async fn unless_cut<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.cut.run_until_cancelled(work).await
    }

    /// Lets nothing new begin and waits for what is under way; what outlasts the grace is cut off.
    /// Then `rest` is ended, too.
    pub(crate) async fn close(&self, rest: impl Future<Output = ()>) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.under_way.close();
        // Outside a runtime there is no timer for the grace: calls then end at their own timeout.
        if tokio::runtime::Handle::try_current().is_err() {
            self.under_way.wait().await;
            return rest.await;
        }
        if timeout(self.grace, self.under_way.wait()).await.is_ok() {
            return rest.await;
        }
        self.cut.cancel();
        // What is cut ends at once, unless nobody drives its runtime any more: one that was left
        // alone, or that of a parent process. The rest waits for it, too.
        if timeout(CUT_WITHIN, self.under_way.wait()).await.is_ok() {
            return rest.await;
        }
        let _ = timeout(CUT_WITHIN, rest).await;
    }
}
