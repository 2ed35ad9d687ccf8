//! All that three processes can do to one lock file, step by step in every order, with a crash
//! after any step: [`decide`] lets no two in, and always somebody in at last.
//!
//! A step is what the kernel does as one: creating, opening, asking for its lock, comparing
//! inodes, writing, deleting. Processes that crash come back as new ones, so that the states are
//! finite without a bound on the rounds. What the model assumes is in [`World::ages`].

use std::collections::HashMap;
use std::time::Duration;

use super::protocol::{Action, Flock, Holder, Seen, decide};

/// How a process locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// As we do.
    Ours,
    /// By creating the file and deleting it, as Python and Node do.
    Existence,
    /// By `flock`, comparing inodes afterwards, as .NET does.
    Kernel,
}

use Kind::{Existence, Kernel, Ours};

/// The index of a file in [`State::files`].
type Inode = u8;

/// How far a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
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
    const fn inode(self) -> Option<Inode> {
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

    const fn with_inode(self, file: Inode) -> Self {
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
    fn holds(self) -> bool {
        matches!(self, Self::Taken(_) | Self::Emptied(_) | Self::Inside(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Content {
    Empty,
    /// Names a process that lives.
    Of(u8),
    /// Names one that has died, which had this kind and place.
    OfDead(u8),
}

/// Since when a file has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Age {
    New,
    /// More than a second.
    Seconds,
    /// More than ten seconds.
    Long,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct File {
    flock: Option<u8>,
    /// The process by existence that created it, while that one takes it for its lock.
    creator: Option<u8>,
    content: Content,
    age: Age,
}

const PROCESSES: usize = 3;
/// Each process has one open at most, and one is at the path.
const FILES: usize = PROCESSES + 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    steps: [Step; PROCESSES],
    path: Option<Inode>,
    files: [File; FILES],
}

/// What is wrong with the protocol on purpose, to see that the check finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Planted {
    Nothing,
    /// The path may lead to another file than the one that was locked.
    NoInodeCheck,
    /// A dead holder is succeeded at once.
    NoAge,
    /// One that may live elsewhere is succeeded as soon as one that is seen to be dead.
    OneAgeForAll,
    /// Who releases unlocks before it deletes.
    UnlocksFirst,
}

/// Who takes part, and where they live: only who lives in the same place sees a pid.
#[derive(Clone, Copy, Debug)]
struct World {
    kinds: [Kind; PROCESSES],
    places: [u8; PROCESSES],
    has_flock: bool,
    planted: Planted,
}

const NO_FILE: File = File {
    flock: None,
    creator: None,
    content: Content::Empty,
    age: Age::New,
};

impl State {
    const BEGIN: Self = Self {
        steps: [Step::Idle; PROCESSES],
        path: None,
        files: [NO_FILE; FILES],
    };

    /// Numbers the files by who has them, and forgets what nobody can see any more.
    fn canonical(mut self, world: World) -> Self {
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
    fn swapped(mut self, one: u8, other: u8) -> Self {
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
    fn packed(&self) -> u128 {
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

    fn file(&mut self, file: Inode) -> &mut File {
        &mut self.files[usize::from(file)]
    }

    /// Creates the file at the path.
    fn create(&mut self, creator: Option<u8>) -> Inode {
        let is_used = |file| {
            self.path == Some(file) || self.steps.iter().any(|step| step.inode() == Some(file))
        };
        let file = (0..=3).find(|file| !is_used(*file)).unwrap_or_default();
        *self.file(file) = File { creator, ..NO_FILE };
        self.path = Some(file);
        file
    }

    fn put(&mut self, file: Inode, content: Content) {
        let file = self.file(file);
        file.content = content;
        file.age = Age::New;
    }

    fn unlock(&mut self, process: u8) {
        for file in &mut self.files {
            if file.flock == Some(process) {
                file.flock = None;
            }
        }
    }
}

impl World {
    fn kind(self, process: u8) -> Kind {
        self.kinds[usize::from(process)]
    }

    fn see_each_other(self, one: u8, other: u8) -> bool {
        self.places[usize::from(one)] == self.places[usize::from(other)]
    }

    /// The first of those that differ only by name: which of them has died says nothing.
    fn first_alike(self, process: u8) -> u8 {
        let about = |one: u8| (self.kind(one), self.places[usize::from(one)]);
        let first = (0..process).find(|one| about(*one) == about(process));
        first.unwrap_or(process)
    }

    /// Asks for the kernel's lock.
    fn ask(self, state: &mut State, process: u8, file: Inode) -> bool {
        let free = state.file(file).flock.is_none();
        if self.has_flock && free {
            state.file(file).flock = Some(process);
        }
        free || !self.has_flock
    }

    fn compare(self, state: &State, file: Inode) -> Flock {
        if state.path != Some(file) && self.planted != Planted::NoInodeCheck {
            Flock::OnAnotherFile
        } else if self.has_flock {
            Flock::Ours
        } else {
            Flock::Unsupported
        }
    }

    fn holder(self, file: File, process: u8) -> Holder {
        let (named, lives) = match file.content {
            Content::Empty => (None, false),
            Content::Of(named) => (Some(named), true),
            Content::OfDead(named) => (Some(named), false),
        };
        let is_seen = named.is_some_and(|named| self.see_each_other(named, process));
        // Peers do not write where they live.
        let in_our_sight = is_seen && named.is_some_and(|named| self.kind(named) == Ours);
        let age = match file.age {
            _ if self.planted == Planted::NoAge => 3_600_000,
            Age::New => 0,
            Age::Seconds => 1_001,
            Age::Long => 10_001,
        };
        Holder {
            alive: lives && is_seen && named != Some(process),
            in_our_sight: in_our_sight || self.planted == Planted::OneAgeForAll,
            age: Duration::from_millis(age),
        }
    }

    /// The states after the next step of this process; more than one where it may give up.
    fn advance(self, state: &State, process: u8) -> Vec<State> {
        match self.kind(process) {
            Ours => self.ours(state, process),
            Existence => vec![Self::by_existence(state, process)],
            Kernel => vec![self.by_kernel(state, process)],
        }
    }

    fn ours(self, state: &State, process: u8) -> Vec<State> {
        let mut next = *state;
        let me = usize::from(process);
        let mut gives_up = false;
        let mut act = |next: &mut State, file, seen| match decide(seen) {
            Action::Hold | Action::Adopt => Step::Taken(file),
            Action::AskAgain => {
                gives_up = true;
                Step::Created(file)
            }
            Action::StartOver | Action::Wait => {
                next.unlock(process);
                Step::Idle
            }
        };
        let holder = |file| self.holder(state.files[usize::from(file)], process);
        next.steps[me] = match state.steps[me] {
            Step::Idle => match state.path {
                Some(file) => Step::Opened(file),
                None => Step::Created(next.create(None)),
            },
            Step::Created(file) if self.ask(&mut next, process, file) => {
                Step::CreatedAndAsked(file)
            }
            Step::Created(file) => act(&mut next, file, Seen::Created(Flock::Theirs)),
            Step::CreatedAndAsked(file) => {
                let seen = Seen::Created(self.compare(state, file));
                act(&mut next, file, seen)
            }
            Step::Opened(file) if self.ask(&mut next, process, file) => Step::Asked(file),
            Step::Opened(file) => {
                let seen = Seen::Found(Flock::Theirs, holder(file));
                act(&mut next, file, seen)
            }
            Step::Asked(file) => match self.compare(state, file) {
                Flock::Ours => Step::Compared(file),
                flock => act(&mut next, file, Seen::Found(flock, holder(file))),
            },
            Step::Compared(file) => act(&mut next, file, Seen::Found(Flock::Ours, holder(file))),
            Step::Taken(file) => {
                next.put(file, Content::Empty);
                Step::Emptied(file)
            }
            Step::Emptied(file) => {
                next.put(file, Content::Of(process));
                Step::Inside(file)
            }
            Step::Inside(file) if state.path == Some(file) => Step::Deleting(file),
            Step::Inside(file) => Step::Unlocking(file),
            Step::Deleting(file) => {
                // Whatever is there by now.
                next.path = None;
                Step::Unlocking(file)
            }
            Step::Unlocking(_) => {
                next.unlock(process);
                Step::Idle
            }
        };
        if self.planted == Planted::UnlocksFirst && matches!(next.steps[me], Step::Deleting(_)) {
            next.unlock(process);
        }
        let mut all = vec![next];
        if gives_up {
            let mut without = *state;
            without.steps[me] = Step::Idle;
            all.push(without);
        }
        all
    }

    fn by_existence(state: &State, process: u8) -> State {
        let mut next = *state;
        let me = usize::from(process);
        next.steps[me] = match state.steps[me] {
            Step::Idle if state.path.is_some() => Step::Idle,
            Step::Idle => Step::Emptied(next.create(Some(process))),
            Step::Emptied(file) => {
                next.put(file, Content::Of(process));
                Step::Inside(file)
            }
            Step::Inside(file) => {
                next.file(file).creator = None;
                next.path = None;
                Step::Idle
            }
            step => unreachable!("{step:?} of one that locks by existence"),
        };
        next
    }

    fn by_kernel(self, state: &State, process: u8) -> State {
        let mut next = *state;
        let me = usize::from(process);
        next.steps[me] = match state.steps[me] {
            Step::Idle => {
                let file = state.path.unwrap_or_else(|| next.create(None));
                Step::Opened(file)
            }
            Step::Opened(file) if self.ask(&mut next, process, file) => Step::Asked(file),
            Step::Asked(file) if state.path == Some(file) => Step::Emptied(file),
            Step::Opened(_) | Step::Asked(_) | Step::Unlocking(_) => {
                next.unlock(process);
                Step::Idle
            }
            Step::Emptied(file) => {
                next.put(file, Content::Of(process));
                Step::Inside(file)
            }
            Step::Inside(file) => {
                next.path = None;
                Step::Unlocking(file)
            }
            step => unreachable!("{step:?} of one that locks by the kernel"),
        };
        next
    }

    /// The process dies where it is, and another one begins in its stead.
    fn crash(self, state: &State, process: u8) -> State {
        let mut next = *state;
        next.unlock(process);
        next.steps[usize::from(process)] = Step::Idle;
        for file in &mut next.files {
            if file.content == Content::Of(process) {
                file.content = Content::OfDead(self.first_alike(process));
            }
            if file.creator == Some(process) {
                file.creator = None;
            }
        }
        next
    }

    /// The states after time has passed for one of the files.
    ///
    /// The assumption behind the long age: who holds by existence where its pid is not seen, or
    /// has not written it yet, is done within ten seconds.
    fn ages(self, state: &State) -> Vec<State> {
        let mut all = Vec::new();
        for (n, file) in state.files.iter().enumerate() {
            if state.path.map(usize::from) != Some(n) && self.planted != Planted::NoInodeCheck {
                continue;
            }
            let observers = (0_u8..).take(PROCESSES);
            let is_hidden = |creator: u8| {
                file.content == Content::Empty
                    || observers
                        .clone()
                        .any(|one| !self.see_each_other(one, creator))
            };
            let age = match file.age {
                Age::New => Age::Seconds,
                Age::Seconds if file.creator.is_some_and(is_hidden) => continue,
                Age::Seconds => Age::Long,
                Age::Long => continue,
            };
            let mut next = *state;
            next.files[n].age = age;
            all.push(next);
        }
        all
    }

    /// Whether two hold the lock, one of them being ours.
    fn is_shared(self, state: &State) -> bool {
        let holders = || (0_u8..).zip(state.steps).filter(|(_, step)| step.holds());
        holders().count() > 1 && holders().any(|(process, _)| self.kind(process) == Ours)
    }

    /// One state for all that differ only in the order of processes that are alike.
    fn representative(self, state: State) -> (u128, State) {
        let alike = |one: usize, other: usize| {
            (self.kinds[one], self.places[one]) == (self.kinds[other], self.places[other])
        };
        let mut best = state.canonical(self);
        let mut bits = best.packed();
        let orders: [&[(u8, u8)]; 5] = [
            &[(0, 1)],
            &[(1, 2)],
            &[(0, 2)],
            &[(0, 1), (1, 2)],
            &[(1, 2), (0, 1)],
        ];
        for order in orders {
            let mut other = state;
            if order
                .iter()
                .all(|(a, b)| alike(usize::from(*a), usize::from(*b)))
            {
                for (a, b) in order {
                    other = other.swapped(*a, *b);
                }
                other = other.canonical(self);
                if other.packed() < bits {
                    (best, bits) = (other, other.packed());
                }
            }
        }
        (bits, best)
    }

    /// Walks through all states. How many there are, or how two got in.
    fn explore(self) -> Result<usize, Vec<State>> {
        let mut known = HashMap::from([(State::BEGIN.packed(), 0_usize)]);
        let mut states = vec![State::BEGIN];
        let mut reached_from = vec![0];
        let mut edges = Vec::new();
        let mut at = 0;
        while at < states.len() {
            let state = states[at];
            if self.is_shared(&state) {
                let mut way = vec![state];
                let mut step = at;
                while step != 0 {
                    step = reached_from[step];
                    way.push(states[step]);
                }
                way.reverse();
                return Err(way);
            }
            let processes = (0_u8..).take(PROCESSES);
            let steps = processes.clone().flat_map(|one| self.advance(&state, one));
            let orderly = steps.chain(self.ages(&state)).map(|next| (next, true));
            let crashes = processes.map(|one| (self.crash(&state, one), false));
            for (next, is_orderly) in orderly.chain(crashes) {
                let (bits, next) = self.representative(next);
                let index = *known.entry(bits).or_insert_with(|| {
                    states.push(next);
                    reached_from.push(at);
                    states.len() - 1
                });
                if is_orderly && index != at {
                    edges.push((index, at));
                }
            }
            at += 1;
        }
        if self.has_flock {
            self.always_leads_inside(&states, edges);
        }
        Ok(states.len())
    }

    /// From every state, steps without a crash lead to one where one of ours holds the lock.
    /// (Where there is no `flock`, what a crash leaves behind is in the way; that is documented.)
    fn always_leads_inside(self, states: &[State], mut edges: Vec<(usize, usize)>) {
        edges.sort_unstable();
        let before = |state: usize| {
            let first = edges.partition_point(|(to, _)| *to < state);
            edges[first..]
                .iter()
                .take_while(move |(to, _)| *to == state)
                .map(|(_, from)| *from)
        };
        let is_inside = |state: &State| {
            let mut steps = (0_u8..).zip(state.steps);
            steps.any(|(process, step)| step.holds() && self.kind(process) == Ours)
        };
        let mut leads: Vec<bool> = states.iter().map(is_inside).collect();
        let mut queue: Vec<usize> = (0..states.len()).filter(|n| leads[*n]).collect();
        while let Some(state) = queue.pop() {
            for from in before(state) {
                if !leads[from] {
                    leads[from] = true;
                    queue.push(from);
                }
            }
        }
        let stuck = leads.iter().position(|leads| !leads);
        let stuck = stuck.map(|n| states[n]);
        assert_eq!(stuck, None, "{self:?} is stuck");
    }
}

/// All populations in which only we stand between the kinds: who locks by existence and who locks
/// by the kernel do not exclude each other.
fn worlds(planted: Planted) -> Vec<World> {
    let mut all = Vec::new();
    for kinds in [
        [Ours, Ours, Ours],
        [Ours, Ours, Existence],
        [Ours, Existence, Existence],
        [Ours, Ours, Kernel],
        [Ours, Kernel, Kernel],
    ] {
        for places in [[0, 0, 0], [0, 0, 1], [0, 1, 1]] {
            all.push(World {
                kinds,
                places,
                has_flock: true,
                planted,
            });
            if !kinds.contains(&Kernel) {
                all.push(World {
                    kinds,
                    places,
                    has_flock: false,
                    planted,
                });
            }
        }
    }
    all
}

#[test]
fn no_two_hold_the_lock_and_somebody_always_gets_it() {
    let mut states = 0;
    for world in worlds(Planted::Nothing) {
        match world.explore() {
            Ok(count) => states += count,
            Err(way) => panic!("{world:?}: two hold the lock after {way:#?}"),
        }
    }
    // So that a model in which nothing happens does not pass.
    assert!(states > 20_000, "only {states} states");
}

/// Whether the check would notice if the protocol were wrong.
#[test]
fn what_is_planted_is_found() {
    for planted in [
        Planted::NoInodeCheck,
        Planted::NoAge,
        Planted::OneAgeForAll,
        Planted::UnlocksFirst,
    ] {
        let found = worlds(planted).iter().any(|world| world.explore().is_err());
        assert!(found, "{planted:?} is not found");
    }
}
