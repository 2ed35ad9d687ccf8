//! A store and an endpoint that keep a journal of what is done to them, and fail when told to.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use msal_token_cache::{
    Error, ErrorKind, Loaded, MemoryPersistence, Persistence, Result, Stamp, StoreLock,
};
use shared_token_cache_credential::{
    HttpResponse, HyperTokenEndpoint, TokenEndpoint, TokenRequest, TransportError,
};

#[derive(Clone, Debug, Default)]
pub(super) struct Journal(Arc<Mutex<Vec<&'static str>>>);

impl Journal {
    pub(super) fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    pub(super) fn entries(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

#[derive(Clone, Debug)]
pub(super) struct WatchedStore {
    store: MemoryPersistence,
    journal: Journal,
    lock_takes: Duration,
    leases: Option<PathBuf>,
    fails: Arc<AtomicBool>,
}

impl WatchedStore {
    pub(super) fn new(store: &MemoryPersistence, journal: &Journal) -> Self {
        Self {
            store: store.clone(),
            journal: journal.clone(),
            lock_takes: Duration::ZERO,
            leases: None,
            fails: Arc::default(),
        }
    }

    pub(super) fn with_lock_taking(mut self, lock_takes: Duration) -> Self {
        self.lock_takes = lock_takes;
        self
    }

    pub(super) fn with_leases_in(mut self, folder: PathBuf) -> Self {
        self.leases = Some(folder);
        self
    }

    /// From now on nothing can be saved, or it can again.
    pub(super) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }
}

impl Persistence for WatchedStore {
    fn location(&self) -> String {
        "a watched store".to_owned()
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        self.store.stamp()
    }

    fn load(&self) -> Result<Option<Loaded>> {
        self.store.load()
    }

    fn load_quickly(&self) -> Option<Result<Option<Loaded>>> {
        self.store.load_quickly()
    }

    fn lock(&self) -> Result<Box<dyn StoreLock>> {
        std::thread::sleep(self.lock_takes);
        let lock = self.store.lock()?;
        self.journal.note("locked");
        Ok(Box::new(WatchedLock {
            lock,
            journal: self.journal.clone(),
        }))
    }

    fn save(&self, content: &[u8]) -> Result<Stamp> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Io, "the watched store is read-only"));
        }
        let stamp = self.store.save(content)?;
        self.journal.note("saved");
        Ok(stamp)
    }

    fn lease_folder(&self) -> Option<PathBuf> {
        self.leases.clone()
    }
}

#[derive(Debug)]
struct WatchedLock {
    lock: Box<dyn StoreLock>,
    journal: Journal,
}

impl StoreLock for WatchedLock {
    fn is_held(&self) -> bool {
        self.lock.is_held()
    }
}

impl Drop for WatchedLock {
    fn drop(&mut self) {
        self.journal.note("unlocked");
    }
}

#[derive(Debug)]
pub(super) struct WatchedEndpoint {
    endpoint: HyperTokenEndpoint,
    journal: Journal,
}

impl WatchedEndpoint {
    pub(super) fn new(root_pem: &str, journal: &Journal) -> Self {
        let endpoint = HyperTokenEndpoint::with_extra_root_certificates(root_pem.as_bytes());
        Self {
            endpoint: endpoint.unwrap(),
            journal: journal.clone(),
        }
    }
}

#[async_trait]
impl TokenEndpoint for WatchedEndpoint {
    async fn send(
        &self,
        request: TokenRequest,
    ) -> std::result::Result<HttpResponse, TransportError> {
        self.journal.note("asked");
        let answer = self.endpoint.send(request).await;
        self.journal.note("answered");
        answer
    }

    async fn close(&self) {
        self.endpoint.close().await;
    }
}
