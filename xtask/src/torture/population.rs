//! Many writers of one cache, ours and the peers', each of which counts in an entry of its own.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use super::Stage;
use super::process::{Place, Process, Programs, percentile};
use super::table::{Checks, Table};
use crate::Result;

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Ours,
    /// Python without portalocker: by existence.
    Plain,
    /// Python with it: by `flock`.
    Portalocker,
    /// Node's lock, by existence, unlocked once.
    Node,
    /// Node's cache plugin, as its applications use it.
    Plugin,
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "Rust",
            Self::Plain => "Python plain",
            Self::Portalocker => "Python portalocker",
            Self::Node => "Node",
            Self::Plugin => "Node plugin",
        }
    }
}

/// What all writers of a kind saw.
#[derive(Default)]
struct Sum {
    done: u64,
    lost: u64,
    double: u64,
    torn: u64,
    errors: u64,
    /// In milliseconds.
    waits: Vec<u64>,
    error: Option<String>,
}

impl Sum {
    fn add(&mut self, report: &Value, at_the_end: u64) {
        let number = |member: &str| report[member].as_u64().unwrap_or(0);
        let last = number("last");
        self.done += last;
        self.lost += number("lost") + last.saturating_sub(at_the_end);
        self.double += number("double");
        self.torn += number("torn");
        self.errors += number("errors");
        let waits = report["waits_ms"].as_array().into_iter().flatten();
        self.waits.extend(waits.filter_map(Value::as_u64));
        self.waits.sort_unstable();
        if let Some(error) = report["error"].as_str() {
            self.error.get_or_insert_with(|| error.to_owned());
        }
    }

    fn p99(&self) -> u64 {
        percentile(&self.waits, 99)
    }

    fn max(&self) -> u64 {
        percentile(&self.waits, 100)
    }

    fn text(&self, who: Who) -> String {
        let Self {
            done, lost, errors, ..
        } = self;
        let (p99, max) = (self.p99(), self.max());
        let torn = match self.torn {
            0 => String::new(),
            torn => format!(", {torn} torn reads"),
        };
        let error = match &self.error {
            Some(error) => format!(" ({})", error.chars().take(60).collect::<String>()),
            None => String::new(),
        };
        format!(
            "{}: {done} writes, {lost} lost{torn}, {errors} errors{error}, waits p99 {p99} ms, max \
             {max} ms",
            who.name()
        )
    }
}

/// How long they write.
#[derive(Clone, Copy)]
enum Until {
    Turns(u64),
    Seconds(u64),
}

/// Starts all of them, waits for their end, and adds up what they saw.
fn let_loose(
    stage: &Stage,
    place: &Place,
    crowd: &[(Who, usize)],
    until: Until,
    think: u64,
) -> Result<Vec<(Who, Sum)>> {
    let programs = &stage.programs;
    let think = think.to_string();
    let (turns, seconds) = match until {
        Until::Turns(turns) => (turns.to_string(), "0".to_owned()),
        Until::Seconds(seconds) => ("0".to_owned(), seconds.to_string()),
    };
    let mut processes = Vec::new();
    for (who, count) in crowd {
        for number in 0..*count {
            let name = format!("{who:?}-{number}").to_lowercase();
            let peer = [&*place.text, &*name, &*seconds, &*think];
            let mut command = match who {
                Who::Ours => {
                    programs.ours(&["count", &place.text, &name, &turns, &seconds, &think])
                }
                Who::Plain => Programs::python(&programs.plain, &[&["count"], &peer[..]].concat()),
                Who::Portalocker => {
                    Programs::python(&programs.portalocker, &[&["count"], &peer[..]].concat())
                }
                Who::Node => programs.node("lock", &peer),
                Who::Plugin => programs.node("plugin", &peer),
            };
            processes.push((*who, name, Process::start(&mut command)?));
        }
    }
    let mut reports = Vec::new();
    for (who, name, process) in processes {
        reports.push((who, name, process.report()?));
    }
    let mut sums: Vec<(Who, Sum)> = crowd
        .iter()
        .map(|(who, _)| (*who, Sum::default()))
        .collect();
    for (who, name, report) in reports {
        let at_the_end = place.number(&name)?;
        for (kind, sum) in &mut sums {
            if *kind == who {
                sum.add(&report, at_the_end);
            }
        }
    }
    Ok(sums)
}

