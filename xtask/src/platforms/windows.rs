//! Windows: the tests run under Wine, which is not Windows; where the two differ, the product goes
//! by what Windows documents.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{RUST, Target, folder, left_out, standard_library};
use crate::cargo_test::{self, Tally};
use crate::prerequisites::{self, Prerequisite};
use crate::{Result, command};

const TRIPLE: &str = "x86_64-pc-windows-gnu";
const GCC: &str = "x86_64-w64-mingw32-gcc";
/// Debian's `wine64` has no program of this name on the path.
const WINE: &str = "/usr/lib/wine/wine64";
/// Has Linux lay out a program's memory without chance, and so for all that it starts.
///
/// Every process of Wine needs the page at 0x7ffe0000. Debian's has no preloader that keeps it
/// free, and its loader lies at 0x7d000000: within 1 GiB behind that, chance puts the heap. Where
/// it covers the page, which it does in one process of some thousands, that process ends before it
/// has begun, and `CreateProcess` says "Internal error" (1359). Without chance, the heap begins
/// right behind the loader.
const WITHOUT_CHANCE: &[&str] = &["setarch", "--addr-no-randomize"];

const PREREQUISITES: &[Prerequisite] = &[
    (&[GCC, "--version"], &["gcc-mingw-w64-x86-64"]),
    (&[WINE, "--version"], &["wine64"]),
];

/// Lints the workspace for Windows and runs its tests under Wine.
///
/// # Errors
///
/// Something that this needs is missing and cannot be installed.
pub(crate) fn run() -> Result<Tally> {
    prerequisites::provide(RUST)?;
    prerequisites::provide(PREREQUISITES)?;
    standard_library::provide(TRIPLE)?;
    let wine = wine();
    make_prefix(&wine)?;
    let target = target(&wine)?;
    left_out::print(&target, |program| under(&wine, &[program]))?;
    let mut tally = target.check(&[&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]])?;
    tally += cargo_test::run(&mut target.cargo(&["test", "--no-fail-fast", "--all-targets"])?)?;
    tally += cargo_test::run(&mut target.cargo(&["test", "--no-fail-fast", "--doc"])?)?;
    Ok(tally)
}

/// The words that a command under Wine begins with.
fn wine() -> Vec<&'static str> {
    if prerequisites::answers(&[WITHOUT_CHANCE, &["true"]].concat()) {
        [WITHOUT_CHANCE, &[WINE]].concat()
    } else {
        // The sandboxes of some containers allow no program to ask for this.
        println!(
            "`{}` is refused here: now and then a process will not start",
            WITHOUT_CHANCE.join(" ")
        );
        vec![WINE]
    }
}

/// A command under Wine.
fn under(wine: &[&str], arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(wine[0]);
    command.args(&wine[1..]).args(arguments).envs(wines()?);
    Ok(command)
}

fn target(wine: &[&str]) -> Result<Target> {
    let prefix = format!("CARGO_TARGET_{}", super::variable(TRIPLE));
    let certificates = folder()?.join("certificates.o");
    command::run(
        Command::new(GCC)
            .args(["-O2", "-D_WIN32_WINNT=0x0A00", "-c"])
            .arg("xtask/platforms/certificates.c")
            .arg("-o")
            .arg(&certificates),
    )?;
    let linker = fs::canonicalize("xtask/platforms/windows-linker")?;
    let mut environment = vec![
        (format!("{prefix}_LINKER"), linker.display().to_string()),
        (format!("{prefix}_RUNNER"), wine.join(" ")),
        (
            "CERTIFICATES".to_owned(),
            certificates.display().to_string(),
        ),
    ];
    environment.extend(wines()?);
    Ok(Target {
        triple: TRIPLE,
        environment,
    })
}

/// What Wine is told: its files are ours alone, and no window, log or other runtime is wanted.
fn wines() -> Result<Vec<(String, String)>> {
    let variables = [
        ("WINEPREFIX", &*prefix()?.display().to_string()),
        ("WINEDEBUG", "-all"),
        ("WINEDLLOVERRIDES", "mscoree,mshtml="),
        ("DISPLAY", ""),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(variables.into())
}

/// The Windows that Wine shows to the programs.
fn prefix() -> Result<PathBuf> {
    Ok(folder()?.join("wine"))
}

fn make_prefix(wine: &[&str]) -> Result {
    let stamp = prefix()?.join("is-complete");
    if stamp.exists() {
        return Ok(());
    }
    fs::create_dir_all(prefix()?)?;
    for arguments in [&["wineboot", "--init"][..], &["winecfg", "-v", "win10"]] {
        command::run(&mut under(wine, arguments)?)?;
    }
    let system = prefix()?.join("drive_c/windows/system32");
    let mut gcc = Command::new(GCC);
    gcc.args(["-O2", "-shared", "xtask/platforms/bcryptprimitives.c", "-o"])
        .arg(system.join("bcryptprimitives.dll"))
        .arg("-ladvapi32");
    command::run(&mut gcc)?;
    Ok(fs::write(stamp, "")?)
}
