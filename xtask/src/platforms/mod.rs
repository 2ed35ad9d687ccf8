//! The suites for Windows and macOS, on Linux: Debian's Rust of the web browsers, whose sources
//! have the standard library for every target; mingw and Wine for the one, zig for the other.
//!
//! What is made for them is kept under `target/platforms`.

mod left_out;
mod macos;
mod standard_library;
mod windows;

use std::path::PathBuf;
use std::process::Command;

use crate::Result;
use crate::cargo_test::Tally;
use crate::command;
use crate::prerequisites::Prerequisite;

pub(crate) use macos::run as macos;
pub(crate) use windows::run as windows;

/// Debian's compiler and what belongs to it. Not that of rustup, which has the standard library
/// of other targets to download only.
const RUST: &[Prerequisite] = &[
    (
        &["/usr/bin/rustc", "--version"],
        &["rustc-web", "libstd-rust-web-dev"],
    ),
    (&["/usr/bin/cargo", "--version"], &["cargo-web"]),
    (
        &["/usr/bin/cargo-clippy", "--version"],
        &["rust-web-clippy"],
    ),
    (
        &["test", "-e", "/usr/lib/rustlib/src/rust/library/Cargo.lock"],
        &["rust-web-src"],
    ),
];

/// A target that this machine only compiles for, or runs in another way than its own programs.
struct Target {
    triple: &'static str,
    /// What compiling for it, and running, needs in the environment.
    environment: Vec<(String, String)>,
}

impl Target {
    /// A cargo command for this target.
    fn cargo(&self, arguments: &[&str]) -> Result<Command> {
        // Cargo looks for its own subcommands in rustup's folder first.
        let program = if arguments.first() == Some(&"clippy") {
            "/usr/bin/cargo-clippy"
        } else {
            "/usr/bin/cargo"
        };
        let mut cargo = Command::new(program);
        let (subcommand, more) = arguments.split_first().ok_or("no subcommand")?;
        cargo.args([subcommand, "--target", self.triple]).args(more);
        debians(&mut cargo);
        let sysroot = format!("--sysroot={}", folder()?.join("sysroot").display());
        let prefix = format!("CARGO_TARGET_{}", variable(self.triple));
        cargo
            .env(format!("{prefix}_RUSTFLAGS"), &sysroot)
            .env(format!("{prefix}_RUSTDOCFLAGS"), &sysroot)
            .env("CARGO_TARGET_DIR", folder()?.join("build"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(cargo)
    }

    /// Runs commands one after another, each a check that passes or fails.
    fn check(&self, commands: &[&[&str]]) -> Result<Tally> {
        let mut tally = Tally::default();
        for arguments in commands {
            match command::run(&mut self.cargo(arguments)?) {
                Ok(()) => tally.passed += 1,
                Err(error) => {
                    eprintln!("error: {error}");
                    tally.failed += 1;
                }
            }
        }
        Ok(tally)
    }
}

/// Everything that is made for the platforms.
fn folder() -> Result<PathBuf> {
    Ok(std::path::absolute("target/platforms")?)
}

/// As cargo and the crate `cc` spell a target in a variable's name.
fn variable(triple: &str) -> String {
    triple.replace('-', "_").to_uppercase()
}

/// Has a cargo command use Debian's compiler, whatever toolchain runs this job.
fn debians(cargo: &mut Command) {
    for name in [
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_BOOTSTRAP",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
    ] {
        cargo.env_remove(name);
    }
    cargo
        .env("CARGO", "/usr/bin/cargo")
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTDOC", "/usr/bin/rustdoc");
}
