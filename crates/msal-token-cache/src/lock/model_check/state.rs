//! What there is to see of the lock file and of those who want it.

use super::{Planted, World};

/// How a process locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// As we do.
    Ours,
    /// By creating the file and deleting it, as Python and Node do.
    Existence,
    /// By `flock`, comparing inodes afterwards, as .NET does.
    Kernel,
}

/// The index of a file in [`State::files`].
pub(super) type Inode = u8;

/// How far a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Idle,
    Created(Inode),
    /// The kernel's lock on what was created is ours; the inodes were not compared yet.
    CreatedAndAsked(Inode),
    Opened(Inode),
    /// The same with what was opened.
    Asked(Inode),
    /// It is the file at the path; who holds it was not read yet.
    Compared(Inode),
    /// The lock is ours by decision; the file was not emptied yet.
    Taken(Inode),
    Emptied(Inode),
    Inside(Inode),
    /// The path was found to lead to our file.
    Deleting(Inode),
    Unlocking(Inode),
}

impl Step {
    pub(super) const fn inode(self) -> Option<Inode> {
        match self {
            Self::Idle => None,
            Self::Created(file)
            | Self::CreatedAndAsked(file)
            | Self::Opened(file)
            | Self::Asked(file)
            | Self::Compared(file)
            | Self::Taken(file)
            | Self::Emptied(file)
            | Self::Inside(file)
            | Self::Deleting(file)
            | Self::Unlocking(file) => Some(file),
        }
    }

    pub(super) const fn with_inode(self, file: Inode) -> Self {
        match self {
            Self::Idle => Self::Idle,
            Self::Created(_) => Self::Created(file),
            Self::CreatedAndAsked(_) => Self::CreatedAndAsked(file),
            Self::Opened(_) => Self::Opened(file),
            Self::Asked(_) => Self::Asked(file),
            Self::Compared(_) => Self::Compared(file),
            Self::Taken(_) => Self::Taken(file),
            Self::Emptied(_) => Self::Emptied(file),
            Self::Inside(_) => Self::Inside(file),
            Self::Deleting(_) => Self::Deleting(file),
            Self::Unlocking(_) => Self::Unlocking(file),
        }
    }

    /// Whether the process takes itself for the holder.
    pub(super) fn holds(self) -> bool {
        matches!(self, Self::Taken(_) | Self::Emptied(_) | Self::Inside(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Content {
    Empty,
    /// Names a process that lives.
    Of(u8),
    /// Names one that has died, which had this kind and place.
    OfDead(u8),
}

/// Since when a file has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Age {
    New,
    /// More than a second.
    Seconds,
    /// More than ten seconds.
    Long,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct File {
    pub(super) flock: Option<u8>,
    /// The process by existence that created it, while that one takes it for its lock.
    pub(super) creator: Option<u8>,
    pub(super) content: Content,
    pub(super) age: Age,
}

pub(super) const PROCESSES: usize = 3;
/// Each process has one open at most, and one is at the path.
pub(super) const FILES: usize = PROCESSES + 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) steps: [Step; PROCESSES],
    pub(super) path: Option<Inode>,
    pub(super) files: [File; FILES],
}

pub(super) const NO_FILE: File = File {
    flock: None,
    creator: None,
    content: Content::Empty,
    age: Age::New,
};

impl State {
    pub(super) const BEGIN: Self = Self {
        steps: [Step::Idle; PROCESSES],
        path: None,
        files: [NO_FILE; FILES],
    };

    /// Numbers the files by who has them, and forgets what nobody can see any more.
    pub(super) fn canonical(mut self, world: World) -> Self {
        let mut files = [NO_FILE; FILES];
        let mut numbers = [None; FILES];
        let mut count = 0;
        let mut renumber = |file: Inode| {
            let old = usize::from(file);
            *numbers[old].get_or_insert_with(|| {
                files[usize::from(count)] = self.files[old];
                count += 1;
                count - 1
            })
        };
        self.path = self.path.map(&mut renumber);
        for step in &mut self.steps {
            if let Some(file) = step.inode() {
                *step = step.with_inode(renumber(file));
            }
        }
        let at_path = self.path.map(usize::from);
        for (n, file) in files.iter_mut().enumerate() {
            // Whoever locks a file that the path does not lead to reads nothing of it.
            if Some(n) != at_path && world.planted != Planted::NoInodeCheck {
                file.content = Content::Empty;
                file.age = Age::New;
                file.creator = None;
            }
        }
        self.files = files;
        self
    }

    /// The same with two processes in each other's roles.
    pub(super) fn swapped(mut self, one: u8, other: u8) -> Self {
        let swap = |process: u8| match process {
            _ if process == one => other,
            _ if process == other => one,
            _ => process,
        };
        self.steps.swap(usize::from(one), usize::from(other));
        for file in &mut self.files {
            file.flock = file.flock.map(swap);
            file.creator = file.creator.map(swap);
            if let Content::Of(named) = &mut file.content {
                *named = swap(*named);
            }
        }
        self
    }

    /// The state in few bits, which are quick to compare.
    pub(super) fn packed(&self) -> u128 {
        let mut bits = 0;
        let mut push = |value: u8| bits = (bits << 4) | u128::from(value);
        let process = |process: Option<u8>| process.map_or(0, |n| n + 1);
        for step in self.steps {
            push(match step {
                Step::Idle => 0,
                Step::Created(_) => 1,
                Step::CreatedAndAsked(_) => 2,
                Step::Opened(_) => 3,
                Step::Asked(_) => 4,
                Step::Compared(_) => 5,
                Step::Taken(_) => 6,
                Step::Emptied(_) => 7,
                Step::Inside(_) => 8,
                Step::Deleting(_) => 9,
                Step::Unlocking(_) => 10,
            });
            push(process(step.inode()));
        }
        push(process(self.path));
        for file in self.files {
            push(process(file.flock));
            push(process(file.creator));
            push(match file.content {
                Content::Empty => 0,
                Content::Of(named) => 1 + named,
                Content::OfDead(named) => 8 + named,
            });
            push(file.age as u8);
        }
        bits
    }

    pub(super) fn file(&mut self, file: Inode) -> &mut File {
        &mut self.files[usize::from(file)]
    }

    /// Creates the file at the path.
    pub(super) fn create(&mut self, creator: Option<u8>) -> Inode {
        let is_used = |file| {
            self.path == Some(file) || self.steps.iter().any(|step| step.inode() == Some(file))
        };
        let file = (0..=3).find(|file| !is_used(*file)).unwrap_or_default();
        *self.file(file) = File { creator, ..NO_FILE };
        self.path = Some(file);
        file
    }

    pub(super) fn put(&mut self, file: Inode, content: Content) {
        let file = self.file(file);
        file.content = content;
        file.age = Age::New;
    }

    pub(super) fn unlock(&mut self, process: u8) {
        for file in &mut self.files {
            if file.flock == Some(process) {
                file.flock = None;
            }
        }
    }
}
