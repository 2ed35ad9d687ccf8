//! What this target does: the project's own vectors with the table, others without, and a live
//! oracle's.

use std::collections::{BTreeMap, BTreeSet};

use crate::compare::{Difference, compare};
use crate::derive::clause::Clause;
use crate::derive::derive;
use crate::json::Json;
use crate::outcome::Outcome;
use crate::table::TABLE;
use crate::vector::{ConstructorVector, File, RecordVector, Vector, name_of, read};
use crate::{launch, record};

/// How the vectors went.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) as_original: u32,
    /// How many of those that differ do so by each decision.
    by_decision: BTreeMap<u8, u32>,
    pub(crate) decided: u32,
    pub(crate) failed: u32,
}

/// What became of one vector.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good(Vec<Clause>),
    /// One line per field or reason.
    Bad(Vec<String>),
}

impl Tally {
    fn count(&mut self, name: &str, verdict: Verdict) {
        match verdict {
            Verdict::Good(clauses) if clauses.is_empty() => self.as_original += 1,
            Verdict::Good(clauses) => {
                self.decided += 1;
                let numbers: BTreeSet<_> = clauses.iter().map(|clause| clause.decision()).collect();
                for number in numbers {
                    *self.by_decision.entry(number).or_default() += 1;
                }
            }
            Verdict::Bad(lines) => {
                self.failed += 1;
                for line in lines {
                    println!("differs {name} {line}");
                }
            }
        }
    }

    /// The counts in one line.
    fn report(&self, has_table: bool) {
        let Self {
            as_original,
            decided,
            failed,
            ..
        } = self;
        let decisions = self.by_decision.iter();
        let decisions: Vec<_> = decisions.map(|(k, n)| format!("K{k}: {n}")).collect();
        let decisions = decisions.join(", ");
        // Nothing waits for a decision to be built any more.
        let pending = if has_table { " 0 pending," } else { "" };
        println!(
            "{as_original} as the original, {decided} by decision ({decisions}),{pending} {failed} failed"
        );
    }
}

/// Takes what the differences of a vector are, its clauses and what the table says of it.
pub(crate) fn judge(
    name: &str,
    clauses: Vec<Clause>,
    differences: &[Difference],
    table: &[(&str, &[Clause])],
) -> Verdict {
    let rows: Vec<_> = table.iter().filter(|(row, _)| *row == name).collect();
    let listed = match &*rows {
        [] => &[][..],
        [(_, listed)] => listed,
        _ => return Verdict::Bad(vec!["table: expected one row, got several".to_owned()]),
    };
    let mut lines: Vec<_> = differences.iter().map(ToString::to_string).collect();
    if listed != clauses {
        lines.push(format!("table: expected {clauses:?}, got {listed:?}"));
        return Verdict::Bad(lines);
    }
    if lines.is_empty() {
        Verdict::Good(clauses)
    } else {
        Verdict::Bad(lines)
    }
}

/// The clauses of a lookup vector, and how the credential differs from what they give.
fn look_up(json: &Json) -> Result<(Vec<Clause>, Vec<Difference>), String> {
    let vector: Vector = read(json)?;
    let derived = derive(&vector)?;
    let got = launch::lookup(json, &vector)?;
    Ok((derived.clauses, compare(&derived.outcome, &got)))
}

fn read_record(json: &Json) -> Result<(Vec<Clause>, Vec<Difference>), String> {
    let vector: RecordVector = read(json)?;
    let (kind, clauses) = record::derive(&vector);
    Ok((clauses, record::compare_with(&vector, kind)))
}

