//! All that three processes can do to one lock file, step by step in every order, with a crash
//! after any step: [`decide`] lets no two in, and always somebody in at last.
//!
//! A step is what the kernel does as one: creating, opening, asking for its lock, comparing
//! inodes, writing, deleting. Processes that crash come back as new ones, so that the states are
//! finite without a bound on the rounds. What the model assumes is in [`World::ages`].

mod state;

use std::collections::HashMap;
use std::time::Duration;

use self::state::{Age, Content, File, Inode, Kind, PROCESSES, State, Step};
use super::protocol::{Action, Flock, Holder, Seen, decide};
use Kind::{Existence, Kernel, Ours};

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
