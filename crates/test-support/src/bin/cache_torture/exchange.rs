//! Another user swaps a folder for a link to somewhere else, while root works in it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use msal_token_cache::{FilePersistence, Leases, Persistence};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};

use super::NOBODY;

/// Files that are not ours, in a folder that only root may look into.
const FOREIGN: usize = 200;

/// Takes so many leases, and writes the cache as often, in a folder of another user, who swaps it
/// for a link to root's private folder all the while. Needs root.
pub(super) fn exchanged(times: u64) -> Value {
    // That user must be able to go there.
    let folder = std::env::temp_dir().join(format!("cache_torture-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).unwrap();
    let report = exchanged_in(&folder, times);
    fs::remove_dir_all(folder).unwrap();
    report
}

fn exchanged_in(folder: &Path, times: u64) -> Value {
    let (user, private) = (folder.join("user"), folder.join("private"));
    let (work, link) = (user.join("msal-token-cache"), user.join("link"));
    for (path, mode) in [(&user, 0o700), (&private, 0o700), (&work, 0o700)] {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink(&private, &link).unwrap();
    // Every other one looks like one that a dead holder of ours has left.
    let foreign = (0..FOREIGN).map(|n| match n % 2 {
        0 => (format!("{n:032x}.lease"), ""),
        _ => (format!("{n}.lease"), "precious"),
    });
    let foreign: Vec<_> = foreign.collect();
    for (name, content) in &foreign {
        fs::write(private.join(name), content).unwrap();
    }
    chown(&user, Some(NOBODY), Some(NOBODY)).unwrap();

    let mut other = as_nobody(folder, &["exchange", text(&work), text(&link)]);
    let (mut taken, mut refused, mut written) = (0_u64, 0_u64, 0_u64);
    for n in 0..times {
        match Leases::in_folder(&work).take(&["redeem", &n.to_string()]) {
            Ok(lease) => taken += u64::from(lease.is_some()),
            Err(_) => refused += 1,
        }
        let store = FilePersistence::new(work.join("cache"));
        let store = store.with_lock_timeout(Duration::ZERO);
        let lock = (n % 10 == 0).then(|| store.lock());
        if matches!(lock, Some(Ok(_))) && store.save(b"{}").is_ok() {
            written += 1;
        }
    }
    drop(other.stdin.take());
    let mut swaps = String::new();
    let mut stdout = other.stdout.take().unwrap();
    stdout.read_to_string(&mut swaps).unwrap();
    assert!(other.wait().unwrap().success());
    let swaps: Value = serde_json::from_str(&swaps).unwrap();

    let is_left = |(name, _): &&(String, &str)| private.join(name).exists();
    let left = foreign.iter().filter(is_left).count();
    let in_private = fs::read_dir(&private).unwrap().count();
    let swapped = if work.is_symlink() { &link } else { &work };
    let created = fs::read_dir(swapped).map_or(0, Iterator::count);
    json!({
        "swaps": swaps["swaps"],
        "leases": times,
        "taken": taken,
        "refused": refused,
        "written": written,
        "deleted": FOREIGN - left,
        "created": created + (in_private - left),
    })
}

/// Swaps two names for each other until standard input ends.
pub(super) fn exchange(one: &Path, other: &Path) -> Value {
    let is_over = AtomicBool::new(false);
    let mut swaps = 0_u64;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            is_over.store(true, Ordering::Relaxed);
        });
        while !is_over.load(Ordering::Relaxed) {
            let swapped = renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
            swaps += u64::from(swapped.is_ok());
        }
    });
    json!({ "swaps": swaps })
}

/// Starts a copy of this program as a user who owns nothing.
fn as_nobody(folder: &Path, arguments: &[&str]) -> Child {
    // That user may not be able to go where this program lies.
    let program = folder.join("program");
    let mut copy = Command::new("install");
    copy.arg("--mode=755");
    copy.arg(std::env::current_exe().unwrap()).arg(&program);
    assert!(copy.status().unwrap().success());
    let mut command = Command::new(program);
    command
        .args(arguments)
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command.spawn().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
