//! The project's jobs, each one command:
//!
//! * `cargo xtask test [--all-platforms | SUITE...]` sets up what the suites need and runs them: all
//!   of this platform by default, with `--all-platforms` those for Windows and macOS too;
//! * `cargo xtask ci` checks format, lints, documentation, licences and dependencies, then tests on all
//!   platforms;
//! * `cargo xtask style` checks words and structure alone, without building the project;
//! * `cargo xtask torture [--short] [SCENARIO]...` lets many writers, peers and faults at one cache
//!   file, and writes what came of it to `target/torture.md`;
//! * `cargo xtask bench [--peers] [--short]` measures beside other libraries, with `--peers` beside
//!   Python and Node too, and writes the ratios to `target/bench.md`.

#![allow(
    clippy::disallowed_methods,
    reason = "a job reads and writes the project's files; it never touches a token cache"
)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a job reports on the terminal"
)]

mod bench;
mod cargo_test;
mod checks;
mod command;
mod examples;
mod node_peers;
mod oracle;
mod phrases;
mod platforms;
mod prerequisites;
mod python_peers;
mod structure;
mod suites;
#[cfg(unix)]
mod torture;
#[cfg(not(unix))]
#[path = "torture_elsewhere.rs"]
mod torture;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use self::suites::Which;
use self::torture::Form;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let job = match *arguments.as_slice() {
        ["test", "--all-platforms"] => {
            at_the_root().and_then(|()| suites::run(Which::OfAllPlatforms))
        }
        ["test"] => at_the_root().and_then(|()| suites::run(Which::OfThisPlatform)),
        ["test", ref names @ ..] => at_the_root().and_then(|()| suites::run(Which::Named(names))),
        ["ci"] => at_the_root()
            .and_then(|()| checks::run_all())
            .and_then(|()| suites::run(Which::OfAllPlatforms)),
        ["style"] => at_the_root().and_then(|()| checks::check_style()),
        ["torture", "--short", ref names @ ..] => {
            at_the_root().and_then(|()| torture::run(Form::Short, names))
        }
        ["torture", ref names @ ..] => at_the_root().and_then(|()| torture::run(Form::Long, names)),
        ["bench", ref options @ ..] if bench::Options::parse(options).is_some() => {
            let options = bench::Options::parse(options).unwrap_or_default();
            at_the_root().and_then(|()| bench::run(options))
        }
        _ => {
            eprintln!(
                "usage: cargo xtask test [--all-platforms | SUITE...]\n       cargo xtask ci\n       cargo xtask style\n       cargo xtask torture \
                 [--short] [SCENARIO]...\n       cargo xtask bench [--peers] [--short]"
            );
            return ExitCode::from(2);
        }
    };
    match job {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Goes to the root of the workspace, where every path of the jobs begins.
fn at_the_root() -> Result {
    Ok(env::set_current_dir(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/.."
    ))?)
}
