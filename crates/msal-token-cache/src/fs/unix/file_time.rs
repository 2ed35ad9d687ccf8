//! The time of a file's last change.

use std::fs::File;
use std::time::Duration;

use rustix::fs::{Stat, Timespec, Timestamps, UTIME_NOW, futimens};

/// Sets the times of a file to now.
pub(crate) fn set_to_now(file: &File) -> rustix::io::Result<()> {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    futimens(file, &times)
}

/// Returns when a file was changed last, since 1970.
pub(crate) fn modified_since_1970(stat: &Stat) -> Duration {
    Duration::new(
        u64::try_from(stat.st_mtime).unwrap_or(0),
        u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
    )
}
