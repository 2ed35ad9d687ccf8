//! macOS: nothing can run here, but all of it is type-checked and linted.

use std::fs;
use std::path::PathBuf;

use super::{RUST, Target, standard_library};
use crate::cargo_test::Tally;
use crate::prerequisites::{self, PYTHON};
use crate::{Result, python_peers};

const TRIPLE: &str = "aarch64-apple-darwin";

/// Checks and lints the workspace for macOS.
///
/// # Errors
///
/// Something that this needs is missing and cannot be installed.
pub(crate) fn run() -> Result<Tally> {
    prerequisites::provide(RUST)?;
    prerequisites::provide(&[PYTHON])?;
    standard_library::provide(TRIPLE)?;
    target()?.check(&[
        &["check", "--workspace", "--all-targets"],
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    ])
}

/// ring has C in it.
fn target() -> Result<Target> {
    let zig = python_peers::interpreter(python_peers::Environment::Zig)?;
    let script = |name: &str| -> Result<PathBuf> {
        Ok(fs::canonicalize(
            PathBuf::from("xtask/platforms").join(name),
        )?)
    };
    let name = TRIPLE.replace('-', "_");
    let environment = [
        (format!("CC_{name}"), script("zig-cc")?),
        (format!("AR_{name}"), script("zig-ar")?),
        ("ZIG_PYTHON".to_owned(), zig),
    ];
    Ok(Target {
        triple: TRIPLE,
        environment: environment
            .into_iter()
            .map(|(name, path)| (name, path.display().to_string()))
            .collect(),
    })
}
