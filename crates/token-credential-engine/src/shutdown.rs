//! The end of an engine: no new work, and a grace for the work under way.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The longest wait for work that was cut off.
const CUT_WITHIN: Duration = Duration::from_secs(1);

/// Counts the work under way, so that closing can wait for it.
#[derive(Debug)]
pub(crate) struct Shutdown {
    /// The time that work under way has after a close.
    grace: Duration,
    closed: Mutex<bool>,
    under_way: TaskTracker,
    cut: CancellationToken,
}

impl Shutdown {
    pub(crate) fn new(grace: Duration) -> Self {
        Self {
            grace,
            closed: Mutex::default(),
            under_way: TaskTracker::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Begins work that lasts until the token is dropped, or returns `None` after a close.
    pub(crate) fn begin(&self) -> Option<TaskTrackerToken> {
        // Looked at and counted under one lock, so that no work slips in behind a close.
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        (!*closed).then(|| self.under_way.token())
    }

    /// Counts work that other work leaves behind, also after a close.
    pub(crate) fn continued(&self) -> TaskTrackerToken {
        self.under_way.token()
    }

    /// Returns the result of the work, or `None` if a close cut it off.
    pub(crate) async fn unless_cut<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.cut.run_until_cancelled(work).await
    }

    /// Lets no work begin, waits for the work under way, and cuts it off at the end of the grace.
    /// Then awaits `rest`.
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
        // Cut work ends at once, unless its runtime is not driven any more: an abandoned one, or that
        // of a parent process. The rest waits for it, too.
        if timeout(CUT_WITHIN, self.under_way.wait()).await.is_ok() {
            return rest.await;
        }
        let _ = timeout(CUT_WITHIN, rest).await;
    }
}
