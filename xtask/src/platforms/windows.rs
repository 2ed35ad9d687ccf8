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
    make_prefix()?;
    let target = target()?;
    left_out::print(&target, |program| {
        let mut wine = Command::new(WINE);
        wine.arg(program).envs(wines()?);
        Ok(wine)
    })?;
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

fn target() -> Result<Target> {
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
        (format!("{prefix}_RUNNER"), WINE.to_owned()),
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

fn make_prefix() -> Result {
    let stamp = prefix()?.join("is-complete");
    if stamp.exists() {
        return Ok(());
    }
    fs::create_dir_all(prefix()?)?;
    for arguments in [&["wineboot", "--init"][..], &["winecfg", "-v", "win10"]] {
        command::run(Command::new(WINE).args(arguments).envs(wines()?))?;
    }
    let system = prefix()?.join("drive_c/windows/system32");
    let mut gcc = Command::new(GCC);
    gcc.args(["-O2", "-shared", "xtask/platforms/bcryptprimitives.c", "-o"])
        .arg(system.join("bcryptprimitives.dll"))
        .arg("-ladvapi32");
    command::run(&mut gcc)?;
    Ok(fs::write(stamp, "")?)
}
