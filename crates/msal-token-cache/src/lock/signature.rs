//! Who holds the lock, as its file says.

use std::fs::File;
use std::io::Read;
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::sys::stat::FileStat;
use nix::unistd::{Pid, getpid};

use super::protocol::Holder;
use super::unix::changed;
use crate::clock::{Clock, SystemClock};

/// What the holder writes into the lock file. Peers write `<pid> <name>`; ours goes on with what
/// tells whether the pid means anything here.
#[derive(Default)]
pub(super) struct Signature {
    pub(super) pid: Option<i32>,
    boot: Option<String>,
    namespace: Option<String>,
}

impl Signature {
    #[expect(
        clippy::disallowed_methods,
        reason = "what the kernel tells about itself is no cache"
    )]
    pub(super) fn ours() -> Self {
        static BOOT: OnceLock<Option<String>> = OnceLock::new();
        let boot = BOOT.get_or_init(|| {
            let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
            Some(id.trim().to_owned()).filter(|id| !id.is_empty())
        });
        let namespace = std::fs::read_link("/proc/self/ns/pid").ok();
        Self {
            pid: Some(getpid().as_raw()),
            boot: boot.clone(),
            namespace: namespace.and_then(|link| link.into_os_string().into_string().ok()),
        }
    }

    pub(super) fn to_text(&self) -> String {
        let name = env!("CARGO_PKG_NAME");
        let pid = self.pid.unwrap_or_default();
        match (&self.boot, &self.namespace) {
            (Some(boot), Some(namespace)) => format!("{pid} {name} {boot} {namespace}"),
            _ => format!("{pid} {name}"),
        }
    }

    /// Reads what any peer writes: a byte order mark, braces and further words are tolerated.
    pub(super) fn in_file(mut file: &File) -> Self {
        let mut bytes = [0; 256];
        let read = file.read(&mut bytes).unwrap_or(0);
        let text = String::from_utf8_lossy(&bytes[..read]);
        let mut words = text.trim_start_matches('\u{feff}').split_whitespace();
        let pid = words
            .next()
            .and_then(|word| word.trim_matches(['{', '}']).parse().ok());
        let is_ours = words.next() == Some(env!("CARGO_PKG_NAME"));
        let mut next = || words.next().filter(|_| is_ours).map(str::to_owned);
        Self {
            pid,
            boot: next(),
            namespace: next(),
        }
    }

    pub(super) fn holder(&self, stat: &FileStat) -> Holder {
        let ours = Self::ours();
        let says_where = self.boot.is_some() && self.namespace.is_some();
        let in_our_sight =
            says_where && (&self.boot, &self.namespace) == (&ours.boot, &ours.namespace);
        let alive = match self.pid {
            // The number was given before the last boot or in another pid namespace, so whoever
            // has it here is somebody else. Or it is our own, from a life before: the first
            // process of a container has the same number each time. This matters only when the
            // kernel's lock, which that holder would have, is free.
            _ if says_where && !in_our_sight => false,
            _ if in_our_sight && self.pid == ours.pid => false,
            // Whoever may not be signalled runs.
            Some(pid) if pid > 0 => kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH),
            _ => false,
        };
        let now = SystemClock
            .now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Holder {
            alive,
            in_our_sight,
            age: now.saturating_sub(changed(stat)),
        }
    }
}
