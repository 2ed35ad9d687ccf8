use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::Place;

/// Where we are; `None` where `/proc` does not say so.
#[expect(
    clippy::disallowed_methods,
    reason = "what the kernel tells about itself is no cache"
)]
pub(in super::super) fn place() -> Option<Place> {
    static BOOT: OnceLock<Option<String>> = OnceLock::new();
    let boot = BOOT.get_or_init(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    });
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(Place {
        boot: boot.clone()?,
        namespace: namespace.into_os_string().into_string().ok()?,
    })
}

/// Whether a process of this id runs.
pub(in super::super) fn is_running(pid: u32) -> bool {
    match i32::try_from(pid) {
        // Whoever may not be signalled runs.
        Ok(pid) if pid > 0 => kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH),
        _ => false,
    }
}
