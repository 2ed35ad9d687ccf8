//! Which connections there are, so that they can be ended.

use std::collections::HashMap;
use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::rt::Executor;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioTimer;
use tokio::runtime::{self, Handle};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::connector::Connector;
use super::tls::TrustRoots;
use super::{TransportError, TransportErrorKind};

const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
const MAX_IDLE_PER_HOST: usize = 4;
/// An answer of a token endpoint has about 20 header lines and 2 KiB of them.
const MAX_HEADERS: usize = 100;
const MAX_HEAD: usize = 64 * 1024;
/// When a connection is cut that has not ended in order, or has not come about; its own shutdown
/// takes less.
const CUT_AFTER: Duration = Duration::from_millis(200);

/// The connections of one endpoint, in a pool for each runtime: a connection lives by the runtime
/// that it was made on, and one that nobody drives would hang a call from another.
///
/// Calls are counted besides connections, because a call that still connects has none.
pub(super) struct Pools {
    roots: Arc<TrustRoots>,
    /// `None` once closed.
    by_runtime: Mutex<Option<HashMap<runtime::Id, Arc<Pool>>>>,
    calls: TaskTracker,
    connections: TaskTracker,
}

/// The connections on one runtime. They end when it is dropped.
struct Pool {
    client: Client<Connector, Full<Bytes>>,
    /// Does nothing, and is finished when the runtime is.
    runtime: AbortOnDropHandle<()>,
    _closing: DropGuard,
}

/// A call under way: while it is there, its pool is.
pub(super) struct Call {
    pool: Arc<Pool>,
    // Behind the pool, which must be gone when the last call is.
    _counted: TaskTrackerToken,
}

impl Pools {
    pub(super) fn new(roots: TrustRoots) -> Self {
        Self {
            roots: Arc::new(roots),
            by_runtime: Mutex::new(Some(HashMap::new())),
            calls: TaskTracker::new(),
            connections: TaskTracker::new(),
        }
    }

    /// Begins a call over the connections of the current runtime.
    pub(super) fn call(&self) -> Result<Call, TransportError> {
        let runtime = Handle::try_current().map_err(|error| {
            TransportError::new(
                TransportErrorKind::Setup,
                "a token endpoint can only be asked from within a tokio runtime",
            )
            .with_source(error)
        })?;
        let mut pools = self.lock();
        let Some(pools) = &mut *pools else {
            return Err(TransportError::new(
                TransportErrorKind::Closed,
                "the token endpoint was closed",
            ));
        };
        let pool = if let Some(pool) = pools.get(&runtime.id()) {
            Arc::clone(pool)
        } else {
            pools.retain(|_, pool| !pool.runtime.is_finished());
            let pool = Arc::new(self.open(&runtime));
            pools.insert(runtime.id(), Arc::clone(&pool));
            pool
        };
        Ok(Call {
            pool,
            _counted: self.calls.token(),
        })
    }

    fn open(&self, runtime: &Handle) -> Pool {
        let closing = CancellationToken::new();
        let client = Client::builder(Tasks {
            runtime: runtime.clone(),
            tracker: self.connections.clone(),
            closing: closing.clone(),
        })
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .http1_max_headers(MAX_HEADERS)
        .http1_max_buf_size(MAX_HEAD)
        .build(Connector::new(Arc::clone(&self.roots)));
        Pool {
            client,
            runtime: AbortOnDropHandle::new(runtime.spawn(pending())),
            _closing: closing.drop_guard(),
        }
    }

    /// Lets no call begin any more, awaits those under way, then the end of the connections.
    pub(super) async fn close(&self) {
        let pools = self.lock().take();
        // A pool that a call uses goes with the last of its calls.
        drop(pools);
        self.calls.close();
        self.connections.close();
        self.calls.wait().await;
        // The bound is for connections of a runtime that nobody drives. Without a timer there is
        // none, and they end unawaited.
        if Handle::try_current().is_ok() {
            let _ = timeout(CUT_AFTER, self.connections.wait()).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<runtime::Id, Arc<Pool>>>> {
        self.by_runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    pub(super) fn client(&self) -> &Client<Connector, Full<Bytes>> {
        &self.pool.client
    }
}

/// Runs the tasks of a client: its connections, above all.
#[derive(Clone)]
struct Tasks {
    // Not the current one: a future may be dropped, and so return its connection, outside of any.
    runtime: Handle,
    tracker: TaskTracker,
    closing: CancellationToken,
}

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let closing = self.closing.clone();
        let bounded = async move {
            let mut task = pin!(task);
            if closing.run_until_cancelled(task.as_mut()).await.is_none() {
                let _ = timeout(CUT_AFTER, task).await;
            }
        };
        self.tracker.spawn_on(bounded, &self.runtime);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_of_a_runtime_goes_with_it() {
        let pools = Pools::new(TrustRoots::default());
        for _ in 0..3 {
            let runtime = runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                drop(pools.call().unwrap());
                drop(pools.call().unwrap());
            });
            assert_eq!(pools.lock().as_ref().map(HashMap::len), Some(1));
        }
    }
}
