#[cfg(windows)]
use crate::fs::windows::information::FileInformation;
#[cfg(unix)]
use crate::time::coarse_clock;

/// Identifies one content of a store.
///
/// Only equality means anything. The stamp of a file holds its device and inode (on Windows the
/// file id) and its length. It also holds the times of the last change of content and of status.
/// The time alone misses replacements within a clock tick, and inode numbers are reused.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    numbers: [i128; 5],
    is_young: bool,
}

/// The time in which another change may get the same times: two ticks of the slowest usual clock.
#[cfg(unix)]
const YOUTH: i128 = 20_000_000;
/// The same for times that seem to be kept in whole seconds.
#[cfg(unix)]
const YOUTH_IN_SECONDS: i128 = 2_000_000_000;

/// The time in which another change may get the same times, in units of 100 ns: two ticks of 15.6
/// ms and some more.
#[cfg(windows)]
const YOUTH: i64 = 400_000;
/// The same for times that seem to be kept in whole seconds: FAT's are even ones.
#[cfg(windows)]
const YOUTH_IN_SECONDS: i64 = 40_000_000;

impl Stamp {
    /// Creates a stamp of numbers that change with the content: a version, for example.
    pub const fn new(numbers: [i128; 5]) -> Self {
        Self {
            numbers,
            is_young: false,
        }
    }

    #[cfg(unix)]
    pub(crate) fn of(stat: &rustix::fs::Stat) -> Self {
        Self::of_file(
            [stat.st_dev.into(), stat.st_ino.into(), stat.st_size.into()],
            [stat.st_mtime.into(), stat.st_mtime_nsec.into()],
            [stat.st_ctime.into(), stat.st_ctime_nsec.into()],
        )
    }

    /// Creates a stamp of device, inode and length, and of the times of the last change of content
    /// and of status.
    #[cfg(unix)]
    fn of_file(which: [i128; 3], modified: [i128; 2], changed: [i128; 2]) -> Self {
        let time = |[seconds, nanos]: [i128; 2]| seconds * 1_000_000_000 + nanos;
        let youth = if changed[1] == 0 {
            YOUTH_IN_SECONDS
        } else {
            YOUTH
        };
        let [device, inode, length] = which;
        let changed = time(changed);
        Self {
            numbers: [device, inode, length, time(modified), changed],
            is_young: coarse_clock::time_of_day() < changed + youth,
        }
    }

    /// Adds the number of the source that the content came from, which tells content of several
    /// sources with one file apart.
    #[cfg(unix)]
    #[allow(dead_code, reason = "for the encrypted stores, which may be left out")]
    pub(crate) fn of_source(mut self, source: u8) -> Self {
        self.numbers[2] += i128::from(source) << 64;
        self
    }

    #[cfg(windows)]
    pub(crate) fn of(information: &FileInformation) -> Self {
        let written = information.written;
        let youth = if written % 10_000_000 == 0 {
            YOUTH_IN_SECONDS
        } else {
            YOUTH
        };
        // FAT knows of no other change.
        let last = written.max(information.changed);
        Self {
            // Not the volume: Wine forgets it when an open file is renamed, and a file of another
            // one that agrees in all of this is a copy.
            numbers: [
                0,
                i128::from(information.index),
                i128::from(information.length),
                i128::from(written),
                i128::from(information.changed),
            ],
            is_young: FileInformation::now() < last.saturating_add(youth),
        }
    }

    /// Returns `true` if another change may still get the same stamp: not every kernel and file
    /// system tells changes within a clock tick apart. Content with a young stamp is read once more
    /// later.
    pub(crate) fn is_young(&self) -> bool {
        self.is_young
    }

    /// Returns `true` if both are stamps of one file, at the same or different times.
    #[cfg(unix)]
    pub(crate) fn is_of_same_file(&self, other: &Self) -> bool {
        self.numbers[..2] == other.numbers[..2]
    }

    /// Returns the length of the file.
    #[cfg(any(unix, windows))]
    pub(crate) fn file_length(&self) -> i128 {
        self.numbers[2]
    }
}

impl PartialEq for Stamp {
    /// Age makes no difference.
    fn eq(&self, other: &Self) -> bool {
        self.numbers == other.numbers
    }
}

impl Eq for Stamp {}
