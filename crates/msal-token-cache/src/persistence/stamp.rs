/// What tells one content of a store from another.
///
/// Only equality means anything. For a file it is device, inode, length, and the times of the last
/// change of content and of status: the time alone misses replacements within a clock tick, and
/// inode numbers are reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp([i128; 5]);

impl Stamp {
    /// A stamp of numbers that change with the content: a version, for example.
    pub const fn new(numbers: [i128; 5]) -> Self {
        Self(numbers)
    }

    #[cfg(unix)]
    pub(crate) fn of(stat: &nix::sys::stat::FileStat) -> Self {
        let time =
            |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self([
            i128::from(stat.st_dev),
            i128::from(stat.st_ino),
            i128::from(stat.st_size),
            time(stat.st_mtime, stat.st_mtime_nsec),
            time(stat.st_ctime, stat.st_ctime_nsec),
        ])
    }

    /// The length of the file it was made of.
    #[cfg(unix)]
    pub(crate) fn file_length(&self) -> i128 {
        self.0[2]
    }
}
