//! Who holds the lock, as its file says.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::process::{self, Place};
use super::protocol::Holder;
use crate::{Error, ErrorKind};
use token_credential::{Clock, SystemClock};

/// What the holder writes into the lock file. Peers write `<pid> <name>`; ours goes on with what
/// tells whether the pid means anything here.
#[derive(Default)]
pub(super) struct Signature {
    pid: Option<u32>,
    place: Option<Place>,
    is_of_this_crate: bool,
}

impl Signature {
    pub(super) fn ours() -> Self {
        Self {
            pid: Some(std::process::id()),
            place: process::place(),
            is_of_this_crate: true,
        }
    }

    pub(super) fn to_text(&self) -> String {
        let name = env!("CARGO_PKG_NAME");
        let pid = self.pid.unwrap_or_default();
        match &self.place {
            Some(Place { boot, namespace }) => format!("{pid} {name} {boot} {namespace}"),
            None => format!("{pid} {name}"),
        }
    }

    /// Reads what any peer writes: a byte order mark, braces and further words are tolerated.
    pub(super) fn in_file(mut file: &File) -> Self {
        let mut bytes = [0; 256];
        let read = file.read(&mut bytes).unwrap_or(0);
        Self::parse(&String::from_utf8_lossy(&bytes[..read]))
    }

    fn parse(text: &str) -> Self {
        let mut words = text.trim_start_matches('\u{feff}').split_whitespace();
        let pid = words
            .next()
            .and_then(|word| word.trim_matches(['{', '}']).parse().ok());
        let is_of_this_crate = words.next() == Some(env!("CARGO_PKG_NAME"));
        let mut next = || words.next().filter(|_| is_of_this_crate).map(str::to_owned);
        let place = next().zip(next());
        Self {
            pid,
            place: place.map(|(boot, namespace)| Place { boot, namespace }),
            is_of_this_crate,
        }
    }

    /// What this says of whoever left it, in a file that was changed then, since 1970. It matters
    /// only where nobody has the kernel's lock, which a holder of ours would have.
    pub(super) fn holder(&self, changed: Duration) -> Holder {
        let in_our_sight = self.place.is_some() && self.place == process::place();
        let alive = match self.pid {
            // The number was given before the last boot or in another pid namespace, so whoever
            // has it here is somebody else.
            _ if self.place.is_some() && !in_our_sight => false,
            // It is our own, from a life before: the first process of a container has the same
            // number each time.
            Some(pid) if self.is_of_this_crate && pid == std::process::id() => false,
            Some(pid) => process::is_running(pid),
            None => false,
        };
        let now = SystemClock
            .now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Holder {
            alive,
            in_our_sight,
            // A time in the future counts as an age, too: see `age`.
            age: now.abs_diff(changed),
        }
    }

    /// The error of one who has waited for so long for the lock at this path.
    pub(super) fn in_the_way(&self, path: &Path, waited: Duration) -> Error {
        let holder = match self.pid {
            Some(pid) => format!("process {pid}"),
            None => "a program that left no name".to_owned(),
        };
        let text = format!(
            "{holder} has held {} for {waited:?}; if no such program runs, delete that file",
            path.display()
        );
        Error::new(ErrorKind::Locked, text)
    }
}
