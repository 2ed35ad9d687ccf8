//! The original and ours side by side, on cases that are made up for the occasion.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::cargo_test::Tally;
use crate::command::{self, cargo};
use crate::python_peers::{self, Environment};

/// Where the programs are that make up the cases and record the original.
const PROGRAMS: &str = "crates/test-support/python";
/// What the original was recorded to do before.
const VECTORS: &str = "crates/shared-token-cache-credential/tests/conformance/vectors";
const FILES: [&str; 2] = ["lookup.json", "resource.json"];
/// Where the cases and what the original made of them are left.
const FOLDER: &str = "target/oracle";

/// Records what the original makes of `ORACLE_CASES` cases (300) from the seed `ORACLE_SEED` (1),
/// and runs ours against that.
///
/// # Errors
///
/// A variable is no number, a program is missing or ended early, or the recorder does not record
/// the known vectors as they are.
pub(crate) fn run() -> Result<Tally> {
    let [cases, seed] = [number("ORACLE_CASES", 300)?, number("ORACLE_SEED", 1)?];
    let python = python_peers::interpreter(Environment::Plain)?;
    let program = |name: &str| {
        let mut command = Command::new(&python);
        command.arg("-B").arg(Path::new(PROGRAMS).join(name));
        command
    };
    // First: is what it records what was recorded?
    for file in FILES {
        let vectors = Path::new(VECTORS).join(file);
        command::run(program("recorder.py").arg("check").arg(vectors))?;
    }
    let mut tally = Tally {
        passed: 1,
        failed: 0,
    };

    fs::create_dir_all(FOLDER)?;
    let [made, recorded] = ["cases.json", "vectors.json"].map(|name| Path::new(FOLDER).join(name));
    command::run(
        program("generator.py")
            .args([seed.to_string(), cases.to_string()])
            .arg(&made),
    )?;
    command::run(
        program("recorder.py")
            .arg("record")
            .args([&made, &recorded]),
    )?;

    let mut counts = None;
    let status = command::stream(
        cargo(&[
            "test",
            "--package",
            "shared-token-cache-credential",
            "--test",
            "conformance",
        ])
        .env("ORACLE", std::path::absolute(&recorded)?),
        |line| counts = counts_in(line).or(counts),
    )?;
    let counts = counts.ok_or("the conformance test did not say how it went")?;
    tally += counts;
    if u64::from(counts.passed) + u64::from(counts.failed) != cases {
        return Err(format!("of {cases} cases another number was run").into());
    }
    if !status.success() && counts.failed == 0 {
        return Err(format!("the conformance test ended with {status}").into());
    }
    Ok(tally)
}

fn number(name: &str, default: u64) -> Result<u64> {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .map_err(|error| format!("{name} is `{text}`: {error}").into()),
        Err(env::VarError::NotPresent) => Ok(default),
        Err(error) => Err(format!("{name}: {error}").into()),
    }
}

/// The counts in a line like `3 as the original, 2 by decision (K1: 2), 0 failed`.
fn counts_in(line: &str) -> Option<Tally> {
    let (alike, rest) = line.split_once(" as the original, ")?;
    let (decided, rest) = rest.split_once(" by decision (")?;
    let (_, failed) = rest.rsplit_once("), ")?;
    Some(Tally {
        passed: alike.parse::<u32>().ok()? + decided.parse::<u32>().ok()?,
        failed: failed.strip_suffix(" failed")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_read() {
        let line = "30 as the original, 12 by decision (K1: 7, K10: 9), 2 failed";
        let counts = Tally {
            passed: 42,
            failed: 2,
        };
        assert_eq!(counts_in(line), Some(counts));
        for line in [
            "",
            "differs a b",
            "1 as the original, 2 by decision (), x failed",
        ] {
            assert_eq!(counts_in(line), None, "{line}");
        }
    }
}
