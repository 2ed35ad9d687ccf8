//! Parts of tests that need a process of their own: another user, another umask, another mount,
//! or simply another writer.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::sample::watch;

const ROLE: &str = "MSAL_TOKEN_CACHE_TEST_ROLE";
const STAGE: &str = "MSAL_TOKEN_CACHE_TEST_STAGE";
/// The user who owns nothing.
#[cfg(unix)]
pub(crate) const NOBODY: u32 = 65_534;

/// What is played, and where.
type Role = fn(&Path);

const ROLES: &[(&str, Role)] = &[
    ("a writer", super::writers::increments),
    #[cfg(windows)]
    ("a holder", super::locking::windows::holds),
    #[cfg(windows)]
    ("a leaseholder", super::windows::leases::holds),
    #[cfg(unix)]
    ("a stranger", super::owners::is_turned_away),
    #[cfg(unix)]
    (
        "a hand tied",
        super::replacing::a_folder_that_may_not_be_written_is_an_error,
    ),
    #[cfg(unix)]
    ("umask 000", |path| {
        super::replacing::is_private_under(0o000, path);
    }),
    #[cfg(unix)]
    ("umask 077", |path| {
        super::replacing::is_private_under(0o077, path);
    }),
    #[cfg(unix)]
    ("umask 200", |path| {
        super::replacing::is_private_under(0o200, path);
    }),
    #[cfg(unix)]
    (
        "a mount",
        super::replacing::a_file_that_cannot_be_replaced_is_written_in_place,
    ),
    #[cfg(unix)]
    ("no room", super::replacing::no_file_may_grow),
    #[cfg(unix)]
    ("no list", super::replacing::the_file_is_replaced),
    #[cfg(unix)]
    (
        "no proc",
        super::replacing::the_file_is_replaced_without_proc,
    ),
];

/// Plays the role that the environment names, if this process was started for one; or else finds
/// out whether a role that fails is noticed.
#[test]
fn a_role_is_played_in_a_process_of_its_own() {
    if let Ok(name) = env::var(ROLE) {
        let stage = PathBuf::from(env::var_os(STAGE).expect("a role has a stage"));
        let role = ROLES.iter().find(|(known, _)| *known == name);
        let (_, play) = role.unwrap_or_else(|| panic!("nobody plays {name:?}"));
        let _watch = watch();
        play(&stage);
    } else {
        let output = command("no such role", Path::new("/")).output().unwrap();
        assert!(!output.status.success());
    }
}

/// The command that plays a role.
pub(crate) fn command(role: &str, stage: &Path) -> Command {
    through(Command::new(env::current_exe().unwrap()), role, stage)
}

/// The same, by way of a program that runs what follows its arguments.
#[cfg(unix)]
pub(crate) fn command_through(mut program: Command, role: &str, stage: &Path) -> Command {
    program.arg(env::current_exe().unwrap());
    through(program, role, stage)
}

fn through(mut program: Command, role: &str, stage: &Path) -> Command {
    let test = concat!(module_path!(), "::a_role_is_played_in_a_process_of_its_own");
    let (_, test) = test.split_once("::").expect("a path within this crate");
    program
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, role)
        .env(STAGE, stage);
    program
}

/// Plays a role as a user who owns nothing. Only root can.
#[cfg(unix)]
pub(crate) fn play_as_nobody(role: &str, stage: &Path) {
    use std::os::unix::process::CommandExt;

    // That user may not be able to go where this program lies.
    let folder = tempfile::TempDir::with_prefix("roles").unwrap();
    let program = folder.path().join("all");
    // By a process of its own: had this one the copy open for writing, a child that another test
    // starts just then would have it as well, and a file that is being written cannot be run.
    let mut copy = Command::new("cp");
    copy.arg(env::current_exe().unwrap()).arg(&program);
    assert!(copy.status().unwrap().success(), "{copy:?}");
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = through(Command::new(&program), role, stage);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    succeeds(command);
}

/// Runs a role to its end, which has to be a good one.
pub(crate) fn succeeds(mut command: Command) {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(
        status.success(),
        "{command:?}: {status}\n{stdout}\n{stderr}"
    );
    assert!(
        stdout.contains("1 passed"),
        "{command:?} ran nothing:\n{stdout}\n{stderr}"
    );
}
