//! Decides the next action on the lock file from an observation of it; no I/O happens here.

use std::time::Duration;

/// The age from which a lock file of a process that has certainly died is taken over.
const ADOPT_AFTER: Duration = Duration::from_secs(1);
/// The same age for a holder that may run out of sight: in another container, or on the other side
/// of a shared folder. Peers hold their lock for far less.
const ADOPT_UNSEEN_AFTER: Duration = Duration::from_secs(10);

/// One observation of the lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The file did not exist and we have just created it.
    Created(Flock),
    /// The file was there.
    Found(Flock, Holder),
}

/// The outcome of asking for the kernel's lock on the open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Flock {
    /// We have it, and the path still leads to this very file.
    Ours,
    /// We have it on a file that the path does not lead to any more.
    OnAnotherFile,
    /// Somebody else has it.
    Theirs,
    /// The file system has no such lock.
    #[cfg_attr(
        windows,
        allow(dead_code, reason = "every file system has share modes")
    )]
    Unsupported,
}

/// The holder of the lock according to the file's content and age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// A process of the recorded id runs.
    pub(crate) alive: bool,
    /// The id was recorded in our pid namespace, since the last boot.
    pub(crate) in_our_sight: bool,
    /// The time since the last change of the file.
    pub(crate) age: Duration,
}

impl Holder {
    /// A holder about which nothing can be known.
    pub(crate) const UNKNOWN: Self = Self {
        alive: true,
        in_our_sight: false,
        age: Duration::ZERO,
    };
}

/// The next action on the lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The lock is ours: write our name into the file.
    Hold,
    /// Its holder has died: the lock is ours, in the file as it is. Deleting it and creating
    /// another would let a third process in between.
    Adopt,
    /// Let go of the file and look again later.
    Wait,
    /// Keep the file that we created open and ask the kernel again soon.
    AskAgain,
    /// Look again at once: the file was replaced under us.
    StartOver,
}

pub(crate) fn decide(seen: Seen) -> Action {
    match seen {
        Seen::Created(Flock::Ours | Flock::Unsupported) => Action::Hold,
        Seen::Created(Flock::OnAnotherFile) | Seen::Found(Flock::OnAnotherFile, _) => {
            Action::StartOver
        }
        // Another process took it between our two steps: to read it, and releases it at once, or to
        // hold it. If the file were left behind, every peer would take it for a held one.
        Seen::Created(Flock::Theirs) => Action::AskAgain,
        // The file keeps out a holder by existence; a holder by `flock` has it.
        Seen::Found(Flock::Theirs | Flock::Unsupported, _) => Action::Wait,
        Seen::Found(Flock::Ours, holder) => {
            let patience = if holder.in_our_sight {
                ADOPT_AFTER
            } else {
                ADOPT_UNSEEN_AFTER
            };
            if !holder.alive && holder.age > patience {
                Action::Adopt
            } else {
                Action::Wait
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn holder(alive: bool, in_our_sight: bool, millis: u64) -> Holder {
        Holder {
            alive,
            in_our_sight,
            age: Duration::from_millis(millis),
        }
    }

    #[test]
    fn a_file_that_we_created_is_ours_unless_another_was_faster() {
        assert_eq!(decide(Seen::Created(Flock::Ours)), Action::Hold);
        assert_eq!(decide(Seen::Created(Flock::Unsupported)), Action::Hold);
        assert_eq!(decide(Seen::Created(Flock::Theirs)), Action::AskAgain);
        assert_eq!(
            decide(Seen::Created(Flock::OnAnotherFile)),
            Action::StartOver
        );
    }

    #[test]
    fn only_a_dead_holder_is_succeeded_and_only_after_a_while() {
        for (flock, holder, action) in [
            (Flock::Ours, holder(false, true, 1_001), Action::Adopt),
            (Flock::Ours, holder(false, true, 1_000), Action::Wait),
            (Flock::Ours, holder(false, false, 10_000), Action::Wait),
            (Flock::Ours, holder(false, false, 10_001), Action::Adopt),
            (Flock::Ours, holder(true, true, 3_600_000), Action::Wait),
            (Flock::Ours, holder(true, false, 3_600_000), Action::Wait),
            (Flock::Theirs, holder(false, true, 3_600_000), Action::Wait),
            (
                Flock::Unsupported,
                holder(false, true, 3_600_000),
                Action::Wait,
            ),
            (
                Flock::OnAnotherFile,
                holder(false, true, 3_600_000),
                Action::StartOver,
            ),
        ] {
            assert_eq!(
                decide(Seen::Found(flock, holder)),
                action,
                "{flock:?} {holder:?}"
            );
        }
    }
}
