use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::cargo_test::Tally;

/// What was seen in one scenario.
struct Row {
    scenario: String,
    figures: String,
    /// What is not as it should be; empty if nothing is. `None` for what is only shown, because it
    /// is the peers' own.
    faults: Option<Vec<String>>,
}

pub(crate) struct Table(Vec<Row>);

/// What has to hold for a row.
pub(crate) struct Checks(Vec<String>);

impl Checks {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Notes a fault unless this holds.
    pub(crate) fn that(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.0.push(what.into());
        }
    }
}

impl Table {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// A row that is good only if all checks hold.
    pub(crate) fn add(&mut self, scenario: impl Into<String>, figures: String, checks: Checks) {
        self.push(Row {
            scenario: scenario.into(),
            figures,
            faults: Some(checks.0),
        });
    }

    /// A row of what peers do without us.
    pub(crate) fn show(&mut self, scenario: impl Into<String>, figures: String) {
        self.push(Row {
            scenario: scenario.into(),
            figures,
            faults: None,
        });
    }

    fn push(&mut self, row: Row) {
        println!("{}", row.line());
        self.0.push(row);
    }

    /// Writes the table to the file and to the terminal.
    pub(crate) fn write(&self, path: &Path) -> Result {
        let mut text = "| Scenario | Figures | |\n|---|---|---|\n".to_owned();
        for row in &self.0 {
            writeln!(text, "{}", row.line())?;
        }
        println!("\n{text}");
        fs::write(path, text)?;
        Ok(())
    }

    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for faults in self.0.iter().filter_map(|row| row.faults.as_ref()) {
            if faults.is_empty() {
                tally.passed += 1;
            } else {
                tally.failed += 1;
            }
        }
        tally
    }
}

impl Row {
    fn line(&self) -> String {
        let verdict = match &self.faults {
            None => "shown".to_owned(),
            Some(faults) if faults.is_empty() => "good".to_owned(),
            Some(faults) => format!("BAD: {}", faults.join("; ")),
        };
        format!("| {} | {} | {verdict} |", self.scenario, self.figures)
    }
}