pub(super) fn writers(stage: &Stage, table: &mut Table) -> Result {
    for (parent, medium, long, short) in [
        (&stage.memory, "tmpfs", 100_000, 3_200),
        (&stage.disk, "disk", 10_000, 640),
    ] {
        let place = stage.programs.place(parent, "writers")?;
        let turns = stage.form.of(long, short) / 32;
        let begun = Instant::now();
        let sums = let_loose(stage, &place, &[(Who::Ours, 32)], Until::Turns(turns), 0)?;
        let (_, sum) = &sums[0];
        let mut checks = Checks::new();
        checks.that(sum.done == turns * 32, "not all were written");
        checks.that(sum.lost == 0, "lost");
        checks.that(sum.double == 0, "two holders");
        checks.that(sum.errors == 0, "errors");
        checks.that(!place.lock_path().exists(), "a lock file was left");
        let figures = format!("{} in {} s", sum.text(Who::Ours), begun.elapsed().as_secs());
        table.add(
            format!("32 Rust writers on {medium}, no pause"),
            figures,
            checks,
        );
    }
    Ok(())
}

/// Populations and whether they lose nothing among themselves by what they are.
const CROWDS: &[(&[(Who, usize)], bool)] = &[
    (&[(Who::Plain, 16)], true),
    (&[(Who::Portalocker, 16)], true),
    (&[(Who::Node, 8)], true),
    (&[(Who::Plugin, 8)], false),
    (
        &[(Who::Plain, 6), (Who::Portalocker, 6), (Who::Node, 4)],
        false,
    ),
];

pub(super) fn peers(stage: &Stage, table: &mut Table) -> Result {
    let seconds = stage.form.of(12, 4);
    let media: &[(&Path, &str)] = &[(&stage.memory, "tmpfs"), (&stage.disk, "disk")];
    for (parent, medium) in stage.form.of(media, &media[..1]) {
        for (crowd, is_sound) in CROWDS {
            let ours = crowd.iter().map(|(_, count)| *count).sum();
            for think in [50, 0] {
                if stage.form.is_short() && think == 0 {
                    continue;
                }
                let names: Vec<_> = crowd
                    .iter()
                    .map(|(who, count)| format!("{count} {}", who.name()))
                    .collect();
                let title = format!("{} on {medium}, {think} ms", names.join(" + "));
                let until = Until::Seconds(seconds);
                let place = stage.programs.place(parent, "peers")?;
                let alone = let_loose(stage, &place, crowd, until, think)?;
                table.show(format!("{title}, without us"), text(&alone));

                let place = stage.programs.place(parent, "peers")?;
                let together = [&[(Who::Ours, ours)], *crowd].concat();
                let sums = let_loose(stage, &place, &together, until, think)?;
                let checks = judge(&sums, &alone, *is_sound, think);
                table.add(format!("{ours} Rust + {title}"), text(&sums), checks);
            }
        }
    }
    Ok(())
}

fn text(sums: &[(Who, Sum)]) -> String {
    let texts: Vec<_> = sums.iter().map(|(who, sum)| sum.text(*who)).collect();
    texts.join("; ")
}

/// What peers lose or wait for by themselves, without us, is not held against us.
fn judge(sums: &[(Who, Sum)], alone: &[(Who, Sum)], is_sound: bool, think: u64) -> Checks {
    let mut checks = Checks::new();
    let baseline = |figure: fn(&Sum) -> u64| alone.iter().map(|(_, sum)| figure(sum)).max();
    let longest = baseline(Sum::max).unwrap_or(0).max(4_000);
    let usual = baseline(Sum::p99).unwrap_or(0).max(1_000);
    for (who, sum) in sums {
        let name = who.name();
        checks.that(sum.done > 0, format!("{name} wrote nothing"));
        if is_sound {
            checks.that(sum.lost == 0, format!("{name} lost"));
            checks.that(sum.torn == 0, format!("{name} read torn content"));
            checks.that(sum.double == 0, "two holders");
        }
        if think > 0 {
            if *who == Who::Ours {
                checks.that(sum.p99() <= usual, "our p99 over 1 s");
            } else {
                checks.that(sum.max() <= longest, format!("{name} waited over 4 s"));
            }
            if is_sound {
                checks.that(sum.errors == 0, format!("{name} had errors"));
            }
        }
    }
    checks
}
