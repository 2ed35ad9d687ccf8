use std::ops::AddAssign;
use std::process::Command;

use crate::{Result, command};

/// How the tests of a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

impl Tally {
    /// A run that names no failed test and yet fails, because it did not compile or a test program
    /// died, is one failure.
    fn of_a_run(mut self, success: bool) -> Self {
        if !success && self.failed == 0 {
            self.failed = 1;
        }
        self
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs a `cargo test` command and counts over all its test programs.
///
/// An ignored test counts as failed, since nothing is skipped here.
pub(crate) fn run(cargo_test: &mut Command) -> Result<Tally> {
    // The servers of the tests are on loopback, and not for this machine's proxy to reach.
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        cargo_test.env_remove(name);
    }
    let mut tally = Tally::default();
    let status = command::stream(cargo_test, |line| {
        if let Some(counts) = counts_in(line) {
            tally += counts;
        }
    })?;
    Ok(tally.of_a_run(status.success()))
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
        let passed = Tally {
            passed: 3,
            failed: 0,
        };
        assert_eq!(passed.of_a_run(true), passed);
        assert_eq!(
            passed.of_a_run(false),
            Tally {
                passed: 3,
                failed: 1
            }
        );
        let failed = Tally {
            passed: 3,
            failed: 2,
        };
        assert_eq!(failed.of_a_run(false), failed);
    }
}
