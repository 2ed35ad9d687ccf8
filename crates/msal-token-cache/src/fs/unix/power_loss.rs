//! The steps of replacing a file, on a disk that forgets what it was not asked to keep.
//!
//! What a program sees is live; what is left after a loss of power is durable. The content of a
//! file is durable once it is synced, before that any part of it may be. Changes of names become
//! durable in their order, but nobody knows how far: a save that was reported may be taken back
//! as a whole. What must never be seen is a file that is not one of those that were saved.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

use rustix::fs::{Stat, stat};
use rustix::io::Errno;

use super::replace::{Written, replace_in};
use super::replace_steps::ReplaceSteps;
use crate::fs::temp_name::SUFFIX;

const NAME: &str = "msal.cache.nocae";

/// What this disk cannot do, or does wrong.
#[derive(Clone, Copy, Debug, Default)]
struct Manner {
    has_no_unnamed_files: bool,
    /// As where `/proc` is missing.
    cannot_link: bool,
    /// The planted fault: what is written is never made durable.
    forgets_to_sync: bool,
}

#[derive(Clone, Default)]
struct Inode {
    live: Vec<u8>,
    /// `None` while anything may be there.
    durable: Option<Vec<u8>>,
}

type Names = BTreeMap<String, usize>;

#[derive(Clone)]
enum Change {
    Named(String, usize),
    Removed(String),
    Renamed(String, String),
}

impl Change {
    fn make(&self, names: &mut Names) {
        match self {
            Self::Named(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Removed(name) => {
                names.remove(name);
            }
            Self::Renamed(from, to) => {
                let inode = names.remove(from);
                names.extend(inode.map(|inode| (to.clone(), inode)));
            }
        }
    }
}

#[derive(Clone, Default)]
struct State {
    inodes: Vec<Inode>,
    live: Names,
    durable: Names,
    /// Made to the live names, on the way to the durable ones.
    pending: Vec<Change>,
}

impl State {
    fn change(&mut self, change: Change) {
        change.make(&mut self.live);
        self.pending.push(change);
    }

    /// What may be there when the power comes back.
    fn after_power_loss(&self, random: &mut fastrand::Rng) -> Self {
        let mut names = self.durable.clone();
        let kept = random.usize(..=self.pending.len());
        for change in &self.pending[..kept] {
            change.make(&mut names);
        }
        let inodes = self.inodes.iter().map(|inode| {
            let content = inode.durable.clone().unwrap_or_else(|| {
                let mut part = inode.live.clone();
                part.truncate(random.usize(..=part.len()));
                part
            });
            Inode {
                live: content.clone(),
                durable: Some(content),
            }
        });
        Self {
            inodes: inodes.collect(),
            live: names.clone(),
            durable: names,
            pending: Vec::new(),
        }
    }

    fn content(&self) -> Option<&[u8]> {
        let inode = self.live.get(NAME)?;
        Some(&self.inodes[*inode].live)
    }
}

struct Disk {
    manner: Manner,
    state: RefCell<State>,
    /// The state after each step.
    history: RefCell<Vec<State>>,
    /// How many steps the process has left to live.
    life: RefCell<Option<usize>>,
}

impl Disk {
    /// A disk that holds a file, durably.
    fn holding(content: &[u8], manner: Manner) -> Self {
        let names = Names::from([(NAME.to_owned(), 0)]);
        let inode = Inode {
            live: content.to_vec(),
            durable: Some(content.to_vec()),
        };
        Self::in_state(
            State {
                inodes: vec![inode],
                live: names.clone(),
                durable: names,
                pending: Vec::new(),
            },
            manner,
        )
    }

    fn in_state(state: State, manner: Manner) -> Self {
        Self {
            manner,
            state: RefCell::new(state),
            history: RefCell::default(),
            life: RefCell::new(None),
        }
    }

    /// One step, unless the process has died before it.
    fn step<T>(&self, step: impl FnOnce(&mut State) -> T) -> rustix::io::Result<T> {
        if let Some(life) = &mut *self.life.borrow_mut() {
            *life = life.checked_sub(1).ok_or(Errno::IO)?;
        }
        let mut state = self.state.borrow_mut();
        let done = step(&mut state);
        self.history.borrow_mut().push(state.clone());
        Ok(done)
    }
}

impl ReplaceSteps for Disk {
    type File = usize;

    fn create_unnamed(&self) -> io::Result<Option<usize>> {
        if self.manner.has_no_unnamed_files {
            return Ok(None);
        }
        Ok(Some(self.step(|state| {
            state.inodes.push(Inode::default());
            state.inodes.len() - 1
        })?))
    }

    fn link(&self, file: &usize, name: &str) -> rustix::io::Result<()> {
        if self.manner.cannot_link {
            return Err(Errno::NOENT);
        }
        self.step(|state| state.change(Change::Named(name.to_owned(), *file)))
    }

    fn create(&self, name: &str) -> io::Result<usize> {
        Ok(self.step(|state| {
            state.inodes.push(Inode::default());
            let inode = state.inodes.len() - 1;
            state.change(Change::Named(name.to_owned(), inode));
            inode
        })?)
    }

