//! The benchmarks beside their yardsticks, several rounds of all, and the table of the ratios.
//!
//! A ratio is taken within a round, where both sides ran shortly after one another: the load of a
//! machine moves times by half, and ratios far less.

mod measured;
mod peers;
mod table;

use std::fs;
use std::path::Path;

use crate::Result;
use crate::cargo_test::Tally;
use crate::command::{self, cargo};

use self::measured::Rounds;

/// The criterion groups, a bench target each.
const GROUPS: [&str; 5] = ["hit", "cold", "write_back", "redeem", "contention"];
const FOLDER: &str = "target/bench";

/// How much is measured, and whether Python and Node take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) short: bool,
    pub(crate) peers: bool,
}

impl Options {
    /// What the job's arguments say, if they say something sensible.
    pub(crate) fn parse(arguments: &[&str]) -> Option<Self> {
        let mut options = Self::default();
        for argument in arguments {
            match *argument {
                "--short" => options.short = true,
                "--peers" => options.peers = true,
                _ => return None,
            }
        }
        Some(options)
    }

    fn rounds(self) -> usize {
        if self.short { 3 } else { 7 }
    }

    /// Criterion's arguments.
    fn arguments(self) -> [&'static str; 10] {
        let [warm_up, measurement] = if self.short {
            ["0.1", "0.4"]
        } else {
            ["0.5", "1.5"]
        };
        [
            "--noplot",
            "--quiet",
            "--warm-up-time",
            warm_up,
            "--measurement-time",
            measurement,
            // Short samples: some then run undisturbed on a busy machine.
            "--sample-size",
            "60",
            "--nresamples",
            "1000",
        ]
    }
}

/// Measures, prints the table and writes it to `target/bench.md`.
///
/// # Errors
///
/// Something does not compile or is missing, or a side had another token than the others. A goal
/// that was missed is no error, but said in the table: times depend on the machine.
pub(crate) fn run(options: Options) -> Result {
    // The lints of `cargo xtask ci` do without the yardsticks.
    command::run(&mut with_yardsticks(
        "clippy",
        &["--all-targets", "--", "-D", "warnings"],
    ))?;
    command::run(&mut with_yardsticks("bench", &["--no-run"]))?;
    let peers = options
        .peers
        .then(|| peers::Peers::prepare(FOLDER.as_ref()));
    let peers = peers.transpose()?;

    let mut rounds = Rounds::default();
    for round in 1..=options.rounds() {
        println!("\n== round {round} of {}", options.rounds());
        let home = std::path::absolute(Path::new(FOLDER).join("criterion"))?;
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        rounds.begin();
        for group in GROUPS {
            let mut bench = with_yardsticks("bench", &["--bench", group, "--"]);
            bench.args(options.arguments());
            command::run(bench.env("CRITERION_HOME", &home))?;
            if let Some(peers) = &peers {
                peers.measure(group, &mut rounds)?;
            }
        }
        rounds.read(&home)?;
    }

    let text = table::text(&rounds, options.peers)?;
    println!("\n{text}");
    fs::write("target/bench.md", text)?;
    Ok(())
}

/// The short form: each benchmark of ours runs once, so that its check is made, and nothing is
/// measured. Without the yardsticks, which bring more crates than the workspace has.
///
/// # Errors
///
/// Cargo could not be run.
pub(crate) fn suite() -> Result<Tally> {
    let mut benches = cargo(&["bench", "--package", "benches", "--benches", "--", "--test"]);
    let mut tally = Tally::default();
    let status = command::stream(&mut benches, |line| {
        tally.passed += u32::from(line.ends_with("Success"));
    })?;
    tally.failed = u32::from(!status.success());
    Ok(tally)
}

fn with_yardsticks(subcommand: &str, arguments: &[&str]) -> std::process::Command {
    let mut cargo = cargo(&[
        subcommand,
        "--quiet",
        "--package",
        "benches",
        "--features",
        "yardsticks",
    ]);
    cargo.args(arguments);
    // The servers are on loopback, and not for this machine's proxy to reach.
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        cargo.env_remove(name);
    }
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_read() {
        let both = Options {
            short: true,
            peers: true,
        };
        assert_eq!(Options::parse(&["--peers", "--short"]), Some(both));
        assert_eq!(Options::parse(&[]), Some(Options::default()));
        assert_eq!(Options::parse(&["hit"]), None);
    }
}
