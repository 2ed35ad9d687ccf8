use std::fmt::Write as _;

use crate::Result;

use super::measured::{Rounds, Spread};

const SIZES: [&str; 3] = ["small", "medium", "large"];

/// What a ratio should be.
#[derive(Clone, Copy)]
enum Goal {
    /// The yardstick takes at least so many times as long as ours.
    Faster(f64),
    /// Ours takes at most so many times as long as the yardstick.
    Within(f64),
    /// None: the ratio is shown.
    Shown,
}

struct Row {
    what: String,
    ours: String,
    other: String,
    goal: Goal,
}

/// The table, in Markdown.
pub(crate) fn text(rounds: &Rounds, with_peers: bool) -> Result<String> {
    let mut text = "| Ours | Beside | Ours takes | Ratio, median [min..max] | Goal | |\n\
                    |---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows(with_peers) {
        writeln!(text, "{}", row.line(rounds)?)?;
    }
    Ok(text)
}

fn rows(with_peers: bool) -> Vec<Row> {
    use Goal::{Faster, Shown, Within};
    let mut rows = Vec::new();
    // For each size; a goal may differ by size.
    let mut sized = |what: &str, group: &str, ours: &str, other: &str, goals: [Goal; 3]| {
        for (size, goal) in SIZES.into_iter().zip(goals) {
            rows.push(Row {
                what: format!("{what}, {size}"),
                ours: format!("{group}/{ours}/{size}"),
                other: format!("{group}/{other}/{size}"),
                goal,
            });
        }
    };
    let azure = "azure_identity";
    sized("hit", "hit", "ours_inherent", azure, [Faster(7.0); 3]);
    sized(
        "hit through dyn",
        "hit",
        "ours_dyn",
        azure,
        [Faster(4.0); 3],
    );
    sized(
        "hit, checked",
        "hit",
        "ours_checked",
        "fstat",
        [Within(1.3); 3],
    );
    let inherent = "ours_inherent";
    sized(
        "hit, 64 tasks",
        "contention",
        inherent,
        azure,
        [Faster(4.0); 3],
    );
    sized(
        "hit through dyn, 64 tasks",
        "contention",
        "ours_dyn",
        azure,
        [Shown; 3],
    );
    sized("cold", "cold", "ours", "serde_json_typed", [Faster(1.0); 3]);
    sized("cold", "cold", "ours", "sonic_rs_typed", [Within(1.2); 3]);
    sized("cold", "cold", "ours", "read", [Shown; 3]);
    sized("write-back", "write_back", "ours", "raw", [Within(1.3); 3]);
    if with_peers {
        let goals = [Faster(30.0), Faster(8.0), Faster(4.0)];
        sized("cold", "cold", "ours", "python", goals);
        sized("hit", "hit", "ours_inherent", "python", [Shown; 3]);
        sized("cold", "cold", "ours", "node", [Shown; 3]);
        sized("hit", "hit", "ours_inherent", "node", [Shown; 3]);
    }
    let mut pair = |what: &str, ours: &str, other: &str, goal| {
        rows.push(Row {
            what: what.to_owned(),
            ours: ours.to_owned(),
            other: other.to_owned(),
            goal,
        });
    };
    let [small, large] = ["hit/ours_inherent/small", "hit/ours_inherent/large"];
    pair("hit, large", large, small, Within(1.3));
    for (other, goal) in [
        ("pooled_hyper", Within(1.4)),
        ("pooled_reqwest", Shown),
        ("pooled_azure_core", Shown),
        ("pooled_azure_identity", Faster(1.3)),
    ] {
        let other = format!("redeem/{other}");
        pair(
            "redemption, small",
            "redeem/pooled_ours/small",
            &other,
            goal,
        );
    }
    for (what, ours) in [
        ("redemption, its request alone", "pooled_ours_request"),
        ("redemption, medium", "pooled_ours/medium"),
        ("redemption, large", "pooled_ours/large"),
    ] {
        let ours = format!("redeem/{ours}");
        pair(what, &ours, "redeem/pooled_hyper", Shown);
    }
    for (other, goal) in [("first_handshake", Within(1.35)), ("first_hyper", Shown)] {
        let other = format!("redeem/{other}");
        pair("first connection", "redeem/first_ours", &other, goal);
    }
    rows
}

impl Row {
    fn line(&self, rounds: &Rounds) -> Result<String> {
        let time = rounds.time(&self.ours)?.median;
        let (ratio, goal, is_met) = match self.goal {
            Goal::Faster(goal) => {
                let ratio = rounds.ratio(&self.other, &self.ours)?;
                let is_met = Some(ratio.median >= goal);
                (
                    format!("{} faster", shown(ratio)),
                    format!("≥ {goal}"),
                    is_met,
                )
            }
            Goal::Within(goal) => {
                let ratio = rounds.ratio(&self.ours, &self.other)?;
                let is_met = Some(ratio.median <= goal);
                (
                    format!("{} as long", shown(ratio)),
                    format!("≤ {goal}"),
                    is_met,
                )
            }
            Goal::Shown => {
                let ratio = rounds.ratio(&self.other, &self.ours)?;
                let ratio = if ratio.median >= 1.0 {
                    format!("{} faster", shown(ratio))
                } else {
                    format!("{} as long", shown(rounds.ratio(&self.ours, &self.other)?))
                };
                (ratio, String::new(), None)
            }
        };
        let verdict = match is_met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let (what, other, time) = (&self.what, &self.other, duration(time));
        Ok(format!(
            "| {what} | `{other}` | {time} | {ratio} | {goal} | {verdict} |"
        ))
    }
}

fn shown(ratio: Spread) -> String {
    let Spread { min, median, max } = ratio;
    format!("**{}** [{}..{}]", number(median), number(min), number(max))
}

/// Three digits or so.
fn number(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn duration(nanoseconds: f64) -> String {
    match nanoseconds {
        1e6.. => format!("{} ms", number(nanoseconds / 1e6)),
        1e3.. => format!("{} µs", number(nanoseconds / 1e3)),
        _ => format!("{} ns", number(nanoseconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(goal: Goal) -> Row {
        Row {
            what: "hit".to_owned(),
            ours: "ours".to_owned(),
            other: "other".to_owned(),
            goal,
        }
    }

    #[test]
    fn a_row_says_whether_its_goal_is_met() {
        let mut rounds = Rounds::default();
        rounds.begin();
        rounds.add("ours".to_owned(), 20.0);
        rounds.add("other".to_owned(), 150.0);
        let line = row(Goal::Faster(7.0)).line(&rounds).unwrap();
        assert_eq!(
            line,
            "| hit | `other` | 20.0 ns | **7.50** [7.50..7.50] faster | ≥ 7 | met |"
        );
        let line = row(Goal::Faster(8.0)).line(&rounds).unwrap();
        assert!(line.ends_with("| ≥ 8 | MISSED |"), "{line}");
        let line = row(Goal::Within(0.1)).line(&rounds).unwrap();
        assert!(line.ends_with("as long | ≤ 0.1 | MISSED |"), "{line}");
        let line = row(Goal::Shown).line(&rounds).unwrap();
        assert!(line.ends_with("faster |  |  |"), "{line}");
    }

    #[test]
    fn a_row_without_figures_is_an_error() {
        assert!(row(Goal::Shown).line(&Rounds::default()).is_err());
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration(1_234.0), "1.23 µs");
        assert_eq!(duration(12_345_678.0), "12.3 ms");
    }
}
