use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::persistence::keyring::item::{Item, LoadOutcome};

/// Runs one load of an item at a time. A caller that waited takes the outcome of a load that began
/// and ended meanwhile. So a thousand callers load twice, not each in turn.
#[derive(Default)]
pub(crate) struct SharedLoad {
    begun: AtomicU64,
    waiting: AtomicUsize,
    /// The outcome of the load of this number, while a caller waits that may take it.
    last: Mutex<Option<(u64, SharedOutcome)>>,
}

/// The outcome of a load, for more than one caller.
#[derive(Clone)]
enum SharedOutcome {
    Content(Zeroizing<Vec<u8>>),
    NoItem,
    Failed(ErrorKind, String),
}

impl SharedOutcome {
    fn of(load: &Result<LoadOutcome>) -> Option<Self> {
        match load {
            Ok(LoadOutcome::Content(content)) => Some(Self::Content(content.clone())),
            Ok(LoadOutcome::NoItem) => Some(Self::NoItem),
            // To ask again takes no time.
            Ok(LoadOutcome::NoStore(..)) => None,
            Err(error) => Some(Self::Failed(error.kind(), error.to_string())),
        }
    }

    fn into_load(self) -> Result<LoadOutcome> {
        match self {
            Self::Content(content) => Ok(LoadOutcome::Content(content)),
            Self::NoItem => Ok(LoadOutcome::NoItem),
            Self::Failed(kind, text) => Err(Error::new(kind, text)),
        }
    }
}

impl SharedLoad {
    /// Returns the content of the item as of this moment or later.
    pub(crate) fn load(&self, item: &impl Item) -> Result<LoadOutcome> {
        let before = self.begun.load(Ordering::SeqCst);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let others = self.waiting.fetch_sub(1, Ordering::SeqCst) - 1;
        if let Some((number, outcome)) = &*last
            && *number > before
        {
            let outcome = outcome.clone();
            if others == 0 {
                *last = None;
            }
            return outcome.into_load();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        *last = None;
        let load = item.load();
        if self.waiting.load(Ordering::SeqCst) > 0 {
            *last = SharedOutcome::of(&load).map(|outcome| (number, outcome));
        }
        load
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// An item whose content is how often it was loaded, which takes a while.
    #[derive(Debug, Default)]
    struct Counter(AtomicUsize);

    impl Item for Counter {
        fn location(&self) -> String {
            "the test".to_owned()
        }

        #[expect(clippy::disallowed_methods, reason = "a platform takes its time")]
        fn load(&self) -> Result<LoadOutcome> {
            std::thread::sleep(Duration::from_millis(100));
            let count = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            Ok(LoadOutcome::Content(Zeroizing::new(
                count.to_string().into(),
            )))
        }

        fn save_if(&self, _content: &[u8], _is_current: &dyn Fn() -> bool) -> Result<bool> {
            Ok(false)
        }
    }

    #[test]
    fn many_at_once_load_a_few_times_and_keep_nothing() {
        let (loads, item) = (SharedLoad::default(), Counter::default());
        std::thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    let found = loads.load(&item).unwrap();
                    assert!(matches!(found, LoadOutcome::Content(_)));
                });
            }
        });
        let loaded = item.0.load(Ordering::SeqCst);
        assert!((1..=10).contains(&loaded), "{loaded}");
        assert!(loads.last.lock().unwrap().is_none());
    }

    #[test]
    fn whoever_comes_later_gets_what_is_there_then() {
        let (loads, item) = (SharedLoad::default(), Counter::default());
        for count in ["1", "2", "3"] {
            let LoadOutcome::Content(content) = loads.load(&item).unwrap() else {
                panic!("no content")
            };
            assert_eq!(*content, count.as_bytes());
        }
    }
}
