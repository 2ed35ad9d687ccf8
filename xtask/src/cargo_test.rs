use std::ops::AddAssign;
use std::process::Command;

use crate::{Result, command};

/// How the tests of a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs a `cargo test` command and counts over all its test programs.
///
/// An ignored test counts as failed, since nothing is skipped here; and so does a run that names
/// no failed test and yet fails: it did not compile, or a test program died.
pub(crate) fn run(cargo_test: &mut Command) -> Result<Tally> {
    let mut tally = Tally::default();
    let status = command::stream(cargo_test, |line| {
        if let Some(counts) = counts_in(line) {
            tally += counts;
        }
    })?;
    if !status.success() && tally.failed == 0 {
        eprintln!("error: the run ended with {status} without naming a failed test");
        tally.failed = 1;
    }
    Ok(tally)
}

/// The counts in a line like `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; ..`.
fn counts_in(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |what| {
        let number = counts
            .split("; ")
            .find_map(|part| part.strip_suffix(what))?;
        number.parse::<u32>().ok()
    };
    Some(Tally {
        passed: count(" passed")?,
        failed: count(" failed")? + count(" ignored")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_a_test_program_is_counted() {
        let line = "test result: FAILED. 12 passed; 2 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.01s";
        assert_eq!(
            counts_in(line),
            Some(Tally {
                passed: 12,
                failed: 2
            })
        );
    }

    #[test]
    fn an_ignored_test_is_a_failed_one() {
        let line = "test result: ok. 1 passed; 0 failed; 4 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            counts_in(line),
            Some(Tally {
                passed: 1,
                failed: 4
            })
        );
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in ["", "running 3 tests", "test it ... ok", "test result: ok."] {
            assert_eq!(counts_in(line), None, "{line}");
        }
    }

    #[test]
    fn a_run_that_fails_without_a_failed_test_is_one_failure() {
        let tally = run(&mut command::cargo(&["no-such-cargo-command"])).unwrap();
        assert_eq!(
            tally,
            Tally {
                passed: 0,
                failed: 1
            }
        );
    }
}
