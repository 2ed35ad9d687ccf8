use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Result;

/// What was measured: of each round, nanoseconds per call for each side, by names like
/// `hit/fstat/small`.
#[derive(Debug, Default)]
pub(crate) struct Rounds(Vec<BTreeMap<String, f64>>);

/// A figure of each round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Rounds {
    /// What is added from now on is of another round.
    pub(crate) fn begin(&mut self) {
        self.0.push(BTreeMap::new());
    }

    pub(crate) fn add(&mut self, side: String, nanoseconds: f64) {
        if let Some(round) = self.0.last_mut() {
            round.insert(side, nanoseconds);
        }
    }

    /// Adds all that criterion left in its folder: of each side the lower quartile of its samples,
    /// which is what it takes where nobody else has the core meanwhile.
    pub(crate) fn read(&mut self, home: &Path) -> Result {
        self.read_below(home, "")
    }

    fn read_below(&mut self, folder: &Path, name: &str) -> Result {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let Some(last) = path.file_name().and_then(|last| last.to_str()) else {
                continue;
            };
            if last == "new" {
                let sample = fs::read_to_string(path.join("sample.json"))?;
                let time = quartile_of(&serde_json::from_str(&sample)?);
                let time = time.ok_or_else(|| format!("criterion's {name} has no samples"))?;
                self.add(name.to_owned(), time);
            } else if path.is_dir() {
                let below = if name.is_empty() {
                    last.to_owned()
                } else {
                    format!("{name}/{last}")
                };
                self.read_below(&path, &below)?;
            }
        }
        Ok(())
    }

    /// A side's time.
    pub(crate) fn time(&self, side: &str) -> Result<Spread> {
        let times = self.0.iter().map(|round| round.get(side).copied());
        spread(times).ok_or_else(|| format!("nothing was measured of {side}").into())
    }

    /// How many times as long as the other a side takes.
    pub(crate) fn ratio(&self, side: &str, other: &str) -> Result<Spread> {
        let ratios = self
            .0
            .iter()
            .map(|round| Some(round.get(side)? / round.get(other)?));
        spread(ratios).ok_or_else(|| format!("{side} and {other} were not both measured").into())
    }
}

fn quartile_of(sample: &Value) -> Option<f64> {
    let numbers = |name: &str| -> Option<Vec<f64>> {
        sample[name].as_array()?.iter().map(Value::as_f64).collect()
    };
    let [calls, times] = [numbers("iters")?, numbers("times")?];
    let each = times.iter().zip(&calls).map(|(time, calls)| time / calls);
    let mut each: Vec<f64> = each.collect();
    each.sort_by(f64::total_cmp);
    each.get(each.len() / 4).copied()
}

/// `None` if one of the figures is missing, or all are.
fn spread(figures: impl Iterator<Item = Option<f64>>) -> Option<Spread> {
    let mut figures: Vec<f64> = figures.collect::<Option<_>>()?;
    figures.sort_by(f64::total_cmp);
    let (min, max) = (*figures.first()?, *figures.last()?);
    let middle = figures.len() / 2;
    let median = if figures.len().is_multiple_of(2) {
        f64::midpoint(figures[middle - 1], figures[middle])
    } else {
        figures[middle]
    };
    Some(Spread { min, median, max })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_the_samples_the_lower_quartile_counts() {
        let sample = json!({ "iters": [1, 2, 4, 1], "times": [30.0, 20.0, 80.0, 90.0] });
        assert_eq!(quartile_of(&sample), Some(20.0));
        assert_eq!(quartile_of(&json!({})), None);
    }

    #[test]
    fn ratios_are_of_one_round() {
        let mut rounds = Rounds::default();
        for [a, b] in [[10.0, 20.0], [100.0, 100.0], [30.0, 10.0], [2.0, 1.0]] {
            rounds.begin();
            rounds.add("a".to_owned(), a);
            rounds.add("b".to_owned(), b);
        }
        let ratio = rounds.ratio("a", "b").unwrap();
        let [min, median, max] = [0.5, 1.5, 3.0];
        assert_eq!(ratio, Spread { min, median, max });
    }

    #[test]
    fn a_side_that_is_missing_in_a_round_is_an_error() {
        let mut rounds = Rounds::default();
        assert!(rounds.time("a").is_err());
        rounds.begin();
        rounds.add("a".to_owned(), 1.0);
        rounds.begin();
        assert!(rounds.time("a").is_err());
    }
}
