//! The file that was read last, kept open: its status costs a third of that of its path.

use std::fs::File;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use crate::fs::stamp::Stamp;
use crate::fs::unix::file_system;
use crate::time::coarse_clock;

/// The open file and its stamp, if one is kept.
#[derive(Default)]
pub(crate) struct OpenHandle(ArcSwapOption<Kept>);

struct Kept {
    file: File,
    /// The stamp with which it was read.
    stamp: Stamp,
    /// The tick at which the path last led to this file; [`NEVER`] before.
    confirmed: AtomicU64,
    is_local: OnceLock<bool>,
}

const NEVER: u64 = u64::MAX;

/// The time for which the path is taken to lead to the file. The file's status shows if it was
/// replaced or removed, but not if a folder on the way was.
const CONFIRMED_FOR: u64 = 1_000_000_000;

impl OpenHandle {
    /// Keeps this file open. It must be the file at the path itself, not behind a link.
    pub(crate) fn keep(&self, file: File, stamp: Stamp) {
        self.0.store(Some(std::sync::Arc::new(Kept {
            file,
            stamp,
            confirmed: AtomicU64::new(NEVER),
            is_local: OnceLock::new(),
        })));
    }

    /// Closes the file.
    pub(crate) fn release(&self) {
        // To load is cheaper than to exchange.
        if self.0.load().is_some() {
            self.0.store(None);
        }
    }

    /// Returns the stamp of the file at the path; `None` if the open file cannot tell.
    ///
    /// It can once the path was seen to lead to it: any later removal or replacement changes at
    /// least its time of change.
    pub(crate) fn look(&self) -> Option<Stamp> {
        let kept = self.0.load();
        let kept = kept.as_ref()?;
        let confirmed = kept.confirmed.load(Ordering::Relaxed);
        if confirmed == NEVER
            || coarse_clock::monotonic()?.saturating_sub(confirmed) >= CONFIRMED_FOR
        {
            return None;
        }
        let stat = rustix::fs::fstat(&kept.file).ok()?;
        (stat.st_nlink > 0).then(|| Stamp::of(&stat))
    }

    /// Stores that the file at the path had this stamp at the tick `before` or later.
    pub(crate) fn confirm(&self, stamp: Stamp, before: Option<u64>) {
        let kept = self.0.load();
        if let (Some(kept), Some(before)) = (kept.as_ref(), before)
            && kept.stamp.is_of_same_file(&stamp)
            && *kept
                .is_local
                .get_or_init(|| file_system::is_local(&kept.file))
        {
            kept.confirmed.store(before, Ordering::Relaxed);
        }
    }
}
