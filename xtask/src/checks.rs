use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Result;
use crate::command::{self, cargo, run};
use crate::{phrases, structure};

const CARGO_DENY: &str = "0.20.2";

/// Everything that is checked without running the project's code.
///
/// # Errors
///
/// The first check that fails.
pub(crate) fn run_all() -> Result {
    run(&mut cargo(&["fetch", "--locked"]))?;
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    check_style()?;
    lint()?;
    run(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    check_dependencies()
}

/// Checks the words of the project's texts, and the code against its plan.
///
/// # Errors
///
/// Names each place that is not as it should be.
pub(crate) fn check_style() -> Result {
    phrases::check()?;
    structure::check()
}

fn lint() -> Result {
    const FATAL: [&str; 3] = ["--", "-D", "warnings"];
    run(cargo(&["clippy", "--workspace", "--all-targets"]).args(FATAL))?;
    // The other cryptography.
    for package in ["entra-token-endpoint", "shared-token-cache-credential"] {
        let mut aws_lc_rs = cargo(&["clippy", "--package", package, "--no-default-features"]);
        aws_lc_rs.args(["--features", "aws-lc-rs", "--all-targets"]);
        run(aws_lc_rs.args(FATAL))?;
    }
    // Without the encrypted stores.
    for (package, feature) in [
        ("msal-token-cache", "tokio"),
        ("shared-token-cache-credential", "ring"),
    ] {
        let mut bare = cargo(&["clippy", "--package", package, "--no-default-features"]);
        run(bare.args(["--features", feature]).args(FATAL))?;
    }
    // `--all-targets` passes over what needs a feature that is off.
    let torture = [
        "clippy",
        "--package",
        "test-support",
        "--features",
        "torture",
        "--bins",
    ];
    run(cargo(&torture).args(FATAL))?;
    // And over targets with `test = false`.
    let unlisted = tests_run_by_name()?;
    if unlisted.is_empty() {
        return Ok(());
    }
    let mut clippy = cargo(&["clippy", "--workspace"]);
    for name in &unlisted {
        clippy.args(["--test", name]);
    }
    run(clippy.args(FATAL))
}

/// The test targets with `test = false`, which only a suite that names them runs.
pub(crate) fn tests_run_by_name() -> Result<Vec<String>> {
    let metadata = command::output(&mut cargo(&[
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let mut names: Vec<_> = targets
        .filter(|target| target["kind"][0] == "test" && target["test"] == false)
        .filter_map(|target| Some(target["name"].as_str()?.to_owned()))
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn check_dependencies() -> Result {
    let cargo_deny = cargo_deny()?;
    let deny = |arguments: &[&str]| run(Command::new(&cargo_deny).args(arguments));
    deny(&["check", "licenses", "bans", "sources"])?;
    // The advisories live in a repository of their own, which not every machine can reach.
    if deny(&["fetch", "db"]).is_err() {
        println!("advisories: not checked, the database could not be fetched");
        return Ok(());
    }
    deny(&["check", "--disable-fetch", "advisories"])
}

/// The cargo-deny of this machine, else one that is installed under `target/tools`.
fn cargo_deny() -> Result<PathBuf> {
    let mut version = Command::new("cargo-deny");
    version
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if version.status().is_ok_and(|status| status.success()) {
        return Ok("cargo-deny".into());
    }
    let root = std::path::absolute("target/tools")?;
    let program = root
        .join("bin")
        .join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    if !program.exists() {
        let mut install = cargo(&["install", "--locked", "--version", CARGO_DENY, "--root"]);
        run(install.arg(&root).arg("cargo-deny"))?;
    }
    Ok(program)
}
