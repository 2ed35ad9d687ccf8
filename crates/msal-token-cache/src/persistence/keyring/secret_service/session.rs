//! A conversation with the service, on a thread and runtime of its own.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use secret_service::{EncryptionType, SecretService};
use tokio::runtime::{Builder, Runtime};
use zbus::connection;

use super::failure::Failure;
use crate::time::stopwatch::Stopwatch;

/// A connection to the bus, and on it an encrypted session with the service.
///
/// It lives for one load or save. A connection that is kept would need a task that drives it, and a
/// check whether it is dead. The runtime of the caller may be missing, about to end, or without an
/// I/O driver. So the session has a thread of its own, and the caller waits: on a thread that may
/// block, as every caller of a store.
pub(super) struct Session {
    /// `None` once it is being dropped.
    parts: Option<(Runtime, Arc<SecretService<'static>>)>,
    patience: Duration,
    /// The start of the time that the service has.
    since: Stopwatch,
}

impl Session {
    /// Connects to the bus at this address, by default the session's. The service has so much time
    /// for that and all that follows.
    pub(super) fn open(address: Option<&str>, patience: Duration) -> Result<Self, Failure> {
        let since = Stopwatch::start();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("secret-service")
            .enable_all()
            .build()
            .map_err(|error| Failure::NoThread(Some(error)))?;
        let address = address.map(str::to_owned);
        let connecting = async move {
            let bus = match address.as_deref() {
                Some(address) => connection::Builder::address(address),
                None => connection::Builder::session(),
            };
            let bus = bus.map_err(Failure::NoBus)?.build().await;
            let bus = bus.map_err(Failure::NoBus)?;
            let service = SecretService::connect_with_existing(EncryptionType::Dh, bus).await?;
            Ok(Arc::new(service))
        };
        match wait(&runtime, connecting, patience) {
            Some(Ok(service)) => Ok(Self {
                parts: Some((runtime, service)),
                patience,
                since,
            }),
            failed => {
                runtime.shutdown_background();
                match failed {
                    Some(Err(failure)) => Err(failure),
                    _ => Err(Failure::Stuck(patience)),
                }
            }
        }
    }

    /// Talks to the service, in the rest of its time.
    pub(super) fn talk<T, F>(
        &self,
        talk: impl FnOnce(Arc<SecretService<'static>>) -> F,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let (runtime, service) = self.parts.as_ref().ok_or(Failure::NoThread(None))?;
        let left = self.patience.saturating_sub(self.since.elapsed());
        wait(runtime, talk(Arc::clone(service)), left).unwrap_or(Err(Failure::Stuck(self.patience)))
    }

    /// Has the service ask the user, with this timeout; then the time of the service starts anew.
    pub(super) fn ask_user<F>(
        &mut self,
        ask: impl FnOnce(Arc<SecretService<'static>>) -> F,
        patience: Duration,
    ) -> Result<(), Failure>
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let (runtime, service) = self.parts.as_ref().ok_or(Failure::NoThread(None))?;
        let answer = wait(runtime, ask(Arc::clone(service)), patience);
        self.since = Stopwatch::start();
        answer.unwrap_or(Err(Failure::Unanswered(patience)))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some((runtime, service)) = self.parts.take() {
            // The parts of the connection need a runtime when they are dropped.
            let entered = runtime.enter();
            drop(service);
            drop(entered);
            // To wait for its end, as a drop does, is not allowed everywhere.
            runtime.shutdown_background();
        }
    }
}

/// The additional time after which a thread is given up that hangs where no timer reaches it: in
/// the status of the bus's socket on a dead network drive, for example.
const GRACE: Duration = Duration::from_millis(250);

/// Runs the work on the runtime's thread, and blocks meanwhile; returns `None` if it takes longer
/// than `within`.
fn wait<T: Send + 'static>(
    runtime: &Runtime,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    within: Duration,
) -> Option<Result<T, Failure>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        let result = tokio::time::timeout(within, work).await;
        // The caller may have given up.
        let _ = sender.send(result.ok());
    });
    match receiver.recv_timeout(within.saturating_add(GRACE)) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => None,
        // The sender is dropped without a value only if the task died.
        Err(RecvTimeoutError::Disconnected) => Some(Err(Failure::NoThread(None))),
    }
}
