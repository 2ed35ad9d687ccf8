//! Which connections there are, so that they can be ended.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::pending;
use std::mem::{forget, replace};
use std::pin::pin;
use std::process;
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
use super::proxy::ProxyRules;
use super::resolver::Resolver;
use super::tls::TrustRoots;
use crate::token_endpoint::error::{TransportError, TransportErrorKind};

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
pub(super) struct Pools {
    roots: Arc<TrustRoots>,
    proxies: Arc<ProxyRules>,
    resolver: Resolver,
    open: Mutex<Open>,
}

/// What is open in one process. A child that was forked has the numbers of its parent's runtimes,
/// but its connections it must not use.
///
/// Calls are counted besides connections, because a call that still connects has none.
struct Open {
    process: u32,
    /// `None` once closed.
    by_runtime: Option<HashMap<runtime::Id, Arc<Pool>>>,
    calls: TaskTracker,
    connections: TaskTracker,
}

/// The connections on one runtime. They end when it is dropped.
struct Pool {
    id: runtime::Id,
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
    pub(super) fn new(roots: TrustRoots, proxies: ProxyRules) -> Self {
        Self::with(Arc::new(roots), proxies, Resolver::system())
    }

    /// Pools of their own, with the same roots and these proxies.
    pub(super) fn with_proxies(&self, proxies: ProxyRules) -> Self {
        Self::with(Arc::clone(&self.roots), proxies, self.resolver.clone())
    }

    fn with(roots: Arc<TrustRoots>, proxies: ProxyRules, resolver: Resolver) -> Self {
        Self {
            roots,
            proxies: Arc::new(proxies),
            resolver,
            open: Mutex::new(Open::new(Some(HashMap::new()))),
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
        let mut open = self.lock();
        let open = &mut *open;
        let Some(pools) = &mut open.by_runtime else {
            return Err(TransportError::new(
                TransportErrorKind::Closed,
                "the token endpoint was closed",
            ));
        };
        let pool = if let Some(pool) = pools.get(&runtime.id()) {
            Arc::clone(pool)
        } else {
            pools.retain(|_, pool| !pool.runtime.is_finished());
            let pool = Arc::new(self.pool(&runtime, &open.connections));
            pools.insert(runtime.id(), Arc::clone(&pool));
            pool
        };
        Ok(Call {
            pool,
            _counted: open.calls.token(),
        })
    }

    /// Leaves the idle connections that the next call would have got; this one has lost its own,
    /// and the others are as old.
    pub(super) fn renew(&self, call: &Call) {
        if let Some(pools) = &mut self.lock().by_runtime
            && let Entry::Occupied(entry) = pools.entry(call.pool.id)
            && Arc::ptr_eq(entry.get(), &call.pool)
        {
            // The pool itself ends with the last of its calls.
            entry.remove();
        }
    }

    fn pool(&self, runtime: &Handle, connections: &TaskTracker) -> Pool {
        let closing = CancellationToken::new();
        let client = Client::builder(Tasks {
            runtime: runtime.clone(),
            tracker: connections.clone(),
            closing: closing.clone(),
        })
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .http1_max_headers(MAX_HEADERS)
        .http1_max_buf_size(MAX_HEAD)
        .build(Connector::new(
            Arc::clone(&self.roots),
            Arc::clone(&self.proxies),
            self.resolver.clone(),
        ));
        Pool {
            id: runtime.id(),
            client,
            runtime: AbortOnDropHandle::new(runtime.spawn(pending())),
            _closing: closing.drop_guard(),
        }
    }

    /// Lets no call begin any more, awaits those under way, then the end of the connections.
    pub(super) async fn close(&self) {
        let (pools, calls, connections) = {
            let mut open = self.lock();
            let pools = open.by_runtime.take();
            (pools, open.calls.clone(), open.connections.clone())
        };
        // A pool that a call uses goes with the last of its calls.
        drop(pools);
        calls.close();
        connections.close();
        calls.wait().await;
        // The bound is for connections of a runtime that nobody drives. It needs a timer; without
        // one they end unawaited.
        if Handle::try_current().is_ok() {
            let _ = timeout(CUT_AFTER, connections.wait()).await;
        }
    }

    /// What is open in this process.
    fn lock(&self) -> MutexGuard<'_, Open> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.process != process::id() {
            let own = Open::new(open.by_runtime.is_some().then(HashMap::new));
            // Never dropped: that would end the parent's connections, or wait for its calls.
            forget(replace(&mut *open, own));
        }
        open
    }
}

impl Open {
    fn new(by_runtime: Option<HashMap<runtime::Id, Arc<Pool>>>) -> Self {
        Self {
            process: process::id(),
            by_runtime,
            calls: TaskTracker::new(),
            connections: TaskTracker::new(),
        }
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
mod tests;