    fn open(&self, _name: &str) -> io::Result<usize> {
        unreachable!("nothing is written in place here")
    }

    fn make_private(&self, _file: &usize) -> io::Result<()> {
        Ok(self.step(|_| ())?)
    }

    fn reserve(&self, _file: &usize, _length: usize) -> io::Result<()> {
        unreachable!("nothing is written in place here")
    }

    fn write(&self, file: &usize, content: &[u8]) -> io::Result<()> {
        Ok(self.step(|state| {
            state.inodes[*file] = Inode {
                live: content.to_vec(),
                durable: None,
            };
        })?)
    }

    fn truncate(&self, _file: &usize, _length: usize) -> io::Result<()> {
        unreachable!("nothing is written in place here")
    }

    fn sync(&self, file: &usize) -> io::Result<()> {
        Ok(self.step(|state| {
            if !self.manner.forgets_to_sync {
                let inode = &mut state.inodes[*file];
                inode.durable = Some(inode.live.clone());
            }
        })?)
    }

    fn rename(&self, from: &str, to: &str) -> rustix::io::Result<()> {
        self.step(|state| state.change(Change::Renamed(from.to_owned(), to.to_owned())))
    }

    fn remove(&self, name: &str) {
        let _ = self.step(|state| state.change(Change::Removed(name.to_owned())));
    }

    fn files_like(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let state = self.state.borrow();
        let names = state.live.keys();
        names.filter(|name| is_wanted(name)).cloned().collect()
    }

    fn touch(&self, _file: &usize) {
        let _ = self.step(|_| ());
    }

    fn stat(&self, _file: &usize) -> io::Result<Stat> {
        Ok(stat("/")?)
    }
}

/// A content that is like no other, nor like a part of another.
fn content(number: usize, random: &mut fastrand::Rng) -> Vec<u8> {
    let padding = ".".repeat(random.usize(..40));
    format!("<{number}{padding}>").into_bytes()
}

/// Saves at random, dies at random while doing so, and cuts the power after every step. What was
/// wrong first, else the number of cuts.
fn torture(seed: u64, manner: Manner) -> Result<usize, String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut saved = vec![content(0, &mut random)];
    let mut disk = Disk::holding(&saved[0], manner);
    let mut cuts = 0;
    for number in 1..=random.usize(2..10) {
        saved.push(content(number, &mut random));
        let dies = random.u8(..3) == 0;
        *disk.life.borrow_mut() = dies.then(|| random.usize(..9));
        let done = replace_in(&disk, NAME, &saved[number], &|| true);
        if !dies && !matches!(done, Ok(Some((Written::Renamed, _)))) {
            return Err(format!("save {number} failed"));
        }
        let history = std::mem::take(&mut *disk.history.borrow_mut());
        let mut last = disk.state.borrow().clone();
        for state in history {
            for _ in 0..3 {
                cuts += 1;
                last = state.after_power_loss(&mut random);
                let found = last.content();
                if !saved.iter().any(|saved| Some(&**saved) == found) {
                    return Err(format!("{found:?} was never saved; save {number}"));
                }
                let again = Disk::in_state(last.clone(), manner);
                let next = content(1_000, &mut random);
                if replace_in(&again, NAME, &next, &|| true).is_err() {
                    return Err("the next save failed".to_owned());
                }
                let after = again.state.borrow();
                if after.content() != Some(&next) {
                    return Err("the next save is not there".to_owned());
                }
                if let Some(orphan) = after.live.keys().find(|name| name.ends_with(SUFFIX)) {
                    return Err(format!("the next save left {orphan}"));
                }
            }
        }
        // Now and then the power was really cut.
        if random.bool() {
            disk = Disk::in_state(last, manner);
        }
        *disk.life.borrow_mut() = None;
    }
    Ok(cuts)
}

const MANNERS: [Manner; 3] = [
    Manner {
        has_no_unnamed_files: false,
        cannot_link: false,
        forgets_to_sync: false,
    },
    Manner {
        has_no_unnamed_files: true,
        cannot_link: false,
        forgets_to_sync: false,
    },
    Manner {
        has_no_unnamed_files: false,
        cannot_link: true,
        forgets_to_sync: false,
    },
];

#[test]
fn after_a_loss_of_power_the_file_is_one_that_was_saved() {
    let mut cuts = 0;
    for (seed, manner) in (0..1_000).zip(MANNERS.into_iter().cycle()) {
        match torture(seed, manner) {
            Ok(count) => cuts += count,
            Err(wrong) => panic!("{manner:?}, seed {seed}: {wrong}"),
        }
    }
    assert!(cuts > 50_000, "only {cuts} cuts");
}

/// Whether the disk would notice.
#[test]
fn a_missing_sync_is_found() {
    for manner in MANNERS {
        let manner = Manner {
            forgets_to_sync: true,
            ..manner
        };
        let found = (0..100).any(|seed| torture(seed, manner).is_err());
        assert!(found, "{manner:?} gets away with it");
    }
}