/// The project's own vectors.
pub(crate) fn own(files: &[&str]) -> Tally {
    let mut tally = Tally::default();
    let mut names = BTreeSet::new();
    for text in files {
        let file: File = match serde_json::from_str(text) {
            Ok(file) => file,
            Err(error) => {
                tally.count("(a file)", Verdict::Bad(vec![error.to_string()]));
                continue;
            }
        };
        let lookups = file.lookup.iter().map(|json| (json, look_up(json)));
        let records = file.record.iter().map(|json| (json, read_record(json)));
        for (json, judged) in lookups.chain(records) {
            let name = name_of(json);
            let verdict = match judged {
                _ if !names.insert(name.to_owned()) => {
                    Verdict::Bad(vec!["name: not unique".to_owned()])
                }
                Ok((clauses, differences)) => judge(name, clauses, &differences, TABLE),
                Err(why) => Verdict::Bad(vec![why]),
            };
            tally.count(name, verdict);
        }
    }
    let rows = TABLE.iter().map(|(name, _)| *name);
    for name in rows.filter(|name| !names.contains(*name)) {
        tally.count(
            name,
            Verdict::Bad(vec!["table: there is no such vector".to_owned()]),
        );
    }
    tally.report(true);
    tally
}

/// The vectors of these files with what they say themselves, and no table.
pub(crate) fn as_they_are(paths: &str) -> bool {
    let (mut passed, mut failed) = (0, 0);
    let mut count = |name: &str, judged: Result<Vec<Difference>, String>| {
        let lines: Vec<_> = match judged {
            Ok(differences) => differences.iter().map(ToString::to_string).collect(),
            Err(why) => vec![format!("vector: expected one that can be run, got {why}")],
        };
        if lines.is_empty() {
            passed += 1;
            return;
        }
        failed += 1;
        for line in lines {
            println!("differs {name} {line}");
        }
    };
    for path in paths.split(':') {
        let file = match read_file(path) {
            Ok(file) => file,
            Err(why) => {
                count(path, Err(why));
                continue;
            }
        };
        for json in &file.lookup {
            count(name_of(json), look_up_as_it_is(json));
        }
        for json in &file.record {
            let vector = read::<RecordVector>(json);
            count(name_of(json), vector.map(|vector| record::compare(&vector)));
        }
        for json in &file.constructor {
            count(name_of(json), construct(json));
        }
    }
    println!("{passed} passed, {failed} failed");
    failed == 0 && passed > 0
}

pub(crate) fn look_up_as_it_is(json: &Json) -> Result<Vec<Difference>, String> {
    let vector: Vector = read(json)?;
    let expected = Outcome::expected_by(&vector)?;
    Ok(compare(&expected, &launch::lookup(json, &vector)?))
}

fn construct(json: &Json) -> Result<Vec<Difference>, String> {
    let vector: ConstructorVector = read(json)?;
    let expected = match (&vector.expected.error_kind, vector.expected.ok) {
        (kind, None) => kind.as_ref(),
        (None, Some(true)) => None,
        _ => return Err("neither a success nor an error is expected".to_owned()),
    };
    let got = launch::constructor(json, &vector)?;
    if expected == got.as_ref() {
        return Ok(Vec::new());
    }
    let [expected, got] =
        [expected, got.as_ref()].map(|kind| kind.map_or("nothing", |kind| kind.name()));
    Ok(vec![Difference::new("error_kind", expected, got)])
}

/// What the original did with generated caches, with every decision and no table.
pub(crate) fn oracle(paths: &str) -> bool {
    let mut tally = Tally::default();
    for path in paths.split(':') {
        let file = match read_file(path) {
            Ok(file) => file,
            Err(why) => {
                tally.count(path, Verdict::Bad(vec![why]));
                continue;
            }
        };
        if !file.constructor.is_empty() {
            let why = "constructor: the original of these is in no file".to_owned();
            tally.count(path, Verdict::Bad(vec![why]));
        }
        let lookups = file.lookup.iter().map(|json| (json, look_up(json)));
        let records = file.record.iter().map(|json| (json, read_record(json)));
        for (json, judged) in lookups.chain(records) {
            let verdict = match judged {
                Ok((clauses, differences)) if differences.is_empty() => Verdict::Good(clauses),
                Ok((_, differences)) => {
                    Verdict::Bad(differences.iter().map(ToString::to_string).collect())
                }
                Err(why) => Verdict::Bad(vec![why]),
            };
            tally.count(name_of(json), verdict);
        }
    }
    tally.report(false);
    tally.failed == 0 && tally.as_original + tally.decided > 0
}

fn read_file(path: &str) -> Result<File, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("is no vector file: {error}"))
}
