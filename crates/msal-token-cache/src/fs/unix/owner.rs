//! The owner of a file or folder, and the other users who can change it.

use rustix::fs::{FileType, Mode, RawMode, Stat};
use rustix::process::geteuid;

/// Returns `true` if the file belongs to the user that this process acts as.
pub(crate) fn is_ours(stat: &Stat) -> bool {
    stat.st_uid == geteuid().as_raw()
}

/// Returns `true` for a regular file of ours.
pub(crate) fn is_own_file(stat: &Stat) -> bool {
    file_type(stat) == FileType::RegularFile && is_ours(stat)
}

/// Returns `true` for a regular file of ours that no other name leads to. A second name could be
/// one that somebody else trusts.
pub(crate) fn is_own_sole_file(stat: &Stat) -> bool {
    is_own_file(stat) && stat.st_nlink <= 1
}

/// Returns whether this is a file, a folder, a link and so on.
pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Returns `true` for a symbolic link.
pub(crate) fn is_link(stat: &Stat) -> bool {
    file_type(stat) == FileType::Symlink
}

/// Returns `true` if a file's mode lets others than its owner at it.
pub(crate) fn is_open_to_others(mode: RawMode) -> bool {
    Mode::from_raw_mode(mode).intersects(Mode::RWXG | Mode::RWXO)
}

/// Returns `true` if a file's mode lets its group or everybody write to it.
pub(crate) fn is_writable_by_others(mode: RawMode) -> bool {
    Mode::from_raw_mode(mode).intersects(Mode::WGRP | Mode::WOTH)
}

/// Returns `true` if others than we and root can put files into a folder, or take ours out.
///
/// That is its owner, and everybody or, for root, the group, if the mode lets them write: the mode of
/// a group is also what an access control list lets another user do. The sticky bit protects what is
/// ours there. The group of an ordinary user is trusted, because many systems give each user one.
pub(crate) fn others_can_change(folder: &Stat) -> bool {
    let mode = Mode::from_raw_mode(folder.st_mode);
    let us = geteuid();
    if folder.st_uid != us.as_raw() && folder.st_uid != 0 {
        return true;
    }
    if mode.contains(Mode::SVTX) {
        return false;
    }
    mode.contains(Mode::WOTH) || (mode.contains(Mode::WGRP) && us.is_root())
}

/// The owner of a file, compared with the user of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Us,
    /// Somebody else, and we are root, who may read it.
    AnotherForRoot,
    Another,
}

impl Owner {
    pub(crate) fn of(stat: &Stat) -> Self {
        if is_ours(stat) {
            Self::Us
        } else if geteuid().is_root() {
            Self::AnotherForRoot
        } else {
            Self::Another
        }
    }
}
