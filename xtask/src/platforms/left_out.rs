//! What the suite for Windows leaves out, found by asking the test programs of both systems.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::Target;
use crate::command::{self, cargo};
use crate::{Result, checks};

/// The tests of each target, by its package and name.
type Tests = BTreeMap<String, BTreeSet<String>>;

/// Prints the tests that there are on this system and not for the other one, and the other way
/// round.
///
/// # Errors
///
/// A test program does not list its tests.
pub(super) fn print(target: &Target, run: impl Fn(&str) -> Result<Command>) -> Result {
    let arguments = ["test", "--no-run", "--all-targets"];
    let ours = tests(&mut cargo(&arguments), |program| Ok(Command::new(program)))?;
    let theirs = tests(&mut target.cargo(&arguments)?, run)?;
    let nothing = BTreeSet::new();
    for (heading, all, but) in [
        (
            "left out, for they are about Unix or its programs",
            &ours,
            &theirs,
        ),
        ("only there", &theirs, &ours),
    ] {
        let mut count = 0;
        println!("tests {heading}:");
        for (program, tests) in all {
            for test in tests.difference(but.get(program).unwrap_or(&nothing)) {
                println!("    {program}: {test}");
                count += 1;
            }
        }
        println!("    {count} in all");
    }
    let by_name = checks::tests_run_by_name()?.join(", ");
    println!("test programs that only suites of their own run, with others' programs: {by_name}");
    Ok(())
}

/// The tests of the programs that this command builds.
fn tests(build: &mut Command, run: impl Fn(&str) -> Result<Command>) -> Result<Tests> {
    let said = command::output(build.args(["--message-format", "json", "--quiet"]))?;
    let mut tests = Tests::new();
    for line in said.lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let Some(program) = message["executable"].as_str() else {
            continue;
        };
        if message["profile"]["test"] != true {
            continue;
        }
        let listed = command::output(run(program)?.arg("--list"))?;
        let package = message["manifest_path"].as_str().unwrap_or_default();
        let package = package.rsplit('/').nth(1).unwrap_or_default();
        let name = message["target"]["name"].as_str().unwrap_or_default();
        let kind = message["target"]["kind"][0].as_str().unwrap_or_default();
        let of_program = tests.entry(format!("{package} {kind} {name}")).or_default();
        let names = listed
            .lines()
            .filter_map(|line| line.trim_end().strip_suffix(": test"));
        of_program.extend(names.map(str::to_owned));
    }
    Ok(tests)
}
