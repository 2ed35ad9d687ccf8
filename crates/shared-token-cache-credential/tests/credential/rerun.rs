//! A test that needs a process of its own: another environment, another user, a tracer.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

const RERUN: &str = "TEST_RERUN";
/// `nobody`, who owns nothing.
#[cfg(unix)]
const OTHER_USER: u32 = 65534;

/// Whether this is the process of its own.
pub(super) fn is_rerun() -> bool {
    std::env::var_os(RERUN).is_some()
}

/// A session bus that nobody is on, so that no test finds the keyring of whoever runs it.
const NO_BUS: &str = "unix:path=/nonexistent/bus";

/// The command that runs the test of this name again, and begins like `command`. Of variables that
/// name a proxy there are only that command's. There is no keyring.
pub(super) fn as_rerun(mut command: Command, test: &str) -> Command {
    let set: Vec<_> = command
        .get_envs()
        .map(|(name, _)| name.to_owned())
        .collect();
    for name in ["HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        for name in [name.to_owned(), name.to_lowercase()] {
            if !set.iter().any(|set| is_same_variable(set, &name)) {
                command.env_remove(name);
            }
        }
    }
    command
        .args(["--exact", test, "--nocapture"])
        .env("DBUS_SESSION_BUS_ADDRESS", NO_BUS)
        .env(RERUN, "1");
    command
}

#[cfg(unix)]
fn is_same_variable(one: &OsStr, other: &str) -> bool {
    one == other
}

#[cfg(windows)]
fn is_same_variable(one: &OsStr, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Runs the test of this name again, by a command that begins like `command`.
pub(super) fn rerun(command: Command, test: &str) {
    let output = as_rerun(command, test).output().unwrap();
    let [report, errors] = [&output.stdout, &output.stderr].map(|s| String::from_utf8_lossy(s));
    assert!(
        output.status.success() && report.contains("1 passed"),
        "{report}\n{errors}"
    );
}

/// This binary, to be given other surroundings.
pub(super) fn this_binary() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

/// Runs a test as a user whom file modes bind: as it is, or again where that is root.
#[cfg(unix)]
pub(super) fn as_ordinary_user(test: &str, run: impl FnOnce()) {
    if !is_root() {
        return run();
    }
    rerun_as_ordinary_user(test, |_| ());
}

/// Runs the test of this name again as a user whom file modes bind, with such other surroundings.
#[cfg(unix)]
pub(super) fn rerun_as_ordinary_user(test: &str, surroundings: impl FnOnce(&mut Command)) {
    use std::os::unix::process::CommandExt;

    // The other user may not come to where this binary is.
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    let binary = folder.path().join("test");
    // By a process of its own: had this one the copy open for writing, a child that another test
    // starts just then would have it as well, and a file that is being written cannot be run.
    let mut copy = Command::new("cp");
    copy.arg(std::env::current_exe().unwrap()).arg(&binary);
    assert!(copy.status().unwrap().success(), "{copy:?}");
    let mut command = Command::new(&binary);
    command.current_dir(folder.path());
    if is_root() {
        command.uid(OTHER_USER).gid(OTHER_USER);
    }
    surroundings(&mut command);
    rerun(command, test);
}

#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;

    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

#[cfg(unix)]
pub(super) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;

    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Here a file has the permissions of its folder.
#[cfg(windows)]
pub(super) fn set_mode(_path: &Path, _mode: u32) {}
