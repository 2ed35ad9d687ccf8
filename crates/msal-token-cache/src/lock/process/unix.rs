use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::PidScope;

/// Returns the scope of this process's id; `None` where `/proc` does not say so.
#[expect(
    clippy::disallowed_methods,
    reason = "this reads about the kernel, not a cache"
)]
pub(crate) fn pid_scope() -> Option<PidScope> {
    static BOOT: OnceLock<Option<String>> = OnceLock::new();
    let boot = BOOT.get_or_init(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    });
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(PidScope {
        boot: boot.clone()?,
        namespace: namespace.into_os_string().into_string().ok()?,
    })
}

/// Returns `true` if a process of this id runs.
pub(crate) fn is_running(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // A process that may not be signalled runs.
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}
