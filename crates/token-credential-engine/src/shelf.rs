//! A store, and the engine's memory beside it.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use token_credential::AccessTokenInfo;
use tokio::sync::Mutex;

use crate::memo::Memo;
use crate::source::{Seen, Source};
use crate::unsaved::Unsaved;

/// One store of a source with everything that the engine remembers about it.
#[derive(Debug)]
pub(crate) struct Shelf<S: Source> {
    pub(crate) store: S::Store,
    pub(crate) unsaved: Arc<Unsaved<S::Unsaved>>,
    pub(crate) memo: ArcSwapOption<Memo<S>>,
    /// Held by the write under way. The others wait here, where a close can cut them off, and not
    /// each on a thread of the blocking pool.
    pub(crate) writing: Arc<Mutex<()>>,
}

impl<S: Source> Shelf<S> {
    pub(crate) fn new(store: S::Store) -> Self {
        Self {
            store,
            unsaved: Arc::default(),
            memo: ArcSwapOption::empty(),
            writing: Arc::default(),
        }
    }

    /// Memoizes a token for identical calls between these two times, unless the store was looked at
    /// again since it was found.
    pub(crate) fn memoize(
        &self,
        seen: &Arc<Seen<S>>,
        scopes: &[&str],
        tenant: Option<&str>,
        token: &AccessTokenInfo,
        times: [SystemTime; 2],
    ) {
        self.memo.rcu(|memo| {
            let memo = memo.as_ref()?;
            Some(if Arc::ptr_eq(&memo.seen, seen) {
                Arc::new(memo.with(scopes, tenant, token, times))
            } else {
                Arc::clone(memo)
            })
        });
    }
}
