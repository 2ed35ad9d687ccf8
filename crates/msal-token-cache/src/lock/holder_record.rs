//! The record of the lock's holder in the lock file.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::error::{Error, ErrorKind};
use crate::lock::process::{self, PidScope};
use crate::lock::protocol::Holder;
use token_credential::{Clock, SystemClock};

/// The record that the holder writes into the lock file. Peers write `<pid> <name>`; ours appends
/// the scope of the pid.
#[derive(Default)]
pub(super) struct HolderRecord {
    pid: Option<u32>,
    scope: Option<PidScope>,
    is_of_this_crate: bool,
}

impl HolderRecord {
    pub(super) fn ours() -> Self {
        Self {
            pid: Some(std::process::id()),
            scope: process::pid_scope(),
            is_of_this_crate: true,
        }
    }

    pub(super) fn to_text(&self) -> String {
        let name = env!("CARGO_PKG_NAME");
        let pid = self.pid.unwrap_or_default();
        match &self.scope {
            Some(PidScope { boot, namespace }) => format!("{pid} {name} {boot} {namespace}"),
            None => format!("{pid} {name}"),
        }
    }

    /// Reads the record of any peer: a byte order mark, braces and further words are tolerated.
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
        let scope = next().zip(next());
        Self {
            pid,
            scope: scope.map(|(boot, namespace)| PidScope { boot, namespace }),
            is_of_this_crate,
        }
    }

    /// Returns the state of the holder that left this record, in a file that was last changed at
    /// this time since 1970. It matters only if no process has the kernel's lock, which a holder of
    /// this crate would have.
    pub(super) fn holder(&self, changed: Duration) -> Holder {
        let in_our_sight = self.scope.is_some() && self.scope == process::pid_scope();
        let alive = match self.pid {
            // The pid was given before the last boot or in another pid namespace, so it is another
            // process's here.
            _ if self.scope.is_some() && !in_our_sight => false,
            // An earlier process left it: the first process of a container has the same pid each
            // time.
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

    /// Returns the error after waiting for so long for the lock at this path.
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
