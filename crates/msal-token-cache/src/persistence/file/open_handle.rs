//! The file that was read last, kept open: to ask it how it is costs a third of asking its path.

use std::fs::File;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use crate::fs::stamp::Stamp;
use crate::fs::unix::file_system;
use crate::time::coarse_clock;

/// What is kept, if anything is.
#[derive(Default)]
pub(crate) struct OpenHandle(ArcSwapOption<Kept>);

struct Kept {
    file: File,
    /// As it was when it was read.
    stamp: Stamp,
    /// When the path was last seen to lead to this file; [`NEVER`] before.
    confirmed: AtomicU64,
    is_local: OnceLock<bool>,
}

const NEVER: u64 = u64::MAX;

/// How long the file is believed to be what the path leads to. If it is replaced or removed it
/// knows itself; if a folder on the way is, it does not.
const CONFIRMED_FOR: u64 = 1_000_000_000;

impl OpenHandle {
    /// Holds this file from now on. It must be what stood at the path itself, not behind a link.
    pub(crate) fn keep(&self, file: File, stamp: Stamp) {
        self.0.store(Some(std::sync::Arc::new(Kept {
            file,
            stamp,
            confirmed: AtomicU64::new(NEVER),
            is_local: OnceLock::new(),
        })));
    }

    /// Holds nothing any more.
    pub(crate) fn release(&self) {
        // To look is cheaper than to exchange.
        if self.0.load().is_some() {
            self.0.store(None);
        }
    }

    /// The stamp of the file at the path, if the kept one can tell.
    ///
    /// It can from the moment on when the path was seen to lead to it: any later removal or
    /// replacement changes its time of change, at least.
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

    /// Learns how the file at the path is, as it was asked for at the tick `before`.
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
