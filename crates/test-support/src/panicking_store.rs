//! A store that fails in the worst way.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use msal_token_cache::{Loaded, MemoryPersistence, Persistence, Result, Stamp, StoreLock};

/// A store in memory, one function of which panics until [`calm_down`](Self::calm_down). Clones
/// share everything.
#[derive(Clone, Debug)]
pub struct PanickingStore {
    store: MemoryPersistence,
    function: &'static str,
    panics: Arc<AtomicBool>,
}

impl PanickingStore {
    /// The names of all functions of a store and of its lock.
    pub const FUNCTIONS: [&'static str; 15] = [
        "location",
        "stamp",
        "quick_stamp",
        "is_encrypted",
        "note",
        "tick",
        "load",
        "load_quickly",
        "lock",
        "save",
        "is_nonblocking",
        "lease_folder",
        "save_if",
        "is_held",
        "drop",
    ];

    /// Creates a store whose function of this name panics.
    pub fn new(store: MemoryPersistence, function: &'static str) -> Self {
        let panics = Arc::new(AtomicBool::new(true));
        Self {
            store,
            function,
            panics,
        }
    }

    /// Lets no function panic any more.
    pub fn calm_down(&self) {
        self.panics.store(false, Ordering::SeqCst);
    }

    fn enter(&self, function: &str) {
        let panics = self.panics.load(Ordering::SeqCst) && self.function == function;
        assert!(!panics, "on purpose");
    }
}

impl Persistence for PanickingStore {
    fn location(&self) -> String {
        self.enter("location");
        "a test".to_owned()
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        self.enter("stamp");
        self.store.stamp()
    }

    fn quick_stamp(&self) -> Result<Option<Stamp>> {
        self.enter("quick_stamp");
        self.store.quick_stamp()
    }

    fn is_encrypted(&self) -> bool {
        self.enter("is_encrypted");
        false
    }

    fn note(&self) -> Option<String> {
        self.enter("note");
        None
    }

    fn tick(&self) -> Option<u64> {
        self.enter("tick");
        None
    }

    fn load(&self) -> Result<Option<Loaded>> {
        self.enter("load");
        self.store.load()
    }

    fn load_quickly(&self) -> Option<Result<Option<Loaded>>> {
        self.enter("load_quickly");
        None
    }

    fn lock(&self) -> Result<Box<dyn StoreLock>> {
        self.enter("lock");
        let lock = self.store.lock()?;
        Ok(Box::new(PanickingLock(Some(lock), self.clone())))
    }

    fn save(&self, content: &[u8]) -> Result<Stamp> {
        self.enter("save");
        self.store.save(content)
    }

    fn is_nonblocking(&self) -> bool {
        self.enter("is_nonblocking");
        false
    }

    fn lease_folder(&self) -> Option<PathBuf> {
        self.enter("lease_folder");
        None
    }

    fn save_if(&self, content: &[u8], is_current: &dyn Fn() -> bool) -> Result<Option<Stamp>> {
        self.enter("save_if");
        Ok(if is_current() {
            Some(self.save(content)?)
        } else {
            None
        })
    }
}

#[derive(Debug)]
struct PanickingLock(Option<Box<dyn StoreLock>>, PanickingStore);

impl StoreLock for PanickingLock {
    fn is_held(&self) -> bool {
        self.1.enter("is_held");
        self.0.as_ref().is_some_and(|lock| lock.is_held())
    }
}

impl Drop for PanickingLock {
    fn drop(&mut self) {
        drop(self.0.take());
        self.1.enter("drop");
    }
}
