//! The file that was read last, kept open: to ask it how it is costs a third of asking its path.

use std::fs::File;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use super::{Stamp, ticks};

/// What is held, if anything is.
#[derive(Default)]
pub(crate) struct HeldFile(ArcSwapOption<Held>);

struct Held {
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

impl HeldFile {
    /// Holds this file from now on. It must be what stood at the path itself, not behind a link.
    pub(crate) fn hold(&self, file: File, stamp: Stamp) {
        self.0.store(Some(std::sync::Arc::new(Held {
            file,
            stamp,
            confirmed: AtomicU64::new(NEVER),
            is_local: OnceLock::new(),
        })));
    }

    /// Holds nothing any more.
    pub(crate) fn let_go(&self) {
        // To look is cheaper than to exchange.
        if self.0.load().is_some() {
            self.0.store(None);
        }
    }

    /// The stamp of the file at the path, if the held one can tell.
    ///
    /// It can from the moment on when the path was seen to lead to it: any later removal or
    /// replacement changes its time of change, at least.
    pub(crate) fn look(&self) -> Option<Stamp> {
        let held = self.0.load();
        let held = held.as_ref()?;
        let confirmed = held.confirmed.load(Ordering::Relaxed);
        if confirmed == NEVER || ticks::monotonic()?.saturating_sub(confirmed) >= CONFIRMED_FOR {
            return None;
        }
        let stat = rustix::fs::fstat(&held.file).ok()?;
        (stat.st_nlink > 0).then(|| Stamp::of(&stat))
    }

    /// Learns how the file at the path is, as it was asked for at the tick `before`.
    pub(crate) fn confirm(&self, stamp: Stamp, before: Option<u64>) {
        let held = self.0.load();
        if let (Some(held), Some(before)) = (held.as_ref(), before)
            && held.stamp.is_of_same_file(&stamp)
            && *held.is_local.get_or_init(|| is_local(&held.file))
        {
            held.confirmed.store(before, Ordering::Relaxed);
        }
    }
}

/// Whether every change goes through this machine's kernel, so that an open file knows of it.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_local(file: &File) -> bool {
    use nix::sys::statfs;

    let remote = [
        statfs::NFS_SUPER_MAGIC,
        statfs::SMB_SUPER_MAGIC,
        statfs::FUSE_SUPER_MAGIC,
        statfs::CODA_SUPER_MAGIC,
        statfs::AFS_SUPER_MAGIC,
        // The numbers of cifs, smb2, 9p and ceph, which have no name there.
        statfs::FsType(0xFF53_4D42),
        statfs::FsType(0xFE53_4D42),
        statfs::FsType(0x0102_1997),
        statfs::FsType(0x00C3_6400),
    ];
    statfs::fstatfs(file).is_ok_and(|stat| !remote.contains(&stat.filesystem_type()))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_local(_file: &File) -> bool {
    false
}
