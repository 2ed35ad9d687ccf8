//! Parts of tests that need a process of their own: another user, another umask, another mount,
//! or simply another writer.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::sample::watch;

const ROLE: &str = "MSAL_TOKEN_CACHE_TEST_ROLE";
const STAGE: &str = "MSAL_TOKEN_CACHE_TEST_STAGE";
/// The user who owns nothing.
pub(crate) const NOBODY: u32 = 65_534;

/// What is played, and where.
type Role = fn(&Path);

const ROLES: [(&str, Role); 9] = [
    ("a stranger", super::owners::is_turned_away),
    (
        "a hand tied",
        super::writing::a_folder_that_may_not_be_written_is_an_error,
    ),
    ("umask 000", |path| {
        super::writing::is_private_under(0o000, path);
    }),
    ("umask 077", |path| {
        super::writing::is_private_under(0o077, path);
    }),
    ("umask 200", |path| {
        super::writing::is_private_under(0o200, path);
    }),
    (
        "a mount",
        super::writing::a_file_that_cannot_be_replaced_is_written_in_place,
    ),
    ("no list", super::writing::the_file_is_replaced),
    ("no proc", super::writing::the_file_is_replaced_without_proc),
    ("a writer", super::writers::increments),
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
pub(crate) fn play_as_nobody(role: &str, stage: &Path) {
    // That user may not be able to go where this program lies.
    let folder = TempDir::with_prefix("roles").unwrap();
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
